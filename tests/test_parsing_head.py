"""The head that predicts parsing maps, its loss, and what it leaves alone."""

import functools
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from modules import normal, shapes
from test_losses_total import TARGETS, terms_of
from test_losses_total import outputs as outputs_of
from test_mbnet import MODULES, SMALL, VIEWS, compiled, variable_shapes
from tiny import ONE_BLOCK, tiny_config

from mbnet_jax import losses
from mbnet_jax.backbones import Features
from mbnet_jax.models import MBNet
from mbnet_jax.models.check import network_problems
from mbnet_jax.models.modules import ParsingHead, predicted_parsing
from mbnet_jax.models.modules.parsing_head import depth_to_space
from mbnet_jax.parsing.labels import HEAD, LEGS, NUM_LABELS, SHOES, UPPER_CLOTHES
from mbnet_jax.views import make_targets

KEY = jax.random.key(0)


def head_shapes(features):
    return shapes(ParsingHead(), features, train=False)


def size_of(variables) -> int:
    return sum(math.prod(x.shape) for x in jax.tree.leaves(variables["params"]))


def test_logits_have_twice_the_finest_stages_size():
    sizes = ((96, 48, 256), (48, 24, 512), (24, 12, 1024), (24, 12, 2048))  # ResNet-50
    stages = tuple(jax.ShapeDtypeStruct((2, *size), np.float32) for size in sizes)
    logits, variables = head_shapes(Features(stages[-1], stages=stages))
    assert logits.shape == (2, 192, 96, NUM_LABELS) and logits.dtype == np.float32
    assert size_of(variables) < 250_000


def test_a_transformers_only_map_is_enlarged_four_times():
    last = jax.ShapeDtypeStruct((2, 16, 8, 768), np.float32)
    logits, variables = head_shapes(Features(last))
    assert logits.shape == (2, 64, 32, NUM_LABELS)
    assert size_of(variables) < 250_000


def test_channels_of_a_cell_become_its_four_positions_row_by_row():
    x = np.zeros((2, 3, 2, 4), np.float32)
    x[1, 2, 0] = 1, 2, 3, 4
    expected = np.zeros((2, 6, 4, 1), np.float32)
    expected[1, 4:, :2, 0] = [[1, 2], [3, 4]]
    np.testing.assert_array_equal(depth_to_space(jnp.asarray(x), 2), expected)


def test_every_stage_is_read():
    stages = tuple(normal(1, side, side, 3) for side in (4, 2, 2))
    head = ParsingHead(width=4)
    given = Features(stages[-1], stages=stages)
    variables = compiled(functools.partial(head.init, train=False), KEY, given)(
        KEY, given
    )
    run = compiled(functools.partial(head.apply, train=False), variables, given)
    run = functools.partial(run, variables)
    for number in range(len(stages)):
        other = [x + (i == number) for i, x in enumerate(stages)]
        found = run(Features(other[-1], stages=tuple(other)))
        assert np.abs(found - run(given)).max() > 1e-4


def test_the_likeliest_label_of_each_pixel():
    parsing = np.array([[[0, 1], [6, 7]], [[3, 3], [2, 5]]])
    logits = jax.nn.one_hot(parsing, NUM_LABELS)
    np.testing.assert_array_equal(predicted_parsing(logits, (2, 2)), parsing)
    large = predicted_parsing(logits, (8, 4))
    assert large.dtype == np.uint8
    np.testing.assert_array_equal(large, parsing.repeat(4, 1).repeat(2, 2))


def test_the_loss_by_hand():
    parsing = np.zeros((1, 4, 2), np.uint8)
    parsing[0, 0] = HEAD, SHOES  # half of the first cell
    logits = np.zeros((1, 2, 1, NUM_LABELS), np.float32)
    logits[0, 0, 0, [HEAD, SHOES]] = 2, 1
    total = np.log(np.exp(2) + np.exp(1) + 6)
    first = total - (2 + 1) / 4
    expected = (first + np.log(8)) / 2
    found = losses.parsing_cross_entropy(logits, parsing)
    np.testing.assert_allclose(found, expected, rtol=1e-6)


def test_cells_need_not_divide_the_image():
    parsing = np.full((1, 7, 5), SHOES, np.uint8)
    logits = np.zeros((1, 4, 2, NUM_LABELS), np.float32)
    logits[..., SHOES] = 1
    found = losses.parsing_cross_entropy(logits, parsing)
    np.testing.assert_allclose(found, np.log(np.e + 7) - 1, rtol=1e-6)


def test_the_loss_of_the_extents_by_hand():
    parsing = np.full((1, 4, 2), UPPER_CLOTHES, np.uint8)
    parsing[0, 0], parsing[0, 3] = HEAD, (LEGS, SHOES)
    logits = np.zeros((1, 2, 1, NUM_LABELS), np.float32)  # cells of 2 x 2
    logits[0, 0, 0, HEAD] = np.log(7)  # 1 of 2 for the head, 1 of 14 for another label
    head, legs = np.array([1 / 2, 1 / 8]), np.array([2 / 14, 2 / 8])
    # Half of the upper cell is head, half of the lower one legs; and the only column
    # has both.
    rows = [head[0], 1 - head[1], 1 - legs[0], legs[1]]
    columns = [head.max(), legs.max()]
    expected = -(np.log(rows).sum() / 2 + np.log(columns).sum()) / 4
    np.testing.assert_allclose(
        losses.part_extents(logits, parsing), expected, rtol=1e-6
    )


def test_a_lost_end_of_the_head_costs_more_than_labels_lost_inside():
    """The box of the head ends elsewhere; a hole in it moves no end."""
    parsing = np.full((1, 16, 8), UPPER_CLOTHES, np.uint8)
    parsing[0, 2:8, 2:6] = parsing[0, 8:10, 3] = HEAD  # a ponytail of two pixels
    without_tail, with_hole = parsing.copy(), parsing.copy()
    without_tail[0, 8:10, 3] = with_hole[0, 4:6, 4] = UPPER_CLOTHES

    def value(loss, predicted):
        return float(loss(4 * jax.nn.one_hot(predicted, NUM_LABELS), parsing))

    right, hole, tail = (
        value(losses.part_extents, x) for x in (parsing, with_hole, without_tail)
    )
    assert right < 0.2 and hole == pytest.approx(right) and tail > right + 0.1
    hole, tail = (
        value(losses.parsing_cross_entropy, x) for x in (with_hole, without_tail)
    )
    assert hole == pytest.approx(tail)


def test_the_total_loss_has_the_term_of_a_network_with_the_head(monkeypatch):
    parsing = np.zeros((4, 8, 8), np.uint8)
    monkeypatch.setattr("test_losses_total.TARGETS", TARGETS._replace(parsing=parsing))
    found = outputs_of(parsing_logits=np.zeros((4, 4, 4, NUM_LABELS), np.float32))
    weights = {"parser": 0.5, "parser_extents": 2.0}
    terms, without = terms_of(found, **weights), terms_of(outputs_of(), **weights)
    np.testing.assert_allclose(terms.pop("parser"), np.log(NUM_LABELS), rtol=1e-6)
    # No part is there; each cell gives the head 1 of 8, and the legs 2 of 8.
    nothing = -(np.log(7 / 8) + np.log(6 / 8)) / 2
    np.testing.assert_allclose(terms.pop("parser_extents"), nothing, rtol=1e-6)
    assert set(terms) == set(without) == set(terms_of(found, parser=0.0))


def test_targets_have_the_parsing_map_itself():
    parsing = np.zeros((2, 64, 32), np.uint8)
    parsing[:, 10:20, 8:24] = HEAD
    targets = make_targets(jnp.asarray(parsing), {"crops": (64, 32)})
    np.testing.assert_array_equal(targets.parsing, parsing)


def test_only_the_global_branch_has_a_head_and_only_if_it_is_on():
    with_head = variable_shapes(parser=True)["params"]
    assert set(with_head) - set(variable_shapes()["params"]) == {"parsing_head"}
    others = variable_shapes(parser=True, branches=("clothing_unrelated", "mask"))
    assert "parsing_head" not in others["params"] and MODULES[2] in others["params"]


@pytest.mark.usefixtures("one_block")
def test_the_head_leaves_all_other_initial_variables_bit_equal():
    backbone = {"name": ONE_BLOCK, "width": 4, "stem": "patch"}
    small = SMALL | {"branches": ("global",), "backbones": {"global": backbone}}

    def initial(parser, key):
        model = MBNet(**small, parser=parser)
        return model.init(key, VIEWS, train=False)

    without, found = (
        compiled(functools.partial(initial, parser), KEY)(KEY)
        for parser in (False, True)
    )
    for kind in ("params", "batch_stats"):
        assert found[kind].pop("parsing_head")
        jax.tree.map(np.testing.assert_array_equal, without[kind], found[kind])


@pytest.mark.parametrize("branches", [("global", "mask"), ("mask",)])
def test_a_head_without_its_branch_is_refused(branches):
    config = tiny_config("data")
    config.model.branches = branches
    with config.unlocked():
        config.model.parser = True
    problems = [*network_problems(config)]
    assert bool(problems) == ("global" not in branches)
    assert all(line.startswith("model.parser=True needs") for line in problems)
