"""Parsing maps that `Embedder` and search make on the way, with a small model."""

import warnings
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import small_run
from fake_hub import FakeHub, serving
from huggingface_hub import constants
from parsers import COLOURS, painted, write_model
from PIL import Image
from untrained import untrained, whole_network

from mbnet_jax import Embedder, load_parser
from mbnet_jax.commands import search
from mbnet_jax.data.make_maps import make_maps_of
from mbnet_jax.parsing import load as load_module
from mbnet_jax.search import lost
from mbnet_jax.search.gallery import open_gallery
from mbnet_jax.search.nearest import embed_queries
from mbnet_jax.search.on_the_way import parsed_batches
from mbnet_jax.search.photographs import load_photograph, load_pixels

pytest.importorskip("onnxruntime")
pytestmark = pytest.mark.usefixtures("one_block")

ALL = ("global", "clothing_unrelated", "mask")
SIZES = ((64, 32), (40, 30), (31, 77), (64, 32), (90, 20), (20, 20), (64, 33))
# Shown to the network, in place of its branches: parts of the map, and the colours.
WEIGHTS = np.random.default_rng(0).normal(size=(8 + 3, 32)).astype(np.float32)


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    return write_model(tmp_path_factory.mktemp("model") / "m.onnx")


@pytest.fixture(scope="module")
def parser(model):
    return load_parser(model, "segformer")


@pytest.fixture
def photos(tmp_path) -> list[Path]:
    rng = np.random.default_rng(0)
    (tmp_path / "photos").mkdir()
    paths = []
    for number, (height, width) in enumerate(SIZES):
        coarse = rng.choice([*COLOURS], (-(-height // 8), -(-width // 8)))
        labels = coarse.repeat(8, 0).repeat(8, 1)[:height, :width]
        paths.append(tmp_path / "photos" / f"{number}.png")
        Image.fromarray(painted(labels)).save(paths[-1])
    return paths


@jax.jit
def looks_at_maps(variables, image, parsing):
    """Stands for the network: depends on every pixel's part."""
    place = jnp.arange(1, parsing[0].size + 1).reshape(1, *parsing.shape[1:], 1)
    parts = (jax.nn.one_hot(parsing, 8) * place).mean((1, 2))
    values = jnp.concatenate([parts, image.mean((1, 2))], -1) @ WEIGHTS
    return {"all": values / jnp.linalg.norm(values, axis=1, keepdims=True)}


@pytest.fixture
def made(tmp_path):
    """Makes an embedder of all branches, whose programs look at the maps."""
    mesh = small_run.one_device()
    network = untrained(whole_network(tmp_path), mesh)

    def made(**options) -> Embedder:
        embedder = Embedder(network, mesh, **options)
        embedder._programs[ALL] = looks_at_maps
        return embedder

    return made


def test_maps_on_the_way_are_those_of_mbnet_parse(photos, parser, tmp_path):
    folder, out = photos[0].parent, tmp_path / "maps"
    make_maps_of(photos, folder, parser, out)
    (folder / "broken.png").write_bytes(b"none")
    paths = [*photos[:3], folder / "broken.png", *photos[3:]]
    size, failed = (32, 16), {}

    def load(index):
        return load_pixels(paths[index], "x")

    shape = (3, *size)
    batches = [*parsed_batches(load, parser, 8, shape, 2, failed.__setitem__)]
    assert [batch.indices for batch in batches] == [[0, 1, 2], [4, 5, 6], [7]]
    assert [*failed] == [3] and "broken.png cannot be decoded" in str(failed[3])
    for batch in batches:
        for row, index in enumerate(batch.indices):
            own = out / paths[index].name
            image, parsing = load_photograph(paths[index], own, "x", size, "atr")
            np.testing.assert_array_equal(batch.image[row], image)
            np.testing.assert_array_equal(batch.parsing[row], parsing)
            assert len(np.unique(parsing)) > 1
    assert not batches[-1].image[1:].any() and not batches[-1].parsing[1:].any()
    with pytest.raises(ValueError, match=r"broken\.png cannot be decoded"):
        [*parsed_batches(load, parser, 8, shape, 2)]


def test_an_embedder_with_a_parser_needs_no_maps(photos, parser, made, tmp_path):
    out = tmp_path / "maps"
    make_maps_of(photos, photos[0].parent, parser, out)
    maps = [out / path.name for path in photos]
    expected = made(parsing_labels="atr").embed(photos, maps, batch_size=4)
    with_parser = made(parser=parser)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        found = with_parser.embed(photos, batch_size=4)
    np.testing.assert_allclose(found, expected, atol=1e-6)
    arrays = [np.asarray(Image.open(path)) for path in photos]
    np.testing.assert_allclose(with_parser.embed(arrays), expected, atol=1e-6)
    assert with_parser.embed([]).shape == (0, 32)
    with pytest.raises(ValueError, match="the embedder's parser makes the maps: leave"):
        with_parser.embed(photos, maps)


def test_the_cache_knows_what_made_the_maps(photos, parser, made, model, tmp_path):
    folder, cache = photos[0].parent, tmp_path / "cache"

    def opened(embedder):
        return open_gallery(folder, embedder, ALL, cache, batch_size=4)

    first = opened(made(parser=parser))
    assert first.embedded == len(SIZES)
    assert opened(made(parser=load_parser(model, "segformer"))).embedded == 0
    other = write_model(tmp_path / "other.onnx", stride=8)
    second = opened(made(parser=load_parser(other, "segformer")))
    assert second.embedded == len(SIZES)
    assert np.abs(first.features - second.features).max() > 1e-4
    plain = made()
    digests = {e.digest(ALL) for e in (plain, made(parser=parser))}
    assert len(digests) == 2
    # A branch without maps has no use for the parser.
    one = ("global",)
    assert plain.digest(one) == made(parser=parser).digest(one)
    paths, rows, failed = embed_queries(photos[:2], folder, made(parser=parser), ALL)
    assert paths == photos[:2] and not failed
    np.testing.assert_allclose(rows, first.features[first.rows[:2]], atol=1e-6)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"parser": 5}, "parser must be a preset's name, such as 'segformer', .* int"),
        ({"parser": "segfromer"}, "parser=segfromer is neither a preset"),
        ({"parser": Path("none.onnx")}, "parser=none.onnx is neither a preset"),
        (
            {"parser": None, "parsing_labels": "swag"},
            "parsing_labels='swag' is unknown",
        ),
    ],
)
def test_what_is_no_parser_is_named_before_a_network_is_read(options, message):
    with pytest.raises((ValueError, FileNotFoundError), match=message):
        Embedder.load("no/network", **options)


def test_a_label_set_is_of_given_maps(parser, made):
    with pytest.raises(ValueError, match="parsing_labels='atr' is of maps that are gi"):
        made(parser=parser, parsing_labels="atr")


def test_without_maps_the_message_says_what_is_lost(made):
    with pytest.warns(UserWarning) as found:
        assert made().choose(None, False) == ("global",)
    text = str(found[0].message)
    assert "It finds people by their clothes" in text
    assert text.endswith('parser="segformer")') and "give `parsing`" in text
    with pytest.warns(UserWarning, match=r"--parser segformer \(docs/use.md\)$"):
        made().choose(None, False, search._GIVE_MAPS)
    with pytest.raises(
        ValueError, match=r"'mask' cannot .*parser=.segformer.*; or take"
    ):
        made().choose(["mask"], False)
    # The figures are the measured ones.
    evidence = (
        Path(__file__).parents[1] / "benchmarks" / "ablation" / "few_people.md"
    ).read_text()
    whole = next(line for line in evidence.splitlines() if "balance: MBNet**" in line)
    assert f"| {lost.ALL} ± " in whole
    own = evidence[evidence.index("its global\nbranch, which needs none") :]
    assert f"({lost.GLOBAL} ± " in own.splitlines()[1]


def test_a_preset_is_downloaded_and_runs(model, tmp_path, monkeypatch, photos):
    hub = FakeHub(model.read_bytes())
    preset = load_module.PRESETS["segformer"]
    changed = {"segformer": preset.__class__("atr", (512, 512), source=hub.source())}
    monkeypatch.setattr(load_module, "PRESETS", changed)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
    with serving(hub) as address:
        template = address + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "ENDPOINT", address)
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        parser = load_parser("segformer")
    assert parser.maker["model"] == hub.sha256
    assert parser.maker["address"].endswith("onnx/model.onnx")
    assert parser.digest == load_parser(model, "segformer").digest
    assert parser([np.asarray(Image.open(photos[0]))])[0].any()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--parser", "segformer", "--parsing", "."], "--parser makes the maps that"),
        (["--preset", "schp-lip"], "--preset is the form of a --parser FILE; give"),
        (["--parser", "none.onnx"], "--parser=none.onnx is neither a preset (segf"),
        (
            ["--parser", "{model}"],
            "is a file: give its form too, --preset NAME",
        ),
        (["--parser", "{model}", "--preset", "x"], "preset x is unknown; nearest know"),
        (["--parser", "schp-pascal"], "and give --parser FILE --preset schp-pascal"),
    ],
)
def test_the_searchs_flags_are_checked_before_anything_is_read(
    tmp_path, model, arguments, message
):
    given = [text.format(model=model) for text in arguments]
    given += ["--gallery", str(tmp_path), "--query", "q.jpg"]
    given += ["--out", str(tmp_path / "x.html"), "--model", "no/network"]
    with pytest.raises(SystemExit) as ended:
        search.main(given)
    assert str(ended.value).startswith("error: ") and message in str(ended.value)
