"""The parts of the run on one GPU."""

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

SMALL_TESTS = ("tests/test_heads.py",)
# In place of the 500 people of synthetic_large, whose images take 40 core minutes.
PEOPLE = {"train_identities": 60, "test_identities": 12}
SMALL_PEOPLE = {"train_identities": 24, "test_identities": 2, "outfits": 2}


class Stage(NamedTuple):
    """A program to run.

    title: in the file.
    weight: of its share of the time that is left.
    command: what follows `python`.
    """

    title: str
    weight: float
    command: tuple[str, ...]


def stages(
    backbones: Sequence[str], small: bool, tests_on: str, folder: Path
) -> list[Stage]:
    """The stages in their order.

    Args:
      backbones: to compare with PyTorch's.
      small: small networks and few steps.
      tests_on: the platform of the tests, "cuda" or "cpu".
      folder: where the last stage keeps images and its run.
    """
    make = _small if small else _full
    tests, size, torch, whole, embedding, retrieval, training = make()
    overrides = [f"--config.{name}={value}" for name, value in training.items()]

    def module(name: str, *words: str) -> tuple[str, ...]:
        return ("-m", f"benchmarks.{name}", *words)

    return [
        Stage("Device", 1, module("devices")),
        Stage("Tests", 4, ("-m", "pytest", f"--platform={tests_on}", *tests)),
        *(
            Stage(
                f"Training step against PyTorch: {name}",
                5,
                module(
                    "train_step_torch",
                    *("--backbone", name),
                    *_fitting(name, size),
                    *torch.split(),
                ),
            )
            for name in backbones
        ),
        Stage("Training step", 5, module("train_step", *whole.split())),
        Stage("Embedding", 3, module("embedding", *embedding.split())),
        Stage("Retrieval", 4, module("retrieval", *retrieval.split())),
        Stage(
            "Training",
            6,
            (
                *("train.py", "--config", "configs/synthetic_large.py"),
                *(
                    f"--workdir={folder / 'run'}",
                    f"--config.data.root={folder / 'data'}",
                ),
                *overrides,
            ),
        ),
    ]


def _fitting(name: str, size: tuple[int, int]) -> tuple[str, ...]:
    """The words for a size, or for the next that the patch in the name divides."""
    found = re.search(r"_patch(\d+)_", name)
    patch = int(found.group(1)) if found else 1
    height, width = (str(-(-side // patch) * patch) for side in size)
    return ("--height", height, "--width", width)


def _full() -> tuple:
    """The words of each stage's command, the images to compare PyTorch with, and the
    training's config fields.
    """
    return (
        (),
        (384, 192),
        "--batch_size 64 --dtype bfloat16",
        "--configs prcc synthetic_large --batch_size 64 --dtype bfloat16 --no_views",
        "--configs prcc --batch_sizes 64 256",
        "--cases ltcc prcc market msmt17 million --repeats 3",
        {f"data.synthetic.{name}": value for name, value in PEOPLE.items()}
        | {"train.log_every": 10},
    )


def _small() -> tuple:
    """The same for small networks and few steps."""
    backbones = {
        f"model.backbones.{branch}.{name}": value
        for branch in ("global", "clothing_unrelated", "mask")
        for name, value in {"name": "resnet10", "width": 8, "stem": "patch"}.items()
    }
    return (
        SMALL_TESTS,
        (64, 32),
        "--batch_size 8 --dtype bfloat16 --steps 2",
        "--configs synthetic --batch_size 8 --dtype bfloat16 --no_views --steps 2",
        "--configs synthetic --batch_sizes 8 --dtypes bfloat16 --repeats 2",
        "--cases ltcc --repeats 1",
        {f"data.synthetic.{name}": value for name, value in SMALL_PEOPLE.items()}
        | {"data.synthetic.cameras": 2, "data.height": 64, "data.width": 32}
        | {"views.crops": "(64,32)", "views.silhouette": "(64,32)"}
        | {"model.fusion_width": 16, **backbones, "train.batch_size": 8}
        | {"train.epochs": 1, "train.steps_per_epoch": 10, "train.log_every": 1}
        | {"train.warmup_epochs": 0}
        | {"eval.report": False, "eval.figure_queries": 0},
    )
