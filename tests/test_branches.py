"""The table of branches, and a branch that is added to it from outside."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny

from configs import base
from mbnet_jax import schema
from mbnet_jax.models import BRANCHES, Branch
from mbnet_jax.models.branches import needing_maps, ordered, views_of_branches
from mbnet_jax.runs.network import init_variables, make_model
from mbnet_jax.training.optimizer import make_optimizer, make_schedule
from mbnet_jax.training.step import init_state, make_train_step
from mbnet_jax.views import VIEWS, View, make_views, resample

# The order of every network's balance weights and combined embedding.
NAMES = ("global", "clothing_unrelated", "mask")


def test_the_order_is_that_of_saved_networks():
    assert tuple(BRANCHES) == NAMES


def test_every_view_exists():
    for name, branch in BRANCHES.items():
        assert branch.view in VIEWS, name
        if branch.attention is not None:
            assert branch.attention.view in VIEWS, name


def test_every_partner_exists_and_one_that_cfm_fuses_stands_earlier():
    names = list(BRANCHES)
    for name, branch in BRANCHES.items():
        if branch.partner is not None:
            assert branch.partner in BRANCHES and branch.partner != name
        if branch.module == "cfm":
            assert names.index(branch.partner) < names.index(name)


def test_each_module_refines_the_map_of_one_branch():
    # Its parameters, and its maps in the outputs, have one name.
    modules = [branch.module for branch in BRANCHES.values() if branch.module]
    assert sorted(modules) == ["cfm", "fam", "ktm"]


def test_titles_are_distinct():
    assert len({branch.title for branch in BRANCHES.values()}) == len(BRANCHES)


def test_a_branch_needs_a_map_if_its_view_depends_on_one():
    image = np.random.default_rng(0).normal(size=(1, 64, 32, 3)).astype(np.float32)
    sizes = base.get_config().views
    with_person, without = (
        make_views(image, parsing[None], sizes)
        for parsing in (tiny.person(), np.zeros((64, 32), np.uint8))
    )
    for name, branch in BRANCHES.items():
        depends = not np.array_equal(with_person[branch.view], without[branch.view])
        assert branch.needs_map == depends, name


def test_the_base_config_describes_every_branch_and_view():
    config = base.get_config()
    assert tuple(config.model.branches) == NAMES
    assert set(config.model.backbones) == set(BRANCHES)
    # The image has the size of data.height and data.width.
    assert {*config.views, "image"} == set(VIEWS)


def test_chosen_branches_come_in_the_order_of_the_table():
    assert ordered(["mask", "global"]) == ("global", "mask")
    assert ordered(iter(["mask"])) == ("mask",)


@pytest.mark.parametrize("chosen", [(), ("global", "legs")])
def test_unknown_branches_and_none_are_rejected(chosen):
    message = "name one or more of .'global', 'clothing_unrelated', 'mask'."
    with pytest.raises(ValueError, match=message):
        ordered(chosen)


def test_branches_have_their_views_once_and_name_those_that_need_maps(monkeypatch):
    assert needing_maps(NAMES) == ["clothing_unrelated", "mask"]
    assert needing_maps(["global"]) == []
    assert views_of_branches(["mask", "global"]) == ("silhouette", "image")
    second = BRANCHES["global"]._replace(title="second", module=None, partner=None)
    monkeypatch.setitem(BRANCHES, "second", second)
    assert views_of_branches(["global", "mask", "second"]) == ("image", "silhouette")


# A branch from outside


def upper_half(image, parsing, size):
    height, width = parsing.shape
    return resample(image, jnp.array([0, 0, height / 2, width]), size)


@pytest.fixture
def with_upper(monkeypatch):
    """Adds a branch and its view to the tables; the config of a network with it."""
    tiny.know_one_block(monkeypatch)
    monkeypatch.setitem(VIEWS, "upper", View("upper half", 3, upper_half))
    upper = Branch(title="upper branch", view="upper", needs_map=False)
    monkeypatch.setitem(BRANCHES, "upper", upper)
    config = tiny.tiny_config("data")
    config.model.backbones.upper = schema.defaults(base.backbone("resnet10"))
    tiny.set_backbones(config, name=tiny.ONE_BLOCK, width=4, stem="patch")
    config.views.upper = (32, 16)
    config.model.branches = ("upper", *NAMES)
    return config


def without_upper(config):
    """The same config, without the branch."""
    config = config.copy_and_resolve_references()
    config.model.branches = NAMES
    return config


def run(config):
    """A new network's variables, and its outputs on two images."""
    model = make_model(config.model, 5)
    image = np.random.default_rng(0).normal(size=(2, 64, 32, 3)).astype(np.float32)
    parsing = np.stack([tiny.person(), tiny.person(head=12)])

    @jax.jit
    def both():
        views = make_views(
            image, parsing, config.views, views_of_branches(model.branches)
        )
        variables = init_variables(config, model)
        return variables, model.apply(variables, views, train=False)

    return both()


@pytest.mark.usefixtures("compiled_in_a_hurry")
def test_a_further_branch_has_outputs_and_leaves_the_others_bit_equal(with_upper):
    variables, out = run(with_upper)
    before, out_before = run(without_upper(with_upper))
    for field in ("features", "embeddings", "logits"):
        ours, theirs = getattr(out, field), getattr(out_before, field)
        assert set(ours) == {*NAMES, "upper"}
        assert np.isfinite(ours["upper"]).all() and np.any(ours["upper"])
        for branch in NAMES:
            np.testing.assert_array_equal(ours[branch], theirs[branch])
    # It stands last in the table, whatever its position in the config.
    assert out.balance.shape == (2, 4) and out_before.balance.shape == (2, 3)
    equal = np.concatenate([out.embeddings[b] for b in (*NAMES, "upper")], axis=1) / 2
    np.testing.assert_allclose(out.combined, equal, atol=1e-6)

    for kind, modules in before.items():
        added = {"upper_backbone", "upper_head"}
        assert set(variables[kind]) == set(modules) | added
        for module, tree in modules.items():
            # The balance reads the embeddings of all branches.
            if module != "balance_weights":
                jax.tree.map(
                    np.testing.assert_array_equal, variables[kind][module], tree
                )


def test_the_training_step_has_the_terms_of_a_further_branch(with_upper):
    model = make_model(with_upper.model, 5)
    optimizer = make_optimizer(with_upper.train, make_schedule(with_upper.train, 5))
    mesh = jax.make_mesh((1,), ("data",), devices=jax.devices()[:1])
    step = make_train_step(with_upper, model, optimizer, mesh)
    batch = {
        "image": jnp.zeros((4, 64, 32, 3), jnp.uint8),
        "parsing": jnp.zeros((4, 64, 32), jnp.uint8),
        "pid": jnp.array([0, 0, 1, 1]),
        "clothes": jnp.zeros(4, jnp.int32),
    }
    # Traced, not compiled.
    init = functools.partial(init_state, with_upper, model, optimizer)
    state, scalars = jax.eval_shape(lambda: step(init(), batch))
    terms = {"identity/upper", "triplet/upper", "accuracy/upper"}
    assert terms <= set(scalars)
    assert {"upper_backbone", "upper_head"} <= set(state.params)


def test_a_further_branch_without_a_backbone_names_the_field(with_upper):
    del with_upper.model.backbones.upper
    model = make_model(with_upper.model, 5)
    with pytest.raises(ValueError, match=r"add config\.model\.backbones\.upper"):
        jax.eval_shape(lambda: init_variables(with_upper, model))
