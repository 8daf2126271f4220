"""The whole network: what each switch changes, and which modules each loss trains."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from mbnet_jax import losses
from mbnet_jax.models import BRANCHES, MBNet

rng = np.random.default_rng(0)
NAMES = tuple(BRANCHES)
SMALL = {
    "num_classes": 5,
    "backbones": {
        branch: {"name": "resnet10", "width": 4, "stem": "patch"} for branch in NAMES
    },
    "fusion_width": 8,
    "fusion_heads": 2,
}
PID = jnp.array([0, 0, 1, 1, 2, 2])
VIEWS = {
    "image": jnp.asarray(rng.standard_normal((6, 64, 32, 3)), jnp.float32),
    "crops": jnp.asarray(rng.standard_normal((6, 64, 64, 3)), jnp.float32),
    "silhouette": jnp.asarray(rng.random((6, 32, 32, 1)) > 0.5, jnp.float32),
}
MODULES = ("knowledge_transfer", "feature_attention", "cross_fusion", "balance_weights")


def compiled(function, *args):
    """Compiles without XLA's optimisations: compilation takes most of the time."""
    options = {"xla_backend_optimization_level": 0}
    return jax.jit(function).lower(*args).compile(compiler_options=options)


@functools.cache
def initial():
    """Random variables of the small MBNet, drawn by NumPy: nothing is compiled."""

    def draw(path, leaf):
        if "var" in jax.tree_util.keystr(path):
            return jnp.ones(leaf.shape)
        return jnp.asarray(0.2 * rng.standard_normal(leaf.shape), jnp.float32)

    return jax.tree.map_with_path(draw, variable_shapes())


@functools.cache
def forward(**options):
    """Outputs in training mode, and the updated statistics, from `initial`.

    A variant shares its variables with the whole network. Those whose shape depends
    on other parts (the balance, a head without fusion) are zero.
    """
    whole = dict(jax.tree.leaves_with_path(initial()))

    def taken(path, leaf):
        shared = whole[path]
        return shared if shared.shape == leaf.shape else jnp.zeros(leaf.shape)

    variables = jax.tree.map_with_path(taken, variable_shapes(**options))
    model = MBNet(**{**SMALL, **options})
    apply = functools.partial(model.apply, train=True, mutable=["batch_stats"])
    return compiled(apply, variables, VIEWS)(variables, VIEWS)


def variable_shapes(**options):
    model = MBNet(**{**SMALL, **options})
    init = functools.partial(model.init, train=False)
    return jax.eval_shape(init, jax.random.key(0), VIEWS)


def test_outputs():
    out, _ = forward()
    assert set(out.features) == set(BRANCHES)
    sizes = {"global": 64, "clothing_unrelated": 64, "mask": 16}
    for branch, size in sizes.items():
        assert out.features[branch].shape == (6, size)
        assert out.embeddings[branch].shape == (6, size)
        assert out.logits[branch].shape == (6, 5)
    assert out.gate.shape == out.gate_logits.shape == (6, 4, 2, 1)
    assert out.attention.shape == (6, 4, 4, 1)
    assert out.balance.shape == (6, 3)
    np.testing.assert_allclose(out.balance.mean(1), 1, rtol=1e-5)
    assert 0 <= out.gate.min() < out.gate.max() <= 1
    for vector in (*out.embeddings.values(), out.combined):
        np.testing.assert_allclose(np.linalg.norm(vector, axis=1), 1, rtol=1e-5)


def test_fam_on_an_earlier_map_changes_what_follows_it_alone():
    plain, _ = forward()
    out, stats = forward(fam_stage=2)
    assert out.attention.shape == (6, 8, 8, 1)
    for branch, same in (("global", True), ("clothing_unrelated", False)):
        pair = (out.features[branch], plain.features[branch])
        assert np.array_equal(*pair) == same
    name = "clothing_unrelated_backbone"
    _, before = forward(fam=False)
    for layer, same in (("layer2_0", True), ("layer3_0", False)):
        means = [s["batch_stats"][name][layer]["bn1"]["mean"] for s in (stats, before)]
        assert np.array_equal(*means) == same
    params = variable_shapes(fam_stage=2)["params"]
    assert set(params) == set(variable_shapes()["params"])


@pytest.mark.parametrize(
    ("off", "kept"),
    [
        ({"branches": ("global", "clothing_unrelated")}, NAMES[:2]),
        ({"branches": ("clothing_unrelated", "mask")}, NAMES[1:]),
        ({"branches": ("mask", "global")}, ("global",)),
        ({"ktm": False, "balance": False}, NAMES[1:]),
        ({"fam": False, "cfm": False}, ("global",)),
        ({"cfm": False}, NAMES[:2]),
    ],
    ids=str,
)
def test_switching_off_leaves_the_others_outputs_bit_equal(off, kept):
    out, stats = forward()
    fewer_out, fewer_stats = forward(**off)
    for branch in kept:
        for field in ("features", "embeddings", "logits"):
            np.testing.assert_array_equal(
                getattr(fewer_out, field)[branch], getattr(out, field)[branch]
            )
        name = f"{branch}_backbone"
        jax.tree.map(
            np.testing.assert_array_equal,
            fewer_stats["batch_stats"][name],
            stats["batch_stats"][name],
        )


def test_switching_off_leaves_the_others_initial_parameters_bit_equal():
    # The random numbers of a module must not depend on the modules before it.
    def kernels(branches, key):
        model = MBNet(**{**SMALL, "branches": branches})
        backbone = model.init(key, VIEWS, train=False)["params"]["mask_backbone"]
        return backbone["conv1"]["kernel"], backbone["layer4_0"]["conv2"]["kernel"]

    key = jax.random.key(0)
    alone, whole = (
        compiled(functools.partial(kernels, branches), key)(key)
        for branches in (("mask",), NAMES)
    )
    jax.tree.map(np.testing.assert_array_equal, alone, whole)


@pytest.mark.parametrize(
    ("options", "modules"),
    [
        ({}, MODULES),
        ({"branches": ("global",)}, MODULES[:1]),
        ({"branches": ("global",), "ktm": False}, ()),
        ({"branches": ("clothing_unrelated",)}, MODULES[1:2]),
        ({"branches": ("mask",)}, ()),
        ({"branches": ("mask", "global")}, (MODULES[0], MODULES[3])),
        ({"ktm": False}, MODULES[1:]),
        ({"fam": False}, (MODULES[0], *MODULES[2:])),
        ({"cfm": False}, (*MODULES[:2], MODULES[3])),
        ({"balance": False}, MODULES[:3]),
    ],
    ids=str,
)
def test_parts_that_are_off_have_no_parameters(options, modules):
    params = variable_shapes(**options)["params"]
    branches = options.get("branches", BRANCHES)
    parts = {f"{b}_{part}" for b in branches for part in ("backbone", "head")}
    assert set(params) == parts | set(modules)


def test_a_single_branch_is_its_own_combination():
    out, _ = forward(branches=("mask",))
    assert out.balance is None and out.gate is None and out.attention is None
    np.testing.assert_allclose(out.combined, out.embeddings["mask"], rtol=1e-5)


# The modules that the gradient of each loss reaches.
TRAINED_BY = {
    "distillation": {"global_backbone", "knowledge_transfer", "global_head"},
    "gate_area": {"global_backbone", "knowledge_transfer"},
    "background": {"clothing_unrelated_backbone", "feature_attention"},
    "mask_identity": {
        "mask_backbone",
        "mask_head",
        "cross_fusion",
        "feature_attention",
        "clothing_unrelated_backbone",
    },
    "balance": {"balance_weights"},
}


def test_each_loss_trains_only_its_modules():
    model = MBNet(**SMALL)
    variables = initial()
    area = jnp.asarray(rng.random((6, 64, 32)) > 0.5, jnp.float32)
    foreground = jnp.asarray(rng.random((6, 64, 64)) > 0.5, jnp.float32)

    # The last block stands for its backbone: fewer gradients compile faster.
    params = variables["params"]
    probed = {
        name: {"layer4_0": part["layer4_0"]} if "backbone" in name else part
        for name, part in params.items()
    }

    def terms(probed):
        merged = {name: {**params[name], **part} for name, part in probed.items()}
        out, _ = model.apply(
            {**variables, "params": merged}, VIEWS, train=True, mutable=["batch_stats"]
        )
        return {
            "distillation": losses.distillation(
                out.logits["global"], out.logits["clothing_unrelated"], 4.0
            ),
            "gate_area": losses.gate_area(out.gate_logits, area),
            "background": losses.background_constraint(out.attention, foreground),
            "mask_identity": losses.cross_entropy(out.logits["mask"], PID, 0.1),
            "balance": losses.batch_hard_triplet(out.combined, PID),
        }

    gradients = compiled(jax.jacrev(terms), probed)(probed)
    for loss, gradient in gradients.items():
        reached = {
            name
            for name, part in gradient.items()
            if any(np.any(x) for x in jax.tree.leaves(part))
        }
        assert reached == TRAINED_BY[loss], loss
        assert all(np.isfinite(x).all() for x in jax.tree.leaves(gradient)), loss


def test_bfloat16_is_near_float32_with_float32_results():
    out, _ = forward()
    out_16, stats_16 = forward(dtype="bfloat16")
    variables = variable_shapes(dtype="bfloat16")
    for tree in (variables, out_16, stats_16):
        assert {x.dtype for x in jax.tree.leaves(tree)} == {jnp.dtype("float32")}
    for branch in NAMES:
        near = out_16.features[branch]
        exact = out.features[branch]
        assert (near != exact).any()  # the field is not ignored
        error = np.linalg.norm(near - exact) / np.linalg.norm(exact)
        assert error < 0.05, branch


@pytest.mark.parametrize(
    ("options", "views", "message"),
    [
        ({"branches": ("global", "legs")}, VIEWS, "'legs'.*one or more of .*'mask'"),
        ({"branches": ()}, VIEWS, "name one or more of"),
        (
            {},
            {"image": VIEWS["image"]},
            r"'clothing_unrelated' needs the view 'crops'.* given are \['image'\]",
        ),
        ({"branches": ("mask",)}, {"mask": 0}, "needs the view 'silhouette'"),
        (
            {"backbones": {"mask": SMALL["backbones"]["mask"]}},
            VIEWS,
            r"'global' has no backbone: add config\.model\.backbones\.global",
        ),
        *(
            (
                {"backbones": SMALL["backbones"] | {branch: {"name": "vgg"}}},
                VIEWS,
                "unknown backbone 'vgg'; known: resnet10, resnet18",
            )
            for branch in ("global", "mask")
        ),
    ],
)
def test_bad_input_is_rejected_by_name(options, views, message):
    model = MBNet(**{**SMALL, **options})
    with pytest.raises(ValueError, match=message):
        jax.eval_shape(
            functools.partial(model.init, train=False), jax.random.key(0), views
        )
