"""Times the baseline's training step against PyTorch's, alternating.

python -m benchmarks.train_step_torch [--backbone resnet50] [--height 256] [--width 128]
    [--batch_size 16] [--steps 8] [--dtype bfloat16]
    [--forms eager channels_last compiled]

The baseline is the global branch alone with KTM off: a ResNet without the last stage's
stride, or an EVA-02 transformer (--backbone eva02_base_patch16_clip_224), maximum and
average pooling of its map, BNNeck, label-smoothed cross-entropy and batch-hard triplet
loss, Adam. PyTorch runs with its usual optimisations: algorithms chosen by cuDNN or
oneDNN, fused attention, TF32 and autocast where they apply, a fused Adam. Its forms are
eager, channels-last, and channels-last with torch.compile (which needs a C++ compiler).
Our step includes augmentation; PyTorch's images are ready on the device as uint8.
PyTorch is needed for this benchmark only.
"""

import argparse
import os
import sys
import time
from collections.abc import Callable
from pathlib import Path

# Set before JAX starts: the two frameworks share the GPU's memory.
os.environ.setdefault("XLA_PYTHON_CLIENT_PREALLOCATE", "false")

import jax
import numpy as np

from benchmarks import train_step as ours
from benchmarks.devices import about_this_machine
from mbnet_jax.images import IMAGENET_MEAN, IMAGENET_STD

try:
    import torch
except ImportError:
    sys.exit("error: this benchmark needs PyTorch: pip install torch")
from torch import nn
from torch.nn import functional as F

from benchmarks.eva_torch import SIZES, Eva

# The reference ResNet of the tests of converted weights.
sys.path.insert(0, str(Path(__file__).parents[1] / "tests"))
from torchvision_twin import Twin
from torchvision_weights import DEPTHS

FORMS = ("eager", "channels_last", "compiled")


class Baseline(nn.Module):
    """The same network as our global branch with its head."""

    def __init__(self, backbone: str, image: tuple[int, int]):
        """Creates the layers, with random weights, for images [H, W]."""
        super().__init__()
        if backbone in SIZES:
            self.backbone = Eva(SIZES[backbone], *image)
            channels = self.backbone.width
        else:
            self.backbone = Twin(backbone, last_stride=1)
            channels = self.backbone.fc.in_features
            self.backbone.fc = nn.Identity()  # ImageNet's classifier
        width = 2 * channels  # of both poolings together
        self.neck = nn.BatchNorm1d(width)
        self.neck.bias.requires_grad_(False)
        self.classifier = nn.Linear(width, ours.CLASSES, bias=False)

    def forward(self, image: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Maps uint8 [B, 3, H, W] to feature [B, d] and logits, float32."""
        shape = (3, 1, 1)
        mean = torch.tensor(IMAGENET_MEAN, device=image.device).view(shape)
        std = torch.tensor(IMAGENET_STD, device=image.device).view(shape)
        x = self.backbone((image / 255 - mean) / std).float()
        with torch.autocast(image.device.type, enabled=False):
            feature = torch.cat([x.amax((2, 3)), x.mean((2, 3))], 1)
            return feature, self.classifier(self.neck(feature))


def triplet(feature: torch.Tensor, pid: torch.Tensor, margin: float) -> torch.Tensor:
    """Returns the batch-hard triplet loss with Euclidean distances."""
    distance = torch.cdist(feature, feature)
    same = pid[:, None] == pid[None, :]
    farthest = distance.masked_fill(~same, 0).amax(1)
    nearest = distance.masked_fill(same, torch.inf).amin(1)
    return F.relu(farthest - nearest + margin).mean()


def torch_step(config, batch: dict, form: str) -> Callable[[], None]:
    """Returns a synchronised PyTorch step in one of `FORMS`."""
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    torch.backends.cudnn.benchmark = True
    torch.set_float32_matmul_precision("high")
    layout = torch.contiguous_format if form == "eager" else torch.channels_last
    size = (config.data.height, config.data.width)
    model = Baseline(config.model.backbones["global"].name, size)
    model = model.to(device, memory_format=layout)
    decayed = [p for p in model.parameters() if p.ndim > 1]
    rest = [p for p in model.parameters() if p.ndim == 1 and p.requires_grad]
    decay = config.train.weight_decay
    optimizer = torch.optim.Adam(
        [{"params": decayed, "weight_decay": decay}, {"params": rest}],
        lr=config.train.learning_rate,
        fused=True,
    )
    image = torch.from_numpy(np.array(batch["image"])).permute(0, 3, 1, 2).to(device)
    image = image.contiguous(memory_format=layout)
    pid = torch.from_numpy(np.array(batch["pid"])).long().to(device)
    half = config.model.dtype == "bfloat16"
    run = torch.compile(model) if form == "compiled" else model

    def step() -> None:
        with torch.autocast(device.type, torch.bfloat16, enabled=half):
            feature, logits = run(image)
        loss = F.cross_entropy(
            logits, pid, label_smoothing=config.loss.label_smoothing
        ) + triplet(feature, pid, config.loss.margin)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        if device.type == "cuda":
            torch.cuda.synchronize()

    step.parameters = sum(p.numel() for p in decayed + rest)
    return step


def main() -> None:
    """Prints the speeds, and the ratio of ours to the best of PyTorch's."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backbone", choices=(*DEPTHS, *SIZES), default="resnet50")
    parser.add_argument("--height", type=int, default=256)
    parser.add_argument("--width", type=int, default=128)
    parser.add_argument("--batch_size", type=int, default=16)
    parser.add_argument("--steps", type=int, default=8)
    parser.add_argument("--dtype", choices=("float32", "bfloat16"), default="float32")
    parser.add_argument("--forms", nargs="+", choices=FORMS, default=FORMS)
    arguments = parser.parse_args()
    patch = SIZES[arguments.backbone].patch if arguments.backbone in SIZES else 1
    if arguments.height % patch or arguments.width % patch:
        parser.error(f"--height and --width must be multiples of {patch}, the patch")

    config = ours.load_config("prcc", arguments.batch_size, arguments.dtype)
    config.data.height, config.data.width = arguments.height, arguments.width
    config.model.branches, config.model.ktm = ("global",), False
    config.model.backbones["global"].name = arguments.backbone
    batch = ours.random_batch(config)
    ready, *_ = ours.compile_step(config, batch)
    count = sum(x.size for x in jax.tree.leaves(ready.state.params))
    torch_steps = {form: torch_step(config, batch, form) for form in arguments.forms}
    for form, step in torch_steps.items():
        if count != step.parameters:
            sys.exit(f"error: {count} parameters against {step.parameters} ({form})")

    times = {name: [] for name in ("ours", *torch_steps)}
    for _ in range(ours.WARM_UP + arguments.steps):
        ready, seconds = ours.timed(ready)
        times["ours"].append(seconds)
        for form, step in torch_steps.items():
            start = time.perf_counter()
            step()
            times[form].append(time.perf_counter() - start)
    speeds = {
        name: arguments.batch_size / float(np.median(taken[ours.WARM_UP :]))
        for name, taken in times.items()
    }
    best = max(torch_steps, key=speeds.get)
    print(
        f"{about_this_machine()}, PyTorch {torch.__version__}\n"
        f"{arguments.backbone}, {arguments.height}x{arguments.width}, "
        f"batch {arguments.batch_size}, {arguments.dtype}, images/s: "
        f"{', '.join(f'{name} {speed:.2f}' for name, speed in speeds.items())}; "
        f"ours / {best}: {speeds['ours'] / speeds[best]:.2f}"
    )


if __name__ == "__main__":
    main()
