"""The projection of all branches' embeddings, and the loss that trains it."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from untrained import untrained, whole_network

from mbnet_jax import losses
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.branches import sub_network
from mbnet_jax.export.check import largest_difference, references
from mbnet_jax.export.programs import make_programs
from mbnet_jax.export.stablehlo import to_stablehlo
from mbnet_jax.models import MBNet
from mbnet_jax.models.modules import Projection

RNG = np.random.default_rng(0)
BACKBONES = {
    name: {"name": "resnet10", "width": 8, "stem": "patch"}
    for name in ("global", "clothing_unrelated", "mask")
}


def unit(*shape):
    x = RNG.normal(size=shape)
    return (x / np.linalg.norm(x, axis=-1, keepdims=True)).astype(np.float32)


def test_contrastive_loss_matches_loops():
    x, pid, t = unit(7, 5), np.array([0, 0, 0, 1, 1, 2, 3]), 0.2
    cosines = np.exp(x.astype(np.float64) @ x.T / t)
    anchors = []
    for i in range(5):  # persons 2 and 3 have one image each
        others = cosines[i][pid != pid[i]].sum()
        terms = [
            -np.log(cosines[i, p] / (cosines[i, p] + others))
            for p in range(7)
            if p != i and pid[p] == pid[i]
        ]
        anchors.append(np.mean(terms))
    found = losses.supervised_contrastive(jnp.asarray(x), jnp.asarray(pid), t)
    np.testing.assert_allclose(found, np.mean(anchors), rtol=1e-5)


def test_contrastive_loss_of_one_person_is_zero_with_a_finite_gradient():
    pid = jnp.zeros(4, int)
    value, gradient = jax.value_and_grad(losses.supervised_contrastive)(
        jnp.asarray(unit(4, 3)), pid, 0.1
    )
    assert value == 0
    np.testing.assert_array_equal(gradient, np.zeros((4, 3)))


def test_an_orthogonal_projection_keeps_cosines():
    parts = [unit(6, 4), unit(6, 3)]
    module = Projection(7)
    orthogonal, _ = np.linalg.qr(RNG.normal(size=(7, 7)))
    variables = {"params": {"linear": {"kernel": jnp.asarray(orthogonal)}}}
    found = np.asarray(module.apply(variables, parts))
    joined = np.concatenate(parts, axis=1) / np.sqrt(2)
    np.testing.assert_allclose(found @ found.T, joined @ joined.T, atol=1e-5)


def test_training_it_finds_the_directions_that_tell_persons_apart():
    # Half of the numbers are the person's; the other half are noise, and larger.
    pid = np.repeat(np.arange(8), 4)
    x = np.concatenate(
        [RNG.normal(size=(8, 6))[pid], 2 * RNG.normal(size=(32, 6))], axis=1
    )
    x = jnp.asarray(x / np.linalg.norm(x, axis=1, keepdims=True), jnp.float32)
    module = Projection(4)
    variables = module.init(jax.random.key(0), [x])

    @jax.jit
    def step(variables):
        gradient = jax.grad(
            lambda v: losses.supervised_contrastive(module.apply(v, [x]), pid, 0.1)
        )(variables)
        return jax.tree.map(lambda v, g: v - 0.05 * g, variables, gradient)

    for _ in range(200):
        variables = step(variables)
    kernel = np.asarray(variables["params"]["linear"]["kernel"])
    assert np.linalg.norm(kernel[:6]) > 2 * np.linalg.norm(kernel[6:])


def views(n):
    return {
        "image": jnp.asarray(RNG.normal(size=(n, 64, 32, 3)), jnp.float32),
        "crops": jnp.asarray(RNG.normal(size=(n, 64, 32, 3)), jnp.float32),
        "silhouette": jnp.asarray(RNG.random((n, 64, 32, 1)), jnp.float32),
    }


def network(**fields):
    return MBNet(5, BACKBONES, fusion_width=8, fusion_heads=2, pooling="avg", **fields)


def test_a_projection_takes_the_place_of_the_balance():
    given = views(2)
    with_it, without = network(projection=6), network(balance=False)
    params = with_it.init(jax.random.key(0), given, train=False)
    plain = without.init(jax.random.key(0), given, train=False)
    assert "balance_weights" not in params["params"]
    kernel = params["params"].pop("linear_projection")
    jax.tree.map(np.testing.assert_array_equal, params, plain)
    params["params"]["linear_projection"] = kernel
    outputs = with_it.apply(params, given, train=False)
    assert outputs.combined.shape == (2, 6)
    np.testing.assert_allclose(np.linalg.norm(outputs.combined, axis=1), 1, rtol=1e-5)
    # Of a part of the branches there is none.
    part = sub_network(with_it, ("global", "mask"))
    assert not part.projects()


def test_the_projections_loss_reaches_no_branch():
    given, pid = views(4), jnp.array([0, 0, 1, 1])
    model = network(projection=6)
    variables = model.init(jax.random.key(0), given, train=False)

    def loss(params):
        outputs = model.apply(variables | {"params": params}, given, train=False)
        return losses.supervised_contrastive(outputs.projection, pid, 0.1)

    gradient = jax.grad(loss)(variables["params"])
    of_projection = gradient.pop("linear_projection")["linear"]["kernel"]
    assert np.abs(of_projection).max() > 0
    assert all(not np.any(leaf) for leaf in jax.tree.leaves(gradient))


@pytest.mark.usefixtures("one_block")
def test_an_exported_program_gives_the_projection(tmp_path):
    config = whole_network("data")
    config.model.projection = 6
    network = untrained(config, make_mesh(jax.devices()[:1]))
    program = make_programs(network, config.model.branches)[0]
    assert (program.embedding, program.width) == ("all", 6)
    path = tmp_path / "embed.stablehlo"
    path.write_bytes(to_stablehlo(program, ("cpu",)))
    expected = references(network, [program], 2)[program.name]
    largest_difference(program, path, expected, "float32")
    # A part of the branches is not projected: their embeddings stand side by side.
    alone, other, both = (
        make_programs(network, branches)[0].width
        for branches in (("global",), ("mask",), ("global", "mask"))
    )
    assert both == alone + other
