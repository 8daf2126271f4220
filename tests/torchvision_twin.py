"""torchvision's residual networks up to the last map, in plain PyTorch.

Names and arithmetic are torchvision's (torchvision/models/resnet.py), so its weights
load unchanged. Run as a program, it writes the maps that tests compare with.
"""

import numpy as np
import torch
import torchvision_weights as reference
from torch import nn


class Block(nn.Module):
    def __init__(self, inside: int, channels: int, stride: int, expansion: int):
        super().__init__()
        if expansion == 4:
            plan = ((channels, 1, 1), (channels, 3, stride), (4 * channels, 1, 1))
        else:
            plan = ((channels, 3, stride), (channels, 3, 1))
        self.count = len(plan)
        before = inside
        for i, (out, kernel, step) in enumerate(plan, 1):
            conv = nn.Conv2d(before, out, kernel, step, kernel // 2, bias=False)
            setattr(self, f"conv{i}", conv)
            setattr(self, f"bn{i}", nn.BatchNorm2d(out))
            before = out
        self.downsample = None
        if stride != 1 or inside != before:
            conv = nn.Conv2d(inside, before, 1, stride, bias=False)
            self.downsample = nn.Sequential(conv, nn.BatchNorm2d(before))

    def forward(self, x):
        y = x
        for i in range(1, self.count + 1):
            y = getattr(self, f"bn{i}")(getattr(self, f"conv{i}")(y))
            if i < self.count:
                y = torch.relu(y)
        return torch.relu(y + (x if self.downsample is None else self.downsample(x)))


class Twin(nn.Module):
    def __init__(self, depth: str, last_stride: int):
        super().__init__()
        blocks, expansion = reference.DEPTHS[depth]
        self.conv1 = nn.Conv2d(3, 64, 7, 2, 3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.pool = nn.MaxPool2d(3, 2, 1)
        inside = 64
        strides = (1, 2, 2, last_stride)
        for stage, (count, step) in enumerate(zip(blocks, strides, strict=True)):
            layer = nn.Sequential()
            for i in range(count):
                c = 64 * 2**stage
                layer.append(Block(inside, c, step if i == 0 else 1, expansion))
                inside = c * expansion
            setattr(self, f"layer{stage + 1}", layer)
        self.fc = nn.Linear(inside, 1000)

    def forward(self, x):
        x = self.pool(torch.relu(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def twin_map(depth: str, last_stride: int) -> np.ndarray:
    """The twin's map with the generated weights, in eval mode, [1, h, w, d]."""
    weights = {k: torch.from_numpy(v) for k, v in reference.generate(depth).items()}
    net = Twin(depth, last_stride).eval()
    net.load_state_dict(weights)  # strict: all names are torchvision's
    with torch.inference_mode():
        x = torch.from_numpy(reference.image()).permute(0, 3, 1, 2)
        return net(x).permute(0, 2, 3, 1).contiguous().numpy()


if __name__ == "__main__":
    maps = {f"{d}_stride{s}": twin_map(d, s) for d, s in reference.CASES}
    np.savez_compressed(reference.MAPS, **maps)
    for name, value in maps.items():
        print(name, value.shape, f"mean {value.mean():.3f} std {value.std():.3f}")
