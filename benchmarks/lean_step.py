"""A lean training step of plain residual networks: the yardstick of our own.

It has what no training step of MBNet's backbones can do without, and nothing else:
ResNets (last stride 1) side by side on given views, each with batch norm over the
global batch, an average, a linear classifier and cross-entropy, and Adam. No
augmentation, modules, other losses, checks or logs. It is written for few bytes and
shares no code with the package, so it shows what the package's own layers cost.
`python -m benchmarks.compile_for_tpu --programs step yardstick` compiles both.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp

# name: (blocks of each stage, whether they are bottlenecks)
DEPTHS = {"resnet18": ((2, 2, 2, 2), False), "resnet50": ((3, 4, 6, 3), True)}
# (name, width, stem, last stride) as configs have them
KNOWN = tuple((name, 64, "imagenet", 1) for name in DEPTHS)
_CLASSES = 100
_RATE, _B1, _B2, _EPSILON, _DECAY = 3.5e-4, 0.9, 0.999, 1e-8, 5e-4


class Part(NamedTuple):
    """One network: its name in `DEPTHS`, and its view's height, width, channels."""

    name: str
    view: tuple[int, int, int]


def _layers(part: Part) -> list[tuple[str, tuple[int, ...]]]:
    """(name, kernel's shape) of every convolution, in the order of `_network`."""
    blocks, bottleneck = DEPTHS[part.name]
    found = [("stem", (7, 7, part.view[2], 64))]
    inputs = 64
    for stage, count in enumerate(blocks):
        width = 64 * 2**stage
        outputs = width * (4 if bottleneck else 1)
        for block in range(count):
            at = f"{stage}.{block}"
            if bottleneck:
                found += [
                    (f"{at}.1", (1, 1, inputs, width)),
                    (f"{at}.2", (3, 3, width, width)),
                    (f"{at}.3", (1, 1, width, outputs)),
                ]
            else:
                found += [
                    (f"{at}.1", (3, 3, inputs, width)),
                    (f"{at}.2", (3, 3, width, width)),
                ]
            if inputs != outputs:
                found.append((f"{at}.0", (1, 1, inputs, outputs)))
            inputs = outputs
    return found


def init(parts: Sequence[Part]) -> dict:
    """Parameters, Adam's moments, running statistics and the step; values are noise."""
    params, statistics = [], []
    for part in parts:
        own, running = {}, {}
        for number, (name, shape) in enumerate(_layers(part)):
            key = jax.random.fold_in(jax.random.key(0), number)
            own[name] = {
                "kernel": 0.05 * jax.random.normal(key, shape),
                "scale": jnp.ones(shape[-1]),
                "bias": jnp.zeros(shape[-1]),
            }
            running[name] = jnp.stack([jnp.zeros(shape[-1]), jnp.ones(shape[-1])])
        width = max(shape[-1] for _, shape in _layers(part))
        own["classifier"] = jnp.zeros((width, _CLASSES))
        params.append(own)
        statistics.append(running)
    return {
        "params": params,
        "mean": jax.tree.map(jnp.zeros_like, params),
        "square": jax.tree.map(jnp.zeros_like, params),
        "statistics": statistics,
        "step": jnp.zeros((), jnp.int32),
    }


def _convolution(x: jax.Array, kernel: jax.Array, stride: int) -> jax.Array:
    pad = kernel.shape[0] // 2
    return jax.lax.conv_general_dilated(
        x,
        kernel.astype(x.dtype),
        (stride, stride),
        [(pad, pad), (pad, pad)],
        dimension_numbers=("NHWC", "HWIO", "NHWC"),
    )


def _network(part: Part, params: dict, x: jax.Array) -> tuple[jax.Array, dict]:
    """Maps views [B, H, W, c] to logits [B, classes] and the batch's statistics."""
    blocks, bottleneck = DEPTHS[part.name]
    statistics = {}

    def layer(x, name, stride=1):
        own = params[name]
        y = _convolution(x, own["kernel"], stride)
        wide = y.astype(jnp.float32)
        mean = wide.mean((0, 1, 2))
        variance = (wide * wide).mean((0, 1, 2)) - mean * mean
        statistics[name] = jnp.stack([mean, variance])
        factor = jax.lax.rsqrt(variance + 1e-5) * own["scale"]
        return (wide * factor + (own["bias"] - mean * factor)).astype(x.dtype)

    x = jax.nn.relu(layer(x, "stem", 2))
    x = jax.lax.reduce_window(
        x,
        -jnp.inf,
        jax.lax.max,
        (1, 3, 3, 1),
        (1, 2, 2, 1),
        ((0, 0), (1, 1), (1, 1), (0, 0)),
    )
    for stage, count in enumerate(blocks):
        for block in range(count):
            at, stride = f"{stage}.{block}", 2 if stage in (1, 2) and not block else 1
            if bottleneck:
                y = jax.nn.relu(layer(x, f"{at}.1"))
                y = jax.nn.relu(layer(y, f"{at}.2", stride))
                y = layer(y, f"{at}.3")
            else:
                y = jax.nn.relu(layer(x, f"{at}.1", stride))
                y = layer(y, f"{at}.2")
            short = layer(x, f"{at}.0", stride) if f"{at}.0" in params else x
            x = jax.nn.relu(short + y)
    return x.mean((1, 2), dtype=jnp.float32) @ params["classifier"], statistics


def step(parts: Sequence[Part], state: dict, batch: dict) -> tuple[dict, jax.Array]:
    """One step of all networks: the new state, and the sum of their losses.

    `batch` has "views", bfloat16 [B, H, W, c] for each part, and "pid", int32 [B].
    """

    def loss_of(params):
        total, found = 0.0, []
        for part, own, view in zip(parts, params, batch["views"], strict=True):
            logits, statistics = _network(part, own, view)
            found.append(statistics)
            log_p = jax.nn.log_softmax(logits)
            picked = jnp.take_along_axis(log_p, batch["pid"][:, None], 1)
            total -= picked.mean()
        return total, found

    (loss, found), grads = jax.value_and_grad(loss_of, has_aux=True)(state["params"])
    number = state["step"] + 1
    bias = jnp.sqrt(1 - _B2**number) / (1 - _B1**number)

    def adam(p, g, m, v):
        g += _DECAY * p
        m, v = _B1 * m + (1 - _B1) * g, _B2 * v + (1 - _B2) * g * g
        return p - _RATE * bias * m / (jnp.sqrt(v) + _EPSILON), m, v

    made = jax.tree.map(adam, state["params"], grads, state["mean"], state["square"])
    params, mean, square = jax.tree.transpose(
        jax.tree.structure(grads), jax.tree.structure((0, 0, 0)), made
    )
    running = jax.tree.map(lambda a, b: 0.9 * a + 0.1 * b, state["statistics"], found)
    new = {"params": params, "mean": mean, "square": square}
    return new | {"statistics": running, "step": number}, loss
