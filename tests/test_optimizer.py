"""Optimizers, clipping, layer-wise decay and schedules against NumPy."""

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
import tiny

from mbnet_jax.backbones import BACKBONES, Backbone, make_backbone
from mbnet_jax.training.layer_decay import rate_factors
from mbnet_jax.training.optimizer import decays, make_optimizer, make_schedule

BLOCKS, RATE, DECAY = 3, 0.02, 0.1
# What each parameter of the network below has: a kernel's decay, a layer decay of 1/2,
# the factor 2 of biases. The blocks are stacked.
STACK = np.array([0.25, 0.5, 1])
HALVES = {
    "patch_embed": {"kernel": 1 / 8, "bias": 1 / 8},
    "pos_embed": 1 / 8,
    "blocks": {"kernel": STACK[:, None, None], "bias": STACK[:, None]},
    "norm": {"scale": 1.0, "bias": 1.0},
}


def stacked_depths(params):
    """The exponents of `HALVES`, as a stacked backbone gives them."""
    above = np.arange(BLOCKS)[::-1]
    depths = jax.tree.map(lambda _: BLOCKS, params)
    depths["blocks"] = jax.tree.map(
        lambda x: above.reshape(-1, *[1] * (x.ndim - 1)), params["blocks"]
    )
    depths["norm"] = jax.tree.map(lambda _: 0, params["norm"])
    return depths


@pytest.fixture(autouse=True)
def known(monkeypatch):
    stacked = Backbone(make=lambda **_: None, depths=stacked_depths)
    monkeypatch.setitem(BACKBONES, "stacked", stacked)
    monkeypatch.setitem(BACKBONES, "unordered", Backbone(make=lambda **_: None))


def network(rng):
    """Arrays like a network's parameters: a stacked backbone and a head."""
    shapes = {
        "global_backbone": {
            "patch_embed": {"kernel": (4, 3), "bias": (3,)},
            "pos_embed": (1, 2, 3),
            "blocks": {"kernel": (BLOCKS, 3, 3), "bias": (BLOCKS, 3)},
            "norm": {"scale": (3,), "bias": (3,)},
        },
        "global_head": {"classifier": {"kernel": (3, 5), "bias": (5,)}},
    }
    return jax.tree.map(
        lambda shape: rng.normal(size=shape).astype(np.float32),
        shapes,
        is_leaf=lambda x: isinstance(x, tuple),
    )


def factors_of(params, layer_decay, bias_rate):
    head = jax.tree.map(lambda _: 1.0, params["global_head"])
    factors = {"global_backbone": HALVES, "global_head": head}
    if layer_decay == 1:
        factors = jax.tree.map(lambda _: 1.0, params)
    return jax.tree_util.tree_map_with_path(
        lambda path, f: f * (bias_rate if path[-1].key == "bias" else 1), factors
    )


def by_numpy(params, grads, *, optimizer, layer_decay, bias_rate, clip_norm, decay_all):
    """The parameters after these gradients, in float64."""
    flat, tree = jax.tree_util.tree_flatten_with_path(params)
    names = [path[-1].key for path, _ in flat]
    p = [np.float64(value) for _, value in flat]
    factors = jax.tree.leaves(factors_of(params, layer_decay, bias_rate))
    first, second = [0.0] * len(p), [0.0] * len(p)
    for step, gradient in enumerate(grads):
        g = [np.float64(value) for value in jax.tree.leaves(gradient)]
        norm = np.sqrt(sum(np.sum(x**2) for x in g))
        shrink = clip_norm / norm if 0 < clip_norm < norm else 1
        for i, name in enumerate(names):
            decay = DECAY * (decay_all or name == "kernel") * p[i]
            x = g[i] * shrink + decay * (optimizer != "adamw")
            if optimizer == "sgd":
                first[i] = change = 0.8 * first[i] + x
            else:
                first[i] = 0.9 * first[i] + 0.1 * x
                second[i] = 0.999 * second[i] + 0.001 * x**2
                root = np.sqrt(second[i] / (1 - 0.999 ** (step + 1)))
                change = first[i] / (1 - 0.9 ** (step + 1)) / (root + 1e-8)
            change = change + decay * (optimizer == "adamw")
            p[i] = p[i] - RATE * factors[i] * change
    return jax.tree.unflatten(tree, p)


def train_config(**fields):
    config = tiny.tiny_config("data").train
    config.update(weight_decay=DECAY, **fields)
    return config


PLAIN = {"layer_decay": 1.0, "bias_rate": 1.0, "clip_norm": 0.0, "decay_all": False}
ALL = {"layer_decay": 0.5, "bias_rate": 2.0, "clip_norm": 3.0, "decay_all": True}


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
@pytest.mark.parametrize(
    "fields", [PLAIN, *({**PLAIN, name: value} for name, value in ALL.items()), ALL]
)
def test_an_optimizer_updates_as_by_numpy(optimizer, fields):
    rng = np.random.default_rng(0)
    params = network(rng)
    # Of norms on both sides of the limit.
    grads = [
        jax.tree.map(lambda x, size=size: size * x, network(rng))
        for size in (1, 0.1, 0.5, 0.2)
    ]
    norms = [np.sqrt(sum(np.sum(x**2) for x in jax.tree.leaves(g))) for g in grads]
    assert min(norms) < ALL["clip_norm"] < max(norms)
    config = train_config(optimizer=optimizer, momentum=0.8, **fields)
    backbones = {"global": {"name": "stacked"}, "mask": {"name": "unordered"}}
    made = make_optimizer(config, lambda _: RATE, backbones)

    @jax.jit
    def trained(params, grads):
        state = made.init(params)
        for gradient in grads:
            updates, state = made.update(gradient, state, params)
            params = optax.apply_updates(params, updates)
        return params

    expected = by_numpy(params, grads, optimizer=optimizer, **fields)
    jax.tree.map(
        lambda found, wanted: np.testing.assert_allclose(
            found, wanted, rtol=1e-4, atol=1e-6
        ),
        trained(params, grads),
        expected,
    )


def test_adam_is_what_it_was_to_the_bit_and_its_state_too():
    """Runs from before there was a choice resume as if there were none."""
    rng = np.random.default_rng(1)
    params, gradient = network(rng), network(rng)
    before = optax.chain(
        optax.add_decayed_weights(DECAY, mask=decays),
        optax.scale_by_adam(),
        optax.scale_by_learning_rate(lambda _: RATE),
    )
    for fields in ({}, ALL):
        config = train_config(**fields)
        made = make_optimizer(config, lambda _: RATE, {"global": {"name": "stacked"}})
        trees = [jax.tree.structure(o.init(params)) for o in (made, before)]
        assert trees[0] == trees[1]
    made = make_optimizer(train_config(), lambda _: RATE)
    jax.tree.map(
        np.testing.assert_array_equal,
        made.update(gradient, made.init(params), params),
        before.update(gradient, before.init(params), params),
    )


def test_a_gradient_that_is_not_finite_stays_so_when_it_is_clipped():
    made = make_optimizer(train_config(clip_norm=1.0, optimizer="sgd"), lambda _: RATE)
    params = {"kernel": jnp.ones(3), "bias": jnp.ones(2)}
    for bad in (np.nan, np.inf):
        grads = {"kernel": jnp.array([1, bad, 1]), "bias": jnp.ones(2)}
        updates, _ = made.update(grads, made.init(params), params)
        assert not np.isfinite(updates["kernel"]).all()


@pytest.mark.parametrize("name", ["resnet18", "resnet50"])
def test_each_block_of_a_resnet_is_a_layer(name):
    config = {"name": name, "width": 4, "stem": "imagenet"}
    backbone = make_backbone(config, dtype=jnp.float32, name=None)
    params = jax.eval_shape(
        lambda: backbone.init(jax.random.key(0), jnp.zeros((1, 64, 32, 3)), train=False)
    )["params"]
    counts = {"resnet18": (2, 2, 2, 2), "resnet50": (3, 4, 6, 3)}[name]
    order = ["stem"]
    order += [f"layer{s}_{i}" for s, n in enumerate(counts, 1) for i in range(n)]
    factors = rate_factors({"mask_backbone": params}, {"mask": config}, 0.8)
    for module, tree in factors["mask_backbone"].items():
        place = 0 if module in ("conv1", "bn1") else order.index(module)
        wanted = 0.8 ** (sum(counts) - place)
        assert jax.tree.leaves(tree) == pytest.approx(
            [wanted] * len(jax.tree.leaves(tree))
        )
    assert {*params} == {"conv1", "bn1", *order[1:]}


def test_layer_decay_needs_backbones_and_their_order():
    with pytest.raises(ValueError, match=r"layer_decay=0\.5 needs model\.backbones"):
        make_optimizer(train_config(layer_decay=0.5), lambda _: RATE)
    params = {"mask_backbone": {"kernel": jnp.ones(3)}}
    backbones = {"mask": {"name": "unordered"}}
    with pytest.raises(ValueError, match="the layers of the backbone unordered have"):
        rate_factors(params, backbones, 0.5)


def schedule_of(**fields):
    config = train_config(learning_rate=2e-5, epochs=60, **fields)
    return make_schedule(config, steps_per_epoch=10)


def test_the_schedule_of_made_drops_after_its_warm_up():
    """At the start of each epoch it equals timm's, which MADE uses."""
    rate = schedule_of(
        schedule="cosine_under_warmup",
        warmup_epochs=20.0,
        warmup_start=7.8e-7 / 2e-5,
        cosine_end=0.1,
    )
    for epoch in range(61):
        if epoch < 20:
            wanted = 7.8e-7 + (2e-5 - 7.8e-7) * epoch / 20
        else:
            wanted = 2e-6 + (2e-5 - 2e-6) / 2 * (1 + np.cos(np.pi * epoch / 60))
        assert float(rate(10 * epoch)) == pytest.approx(wanted, rel=1e-5)
    shares = [float(rate(10 * epoch)) / 2e-5 for epoch in (0, 19, 20, 60)]
    assert shares == pytest.approx([0.039, 0.952, 0.775, 0.1], abs=5e-4)
    assert float(rate(199)) / 2e-5 == pytest.approx(0.995, abs=5e-4)


def test_a_cosine_ends_at_its_share_of_the_rate():
    rate = schedule_of(schedule="cosine", warmup_epochs=20.0, cosine_end=0.3)
    shares = [float(rate(step)) / 2e-5 for step in (0, 200, 400, 600)]
    assert shares == pytest.approx([1 / 201, 1, 0.65, 0.3], rel=1e-4)


def test_a_warm_up_starts_at_its_share_of_any_schedule():
    rate = schedule_of(
        schedule="step", warmup_epochs=20.0, warmup_start=0.25, decay_epochs=(30,)
    )
    shares = [float(rate(step)) / 2e-5 for step in (0, 100, 200, 299, 300)]
    assert shares == pytest.approx([0.25, 0.625, 1, 1, 0.1], rel=1e-4)
    usual = schedule_of(schedule="step", warmup_epochs=20.0, warmup_start=0.0)
    assert float(usual(0)) / 2e-5 == pytest.approx(1 / 201, rel=1e-4)
    none = schedule_of(
        schedule="cosine_under_warmup", warmup_epochs=0.0, warmup_start=0.25
    )
    assert float(none(0)) == pytest.approx(2e-5)  # no warm-up, no beginning
