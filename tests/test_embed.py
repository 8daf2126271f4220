"""Embeddings: which branches are run, and the mirrored image."""

import jax
import numpy as np
import pytest
import tiny
import untrained

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.branches import chosen_branches, sub_network
from mbnet_jax.evaluation.embed_function import embed_function
from mbnet_jax.runs.network import make_model

pytestmark = pytest.mark.usefixtures("one_block")


def model_of(**fields):
    config = untrained.whole_network("data")
    config.model.update(fields)
    return make_model(config.model, 4)


def test_branches_come_in_the_order_of_the_table_and_missing_ones_are_named():
    model = model_of(branches=("mask", "global"))
    assert chosen_branches((), model) == ("global", "mask")
    assert chosen_branches(["mask", "global"], model) == ("global", "mask")
    assert chosen_branches(["mask"], model) == ("mask",)
    message = (
        r"--branches=\('mask', 'clothing_unrelated'\) names branches that the network "
        r"does not have: 'clothing_unrelated'; it has \('mask', 'global'\)"
    )
    with pytest.raises(ValueError, match=message):
        chosen_branches(("mask", "clothing_unrelated"), model, "--branches")
    with pytest.raises(ValueError, match=r"eval\.branches=\('legs',\)"):
        config = untrained.whole_network("data")
        config.eval.branches = ("legs",)
        embed_function(config, model)


@pytest.mark.parametrize(
    ("fields", "branches", "needed"),
    [
        ({}, ("mask",), ("clothing_unrelated", "mask")),
        ({}, ("global", "mask"), ("global", "clothing_unrelated", "mask")),
        ({}, ("global",), ("global",)),
        ({}, ("clothing_unrelated",), ("clothing_unrelated",)),
        ({"cfm": False}, ("mask",), ("mask",)),
        ({"branches": ("global", "mask")}, ("mask",), ("mask",)),
    ],
)
def test_a_branch_that_cfm_fuses_is_run_with_its_partner(fields, branches, needed):
    part = sub_network(model_of(**fields), branches)
    assert part.branches == needed
    assert not part.balance  # its parameters fit the embeddings of all branches


def test_all_branches_are_the_network_itself():
    model = model_of()
    assert sub_network(model, ("global", "clothing_unrelated", "mask")) is model


def test_branches_and_flip_override_the_config():
    config = untrained.whole_network("data")
    network = untrained.untrained(config, make_mesh(jax.devices()[:1]))
    rng = np.random.default_rng(0)
    image = rng.integers(0, 256, (2, tiny.HEIGHT, tiny.WIDTH, 3), dtype=np.uint8)

    def embed(image, **arguments):
        function = embed_function(config, network.model, **arguments)
        # The global branch reads no parsing map.
        return jax.jit(function)(network.variables, image, None)

    flipped = embed(image, branches=("global",))
    assert list(flipped) == ["global"] and config.eval.flip
    plain, mirrored = (
        embed(x, branches=("global",), flip=False)["global"]
        for x in (image, image[:, :, ::-1])
    )
    total = np.asarray(plain) + np.asarray(mirrored)
    expected = total / np.linalg.norm(total, axis=1, keepdims=True)
    np.testing.assert_allclose(flipped["global"], expected, atol=1e-5)
    assert np.abs(flipped["global"] - plain).max() > 1e-3
    # The same as a config that says so.
    config.eval.update(branches=("global",), flip=False)
    np.testing.assert_array_equal(embed(image)["global"], plain)
