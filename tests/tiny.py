"""A dataset and a config so small that a test can train on them."""

import io
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
from ml_collections import ConfigDict
from PIL import Image

from configs import synthetic
from mbnet_jax.backbones import BACKBONES, eva02, resnet
from mbnet_jax.backbones.transformer import Kind
from mbnet_jax.backbones.weights.timm_names import published
from mbnet_jax.config import flat
from mbnet_jax.parsing import labels

HEIGHT, WIDTH = 64, 32
ONE_BLOCK = "one block"  # a backbone that compiles in a third of resnet10's time
TWO_BLOCKS = "two blocks"  # a transformer like EVA-02 tiny: 8x4 cells of a tiny image
EVA_02 = {"gated": True, "biases": "qv", "rotary": "eva", "last_norm": False}


def tiny_config(root: Path) -> ConfigDict:
    """The synthetic config with everything small; all modules on."""
    c = synthetic.get_config()
    c.data.root = str(root)
    c.data.height, c.data.width = HEIGHT, WIDTH
    c.data.validation_fraction = 0.25
    c.data.threads = 2
    c.data.synthetic.train_identities = 8
    c.data.synthetic.test_identities = 2
    c.data.synthetic.outfits = 2
    c.data.synthetic.cameras = 2
    c.data.synthetic.train_images = 2
    c.views.crops = c.views.silhouette = (HEIGHT, WIDTH)
    set_backbones(c, name="resnet10", width=4, stem="patch")
    c.model.fusion_width = 8
    c.model.fusion_heads = 2
    c.train.batch_size = c.eval.batch_size = 8
    c.train.images_per_identity = 2
    c.train.epochs = 2
    c.train.steps_per_epoch = 2
    c.train.log_every = 1
    c.train.checkpoint_every = 1
    c.eval.every_epochs = 1
    c.eval.figure_queries = 2
    c.eval.report = False  # takes longer than all the rest
    return c.copy_and_resolve_references()


def set_backbones(c: ConfigDict, **fields) -> None:
    """Sets fields of the backbones of all branches."""
    for backbone in c.model.backbones.values():
        backbone.update(fields)


def global_branch_config(root: Path) -> ConfigDict:
    """The tiny config with the global branch alone, which compiles fast."""
    c = tiny_config(root)
    c.model.branches = ("global",)
    c.train.epochs = c.eval.every_epochs = 4
    c.train.checkpoint_every = 2
    c.train.keep = 4
    return c


def use_transformers(c: ConfigDict, name: str = TWO_BLOCKS) -> None:
    """Gives the branches of three channels a transformer, and its poolings."""
    for branch in ("global", "clothing_unrelated"):
        c.model.backbones[branch].name = name
    c.model.pooling = "token_avg"
    with c.unlocked():
        c.model.backbones.mask.pooling = "max_avg"


def know_one_block(patch) -> None:
    """Lets a config name the backbones `ONE_BLOCK` and `TWO_BLOCKS`."""
    patch.setitem(BACKBONES, ONE_BLOCK, resnet.backbone((1, 0, 0, 0), False))
    kind = Kind(patch=8, grid=4, width=16, blocks=2, heads=2, hidden=24, **EVA_02)
    patch.setitem(
        BACKBONES,
        TWO_BLOCKS,
        published(TWO_BLOCKS, kind, eva02.CLIP_MEAN, eva02.CLIP_STD),
    )


def write_one_block_config(path: Path) -> Path:
    """Writes the synthetic config in a file that lets it name `ONE_BLOCK`."""
    path.write_text(
        "from configs.synthetic import get_config\n"
        "from mbnet_jax import backbones\n"
        "from mbnet_jax.backbones import resnet\n"
        f"backbones.register({ONE_BLOCK!r}, resnet.backbone((1, 0, 0, 0), False))\n"
    )
    return path


def command(
    script: str,
    config: ConfigDict,
    workdir: Path,
    *more: str,
    file: Path | str = "configs/synthetic.py",
) -> list[str]:
    """The command that runs `script` with a config derived from `tiny_config`.

    `file` gives the synthetic config.
    """
    overrides = [
        f"--config.{key}={value!r}".replace("'", '"')
        if not isinstance(value, str)
        else f"--config.{key}={value}"
        for key, value in flat(config).items()
        if key.split(".")[0] in ("views", "model", "train", "eval")
    ]
    overrides += [
        f"--config.data.{key}={config.data[key]}"
        for key in ("root", "height", "width", "validation_fraction", "threads")
    ]
    overrides += [
        f"--config.data.synthetic.{key}={value}"
        for key, value in config.data.synthetic.items()
        if key not in ("height", "width")  # they follow data.height and width
    ]
    arguments = ["--config", str(file), *overrides, f"--workdir={workdir}"]
    return [sys.executable, script, *arguments, *more]


def made_once(make: Callable) -> Callable:
    """`make`, which returns its first result again: what was compiled is kept."""
    made = []

    def remembered(*args, **kwargs):
        if not made:
            made.append(make(*args, **kwargs))
        return made[0]

    return remembered


def person(head: int = 8) -> np.ndarray:
    """A parsing map [64, 32] of a standing figure with a head of `head` pixels."""
    p = np.zeros((HEIGHT, WIDTH), np.uint8)
    p[4 : 4 + head, 16 - head // 2 : 16 + head // 2] = labels.HEAD
    p[4 + head : 30, 8:24] = labels.UPPER_CLOTHES
    p[30:48, 10:22] = labels.LOWER_CLOTHES
    p[48:56, 10:22] = labels.LEGS
    p[56:60, 8:24] = labels.SHOES
    return p


def encoded(pixels: np.ndarray, kind: str) -> bytes:
    """The bytes of an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def write_folder(root: Path, identities: int = 6, test_from: int = 4) -> Path:
    """Writes a folder in the synthetic layout: 2 outfits, 2 cameras, 2 images."""
    rng = np.random.default_rng(0)
    for pid in range(identities):
        skin = rng.integers(0, 255, 3)
        for outfit in (1, 2):
            for camera in (1, 2):
                for number in (1, 2):
                    split = "train"
                    if pid >= test_from:
                        split = "query" if number == 1 else "gallery"
                    image = rng.integers(0, 255, (HEIGHT, WIDTH, 3), dtype=np.uint8)
                    parsing = person()
                    image[parsing == labels.HEAD] = skin
                    stem = f"{pid:04d}_{outfit}_c{camera}_{number}"
                    for folder, name, data in (
                        (root / split, f"{stem}.jpg", encoded(image, "JPEG")),
                        (
                            root / "parsing" / split,
                            f"{stem}.png",
                            encoded(parsing, "PNG"),
                        ),
                    ):
                        folder.mkdir(parents=True, exist_ok=True)
                        (folder / name).write_bytes(data)
    return root
