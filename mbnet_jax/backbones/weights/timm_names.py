"""A transformer's variables from weights with timm's names."""

from collections.abc import Iterator, Mapping
from functools import partial
from typing import Any

import numpy as np
from flax import traverse_util

from mbnet_jax.backbones.registry import Backbone
from mbnet_jax.backbones.rotary import halved
from mbnet_jax.backbones.transformer import Kind, Transformer, layers_above
from mbnet_jax.backbones.weights.fitting import check_fit
from mbnet_jax.backbones.weights.resample import resampled, source_grid
from mbnet_jax.backbones.weights.spellings import with_timm_names

_PATCH = "patch_embed.proj.weight"
# Name in the file -> its shape, and the parameters of which it consists, along its
# first axis.
Names = dict[str, tuple[tuple[int, ...], tuple[str, ...]]]


def published(name: str, kind: Kind, mean, std) -> Backbone:
    """The table's entry of a transformer that timm has weights of."""
    return Backbone(
        make=partial(Transformer, kind),
        fields=("drop_path", "remat", "remat_keeps"),
        convert=partial(convert, kind=kind, name=name),
        depths=layers_above,
        likeness=partial(likeness, kind),
        multiple=kind.patch,
        mean=mean,
        std=std,
    )


def convert(
    weights: Mapping[str, np.ndarray],
    variables: Mapping[str, Any],
    *,
    kind: Kind,
    name: str | None = None,
) -> dict[str, Any]:
    """A transformer's variables from weights with timm's names, or `spellings`'.

    Kernels go from [out, in] to [in, out], the patches' from [out, in, height, width]
    to [height, width, in, out]; where the network has one input channel and the file
    three, they take the mean. Packed arrays are split, blocks are stacked. The position
    embedding is resampled to the network's grid.

    Args:
      weights: name -> array. Left out are the text tower, heads, and `fc_norm`, which
        comes after pooling.
      variables: {"params": ...} of the `Transformer`, of which shapes are used.
      kind: of the network.
      name: of the network, for messages.

    Returns:
      The same structure as `variables`, float32 NumPy arrays.

    Raises:
      ValueError: listing the names that are missing, those that the network does not
        have, those of another shape, and those that hold nan or infinity.
    """
    params = variables["params"]
    once, each = once_names(kind), block_names(kind)
    given = {
        key: np.asarray(value, np.float32)
        for key, value in with_timm_names(weights, last_norm=kind.last_norm).items()
    }
    wanted = file_shapes(kind)
    first = int(kind.class_position)
    size, source = None, given.get("pos_embed", np.empty(0))
    if kind.position and source.ndim == 3:
        size = params["pos_embed"].shape[1:3]
        grid = source_grid(source.shape[1] - first, kind.grid, size)
        if grid:  # of any size, then
            wanted["pos_embed"] = (1, source.shape[1], kind.width)
    kernel = given.get(_PATCH)
    if params["patch_embed"]["kernel"].shape[2] == 1:
        wanted[_PATCH] = (kind.width, 1, kind.patch, kind.patch)
        if kernel is not None and kernel.ndim == 4:
            given[_PATCH] = kernel.mean(axis=1, keepdims=True)
    check_fit(given, wanted, name)

    found = {}
    for key, (_, paths) in once.items():
        found |= _parts(kind, paths, given[key])
    if kind.position:
        table = given["pos_embed"][0]
        if first:
            found["class_pos_embed"] = table[None, :1]
        cells = table[first:].reshape(*grid, -1)
        found["pos_embed"] = resampled(cells, size)[None]
    for key, (_, paths) in each.items():
        blocks = [
            _parts(kind, paths, given[f"blocks.{i}.{key}"]) for i in range(kind.blocks)
        ]
        found |= {f"blocks/{p}": np.stack([b[p] for b in blocks]) for p in paths}
    return {"params": traverse_util.unflatten_dict(found, sep="/")}


def _parts(
    kind: Kind, paths: tuple[str, ...], value: np.ndarray
) -> dict[str, np.ndarray]:
    """The parameters of which an array of the file consists."""
    found = {}
    for path, part in zip(paths, np.split(value, len(paths)), strict=True):
        if kind.rotary == "eva" and path.startswith(("attention/q/", "attention/k/")):
            part = halved(part, kind.heads)
        if part.ndim == 4:
            part = part.transpose(2, 3, 1, 0)
        elif path.endswith("kernel"):
            part = part.T
        found[path] = np.ascontiguousarray(part)
    return found


def file_shapes(kind: Kind) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every array of a file of timm's, without heads."""
    found = {name: shape for name, (shape, _) in once_names(kind).items()}
    if kind.position:
        count = kind.grid**2 + kind.class_position
        found["pos_embed"] = (1, count, kind.width)
    for i in range(kind.blocks):
        for name, (shape, _) in block_names(kind).items():
            found[f"blocks.{i}.{name}"] = shape
    return found


def once_names(kind: Kind) -> Names:
    """The arrays outside the blocks; not the position embedding, which is resampled."""
    d, p = kind.width, kind.patch
    found = {
        "cls_token": ((1, 1, d), ("cls_token",)),
        _PATCH: ((d, 3, p, p), ("patch_embed/kernel",)),
    }
    if kind.patch_bias:
        found["patch_embed.proj.bias"] = ((d,), ("patch_embed/bias",))
    if kind.registers:
        found["reg_token"] = ((1, kind.registers, d), ("reg_token",))
    if kind.first_norm:
        found |= _norm("norm_pre", "first_norm", d)
    if kind.last_norm:
        found |= _norm("norm", "norm", d)
    return found


def block_names(kind: Kind) -> Names:
    """The arrays of each block, without `blocks.N.`."""
    d = kind.width
    found = _norm("norm1", "norm1", d) | _norm("norm2", "norm2", d)
    found |= dict(_attention(kind))
    found |= dict(_mlp(kind))
    if kind.layer_scale:
        # timm's class Eva, which has the rotary networks, and VisionTransformer.
        gamma = "gamma_{}" if kind.rotary else "ls{}.gamma"
        found |= {gamma.format(i): ((d,), (f"gamma_{i}",)) for i in (1, 2)}
    return found


def _norm(theirs: str, ours: str, channels: int) -> Names:
    return {
        f"{theirs}.weight": ((channels,), (f"{ours}/scale",)),
        f"{theirs}.bias": ((channels,), (f"{ours}/bias",)),
    }


def _dense(theirs: str, ours: tuple[str, ...], out: int, inside: int) -> Names:
    return {
        f"{theirs}.weight": (
            (out * len(ours), inside),
            tuple(f"{name}/kernel" for name in ours),
        ),
        f"{theirs}.bias": (
            (out * len(ours),),
            tuple(f"{name}/bias" for name in ours),
        ),
    }


def _attention(kind: Kind) -> Iterator[tuple[str, tuple]]:
    d = kind.width
    ours = tuple(f"attention/{name}" for name in "qkv")
    if kind.packed:
        packed = _dense("attn.qkv", ours, d, d)
        if kind.biases != "qkv":
            del packed["attn.qkv.bias"]
            for name in kind.biases:
                yield f"attn.{name}_bias", ((d,), (f"attention/{name}/bias",))
        yield from packed.items()
    else:
        for name, own in zip("qkv", ours, strict=True):
            for key, value in _dense(f"attn.{name}_proj", (own,), d, d).items():
                if name in kind.biases or key.endswith("weight"):
                    yield key, value
    if kind.attention_norm:
        yield from _norm("attn.norm", "attention/norm", d).items()
    yield from _dense("attn.proj", ("attention/out",), d, d).items()


def _mlp(kind: Kind) -> Iterator[tuple[str, tuple]]:
    d, hidden = kind.width, kind.hidden
    if not kind.gated:
        yield from _dense("mlp.fc1", ("mlp/value",), hidden, d).items()
    elif kind.packed:
        yield from _dense("mlp.fc1", ("mlp/gate", "mlp/value"), hidden, d).items()
    else:
        yield from _dense("mlp.fc1_g", ("mlp/gate",), hidden, d).items()
        yield from _dense("mlp.fc1_x", ("mlp/value",), hidden, d).items()
    if kind.mlp_norm:
        yield from _norm("mlp.norm", "mlp/norm", hidden).items()
    yield from _dense("mlp.fc2", ("mlp/out",), d, hidden).items()


def likeness(kind: Kind, weights: Mapping[str, np.ndarray]) -> float:
    """How much of the names and shapes of a file and of timm's are the same, 0 to 1."""
    own = {*file_shapes(kind).items()}
    spelled = with_timm_names(weights, last_norm=kind.last_norm)
    given = {(name, value.shape) for name, value in spelled.items()}
    return len(own & given) / max(len(own | given), 1)
