"""The whole network with EVA-02 tiny, as `configs/synthetic_eva02.py` has it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from hurry import in_a_hurry

from mbnet_jax.config import load_config
from mbnet_jax.runs.network import init_variables, make_model
from mbnet_jax.views import make_views, normalise

COLOUR = ("global", "clothing_unrelated")


@pytest.fixture(scope="module")
def outputs():
    """dtype -> a training step's outputs for 8 images, and new variables' shapes.

    The colour branches share EVA-02 tiny, which halves the time to compile it.
    """
    config = load_config("synthetic_eva02")
    with config.unlocked():
        config.model.backbones.clothing_unrelated.share = "global"
    rng = np.random.default_rng(0)
    size = (config.data.height, config.data.width)
    coarse = rng.integers(0, 256, (8, 8, 4, 3), dtype=np.uint8)
    image = jax.image.resize(coarse, (8, *size, 3), "nearest")
    person = jax.image.resize(tiny.person(), size, "nearest")
    parsing = jnp.stack([jnp.roll(person, shift, 0) for shift in range(8)])

    def run(dtype):
        config.model.dtype = dtype
        model = make_model(config.model, 8)
        views = make_views(normalise(image), parsing, config.views)
        variables = init_variables(config, model)
        apply = functools.partial(model.apply, train=True, mutable=["batch_stats"])
        return apply(variables, views)[0], variables["params"]["global_backbone"]

    with in_a_hurry():
        return {
            dtype: jax.device_get(jax.jit(functools.partial(run, dtype))())
            for dtype in ("float32", "bfloat16")
        }


def test_its_maps_feed_the_modules_and_its_token_the_embedding(outputs):
    out, params = outputs["float32"]
    # timm's network without fc_norm and head; its position embedding is of 8x4 cells.
    count = sum(leaf.size for leaf in jax.tree.leaves(params))
    assert count == 5_502_144 - 2 * 192 - (16 * 16 - 8 * 4) * 192
    assert out.gate.shape == out.attention.shape == (8, 8, 4, 1)
    for branch in COLOUR:
        assert out.features[branch].shape == (8, 2 * 192)
    assert out.features["mask"].shape == (8, 2 * 64)
    assert np.isfinite(out.combined).all()


def test_in_bfloat16_the_step_has_the_embeddings_of_float32(outputs):
    exact, near = (outputs[dtype][0] for dtype in ("float32", "bfloat16"))
    assert {leaf.dtype for leaf in jax.tree.leaves(near)} == {np.dtype("float32")}
    pairs = [(exact.combined, near.combined)]
    pairs += [(exact.embeddings[b], near.embeddings[b]) for b in COLOUR]
    for a, b in pairs:
        assert (a != b).any()
        assert (a * b).sum(-1).min() > 0.999
    # Nor are all images alike, whose cosine would show nothing.
    assert (exact.combined @ exact.combined.T).min() < 0.5
