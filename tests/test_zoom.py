"""KTM as a zoom: what it samples, what it leaves alone, and who learns from it."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import tiny
import untrained
from untrained import with_gate

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.losses import total
from mbnet_jax.models.modules import Locator, Zoom, gate_size, masked, zoom_on
from mbnet_jax.report.attention import attention_maps
from mbnet_jax.views import Targets, normalise

pytestmark = pytest.mark.usefixtures("one_block")
HEIGHT, WIDTH = tiny.HEIGHT, tiny.WIDTH


def zoom_of(seed=0, images=2, bands=(8, 4), strength=0.6):
    rng = np.random.default_rng(seed)
    return zoom_on(jnp.asarray(rng.uniform(size=(images, *bands, 1)) ** 3), strength)


def edges(shares):
    """Where bands begin and end, as shares of the whole; by NumPy."""
    return np.concatenate([[0], np.cumsum(np.asarray(shares, np.float64))])


def sampled(lines, where):
    """Rows of `lines` [n, ...] at the places `where`, in rows; by NumPy."""
    places = np.clip(where - 0.5, 0, len(lines) - 1)
    low = np.minimum(places.astype(int), len(lines) - 2)
    part = (places - low).reshape(-1, *[1] * (lines.ndim - 1))
    return lines[low] * (1 - part) + lines[low + 1] * part


def test_the_shares_by_hand():
    gate = np.zeros((1, 4, 2, 1), np.float32)
    gate[0, 0, 0] = 1  # the upper left of the upper half
    gate[0, 2:, 0] = 0.5  # the left of the lower half
    zoom = zoom_on(jnp.asarray(gate), 0.6)
    # Of the upper half, 0.4 is shared equally, and 0.6 goes to the first row.
    expected = [0.5 * (0.2 + 0.6), 0.5 * 0.2, 0.25, 0.25]
    np.testing.assert_allclose(zoom.rows[0], expected, rtol=1e-4)
    np.testing.assert_allclose(zoom.columns[0], [0.2 + 0.6, 0.2], rtol=1e-4)


@pytest.mark.parametrize(
    ("low", "high", "strength"), [(0, 0, 0.9), (0.7, 0.7, 0.9), (0, 1, 0)]
)
def test_an_even_gate_and_no_strength_change_nothing(low, high, strength):
    rng = np.random.default_rng(0)
    gate = rng.uniform(low, high, (2, 5, 3, 1))
    image = rng.normal(size=(2, 20, 12, 3)).astype(np.float32)
    zoom = zoom_on(jnp.asarray(gate), strength)
    for same in (zoom.enlarge, zoom.restore):
        np.testing.assert_allclose(same(image), image, atol=1e-4)


def test_what_is_enlarged_is_interpolated():
    """Rows and columns by NumPy, where each is enlarged."""
    rows, columns = np.array([0.6, 0.1, 0.1, 0.2]), np.array([0.25, 0.75])
    image = np.random.default_rng(0).normal(size=(16, 8, 3))
    zoom = Zoom(jnp.asarray(rows[None]), jnp.asarray(columns[None]))
    found = np.asarray(zoom.enlarge(image[None].astype(np.float32)))[0]
    where = []
    for shares, n in ((rows, 16), (columns, 8)):
        # Edges of the enlarged cells, linear within each band; then their middles.
        bands = np.linspace(0, n, len(shares) + 1)
        sources = np.interp(np.arange(n + 1) / n, edges(shares), bands)
        where.append((sources[1:] + sources[:-1]) / 2)
    expected = sampled(sampled(image, where[0]).swapaxes(0, 1), where[1])
    expected = expected.swapaxes(0, 1)
    # The first nine rows are of the first band; the left columns are shrunk.
    np.testing.assert_allclose(found[:9, 3:], expected[:9, 3:], atol=1e-5)


def test_shrinking_takes_means():
    rows = jnp.asarray([[0.25, 0.25, 0.125, 0.375]])
    zoom = Zoom(rows, jnp.ones((1, 1)))
    stripes = np.tile([1.0, -1.0], 16)[None, :, None, None].astype(np.float32)
    found = np.asarray(zoom.enlarge(stripes))[0, :, 0, 0]
    # The third band is shrunk to its half, where each cell shows both stripes.
    assert np.abs(found[17:19]).max() < 1e-5 and np.abs(found[2:14]).min() > 0.99


def test_a_restored_map_is_the_map_of_the_image():
    zoom = zoom_of()
    down = np.linspace(0, 1, 64)[None, :, None, None]
    right = np.linspace(0, 1, 32)[None, None, :, None]
    smooth = np.broadcast_to(np.sin(3 * down) + right**2, (2, 64, 32, 1))
    smooth = smooth.astype(np.float32)
    enlarged = np.asarray(zoom.enlarge(smooth))
    assert np.abs(enlarged - smooth).max() > 0.2
    np.testing.assert_allclose(zoom.restore(enlarged), smooth, atol=0.05)


def test_spread_values_keep_their_mean_and_go_where_they_were_seen():
    zoom = zoom_of(images=1)
    values = np.random.default_rng(1).normal(size=(1, 4, 2))
    spread = np.asarray(zoom.spread(jnp.asarray(values)))
    assert spread.shape == (1, 8, 4)
    np.testing.assert_allclose(spread.mean(), values.mean(), atol=1e-6)
    # A cell's value lies in the bands whose shares overlap with it.
    one = np.zeros((1, 4, 2))
    one[0, 0, 0] = 1
    seen = np.asarray(zoom.spread(jnp.asarray(one)))[0] > 1e-7
    for axis, (shares, n) in enumerate([(zoom.rows, 4), (zoom.columns, 2)]):
        starts = edges(shares[0])[:-1]
        np.testing.assert_array_equal(seen.any(1 - axis), starts < 1 / n - 1e-6)


def test_a_mask_keeps_what_is_half_open():
    gate = jnp.asarray([0.0, 0.25, 0.5, 1.0]).reshape(1, 1, 4, 1)
    image = np.full((1, 2, 16, 3), 3, np.float32)
    found = np.asarray(masked(image, gate))[0, 0, :, 0]
    # Interpolated between the middles of the gate's cells.
    at = np.interp(np.arange(16) + 0.5, [2, 6, 10, 14], [0, 0.5, 1, 1])
    np.testing.assert_allclose(found, 3 * at, atol=1e-5)


@pytest.mark.parametrize(
    ("size", "gate"),
    [
        ((128, 64), (32, 16)),
        ((256, 128), (32, 16)),
        ((384, 128), (48, 16)),
        ((224, 224), (56, 56)),
        ((63, 30), (16, 8)),
    ],
)
def test_the_gates_size_is_the_locators(size, gate):
    locate = functools.partial(Locator().init_with_output, train=False)
    image = jnp.zeros((1, *size, 3))
    logits, _ = jax.eval_shape(locate, jax.random.key(0), image)
    assert logits.shape == (1, *gate, 1) and gate_size(*size) == gate


def network(**model):
    config = untrained.whole_network("data")
    config.model.update({"branches": ("global",), "parser": True, **model})
    return untrained.untrained(config, make_mesh(jax.devices()[:1]))


def images(count=2):
    rng = np.random.default_rng(3)
    return rng.integers(0, 256, (count, HEIGHT, WIDTH, 3), dtype=np.uint8)


def run(network, view):
    apply = jax.jit(functools.partial(network.model.apply, train=False))
    return apply(network.variables, {"image": view})


def test_with_an_even_gate_the_network_is_that_without_ktm():
    zoomed, plain = network(ktm_zoom=0.8), network(ktm=False)
    view = images().astype(np.float32) / 100
    even = with_gate(zoomed, view, 0)
    rest = {
        kind: {name: x for name, x in of.items() if name != "knowledge_zoom"}
        for kind, of in even.variables.items()
    }
    even, without = run(even, view), run(plain._replace(variables=rest), view)
    for field in ("embeddings", "features"):
        np.testing.assert_allclose(
            getattr(even, field)["global"],
            getattr(without, field)["global"],
            rtol=1e-3,
            atol=1e-3,
        )
    scale = np.abs(without.parsing_logits).max()
    np.testing.assert_allclose(
        even.parsing_logits / scale, without.parsing_logits / scale, atol=1e-3
    )
    other = run(with_gate(zoomed, view, 3), view)
    assert np.abs(other.embeddings["global"] - even.embeddings["global"]).max() > 0.01


def test_without_residual_a_closed_gate_shows_nothing():
    view = images().astype(np.float32) / 100
    hidden = with_gate(network(ktm_zoom=0.8, ktm_residual=False, parser=False), view, 0)
    gate = hidden.variables["params"]["knowledge_zoom"]["gate"]
    gate["bias"] = np.full_like(gate["bias"], -1e4)
    found, empty = run(hidden, view), run(hidden, 0 * view)
    assert not np.asarray(found.gate).any()
    np.testing.assert_array_equal(found.features["global"], empty.features["global"])


def test_the_locator_learns_from_the_area_alone():
    view = images().astype(np.float32) / 100
    zoomed = with_gate(network(ktm_zoom=0.8), view, 1)
    variables = zoomed.variables
    area = np.zeros((2, HEIGHT, WIDTH), np.float32)
    area[:, :16] = 1
    targets = Targets(area, area, np.zeros((2, HEIGHT, WIDTH), np.uint8))

    @jax.jit
    def gradient(params, weight):
        config = zoomed.config.loss.copy_and_resolve_references()
        config.ktm_area = 1.0

        def loss(params):
            outputs = zoomed.model.apply(
                {**variables, "params": params}, {"image": view}, train=False
            )
            _, terms = total(outputs, targets, jnp.arange(2), config)
            others = sum(terms[name] for name in ("identity/global", "parser"))
            return weight * terms["ktm_area"] + (1 - weight) * others

        return jax.grad(loss)(params)

    def largest(grads, module):
        return max(float(np.abs(x).max()) for x in jax.tree.leaves(grads[module]))

    of_area, of_others = (gradient(variables["params"], w) for w in (1.0, 0.0))
    assert largest(of_area, "knowledge_zoom") > 1e-4
    assert largest(of_area, "global_backbone") == 0
    assert largest(of_others, "knowledge_zoom") == 0
    assert largest(of_others, "global_backbone") > 1e-4


def test_pictures_show_the_gate_over_the_image():
    image = images()
    zoomed = with_gate(network(ktm_zoom=0.8), normalise(image), 1)
    gate = run(zoomed, normalise(image)).gate[..., 0]
    maps = attention_maps(zoomed, image, image[..., 0]).maps["global"]
    assert maps.shape == (2, *gate_size(HEIGHT, WIDTH))
    np.testing.assert_allclose(maps, gate, atol=1e-4)
