"""Writes a config file for own images, short and commented."""

import json
from pathlib import Path

from mbnet_jax.own_images.sizes import Device, Sizes

_BRANCHES = ("global", "clothing_unrelated", "mask")
_VALIDATION = {
    "held_out": "These persons choose the best checkpoint",
    "own": "The rows val of the manifest choose the best checkpoint",
    "none": "Too few persons to hold some out: the last checkpoint is kept",
}


def config_text(
    name: str,
    sizes: Sizes,
    device: Device,
    images: int,
    persons: int,
    maps: Path | None,
    labels: str,
) -> str:
    """Returns the Python of the config file.

    Args:
      name: of the run.
      sizes: what it sets.
      device: that the sizes fit.
      images, persons: of the training.
      maps: the folder of parsing maps, absolute, if the config names one.
      labels: the label set of the maps.
    """
    lines = [
        *_head(name, device, images, persons),
        *_data(sizes, maps, labels),
        *_network(sizes, device),
        *_training(sizes, images),
        "    return c",
    ]
    return "\n".join(lines) + "\n"


def _head(name: str, device: Device, images: int, persons: int) -> list[str]:
    return [
        f'"""{images} training images of {persons} persons, on {device.title}.',
        "",
        "Written by mbnet-init; change it as you like; docs/config.md has all fields.",
        '"""',
        "",
        "from pathlib import Path",
        "",
        "from mbnet_jax.configs import base",
        "",
        "",
        "def get_config():",
        '    """Returns what differs from the base config."""',
        "    c = base.get_config()",
        f"    c.name = {_text(name)}  # the run's folder is runs/<name>",
        '    c.data.name = "manifest"',
        "    c.data.root = str(Path(__file__).parent)  # holds manifest.csv",
    ]


def _data(sizes: Sizes, maps: Path | None, labels: str) -> list[str]:
    lines = []
    if maps is not None:
        lines.append(f"    c.data.parsing_dir = {_text(str(maps))}")
    if sizes.maps:
        lines.append(f"    c.data.parsing_labels = {_text(labels)}")
    lines += [
        f"    c.data.height = {sizes.height}  # pixels; images are resized",
        f"    c.data.width = {sizes.width}",
        f"    # {_VALIDATION[sizes.validation]}",
        f'    c.data.validation = "{sizes.validation}"',
    ]
    if sizes.validation == "held_out":
        lines.append(f"    c.data.validation_fraction = {sizes.fraction}")
    return [*lines, ""]


def _network(sizes: Sizes, device: Device) -> list[str]:
    small = sizes.backbone == "resnet10"
    mask = {"resnet50": "resnet18"}.get(sizes.backbone, sizes.backbone)
    branches = _BRANCHES if sizes.maps else _BRANCHES[:1]
    lines = []
    if not sizes.maps:
        lines = [
            "    # Without parsing maps, only the global branch can be trained.",
            '    c.model.branches = ("global",)',
            "    c.loss.ktm_area = 0.0",
        ]
    else:
        lines = [
            f"    c.views.crops = ({sizes.height}, {sizes.width})",
            f"    c.views.silhouette = ({sizes.height // 2}, {sizes.width // 2})",
        ]
        if device.kind == "cpu":
            lines += ["    c.model.fusion_width = 64", "    c.model.fusion_heads = 4"]
    for branch in branches:
        own = f'    c.model.backbones["{branch}"]'
        network = mask if branch == "mask" else sizes.backbone
        lines.append(f'{own}.name = "{network}"')
        if small:
            width, stem = (16, "small") if branch == "mask" else (32, "patch")
            lines += [f"{own}.width = {width}", f'{own}.stem = "{stem}"']
        elif sizes.imagenet:
            lines.append(f'{own}.weights = "timm/{network}.tv_in1k"')
    if device.kind != "cpu":
        lines.append('    c.model.dtype = "bfloat16"')
    return [*lines, ""]


def _training(sizes: Sizes, images: int) -> list[str]:
    total = sizes.epochs * sizes.steps
    passes = total * sizes.batch / images
    lines = []
    if sizes.backbone == "resnet10":
        lines = [
            "    # The steps are too few for harder images.",
            "    c.augment.crop = 0.0",
            "    c.augment.erase = 0.0",
        ]
    lines += [
        f"    # {sizes.persons} persons of {sizes.each} images each",
        f"    c.train.batch_size = {sizes.batch}",
        f"    c.train.images_per_identity = {sizes.each}",
        f"    # {total} steps in all: each image is seen about {passes:.0f} times",
        f"    c.train.epochs = {sizes.epochs}",
        f"    c.train.steps_per_epoch = {sizes.steps}",
        '    c.train.schedule = "cosine"',
        f"    c.train.warmup_epochs = {sizes.epochs / 10}",
    ]
    if sizes.backbone == "resnet10":
        lines.append("    c.train.learning_rate = 2e-3")
    if sizes.test_batch != 64:
        lines.append(f"    c.eval.batch_size = {sizes.test_batch}")
    return lines


def _text(text: str) -> str:
    """The text in Python, in double quotes."""
    return json.dumps(text, ensure_ascii=False)
