"""Image files: one answer from the check, the loader and `Embedder`."""

import functools
import io
import struct
import zlib
from pathlib import Path

import numpy as np
from PIL import Image

from mbnet_jax.data.checks import check_files
from mbnet_jax.data.loader import decode
from mbnet_jax.data.records import Record
from mbnet_jax.images import read_image
from mbnet_jax.search.photographs import load_photograph

from . import mutate
from .case import Case, Wrong, surface
from .choices import Choices

SIZE = (16, 8)
# Suffix, Pillow's format, modes that it can be saved in.
FORMATS = (
    (".jpg", "JPEG", ("RGB", "L", "CMYK")),
    (".png", "PNG", ("RGB", "RGBA", "L", "LA", "P", "1", "I;16")),
    (".bmp", "BMP", ("RGB", "L", "P", "1")),
    (".gif", "GIF", ("L", "P", "RGB")),
    (".tif", "TIFF", ("RGB", "L", "LAB", "I", "F", "I;16", "CMYK", "YCbCr", "RGBA")),
    (".webp", "WEBP", ("RGB", "RGBA")),
)


@functools.lru_cache(maxsize=256)
def encoded(form: str, mode: str, pages: int, exif: int) -> bytes:
    """A valid file [16, 8] of a format; several pages make an animation."""
    pictures = []
    for number in range(pages):
        rng = np.random.default_rng(number)
        rgb = Image.fromarray(rng.integers(0, 256, (*SIZE, 3), dtype=np.uint8))
        if mode == "I;16":
            grey = rng.integers(0, 1 << 16, SIZE, dtype=np.uint16)
            pictures.append(Image.fromarray(grey))
        elif mode == "LAB":
            pictures.append(Image.frombytes("LAB", SIZE[::-1], rgb.tobytes()))
        else:
            pictures.append(rgb.convert(mode))
    more: dict = {}
    if pages > 1:
        more |= {"save_all": True, "append_images": pictures[1:]}
    if exif:
        tags = Image.Exif()
        tags[0x0112] = exif
        more["exif"] = tags.tobytes()
    buffer = io.BytesIO()
    pictures[0].save(buffer, form, **more)
    return buffer.getvalue()


def bomb(width: int, height: int) -> bytes:
    """A PNG file of a few bytes that claims to be huge."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        check = zlib.crc32(kind + data)
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", check)

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    body = zlib.compress(bytes(1000))
    parts = (b"IHDR", header), (b"IDAT", body), (b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def odd_image(c: Choices) -> tuple[str, str, bytes]:
    """What it is, its suffix, its bytes."""
    suffix, form, modes = c.pick(FORMATS)
    mode = c.pick(modes)
    kind = c.pick(("bytes",) * 5 + ("plain", "pages", "exif", "bomb", "suffix", "none"))
    if kind == "bomb":
        side = c.pick((0, 1, 1 << 15, 65_500, 1 << 20, (1 << 31) - 1))
        other = c.pick((1, 65_500, 1 << 14))
        return f"bomb {side} x {other}", ".png", bomb(side, other)
    if kind == "none":
        return "noise", suffix, c.blob(60)
    pages = 3 if kind == "pages" and form in ("PNG", "GIF", "TIFF", "WEBP") else 1
    exif = 0
    if kind == "exif" and form in ("JPEG", "PNG", "WEBP"):
        exif = c.pick((1, 3, 6, 8, 9, 300))
    data = encoded(form, mode, pages, exif)
    what = f"{form} {mode} pages {pages} exif {exif}"
    if kind == "bytes":
        how, data = mutate.damaged(c, data)
        what = f"{what}, {how}"
    if kind == "suffix":
        suffix = c.pick(FORMATS)[0]
    return what, suffix, data


def answers(path: Path) -> list:
    """What each reader makes of a file: pixels, or its error."""

    def checked():
        check_files({"train": [Record(path, 0, 0, 0, None)]})

    def loaded():
        example = {"image": path.read_bytes(), "parsing": b"", "name": b""}
        example["name"] = str(path).encode()
        return decode(example, SIZE, "lip")[0]

    def embedded():
        return load_photograph(path, None, "images[0]", SIZE, "lip")[0]

    found = []
    readers = [read_image, checked, embedded]
    if path.is_file() and path.stat().st_size < 1 << 20:
        readers.append(loaded)
    for reader in readers:
        try:
            found.append(reader(path) if reader is read_image else reader())
        except (ValueError, OSError) as error:
            found.append(error)
    return found


def _agreed(path: Path):
    """The pixels of all readers; raises their first error if all refuse."""
    found = answers(path)
    errors = [each for each in found if isinstance(each, Exception)]
    if errors and len(errors) < len(found):
        raise Wrong(f"readers disagree: {[str(each)[:90] for each in found]}")
    for error in errors:
        if str(path) not in str(error):
            raise error
    if errors:
        raise errors[0]
    rgb, _, *sized = found
    if any((each != sized[0]).any() for each in sized):
        raise Wrong("the loader's pixels are not the embedder's")
    return rgb


@surface("images", share=30, seconds=10)
def images(c: Choices, folder: Path) -> Case:
    """A file with an image's name, whose bytes or kind are odd."""
    what, suffix, data = odd_image(c)
    path = folder / f"photo{suffix}"
    path.write_bytes(data)
    if c.once_in(12):
        kind = mutate.odd_file(c, path)
        return Case(kind, lambda: _agreed(path), (path.name,), valid=False)
    words = what.replace(",", "").split()
    is_rgb = what.endswith(" RGB pages 1 exif 0") and words[0] != "GIF"

    def check(rgb) -> str | None:
        expected = np.asarray(Image.open(io.BytesIO(data))) if is_rgb else rgb
        return None if np.array_equal(rgb, expected) else "not Pillow's pixels"

    valid = True if is_rgb else None
    return Case(what, lambda: _agreed(path), (path.name,), check, valid)
