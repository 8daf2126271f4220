"""Arguments of `Embedder`: photographs, maps, branches, options."""

import functools
import io
from pathlib import Path

import jax
import numpy as np
import small_run
import tiny
from PIL import Image

from mbnet_jax.search.embedder import Embedder

from . import images_cases, mutate, networks
from .case import Case, surface
from .choices import Choices

BATCH = 4


@functools.cache
def pixels() -> np.ndarray:
    rng = np.random.default_rng(3)
    return rng.integers(0, 255, (tiny.HEIGHT, tiny.WIDTH, 3), dtype=np.uint8)


@functools.cache
def expected() -> np.ndarray:
    """The embedding of the sound photograph."""
    return networks.embedder().embed([pixels()] * 3, batch_size=BATCH)


def prepare() -> None:
    networks.compile_once()
    expected()


def odd_photograph(c: Choices, folder: Path):
    """Something that is given as a photograph: what, it, name, whether it is valid."""
    kind = c.pick(("file", "file", "path", "array", "array", "pillow", "other"))
    if kind == "file":
        what, suffix, data = images_cases.odd_image(c)
        path = folder / f"photo{suffix}"
        path.write_bytes(data)
        return what, path, path.name, None
    if kind == "path":
        name = c.pick([n for n in mutate.NAMES if "up" not in n])
        return f"path {mutate.shown(name)}", name, name or "''", False
    array = pixels()
    if kind == "array":
        options = {
            "float": (array / 255, False), "grey": (array[..., 0], False),
            "rgba": (np.concatenate([array, array[..., :1]], -1), False),
            "empty": (array[:0], False), "no width": (array[:, :0], False),
            "int": (array.astype(int), False), "batch": (array[None], False),
            "one pixel": (array[:1, :1], True), "view": (array[::-1][::-1], True),
            "strided": (np.asfortranarray(array), True), "bool": (array > 9, False),
            "jax": (jax.numpy.asarray(array), None), "list": (array.tolist(), False),
            "object": (array.astype(object), False),
            "wide": (array[:1].repeat(3, 1), True),
        }  # fmt: skip
        what = c.pick([*options])
        return f"array {what}", *_with_name(options[what])
    if kind == "pillow":
        mode = c.pick(("RGB", "L", "I", "F", "P", "1", "LAB", "I;16", "HSV", "closed"))
        if mode == "I;16":
            picture = Image.fromarray(array[..., 0].astype(np.uint16) << 8)
        elif mode == "LAB":
            picture = Image.frombytes("LAB", (tiny.WIDTH, tiny.HEIGHT), array.tobytes())
        elif mode == "closed":
            picture = Image.open(io.BytesIO(tiny.encoded(array, "PNG")))
            picture.close()
        else:
            picture = Image.fromarray(array).convert(mode)
        return f"pillow {mode}", picture, "images[1]", True if mode == "RGB" else None
    other = c.pick((None, 3, 1.5, b"bytes", {}, object(), True, ("a",), io.BytesIO()))
    return mutate.shown(other), other, "images[1]", False


def _with_name(found: tuple) -> tuple:
    thing, valid = found
    return thing, "images[1]", valid


@surface("embed", share=30, seconds=30)
def embed(c: Choices, folder: Path) -> Case:
    """One photograph, a list or an option is odd."""
    kind = c.pick(("photograph",) * 5 + ("list", "branches", "batch_size", "load"))
    if kind == "load":
        return _load(c)
    options: dict = {"batch_size": BATCH}
    things: object = [pixels(), pixels(), pixels()]
    valid: bool | None = False
    tokens: tuple[str, ...] = (kind,)
    if kind == "photograph":
        what, thing, name, valid = odd_photograph(c, folder)
        things = [pixels(), thing, pixels()]
        tokens = (name, "images[1]")
    elif kind == "list":
        things = c.pick(
            ("photo.jpg", None, 3, b"x", pixels(), {}, pixels()[..., 0], Path("a"), 1.5,
             {"a": 1}, set(), True)
        )  # fmt: skip
        what, tokens = mutate.shown(things), ("images",)
        valid = None if isinstance(things, dict | set) else False
    elif kind == "branches":
        options["branches"] = c.pick(
            ("global", (), ["x"], 3, [None], [["global"]], ["mask"], {"global": 1},
             [b"global"], True, ["global", "global"], {}, [3], np.array(["global"]))
        )  # fmt: skip
        what = mutate.shown(options["branches"])
        valid = None
    else:
        options["batch_size"] = c.pick(
            (0, -1, 1.5, "4", None, True, 10**12, float("nan"), [4], 10**30, {})
        )
        what = mutate.shown(options["batch_size"])

    def check(rows) -> str | None:
        if rows.dtype != np.float32 or not np.isfinite(rows).all():
            return "not finite"
        if len(rows) == 3 and not np.allclose(rows[[0, 2]], expected()[:2], atol=1e-5):
            return "another embedding of the sound photographs"
        same = kind == "photograph" and what in (
            "array view",
            "array strided",
            "pillow RGB",
        )
        if same and not np.allclose(rows[1], expected()[0], atol=1e-5):
            return "another embedding"
        return None

    return Case(
        f"{kind}: {what}",
        lambda: networks.embedder().embed(things, **options),
        tokens,
        check,
        valid,
    )


def _load(c: Choices) -> Case:
    argument = c.pick(("mesh", "flip", "parsing_labels"))
    values = {
        "mesh": ("cpu", 3, [], {}, jax.devices()),
        "flip": (2, "yes", 1.5, [], "False", 0, {}),
        "parsing_labels": (3, "", "x", [], True, "LIP", b"lip", {}),
    }
    new = c.pick(values[argument])
    given = {"mesh": small_run.one_device(), argument: new}
    return Case(
        f"load {argument}={mutate.shown(new)}",
        lambda: Embedder.load(networks.export(), **given),
        (argument,),
        valid=False,
    )
