"""Parsing maps: files, `maps.json`, and making them with ONNX models."""

import functools
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import test_parse
import tiny

from mbnet_jax.config import load_config
from mbnet_jax.data.make_maps import make_maps
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.maker import MAPS_FILE, check_maker
from mbnet_jax.parsing.maps import decode_parsing
from mbnet_jax.parsing.segmenter import ParserOptions

from . import images_cases, manifest_cases, mutate, networks
from .case import Case, surface
from .choices import Choices

SIZE = (16, 8)


@surface("maps", share=30, seconds=10)
def maps(c: Choices, folder: Path) -> Case:
    """The bytes of a parsing map, its label set, or `maps.json` is odd."""
    kind = c.pick(("image", "image", "labels", "labels", "set", "maker", "maker"))
    if kind == "maker":
        file = folder / MAPS_FILE
        content = {
            "labels": "atr",
            "model": "ab" * 32,
            "size": [64, 32],
            "std": [1] * 3,
        }
        file.write_text(json.dumps(content))
        if c.once_in(4):
            how = mutate.odd_file(c, file)
        else:
            how, _, data = mutate.odd_json(c, content)
            file.write_bytes(data)
        run = functools.partial(check_maker, folder, "atr")
        return Case(f"{MAPS_FILE} {how}", run, (file.name, folder.name))
    label_set = c.pick([*LABEL_SETS])
    data = tiny.encoded(np.zeros((20, 10), np.uint8), "PNG")
    valid: bool | None = None
    if kind == "image":
        what, _, data = images_cases.odd_image(c)
    elif kind == "set":
        label_set = c.pick(("", "LIP", "no set", "lip ", "\udcff"))
        what, valid = f"set {label_set!a}", False
    else:
        highest = c.pick((0, 1, 6, 7, 17, 18, 19, 20, 255))
        labels = np.zeros((20, 10), np.uint8)
        labels[3, 3] = highest
        data = tiny.encoded(labels, "PNG")
        what = f"label {highest} of {label_set}"
        valid = highest < len(LABEL_SETS[label_set])

    def check(found) -> str | None:
        sound = found.shape == SIZE and found.dtype == np.uint8 and found.max() < 8
        return None if sound else f"{found.dtype} {found.shape}"

    return Case(
        f"{kind}: {what}",
        lambda: decode_parsing(data, label_set, SIZE, "photo.png"),
        ("photo.png", "parsing_labels"),
        check,
        valid,
    )


@functools.cache
def model() -> Path:
    """A sound ONNX file."""
    return test_parse.write_model(networks.folder() / "parser.onnx")


def prepare() -> None:
    pytest.importorskip("onnxruntime")
    model()


def _config(root: Path):
    return load_config("manifest", [f"data.root={root}", "data.threads=1"])


@surface("parse", share=8, seconds=30)
def parse(c: Choices, folder: Path) -> Case:
    """The manifest, the model, an option or the folder of the maps is odd."""
    root, out = folder / "data", folder / "maps"
    (root / "pictures").mkdir(parents=True)
    found = manifest_cases.rows()
    kept = [row for row in found if row["pid"] in ("eve", "dan")][::3]
    for row in kept:
        shutil.copy(manifest_cases.template() / row["path"], root / row["path"])
    options: dict = {"model": model(), "labels": "atr", "size": (64, 32), "batch": 2}
    kind = c.pick(
        ("path", "path", "model", "model", "option", "option", "maps", "image")
    )
    tokens: tuple[str, ...] = (kind,)
    valid: bool | None = None
    if kind == "path":
        name = c.pick(
            (
                "../up.jpg",
                "../../up.jpg",
                str(folder / "up.jpg"),
                "pictures/../../up.jpg",
            )
        )
        for target in (folder / "up.jpg", folder.parent / "up.jpg"):
            shutil.copy(root / kept[0]["path"], target)
        kept[0] = kept[0] | {"path": name}
        what, tokens, valid = name, (name, "manifest.csv"), False
    elif kind == "model":
        file = folder / "model.onnx"
        shutil.copy(model(), file)
        options["model"] = file
        tokens = (file.name,)
        if c.once_in(3):
            what, valid = mutate.odd_file(c, file), False
        else:
            what, data = mutate.damaged(c, file.read_bytes())
            file.write_bytes(data)
    elif kind == "option":
        name = c.pick(("size", "mean", "std", "layout", "batch", "labels"))
        nan = float("nan")
        new = c.pick(
            {
                "size": ((0, 1), (-1, 2), (10**6, 10**6), (1,), (1.5, 2), "ab", ()),
                "mean": ((nan, 0, 0), (1, 2), ("a", 0, 0), (1e300, 0, 0), None),
                "std": ((nan, 1, 1), (0, 1, 1), (-1, 1, 1), (float("inf"), 1, 1), 3),
                "layout": ("", "x", None, 3, "NCHW"),
                "batch": (0, -1, 10**9, 1.5, "2", None, True),
                "labels": ("", "x", "lip", None, 3),
            }[name]
        )
        options[name] = new
        what, tokens, valid = f"{name}={mutate.shown(new)}", (name,), False
    elif kind == "image":
        path = root / kept[1]["path"]
        what = mutate.odd_file(c, path)
        tokens, valid = (path.name, "manifest.csv"), False
    else:
        out.mkdir()
        content = {"labels": "atr", "size": [64, 32]}
        (out / MAPS_FILE).write_text(json.dumps(content))
        what, _, data = mutate.odd_json(c, content)
        (out / MAPS_FILE).write_bytes(data)
        tokens, valid = (MAPS_FILE, out.name), False
    text = manifest_cases.written(kept)
    (root / "manifest.csv").write_text(text, newline="")

    def run():
        return make_maps(_config(root), ParserOptions(**options), out)

    def check(count) -> str | None:
        made = {path.relative_to(out).with_suffix("") for path in out.rglob("*.png")}
        wanted = {Path(row["path"]).with_suffix("") for row in kept}
        return None if made == wanted and count == len(kept) else f"{made}"

    return Case(f"{kind}: {what}", run, tokens, check, valid, writes=(out,))
