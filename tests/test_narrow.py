"""Narrower embeddings, and the labels and conditions of an index."""

import datetime

import numpy as np
import pytest

from mbnet_jax.commands.narrow import main
from mbnet_jax.export.write import export_network
from mbnet_jax.index.conditions import Conditions, read_time
from mbnet_jax.index.labels import Labels, read_labels
from mbnet_jax.index.narrow import fit, read, save
from mbnet_jax.search.embedder import Embedder

pytestmark = pytest.mark.usefixtures("one_block")


def made_up(count: int, wide: int = 40, rank: int = 30) -> np.ndarray:
    random = np.random.default_rng(0)
    rows = random.standard_normal((count, rank)) * np.linspace(3, 0.1, rank)
    return (rows @ random.standard_normal((rank, wide)) + 1).astype(np.float32)


@pytest.mark.parametrize("count", [25, 200])  # fewer and more than the width
@pytest.mark.parametrize("whiten", [False, True])
def test_components_are_those_of_the_singular_values(count, whiten):
    rows = made_up(count)
    narrowing = fit(rows, 20, whiten)
    scores = (rows - narrowing.mean) @ narrowing.components
    covariance = np.cov(scores.T)
    variances = np.linalg.svd(rows - rows.mean(0), compute_uv=False)[:20] ** 2
    expected = np.ones(20) if whiten else variances / (count - 1)
    np.testing.assert_allclose(np.diag(covariance), expected, rtol=1e-3)
    outside = covariance - np.diag(np.diag(covariance))
    assert np.abs(outside).max() < 1e-3 * expected.max()


def test_at_full_width_angles_between_centred_rows_stay():
    rows = made_up(200, rank=40)
    narrow = fit(rows, 40, False).apply(rows)
    centred = rows - rows.mean(0)
    centred /= np.linalg.norm(centred, axis=1, keepdims=True)
    np.testing.assert_allclose(narrow @ narrow.T, centred @ centred.T, atol=1e-4)


def test_an_impossible_width_is_refused():
    with pytest.raises(ValueError, match="from 1 to 24 components"):
        fit(made_up(25), 25, False)
    with pytest.raises(ValueError, match="from 1 to 24 components"):
        fit(made_up(25), 0, False)
    with pytest.raises(ValueError, match="vary in 30 directions"):
        fit(made_up(200), 31, True)


def test_a_file_is_read_as_it_was_written(tmp_path):
    path = tmp_path / "narrow.safetensors"
    narrowing = fit(made_up(60), 8, True, "origin")
    save(narrowing, path)
    found = read(path)
    assert found[2:] == ("origin", True, 60) and found.digest == narrowing.digest
    assert found.width == 8
    other = fit(made_up(60), 7, True, "origin")
    assert other.digest != narrowing.digest
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match=r"narrow\.safetensors is no narrowing"):
        read(path)
    with pytest.raises(FileNotFoundError, match="mbnet-narrow"):
        read(tmp_path / "none")


def test_labels_are_read_from_a_csv_file(tmp_path):
    file = tmp_path / "labels.csv"
    file.write_text(
        "Path;camera;pid;time\n"
        "./a.jpg;c1;7;2026-05-31T14:30:00+02:00\n"
        "b/c.jpg;;8;2026-05-31\n"
    )
    assert read_labels(file) == {
        "a.jpg": Labels("c1", datetime.datetime(2026, 5, 31, 12, 30)),
        "b/c.jpg": Labels(None, datetime.datetime(2026, 5, 31)),
    }
    for text, message in (
        ("path,pid\na.jpg,7\n", "must name the columns"),
        ("camera,time\nc,2026\n", "must name the columns"),
        ("path,camera\na.jpg,c\na.jpg,d\n", "line 3: a.jpg was listed before"),
        ("path,time\na.jpg,noon\n", "line 2: time 'noon' must be a time"),
        ("path,camera\n,c\n", "line 2: path is empty"),
        ("path,camera\na.jpg\n", "line 2 has 1 cells, the header 2"),
    ):
        file.write_text(text)
        with pytest.raises(ValueError, match=message):
            read_labels(file)


def test_conditions_are_literals_of_sql():
    after = read_time("2026-05-31")
    conditions = Conditions(("it's", "c2"), after, None)
    assert conditions.sql == (
        "camera IN ('it''s', 'c2') AND time >= timestamp '2026-05-31 00:00:00'"
    )
    assert str(conditions) == "of camera it's or c2 from 2026-05-31 00:00:00"
    assert Conditions().sql is None and not str(Conditions())
    for text in ("", "31.5.2026", "2026-13-01", "0001-01-01T00:00+12:00"):
        with pytest.raises(ValueError, match="must be a time such as"):
            read_time(text)


def test_the_command_shows_what_widths_lose(whole, tmp_path, capsys):
    out = tmp_path / "narrow"
    out.mkdir()
    main(["--model", str(whole[0]), "--width", "3,6", "--whiten", "--out", str(out)])
    printed = capsys.readouterr().out
    scores = {}
    for line in printed.splitlines():
        name, *numbers = line.split()[:3] or [""]
        scores.setdefault(name, numbers)
    assert [*scores].index("6") == [*scores].index("full") + 1 < [*scores].index("3")
    for name in ("full", "6", "3", "chance"):
        assert 0 < float(scores[name][1]) <= 100
    # The network's exports embed alike, so the file is theirs too.
    exported = tmp_path / "exported"
    export_network(str(whole[0]), exported, platforms=(), onnx=False, half=True)
    for width in (3, 6):
        narrowing = read(out / f"narrow-{width}-whitened.safetensors")
        assert narrowing.width == width and narrowing.whitened
        for source in (whole[0], exported):
            embedder = Embedder.load(source)
            branches = embedder.choose(None, with_maps=True)
            narrowing.check_source(embedder.origin(branches), embedder.width(branches))
    with pytest.raises(SystemExit, match="a width of 5000 is impossible"):
        main(["--model", str(whole[0]), "--width", "5000"])
    with pytest.raises(SystemExit, match="--width must name whole numbers"):
        main(["--model", str(whole[0]), "--width", "0"])
