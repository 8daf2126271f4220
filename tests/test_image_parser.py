"""The network that predicts parsing maps from the image, and the edges of parts."""

import functools
import math
import operator
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from modules import normal, shapes
from test_losses_total import TARGETS, terms_of
from test_losses_total import outputs as outputs_of
from test_mbnet import variable_shapes
from untrained import untrained, whole_network

from mbnet_jax import losses
from mbnet_jax.data.needed_maps import MissingMapsError, check_maps
from mbnet_jax.data.records import Record
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.predicted import parsing_function
from mbnet_jax.models.check import network_problems
from mbnet_jax.models.modules import ImageParser, PartEdges, predicted_parsing
from mbnet_jax.models.modules.image_parser import SIZES
from mbnet_jax.models.modules.part_edges import median_edges
from mbnet_jax.parsing.labels import CROPPED, HEAD, LEGS, NUM_LABELS, UPPER_CLOTHES
from mbnet_jax.views import box_of, has_label, normalise


def parser_shapes(*shape, **fields):
    image = jax.ShapeDtypeStruct((2, *shape, 3), np.float32)
    return shapes(ImageParser(**fields), image, train=False)


def parameters_of(variables) -> int:
    return sum(math.prod(x.shape) for x in jax.tree.leaves(variables["params"]))


@pytest.mark.parametrize("size", ["small", "large"])
@pytest.mark.parametrize(
    ("shape", "read"),
    [
        ((128, 64), (128, 64)),
        ((64, 32), (64, 32)),
        ((384, 192), (128, 64)),
        ((256, 100), (128, 50)),
        ((33, 17), (34, 18)),
    ],
)
def test_logits_have_the_images_size_up_to_128_rows(shape, read, size):
    (logits, edges), variables = parser_shapes(*shape, size=size, dtype=jnp.bfloat16)
    assert logits.shape == (2, *read, NUM_LABELS) and logits.dtype == np.float32
    assert edges.rows.shape == (2, len(CROPPED), 2, read[0] // 2)
    assert edges.columns.shape == (2, len(CROPPED), 2, read[1] // 2)
    assert edges.rows.dtype == edges.columns.dtype == np.float32
    assert parameters_of(variables) < {"small": 600_000, "large": 800_000}[size]


@pytest.mark.parametrize(("size", "wanted"), [("small", 0.17), ("large", 0.36)])
def test_its_arithmetic_is_what_the_documentation_says(size, wanted):
    parser = ImageParser(size)
    image = jnp.zeros((1, 128, 64, 3))
    variables = jax.eval_shape(
        lambda: parser.init(jax.random.key(0), image, train=False)
    )
    apply = jax.jit(functools.partial(parser.apply, train=False))
    flops = apply.lower(variables, image).cost_analysis()["flops"]
    assert round(flops / 1e9, 2) == wanted


def test_the_large_one_has_more_convolutions_where_maps_are_fine():
    small, large = (parser_shapes(128, 64, size=s)[1]["params"] for s in SIZES)
    assert {*large} - {*small} == {
        f"{name}{end}"
        for name in ("stage1c", "stage2c", "stage3c", "stage3d", "join1b", "join2b")
        for end in ("", "_norm")
    }
    for name in ("shrink1", "shrink2"):
        channels = (params[name]["kernel"].shape[-1] for params in (small, large))
        assert operator.lt(*channels), name


@pytest.mark.parametrize(
    ("shares", "median"),
    [
        ((0, 0, 1, 0), 5.0),  # the middle of its cell
        ((0.5, 0.5, 0, 0), 2.0),
        ((0.25, 0.25, 0.25, 0.25), 4.0),
        ((0.6, 0, 0, 0.4), 0.5 / 0.6 * 2),
        ((0.2, 0, 0, 0.8), (3 + 0.3 / 0.8) * 2),
    ],
)
def test_the_median_of_a_distribution_over_cells(shares, median):
    logits = np.log(np.maximum(shares, 1e-30)).astype(np.float32)
    np.testing.assert_allclose(median_edges(logits, 8), median, rtol=1e-5)


def edges_at(places, size, cells) -> jax.Array:
    """Logits [1, parts, 2, cells] whose medians are `places`, edges of cells."""
    at = np.asarray(places, np.float32)[None, ..., None] * cells / size
    whole = np.arange(cells)
    # Half of the mass before the place, half after.
    inside = np.clip(at - whole, 0, 1)
    shares = inside / at + (1 - inside) / np.maximum(cells - at, 1e-6)
    return jnp.asarray(np.log(shares))


BOXES = np.array([[4, 10, 30, 40], [80, 8, 118, 60]])  # top, left, bottom, right
SIZE = (128, 64)


def edges_of(boxes) -> PartEdges:
    rows, columns = boxes[:, 0::2], boxes[:, 1::2]
    return PartEdges(edges_at(rows, 128, 64), edges_at(columns, 64, 32))


def test_the_boxes_of_a_predicted_map_end_at_the_edges():
    """Also where the likeliest labels end before, or have strays beyond."""
    parsing = np.full((1, *SIZE), UPPER_CLOTHES)
    parsing[0, 8:24, 20:30] = parsing[0, 60:62, 2:4] = HEAD
    parsing[0, 70:110, 0:63] = LEGS
    logits = 4 * jax.nn.one_hot(parsing, NUM_LABELS) + 0.1 * normal(NUM_LABELS)
    found = np.asarray(predicted_parsing(logits, SIZE, edges_of(BOXES)))
    assert found.dtype == np.uint8
    for part, (top, left, bottom, right) in zip(CROPPED, BOXES, strict=True):
        has = np.asarray(has_label(found[0], part))
        np.testing.assert_array_equal(box_of(has), (top, left, bottom, right))
        assert not has[:top].any() and not has[bottom:].any()
        assert not has[:, :left].any() and not has[:, right:].any()
    # All else is as it was.
    same = np.asarray(predicted_parsing(logits, SIZE))
    inside = same[0, 12:20, 22:28]
    np.testing.assert_array_equal(found[0, 12:20, 22:28], inside)
    np.testing.assert_array_equal(found[0, 40:60], same[0, 40:60])


def test_a_part_without_a_pixel_stays_without():
    logits = 4 * jax.nn.one_hot(np.full((1, *SIZE), UPPER_CLOTHES), NUM_LABELS)
    found = predicted_parsing(logits, SIZE, edges_of(BOXES))
    np.testing.assert_array_equal(found, UPPER_CLOTHES)


def test_the_loss_of_the_edges_by_hand():
    parsing = np.zeros((2, *SIZE), np.uint8)
    parsing[0, 8:24, 20:31] = HEAD  # the second image has neither part
    rows = np.zeros((2, 2, 2, 64), np.float32)
    columns = np.zeros((2, 2, 2, 32), np.float32)
    rows[0, 0, 0, 3] = np.log(37)  # one of two cells beside row 8: 37 of 100
    columns[0, 0, 1, 15] = np.log(19)  # column 31 is the middle of cell 15: 19 of 50
    found = losses.part_edges(PartEdges(rows, columns), parsing)
    top = -(np.log(0.37) + np.log(0.01)) / 2
    expected = top + np.log(64) + np.log(32) - np.log(19 / 50)
    np.testing.assert_allclose(found, expected / (2 * 2 * 4), rtol=1e-5)


def test_right_edges_cost_less_than_wrong_ones():
    parsing = np.zeros((1, *SIZE), np.uint8)
    for part, (top, left, bottom, right) in zip(CROPPED, BOXES, strict=True):
        parsing[0, top:bottom, left:right] = part[0]

    def sharp(boxes):
        edges = edges_of(boxes)
        at = jax.tree.map(lambda x: median_edges(x, x.shape[-1]) - 0.5, edges)
        return jax.tree.map(
            lambda x, m: -jnp.square(m[..., None] - jnp.arange(x.shape[-1])), edges, at
        )

    right = float(losses.part_edges(sharp(BOXES), parsing))
    for edge in range(4):
        wrong = BOXES.copy()
        wrong[0, edge] += 4
        assert float(losses.part_edges(sharp(wrong), parsing)) > right + 0.1


def test_the_total_loss_has_the_term_of_a_network_with_edges(monkeypatch):
    parsing = np.zeros((4, 8, 8), np.uint8)
    parsing[:, 2:6, 2:6] = HEAD
    monkeypatch.setattr("test_losses_total.TARGETS", TARGETS._replace(parsing=parsing))
    edges = PartEdges(*(np.zeros((4, 2, 2, 4), np.float32) for _ in range(2)))
    found = outputs_of(part_edges=edges)
    # Of two parts, one is there.
    np.testing.assert_allclose(
        terms_of(found, parser_edges=2.0)["parser_edges"], np.log(4) / 2, rtol=1e-6
    )
    assert "parser_edges" not in terms_of(found, parser_edges=0.0)


def test_it_takes_the_heads_place_and_leaves_all_else():
    head, image = (
        variable_shapes(parser=True, parser_image=on)["params"] for on in (False, True)
    )
    assert {*head} ^ {*image} == {"parsing_head", "image_parser"}


@pytest.fixture(scope="module")
def network():
    config = whole_network("data")
    with config.unlocked():
        config.model.update(parser=True, parser_image=True)
        config.model.update(ktm_zoom=0.7, ktm_residual=False)
    assert not [*network_problems(config)]
    return untrained(config, make_mesh(jax.devices()[:1]))


@pytest.mark.usefixtures("one_block")
def test_a_network_predicts_what_its_image_parser_does(network):
    """Whatever KTM's zoom and mask make of the global branch's view."""
    rng = np.random.default_rng(0)
    shape = (2, tiny.HEIGHT, tiny.WIDTH, 3)
    image = normalise(rng.integers(0, 256, shape, dtype=np.uint8))
    predict = jax.jit(parsing_function(network.config, network.model))
    found = predict(network.variables, image)
    own = {kind: of["image_parser"] for kind, of in network.variables.items()}
    apply = jax.jit(functools.partial(ImageParser().apply, train=False))
    logits, edges = apply(own, image)
    wanted = predicted_parsing(logits, image.shape[1:3], edges)
    assert len(np.unique(wanted)) > 2
    np.testing.assert_array_equal(found, wanted)


@pytest.mark.usefixtures("one_block")
def test_no_branch_is_computed_to_predict_a_map(network):
    image = np.zeros((1, tiny.HEIGHT, tiny.WIDTH, 3), np.float32)
    predict = jax.jit(parsing_function(network.config, network.model))
    program = predict.lower(network.variables, image).as_text()
    # jit drops the arguments that nothing reads.
    inputs = program[program.index("@main(") :].partition("->")[0].count("%arg")
    own = {kind: of["image_parser"] for kind, of in network.variables.items()}
    assert (
        inputs
        == len(jax.tree.leaves(own)) + 1
        < len(jax.tree.leaves(network.variables))
    )


def test_an_image_parser_without_parser_is_refused():
    config = tiny.tiny_config("data")
    with config.unlocked():
        config.model.parser_image = True
    (problem,) = network_problems(config)
    assert problem.startswith("model.parser_image=True says how model.parser=True")


def test_its_edges_alone_need_maps_to_train_on():
    config = tiny.tiny_config("data")
    config.model.branches = ("global",)
    config.loss.ktm_area = 0.0
    record = Record(Path("a.jpg"), 0, 0, 0, None)
    with config.unlocked():
        config.model.update(parser=True, parser_image=True)
        config.loss.update(parser=0.0, parser_edges=0.0)
    check_maps(config, {"train": [record]}, training=True)
    with config.unlocked():
        config.loss.parser_edges = 0.3
    with pytest.raises(MissingMapsError, match="the predicted map's loss"):
        check_maps(config, {"train": [record]}, training=True)
