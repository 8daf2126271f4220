"""Images of nobody: they take no part in an evaluation, and count as nobody."""

import json

import jax
import layouts_standard
import numpy as np
import pytest
from embedded import split
from layouts_standard import JUNK
from test_datasets import small

import mbnet_jax
from configs import market1501
from mbnet_jax.data import DATASETS, Protocol, read_records
from mbnet_jax.data.checks import count_warnings
from mbnet_jax.data.datasets.reading import Found, number
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.protocols import usable_protocols
from mbnet_jax.evaluation.results import evaluate_protocol, query_and_galleries, rank

RULE = Protocol("general", "query", "gallery", "junk_out")
RANKS = (1, 2)


@pytest.fixture(scope="module")
def embedded():
    """Query, and galleries with and without junk, which is among the nearest."""
    rng = np.random.default_rng(3)
    pid = np.concatenate([np.repeat([1, 2, 3, 0], 10), np.full(20, -1)])
    rng.shuffle(pid)
    camera = rng.integers(0, 3, len(pid))
    centres = rng.normal(size=(4, 8))
    # Junk looks like somebody, too.
    looks = np.where(pid == -1, rng.integers(1, 4, len(pid)), pid)
    rows = (centres[looks] + 1.5 * rng.normal(size=(len(pid), 8))).astype(np.float32)
    query = centres[[1, 2, 3]].astype(np.float32)
    whole = Embedded(split(pid, camera, 0 * pid - 1, "g"), {"all": rows})
    return (
        Embedded(split([1, 2, 3], [0, 1, 2], [-1] * 3, "q"), {"all": query}),
        whole,
        whole.subset(np.flatnonzero(pid != -1)),
    )


@pytest.mark.parametrize("draws", [0, 3])
def test_ranking_and_reranking_are_those_without_the_images(embedded, draws):
    query, whole, kept = embedded
    protocol = RULE._replace(draws=draws)
    found, expected = (
        evaluate_protocol(
            {"query": query, "gallery": gallery}, protocol, RANKS, 5, reranked=True
        )
        for gallery in (whole, kept)
    )
    assert found.values == expected.values  # chance among them
    assert found.values["all"] != found.values["all_reranked"]
    for name, metrics in found.metrics.items():
        for one, other in zip(metrics, expected.metrics[name], strict=True):
            np.testing.assert_array_equal(one.first_match_rank, other.first_match_rank)
            np.testing.assert_array_equal(
                one.average_precision, other.average_precision
            )
    _, galleries = query_and_galleries(
        {"query": query, "gallery": whole}, protocol, seed=5
    )
    assert {len(gallery.split) for gallery in galleries} == {4 if draws else 40}
    # Left in the gallery, as junk of every query, they would change the re-ranking.
    left_in = rank(query, whole, "all", "junk_out", RANKS, reranked=True)
    assert left_in.mAP != expected.metrics["all_reranked"][0].mAP
    # Under another rule these images are in the way.
    other = evaluate_protocol(
        {"query": query, "gallery": whole}, protocol._replace(rule="general"), RANKS, 5
    )
    assert other.values["chance"]["mAP"] < expected.values["chance"]["mAP"]


def test_a_gallery_of_nobody_is_no_gallery():
    test = {
        "query": split([1], [0], [-1]),
        "gallery": split([-1, -1], [1, 2], [-1] * 2),
    }
    usable, notes = usable_protocols([RULE], test)
    assert [p.rule for p in usable] == ["any"]
    assert notes[0] == "general is left out: no gallery image shows anybody"


def test_an_image_of_nobody_is_not_trained_on(tmp_path):
    rows = [Found(tmp_path / f"{pid}.jpg", pid, 0, None) for pid in (4, -1, 7)]
    with pytest.raises(
        ValueError, match=r"1 images of .*'train' .* nobody: .*/-1\.jpg"
    ):
        number({"train": rows, "query": rows[:0]})
    # Numbers that are counted anew pass it by.
    found = {"train": rows[::2], "query": rows[:1], "gallery": rows[:2]}
    records = number(found, apart=("query", "gallery"))
    assert [row.pid for row in records["gallery"]] == [6, -1]


def test_warnings_and_counts_leave_junk_out(tmp_path):
    spec, messages = DATASETS["market1501"], []
    for junk in (True, False):
        root = layouts_standard.write_market1501(tmp_path / str(junk), junk=junk)
        records = read_records("market1501", root)
        assert len(records["gallery"]) == 6 + 3 * junk
        messages.append(count_warnings(spec, records))
    assert messages[0] == messages[1]
    assert messages[0][2] == (
        "market1501 gallery: 6 images of 3 persons here, 15913 of 751 as published; "
        "figures will not compare"
    )


def test_people_are_counted_without_junk():
    images = split([-1, 4, 4, 0, -1], [0, 1, 2, 0, 0], [-1] * 5)
    people = images.of_people()
    assert people.pid.tolist() == [4, 4, 0]
    assert people.names == ("x/1.jpg", "x/2.jpg", "x/3.jpg")
    assert people.of_people() is people


@pytest.mark.usefixtures("one_block")
def test_market1501_from_raw_folder_to_table(tmp_path, capsys):
    roots = [
        layouts_standard.write_market1501(tmp_path / name, junk=name == "junk")
        for name in ("junk", "clean")
    ]
    config = small(market1501.get_config(), roots[0], "")
    config.loss.ktm_area = 0.0  # needs maps
    config.train.epochs = 1
    config.eval.rerank = config.eval.report = True
    mesh = make_mesh(jax.devices()[:1])
    run = mbnet_jax.train(config, tmp_path / "run", mesh=mesh)
    results, files = [], []
    for root in roots:
        config.data.root = str(root)
        capsys.readouterr()
        results.append(
            mbnet_jax.Run(tmp_path / "run", mesh).evaluate(config)["general"]
        )
        printed = capsys.readouterr().out
        table = printed[printed.index("test split, per cent") :].split("to open")[0]
        counts = [line.split() for line in printed.splitlines() if "  gallery" in line]
        page = (run.eval / "report.html").read_text()
        files.append(
            [
                *(table, counts, (run.eval / "queries.csv").read_text()),
                json.loads((run.eval / "metrics.json").read_text())["protocols"],
                (run.eval / "ranked_lists.png").read_bytes(),
            ]
        )
        assert counts[0][1:3] == ["3", "6"]
        assert "gallery: 6 images of 3 persons" in page
        assert not any(name in page for name in JUNK)
    assert results[0] == results[1] and files[0] == files[1]
    assert [*results[0]] == ["global", "global_reranked", "chance"]
    assert 0 < results[0]["global"]["mAP"] <= 1
    # Each query has one match among 5 (its own image's camera is out).
    assert results[0]["chance"]["rank1"] == pytest.approx(1 / 5)
