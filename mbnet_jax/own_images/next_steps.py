"""The commands that follow `mbnet-init`, to paste, with the time that they take."""

import os
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from mbnet_jax.data.records import Records
from mbnet_jax.own_images.sizes import (
    Device,
    Sizes,
    parsing_seconds,
    spoken,
    training_seconds,
)

if TYPE_CHECKING:
    from mbnet_jax.own_images.make import Request


def command(request: "Request", beside: str = "") -> str:
    """The call of `mbnet-init` with the same folders; `beside` is added to `--out`."""
    words = ["mbnet-init", _quoted(request.folder)]
    if request.out is not None:
        words += ["--out", _quoted(f"{request.out}{beside}")]
    if not request.imagenet:
        words.append("--no-imagenet")
    return " ".join(words)


def after(
    request: "Request", records: Records, sizes: Sizes, device: Device
) -> Iterator[str]:
    """The commands, line by line.

    Args:
      request: what was asked for.
      records: of the manifest.
      sizes: of the config.
      device: that is trained on.
    """
    config, run = _quoted(request.config), _quoted(Path("runs", request.name))
    tested = sum(len(rows) for split, rows in records.items() if split != "train")
    total = tested + len(records["train"])
    if request.imagenet and device.kind == "cpu":
        yield (
            "the first training downloads ImageNet's weights; to do without, delete "
            f"{config} and add --no-imagenet"
        )
    time = spoken(training_seconds(sizes, device, tested))
    query = os.path.relpath(records["query"][0].path)
    yield f"next ({time} for the training):"
    if sizes.maps:
        yield f"  mbnet-preview --config {config} --out preview.png"
    yield f"  mbnet-train --config {config}"
    yield f"  mbnet-eval --config {config}"
    yield (
        f"  mbnet-search --model {run} --gallery {_quoted(request.folder)} --query "
        f"{_quoted(query)}"
    )
    yield f"then open {run}/eval/report.html"
    if not sizes.maps:
        yield from _with_maps(request, total, device)


def _with_maps(request: "Request", images: int, device: Device) -> Iterator[str]:
    """How to make parsing maps, and train all branches with them."""
    time = spoken(parsing_seconds(images, device))
    out = f"{request.folder.resolve().name}_maps"
    inside = request.folder.resolve().is_relative_to(request.root.resolve())
    source = f"--config {_quoted(request.config)}"
    again = command(request, "" if inside else "_maps")
    if not inside:  # maps mirror the photographs' folder; the manifest names them
        source = f"--images {_quoted(request.folder)}"
        if request.pattern:
            again += f" --pattern {_quoted(request.pattern)}"
    yield (
        "the whole network, which sees more than clothes, needs parsing maps "
        f"({time} to make them):"
    )
    yield f"  mbnet-parse --model segformer {source} --out {_quoted(out)}"
    yield f"  {again} --maps {_quoted(out)}"


def _quoted(path: str | os.PathLike) -> str:
    return shlex.quote(os.fspath(path))
