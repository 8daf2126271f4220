"""The transformer: its parts against NumPy, what it keeps, order of its layers."""

import functools
from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import timm_weights as reference
from modules import normal, shapes

from mbnet_jax.backbones import BACKBONES, attention, eva02, rotary
from mbnet_jax.backbones.transformer import Kind, Transformer, layers_above
from mbnet_jax.backbones.weights.timm_names import convert

pytestmark = [pytest.mark.gpu, pytest.mark.usefixtures("compiled_in_a_hurry")]

TINY = Kind(patch=4, grid=4, width=16, blocks=3, heads=2, hidden=24)
EVA = replace(TINY, gated=True, biases="qv", rotary="eva", attention_norm=True)


@functools.cache
def made(kind, **options):
    """A module, variables with random values everywhere, and images [2, 16, 8, 3]."""
    net = Transformer(kind, **options)
    x = normal(2, 16, 8, 3)
    _, variables = shapes(net, x, train=False)
    return net, jax.tree.map(lambda v: 0.3 * normal(*v.shape), variables), x


def test_attention_is_that_of_the_formula():
    q, k, v = (normal(2, 5, 3, 8) for _ in range(3))
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / 8**0.5
    weights = np.exp(scores) / np.exp(scores).sum(-1, keepdims=True)
    expected = np.einsum("bhqk,bkhd->bqhd", weights, v)
    out = jax.jit(attention.attend)(q, k, v)
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("n", [4, 5])
def test_a_token_added_for_an_even_length_changes_nothing(n):
    q, k, v, gradient = (normal(2, n, 3, 8) for _ in range(4))
    expected, to_expected = jax.vjp(attention.attend, q, k, v)
    one_kernel = functools.partial(attention.fused, implementation="xla")
    out, to_inputs = jax.vjp(one_kernel, q, k, v)
    np.testing.assert_allclose(out, expected, atol=1e-5)
    for a, b in zip(to_inputs(gradient), to_expected(gradient), strict=True):
        np.testing.assert_allclose(a, b, atol=1e-5)


def test_a_gpu_traces_training_with_cudnn_and_without_scores(monkeypatch):
    # Of tracing and lowering alone: there is no GPU that would compile it.
    cudnn = pytest.importorskip("jax._src.cudnn.fused_attention_stablehlo")
    monkeypatch.setattr(cudnn, "check_cudnn_version", lambda: 91_000)
    monkeypatch.setattr(attention, "_has_cudnn", lambda shape, dtype: True)
    kind = replace(EVA, width=32, heads=2)
    net, (h, w) = Transformer(kind, dtype=jnp.bfloat16), (20, 20)
    x = jnp.zeros((2, 4 * h, 4 * w, 3))
    _, variables = shapes(net, x, train=False)

    def loss(variables, x):
        return net.apply(variables, x, train=True).map.astype(jnp.float32).sum()

    allowed = [
        jax.export.DisabledSafetyCheck.custom_call(f"__cudnn$fmhaSoftmax{way}")
        for way in ("", "Backward")
    ]

    def exported(*platforms):
        train = jax.jit(lambda *arguments: jax.grad(loss)(*arguments))  # traced anew
        export = jax.export.export(train, platforms=platforms, disabled_checks=allowed)
        return export(variables, x).mlir_module()

    scores = f"{1 + h * w}x{1 + h * w}x"
    cuda = exported("cuda")
    assert "__cudnn$fmhaSoftmaxBackward" in cuda and scores not in cuda
    cpu = exported("cpu")
    assert "__cudnn" not in cpu and scores in cpu
    # Of several platforms, as an exported network is.
    with attention.portable():
        assert "__cudnn" not in exported("cpu", "cuda")


def test_scores_are_not_kept_for_the_gradient():
    q, k, v = (normal(2, 50, 3, 8) for _ in range(3))
    kept = jax.eval_shape(lambda *x: jax.vjp(attention.attend, *x)[1], q, k, v)
    assert sum(x.size for x in jax.tree.leaves(kept)) <= 3 * q.size


def test_attention_is_exported_for_a_gpu_from_a_machine_without_one():
    x = jax.ShapeDtypeStruct((2, 5, 3, 8), jnp.bfloat16)
    attend = jax.jit(attention.attend)
    exported = jax.export.export(attend, platforms=("cpu", "cuda"))(x, x, x)
    assert exported.platforms == ("cpu", "cuda")


def test_a_rotation_turns_pairs_by_the_position_of_the_cell():
    # A pair of channels is a complex number. Row 1 of 4 is position 4 of 16.
    cosines, sines = rotary.rotary_tables("eva", 4, 2, 8, prefix=1)
    x = normal(1, 9, 3, 8)
    out = rotary.rotate(x, (cosines, sines))
    z = x[..., :4] + 1j * x[..., 4:]
    rates = np.array([1, 1 / 100])  # 10000 ** (-j / 2)
    for token in range(9):
        row, column = divmod(token - 1, 2)
        angles = np.concatenate([row * 4 * rates, column * 8 * rates])
        turned = z[:, token] * np.exp(1j * angles * (token > 0))
        expected = np.concatenate([turned.real, turned.imag], axis=-1)
        np.testing.assert_allclose(out[:, token], expected, rtol=0, atol=1e-5)


def test_halved_puts_the_second_of_each_pair_into_the_second_half():
    x = np.arange(12)
    ordered = [0, 2, 4, 1, 3, 5, 6, 8, 10, 7, 9, 11]
    np.testing.assert_array_equal(rotary.halved(x, heads=2), ordered)


@pytest.mark.parametrize("keeps", ["nothing", "products"])
def test_recomputing_blocks_changes_no_gradient_and_keeps_less(keeps):
    plain, variables, x = made(EVA)
    again = Transformer(EVA, remat=True, remat_keeps=keeps)

    def loss(net, variables):
        out = net.apply(variables, x, train=True)
        return (out.map**2).sum() + (out.token**3).sum()

    want, got = (
        jax.jit(jax.grad(functools.partial(loss, net)))(variables)
        for net in (plain, again)
    )
    for a, b in zip(jax.tree.leaves(got), jax.tree.leaves(want), strict=True):
        np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-4)

    def kept(net):
        program = functools.partial(loss, net)
        residuals = jax.eval_shape(lambda v: jax.vjp(program, v)[1], variables)
        return sum(x.size for x in jax.tree.leaves(residuals))

    assert kept(again) < kept(plain) * (0.5 if keeps == "nothing" else 1)


def test_an_unknown_policy_is_rejected():
    _, _, x = made(TINY)
    with pytest.raises(ValueError, match="unknown remat_keeps 'all'; known: nothing"):
        shapes(Transformer(TINY, remat=True, remat_keeps="all"), x, train=False)


def test_a_size_that_the_patch_does_not_divide_is_refused():
    message = "18x8 pixels has no whole patches of 4x4; the nearest size .* is 16x8"
    with pytest.raises(ValueError, match=message):
        shapes(Transformer(TINY), normal(1, 18, 8, 3), train=False)


def test_drop_path_leaves_out_whole_sums_of_an_image():
    kind = replace(TINY, blocks=2, last_norm=False)
    net, variables, x = made(kind, drop_path=0.5)
    keys = jax.random.split(jax.random.key(0), 64)
    x = jnp.repeat(x[:1], 64, axis=0)
    with pytest.raises(ValueError, match=r"drop_path=0\.5 needs keys while training"):
        net.apply(variables, x, train=True)
    apply = jax.jit(net.apply, static_argnames="train")

    def outcomes(variables, keys):
        out = np.asarray(apply(variables, x, train=True, keys=keys).token)
        same = np.isclose(out[:, None], out, rtol=0, atol=1e-4).all(-1)
        return out, np.unique(same.argmax(1), return_counts=True)

    # Rates rise from 0 in the first block. The last block's two sums are each kept or
    # not: four outcomes.
    out, (_, counts) = outcomes(variables, keys)
    assert len(counts) == 4 and counts.min() > 4
    # An image's own key decides, not its place in the batch.
    again, _ = outcomes(variables, keys[::-1])
    np.testing.assert_allclose(again[::-1], out, rtol=0, atol=1e-4)
    # With one sum alone: what is kept is doubled, so the two have the plain mean.
    params = variables["params"]
    mlp = params["blocks"]["mlp"]
    mlp = mlp | {"out": jax.tree.map(np.zeros_like, mlp["out"])}
    one = {"params": params | {"blocks": params["blocks"] | {"mlp": mlp}}}
    out, (first, _) = outcomes(one, keys)
    plain = Transformer(kind).apply(one, x[:1], train=True).token[0]
    assert len(first) == 2
    np.testing.assert_allclose(out[first].mean(0), plain, rtol=0, atol=1e-4)


def test_layers_above_are_the_exponents_of_timm():
    kind = replace(EVA, registers=2, first_norm=True)
    _, variables, _ = made(kind)
    above = layers_above(variables["params"])
    assert above.keys() == variables["params"].keys()
    for name in above.keys() - {"blocks", "norm"}:
        assert set(jax.tree.leaves(above[name])) == {3}
    assert set(jax.tree.leaves(above["norm"])) == {0}
    for x, own in zip(
        *map(jax.tree.leaves, (variables["params"]["blocks"], above["blocks"])),
        strict=True,
    ):
        assert own.shape == (3, *[1] * (x.ndim - 1))
        assert own.ravel().tolist() == [2, 1, 0]


def test_attention_weights_are_sown_for_who_asks():
    net, variables, x = made(EVA)
    out, found = net.apply(variables, x, train=False, mutable=["intermediates"])
    (weights,) = found["intermediates"]["blocks"]["attention"]["weights"]
    assert weights.shape == (3, 2, 2, 9, 9)
    np.testing.assert_allclose(weights.sum(-1), 1, atol=1e-5)
    plain = net.apply(variables, x, train=False)
    np.testing.assert_allclose(plain.map, out.map, atol=1e-5)


def test_parameters_that_are_numpy_arrays_are_left_as_they_are():
    net, variables, x = made(TINY)
    before = jax.tree.map(np.copy, variables)
    net.apply(variables, x, train=False)
    jax.tree.map(np.testing.assert_array_equal, variables, before)


def test_half_precision_keeps_the_features():
    name = "eva02_base_patch16_clip_224"
    kind, x = reference.small_kind(name), reference.image((64, 32))
    variables = shapes(Transformer(kind), x, train=False)[1]
    variables = convert(reference.generate(name), variables, kind=kind)
    one, half = (
        Transformer(kind, dtype=dtype).apply(variables, x, train=False)
        for dtype in (jnp.float32, jnp.bfloat16)
    )
    assert half.map.dtype == jnp.bfloat16
    for a, b in zip(one[:2], half[:2], strict=True):
        a, b = (np.float32(v).reshape(-1, 64).mean(0) for v in (a, b))
        assert a @ b / np.linalg.norm(a) / np.linalg.norm(b) > 0.999


def test_the_number_of_equations_does_not_grow_with_depth():
    def size(blocks):
        net = Transformer(replace(EVA, blocks=blocks))
        x = jnp.zeros((1, 16, 8, 3))
        variables = shapes(net, x, train=False)[1]
        apply = functools.partial(net.apply, train=False)
        return len(str(jax.make_jaxpr(apply)(variables, x)))

    assert size(24) < 1.1 * size(3)


def test_names_may_have_a_tag():
    name = "eva02_large_patch14_clip_224"
    assert BACKBONES[f"{name}.merged2b"] is BACKBONES[name]
    assert f"{name}.merged2b" in BACKBONES and "eva03.merged2b" not in BACKBONES
    assert BACKBONES[name].make.args == (eva02.KINDS[name],)
    with pytest.raises(KeyError):
        BACKBONES["eva03.merged2b"]
    # One tag has other constants than the rest.
    assert BACKBONES["vit_base_patch16_224"].mean == (0.5, 0.5, 0.5)
    assert BACKBONES["vit_base_patch16_224.mae"].mean[0] == 0.485
    assert BACKBONES["vit_base_patch16_224.mae"].multiple == 16
