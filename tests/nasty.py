"""A folder of 216 images as people have them: odd formats, odd names, broken files.

Twelve persons in two outfits at three cameras, `PERSON/OUTFIT/CAMERA_N.ending`, and
what else lies around in such folders.
"""

import io
import os
from pathlib import Path

import numpy as np
from PIL import Image

PERSONS = (
    *("Ana", "Ana María", "Bjørn Ödegård", "Zoë", "José Luis", "Ольга", "Νίκος"),
    *("田中 太郎", "鈴木", "佐藤 花子", "李雷", "김민준"),
)
OUTFITS = ("red coat", "summer clothes")
CAMERAS = ("gate", "door 2", "入口")
EACH = 3  # images of a person, an outfit and a camera
# What cannot be used, and a part of the reason that is given.
BAD = {
    "Ana/red coat/gate_1.jpg": "not an image of a known format",  # text
    "Ana/red coat/gate_2.jpg": "cannot be decoded",  # cut off
    "Ana/red coat/gate_3.jpg": "it is empty",
    "Zoë/red coat/gate_1.png": "cannot be decoded",  # cut off
    "Zoë/red coat/gate_2.tif": "its Pillow mode is F",
    "鈴木/red coat/gate_1.jpg": "No such file",  # a broken link
}
# Names that no pattern of persons fits.
LOOSE = ("cover.jpg", "Ana/portrait.png")
# What is not an image, or hidden.
IGNORED = ("Thumbs.db", ".DS_Store", "Ana/.hidden.jpg", "notes.txt", "Zoë/desktop.ini")


def make(folder: Path) -> list[str]:
    """Makes the folder; returns the names of the images that can be used, sorted."""
    rng = np.random.default_rng(0)
    good, number = [], 0
    for person in PERSONS:
        for outfit in OUTFITS:
            (folder / person / outfit).mkdir(parents=True)
            for camera in CAMERAS:
                for image in range(1, EACH + 1):
                    stem = f"{person}/{outfit}/{camera}_{image}"
                    bad = [name for name in BAD if name.startswith(f"{stem}.")]
                    if bad:
                        continue
                    name = _write(folder, stem, number, rng)
                    good.append(name)
                    number += 1
    data = _bytes(_pixels(rng), "JPEG")
    png = _bytes(_pixels(rng), "PNG")
    broken = dict(zip(BAD, (b"no image", data[:300], b"", png[:200]), strict=False))
    for name, content in broken.items():
        (folder / name).write_bytes(content)
    Image.fromarray(np.zeros((8, 4), np.float32), "F").save(folder / [*BAD][4], "TIFF")
    os.symlink("nowhere.jpg", folder / [*BAD][5])
    for name in LOOSE:
        (folder / name).write_bytes(data if name.endswith("jpg") else png)
    for name in IGNORED:
        (folder / name).write_bytes(data)
    os.symlink("..", folder / "Ana" / "loop")
    return sorted(good)


def _write(folder: Path, stem: str, number: int, rng: np.random.Generator) -> str:
    """Writes an image in the form of its number; returns its name."""
    ending, write = _FORMS[number % len(_FORMS)]
    name = f"{stem}.{ending}"
    (folder / name).write_bytes(write(_pixels(rng)))
    return name


def _pixels(rng: np.random.Generator, height: int = 48, width: int = 24) -> np.ndarray:
    small = rng.integers(0, 256, (6, 3, 3), dtype=np.uint8)
    return np.asarray(Image.fromarray(small).resize((width, height)))


def _bytes(image: np.ndarray | Image.Image, kind: str, **options) -> bytes:
    stream = io.BytesIO()
    if isinstance(image, np.ndarray):
        image = Image.fromarray(image)
    image.save(stream, kind, **options)
    return stream.getvalue()


def _converted(mode: str, kind: str, **options):
    return lambda pixels: _bytes(Image.fromarray(pixels).convert(mode), kind, **options)


def _plain(kind: str, **options):
    return lambda pixels: _bytes(pixels, kind, **options)


def _resized(width: int, height: int):
    return lambda p: _bytes(Image.fromarray(p).resize((width, height)), "JPEG")


def _turned(pixels: np.ndarray) -> bytes:
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn by 90 degrees
    return _bytes(np.rot90(pixels).copy(), "JPEG", exif=exif)


def _grey_16(pixels: np.ndarray) -> bytes:
    return _bytes(pixels[..., 0].astype(np.uint16) * 257, "PNG")


def _animated(pixels: np.ndarray) -> bytes:
    frames = [Image.fromarray(pixels), Image.fromarray(pixels[::-1].copy())]
    return _bytes(frames[0], "GIF", save_all=True, append_images=frames[1:])


_FORMS = (
    ("jpg", _plain("JPEG")),
    ("JPG", _plain("JPEG", progressive=True)),
    ("jpeg", _converted("CMYK", "JPEG")),
    ("jpg", _converted("L", "JPEG")),
    ("jpg", _turned),
    ("png", _plain("PNG")),
    ("PNG", _grey_16),
    ("png", _converted("P", "PNG")),
    ("png", _converted("RGBA", "PNG")),
    ("png", _converted("LA", "PNG")),
    ("png", _converted("1", "PNG")),
    ("tif", _plain("TIFF")),
    ("TIFF", _plain("TIFF", compression="tiff_lzw")),
    ("webp", _plain("WEBP")),
    ("WebP", _converted("RGBA", "WEBP", lossless=True)),
    ("bmp", _plain("BMP")),
    ("gif", _animated),
    ("jpg", _resized(1, 2)),
    ("jpg", _resized(600, 8)),
    ("jpg", _plain("PNG")),  # the ending is wrong
    ("Jpeg", _plain("JPEG", quality=1)),
)
