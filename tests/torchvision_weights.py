"""torchvision's residual networks without PyTorch: names, shapes, random weights.

`tests/data/resnet_maps.npz` holds the maps of torchvision's networks with these weights
for this image. `python tests/torchvision_twin.py`, which needs PyTorch, wrote it.
"""

from pathlib import Path

import numpy as np

MAPS = Path(__file__).parent / "data" / "resnet_maps.npz"
# name: (blocks of each stage, ratio of the channels after a block to those within)
DEPTHS = {
    "resnet18": ((2, 2, 2, 2), 1),
    "resnet34": ((3, 4, 6, 3), 1),
    "resnet50": ((3, 4, 6, 3), 4),
}
# (depth, stride of the last stage) of each stored map; 2 is torchvision's own.
CASES = [("resnet18", 2), ("resnet18", 1), ("resnet34", 2), ("resnet50", 2)]


def shapes(depth: str) -> dict[str, tuple[int, ...]]:
    """Name -> shape of every entry of the state dict, in order."""
    blocks, expansion = DEPTHS[depth]
    found = {}

    def conv(name, out, inside, kernel):
        found[f"{name}.weight"] = (out, inside, kernel, kernel)

    def norm(name, channels):
        for leaf in ("weight", "bias", "running_mean", "running_var"):
            found[f"{name}.{leaf}"] = (channels,)
        found[f"{name}.num_batches_tracked"] = ()

    conv("conv1", 64, 3, 7)
    norm("bn1", 64)
    inside = 64
    for stage, count in enumerate(blocks):
        c = 64 * 2**stage
        for i in range(count):
            name = f"layer{stage + 1}.{i}"
            kernels = (1, 3, 1) if expansion == 4 else (3, 3)
            outs = (c, c, 4 * c) if expansion == 4 else (c, c)
            ins = (inside, *outs[:-1])
            for n, (kernel, out, into) in enumerate(
                zip(kernels, outs, ins, strict=True), 1
            ):
                conv(f"{name}.conv{n}", out, into, kernel)
                norm(f"{name}.bn{n}", out)
            if i == 0 and inside != c * expansion:
                conv(f"{name}.downsample.0", c * expansion, inside, 1)
                norm(f"{name}.downsample.1", c * expansion)
            inside = c * expansion
    found |= {"fc.weight": (1000, inside), "fc.bias": (1000,)}
    return found


def generate(depth: str) -> dict[str, np.ndarray]:
    """Weights with which maps have a std near 0.5, the same on every machine.

    NumPy guarantees that the numbers of `RandomState` never change.
    """
    rng = np.random.RandomState(0)
    weights = {}
    for name, shape in shapes(depth).items():
        if name.endswith("num_batches_tracked"):
            weights[name] = np.array(7)
            continue
        unit = rng.random_sample(shape) * 2 - 1
        if len(shape) == 4:  # He's std
            value = unit * np.sqrt(6 / np.prod(shape[1:]))
        elif name.endswith("running_var"):
            value = 1 + unit / 2
        elif name.endswith("weight"):
            value = 0.6 + unit / 5
        else:
            value = unit / 10
        weights[name] = value.astype(np.float32)
    return weights


def image() -> np.ndarray:
    """One image, float32 [1, 64, 32, 3]."""
    rng = np.random.RandomState(1)
    return rng.standard_normal((1, 64, 32, 3)).astype(np.float32)
