"""The directions of clothes: their projection, and the loss that finds them; ours."""

import dataclasses
import functools
import zlib

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
from hurry import in_a_hurry
from modules import normal

from mbnet_jax import losses
from mbnet_jax.devices.mesh import batch_sharding, make_mesh, replicated
from mbnet_jax.export.flat import flat
from mbnet_jax.models import MBNet
from mbnet_jax.models.modules import ClothesSubspace
from mbnet_jax.training.clothes import clothes_classes

# Three persons: two outfits of two images and one; one outfit; two outfits.
PID = np.array([0, 0, 0, 1, 1, 2, 2])
WORN = np.array([0, 0, 1, 2, 2, 3, 4])


def basis(size, rank):
    return np.linalg.qr(normal(size, rank))[0]


@pytest.fixture(scope="module")
def projected():
    """The module, its weights, an input and both outputs."""
    module, x = ClothesSubspace(3), normal(5, 8)
    params = jax.tree.map(lambda leaf: normal(*leaf.shape), shapes_of(module, x))
    return module, params, x, module.apply(params, x)


def shapes_of(module, x):
    return jax.eval_shape(module.init, jax.random.key(0), x)


def test_the_output_is_orthogonal_to_orthonormal_directions(projected):
    module, params, x, (out, found) = projected
    np.testing.assert_allclose(found.T @ found, np.eye(3), atol=1e-5)
    np.testing.assert_allclose(out @ found, np.zeros((5, 3)), atol=1e-5)
    np.testing.assert_allclose(module.apply(params, out)[0], out, atol=1e-5)
    # Only the part within the directions is gone: those of the parameter.
    directions = params["params"]["directions"]
    coefficients = np.linalg.lstsq(directions, np.asarray(x - out).T, rcond=None)[0]
    np.testing.assert_allclose((directions @ coefficients).T, x - out, atol=1e-4)


def test_what_reads_the_embedding_does_not_turn_the_directions(projected):
    module, params, x, _ = projected
    slopes = jax.grad(lambda p, x: (module.apply(p, x)[0] ** 3).sum(), (0, 1))
    to_directions, to_x = slopes(params, x)
    assert not np.any(jax.tree.leaves(to_directions)[0]) and np.any(to_x)


def test_something_is_left_of_the_embedding():
    with pytest.raises(ValueError, match=r"clothes_rank is 8; it must be below .* 8"):
        shapes_of(ClothesSubspace(8), normal(2, 8))


def test_an_exported_network_holds_the_directions_themselves(projected):
    # ONNX has no QR decomposition.
    module, params, x, (out, _) = projected

    def run(x):
        return module.apply(jax.tree.map(jax.lax.optimization_barrier, params), x)[:1]

    flattened = flat(run, [jax.ShapeDtypeStruct(x.shape, x.dtype)])
    assert "qr" not in str(jax.make_jaxpr(flattened)(x))
    np.testing.assert_allclose(flattened(x), out, atol=1e-6)


def missed_by_loops(features, directions, pid, worn):
    """The definition, person by person and outfit by outfit."""
    inside = total = 0
    for person in set(pid[worn >= 0]):
        outfits = sorted(set(worn[(pid == person) & (worn >= 0)]))
        means = [features[worn == outfit].mean(0) for outfit in outfits]
        for mean in means:
            difference = mean - np.mean(means, axis=0)
            total += (difference**2).sum()
            inside += ((difference @ directions) ** 2).sum()
    return 1 - inside / total


@pytest.mark.parametrize("unknown", [[], [1], [0, 1], [5]])
def test_the_loss_is_the_share_of_the_differences_outside(unknown):
    features, directions, worn = normal(7, 6), basis(6, 2), WORN.copy()
    worn[unknown] = -1
    found = losses.clothes_subspace(features, directions, PID, worn)
    if unknown != [5]:
        expected = missed_by_loops(features, directions, PID, worn)
        np.testing.assert_allclose(found, expected, rtol=1e-5)
    else:  # the third person has one known outfit
        first = slice(0, 3)
        expected = missed_by_loops(features[first], directions, PID[first], worn[first])
        np.testing.assert_allclose(found, expected, rtol=1e-5)


def test_a_difference_by_hand():
    features = np.array([[0, 0], [0, 2], [3, 5]], np.float32)  # from (0, 1) to (3, 5)
    along_x = np.array([[1], [0]], np.float32)
    found = losses.clothes_subspace(
        features, along_x, np.zeros(3, int), np.array([0, 0, 1])
    )
    np.testing.assert_allclose(found, 1 - 9 / 25, rtol=1e-6)


@pytest.mark.parametrize("worn", [np.array([0, 0, 0, 1, 1, 2, 2]), np.full(7, -1)])
def test_nobody_in_two_outfits_is_no_loss(worn):
    value, slope = jax.value_and_grad(losses.clothes_subspace, 1)(
        1000 * normal(7, 6), basis(6, 2), PID, worn
    )
    assert value == 0 and not np.any(slope)


def found_share(directions, features, pid, worn):
    return losses.clothes_subspace(features, jnp.linalg.qr(directions)[0], pid, worn)


def test_descent_finds_a_planted_subspace():
    rng = np.random.default_rng(1)
    planted, pid = basis(16, 2), np.repeat(np.arange(8), 4)
    worn = np.arange(32) // 2  # two outfits, each of two images
    features = 3 * rng.standard_normal((8, 16))[pid]  # of the person
    features += 2 * (rng.standard_normal((16, 2)) @ planted.T)[worn]  # of the outfit
    features += 0.1 * rng.standard_normal((32, 16))
    features = features.astype(np.float32)
    directions = jnp.asarray(normal(16, 2))
    slope = jax.jit(jax.value_and_grad(found_share))
    before = found_share(directions, features, pid, worn)
    for _ in range(200):
        value, change = slope(directions, features, pid, worn)
        directions -= 2 * change
    assert before > 0.5 and value < 0.02
    cosines = np.linalg.svd(planted.T @ np.linalg.qr(directions)[0])[1]
    assert cosines.min() > 0.99
    module = ClothesSubspace(2)
    out, _ = module.apply({"params": {"directions": directions}}, features)
    moved = np.linalg.norm(features[::4] - features[2::4], axis=1).mean()
    assert np.linalg.norm(out[::4] - out[2::4], axis=1).mean() < 0.2 * moved


def test_the_loss_trains_the_directions_alone_on_any_number_of_devices():
    features, pid, worn = normal(16, 8), np.arange(16) // 4, np.arange(16) // 2
    directions = normal(8, 3)
    run = jax.value_and_grad(found_share, (0, 1))
    mesh = make_mesh()
    rows, whole = batch_sharding(mesh), replicated(mesh)
    split = jax.jit(run, in_shardings=(whole, rows, rows, rows))
    given = (directions, features, pid, worn)
    value, (to_directions, to_features) = split(*given)
    expected, (slope, _) = jax.jit(run)(*given)
    assert mesh.size == 8 and not np.any(to_features) and np.any(slope)
    np.testing.assert_allclose(value, expected, rtol=1e-5)
    np.testing.assert_allclose(to_directions, slope, atol=1e-6)


@functools.cache
def network(rank):
    """Random variables, and the outputs of the global branch's network."""
    backbones = {"global": {"name": tiny.ONE_BLOCK, "width": 4, "stem": "patch"}}
    model = MBNet(5, backbones, branches=("global",), clothes_rank=rank)
    views = {"image": np.sin(np.arange(4 * 32 * 16 * 3)).reshape(4, 32, 16, 3)}
    init = functools.partial(model.init, train=False)

    def draw(path, leaf):  # the same for each name
        seed = zlib.crc32(jax.tree_util.keystr(path).encode())
        return np.random.default_rng(seed).uniform(0.1, 1, leaf.shape).astype("f4")

    found = jax.eval_shape(init, jax.random.key(0), views)
    variables = jax.tree.map_with_path(draw, found)
    with in_a_hurry():
        return variables, jax.jit(functools.partial(model.apply, train=False))(
            variables, views
        )


@pytest.mark.usefixtures("one_block")
def test_the_global_branch_has_them_projected_out():
    (plain, before), (more, after) = network(0), network(2)
    assert before.unprojected is before.clothes_directions is None
    added = {**more["params"]}.pop("clothes_subspace")
    assert added["directions"].shape == (8, 2)
    rest = {name: x for name, x in more["params"].items() if name in plain["params"]}
    jax.tree.map(np.testing.assert_array_equal, plain["params"], rest)
    np.testing.assert_array_equal(after.features["global"], before.features["global"])
    basis, embedding = after.clothes_directions, after.embeddings["global"]
    np.testing.assert_allclose(embedding @ basis, np.zeros((4, 2)), atol=1e-5)
    neck = after.unprojected
    expected = neck / np.linalg.norm(neck, axis=1, keepdims=True)
    np.testing.assert_allclose(before.embeddings["global"], expected, atol=1e-5)
    out = neck - neck @ basis @ basis.T
    expected = out / np.linalg.norm(out, axis=1, keepdims=True)
    np.testing.assert_allclose(embedding, expected, atol=1e-5)
    classifier = more["params"]["global_head"]["classifier"]["kernel"]
    np.testing.assert_allclose(after.logits["global"], out @ classifier, rtol=1e-4)


def config_of(root, branches=("global",)):
    config = tiny.tiny_config(root)
    config.model.branches = branches
    with config.unlocked():
        config.model.clothes_rank = 2
    return config


def test_the_classes_of_clothes_are_known_without_cal(small_data):
    root, dataset = small_data
    found = clothes_classes(config_of(root), dataset.train, 6)
    np.testing.assert_array_equal(np.bincount(found.person), [2] * 6)
    assert clothes_classes(config_of(root, ("mask",)), dataset.train, 6) is None


@pytest.mark.parametrize(
    ("clothes", "message"),
    [
        (lambda train: -np.ones_like(train.clothes), "needs clothes labels, and the"),
        (lambda train: train.pid, "needs persons in several outfits, and the training"),
    ],
)
def test_what_nobody_can_find_them_from_is_refused(small_data, clothes, message):
    root, dataset = small_data
    train = dataclasses.replace(dataset.train, clothes=clothes(dataset.train))
    with pytest.raises(ValueError, match=rf"model\.clothes_rank=2 {message}"):
        clothes_classes(config_of(root), train, 6)
