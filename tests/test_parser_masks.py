"""The global branch's view without the background that the image parser finds."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from untrained import untrained, whole_network

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.branches import sub_network
from mbnet_jax.evaluation.embed_function import embed_function
from mbnet_jax.models import MBNet
from mbnet_jax.models.check import network_problems
from mbnet_jax.models.modules import ImageParser, masked
from mbnet_jax.parsing.labels import BACKGROUND, NUM_LABELS
from mbnet_jax.views import normalise

GLOBAL = ("global",)


@pytest.fixture(scope="module")
def image():
    return np.random.default_rng(0).normal(size=(3, tiny.HEIGHT, tiny.WIDTH, 3))


@pytest.fixture(scope="module")
def network(image):
    config = whole_network("data")
    with config.unlocked():
        config.model.update(
            parser=True, parser_image=True, parser_masks=True, ktm_zoom=0.7
        )
    assert not [*network_problems(config)]
    found = untrained(config, make_mesh(jax.devices()[:1]))
    variables = jax.device_get(found.variables)
    labels = variables["params"]["image_parser"]["labels"]
    # Random logits are so large that nothing would be between person and background.
    spread = parsed(variables, image).std()
    bias = np.zeros((len(labels["bias"]) // NUM_LABELS, NUM_LABELS), np.float32)
    bias[:, BACKGROUND] = 0.3
    labels.update(kernel=labels["kernel"] / spread, bias=bias.reshape(-1))
    return found._replace(variables=variables)


def parsed(variables, image):
    """The logits of the image parser by itself."""
    own = {kind: of["image_parser"] for kind, of in variables.items()}
    logits, _ = jax.jit(functools.partial(ImageParser().apply, train=False))(own, image)
    return np.asarray(logits)


def outputs(network, model: MBNet, image):
    model = model.clone(branches=GLOBAL, balance=False, projection=0)
    apply = jax.jit(functools.partial(model.apply, train=False))
    return apply(network.variables, {"image": image})


@pytest.mark.usefixtures("one_block")
def test_the_branch_gets_what_the_parser_leaves_of_the_image(network, image):
    """So do KTM's locator and zoom, but not the parser itself."""
    found = outputs(network, network.model, image)
    logits = parsed(network.variables, image)
    np.testing.assert_allclose(found.parsing_logits, logits, atol=1e-4)
    weights = np.exp(logits - logits.max(-1, keepdims=True))
    shares = weights / weights.sum(-1, keepdims=True)
    person = np.delete(shares, BACKGROUND, axis=-1).sum(-1, keepdims=True)
    assert ((person > 0.05) & (person < 0.45)).mean() > 0.3  # neither kept nor hidden
    without = network.model.clone(parser=False)
    wanted = outputs(network, without, masked(image, person))
    np.testing.assert_allclose(
        found.embeddings["global"], wanted.embeddings["global"], atol=1e-4
    )
    np.testing.assert_allclose(found.gate, wanted.gate, atol=1e-4)
    unmasked = outputs(network, without, image).embeddings["global"]
    assert np.abs(found.embeddings["global"] - unmasked).max() > 1e-2


@pytest.mark.usefixtures("one_block")
def test_the_part_that_embeds_keeps_the_parser(network, image):
    """Which it does without where nothing depends on it."""
    part = sub_network(network.model, GLOBAL)
    assert part.parser and part.branches == GLOBAL
    assert not sub_network(network.model.clone(parser_masks=False), GLOBAL).parser
    function = embed_function(
        network.config, network.model, branches=GLOBAL, flip=False
    )
    pixels = np.random.default_rng(0).integers(0, 256, image.shape, dtype=np.uint8)
    found = jax.jit(function)(network.variables, pixels, None)["global"]
    wanted = outputs(network, network.model, normalise(pixels)).embeddings["global"]
    np.testing.assert_allclose(found, wanted, atol=1e-5)


@pytest.mark.usefixtures("one_block")
def test_no_loss_of_the_branch_trains_the_parser(network, image):
    model = network.model.clone(branches=GLOBAL, balance=False, projection=0)

    def first_entries(params):
        variables = {**network.variables, "params": params}
        found = model.apply(variables, {"image": image}, train=False)
        return found.embeddings["global"][:, 0].sum()

    gradients = jax.jit(jax.grad(first_entries))(network.variables["params"])

    def largest(name):
        return max(jnp.abs(x).max() for x in jax.tree.leaves(gradients[name]))

    assert largest("image_parser") == 0
    assert largest("global_backbone") > 0


def test_masks_without_an_image_parser_are_refused():
    config = tiny.tiny_config("data")
    with config.unlocked():
        config.model.update(parser=True, parser_masks=True)
    (problem,) = network_problems(config)
    assert problem == (
        "model.parser_masks=True is of model.parser_image=True, which is off; set "
        "both, or model.parser_masks=False"
    )
