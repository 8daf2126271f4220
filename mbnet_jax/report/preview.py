"""A sheet that shows at a glance whether the parsing maps are read correctly.

It shows some training images, each with the canonical parts of its map drawn over it
and with the views that the branches take. The legend gives each part's colour and its
share of the people's pixels: heads labelled as gloves, or missing legs, point to a
wrong `data.parsing_labels`. Photographs of a folder are shown without the views.
"""

import io
import itertools
import os
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import jax
import numpy as np
from ml_collections import ConfigDict
from PIL import Image, ImageDraw, PngImagePlugin

from mbnet_jax.data import Identifiers
from mbnet_jax.data.datasets import read_records
from mbnet_jax.data.load import images_folder
from mbnet_jax.files import printable, read_bytes, write_whole
from mbnet_jax.images import read_image, resize_image
from mbnet_jax.parsing.labels import NAMES, NUM_LABELS, PALETTE
from mbnet_jax.parsing.maker import check_maker
from mbnet_jax.parsing.maps import MAKE_MAPS, decode_parsing, map_path
from mbnet_jax.report.attention import to_rgb
from mbnet_jax.report.fonts import Font
from mbnet_jax.report.ranked_lists import BACKGROUND, TEXT
from mbnet_jax.views import VIEWS, make_views, normalise

# Pixels.
_MARGIN, _GAP, _LINE, _FONT = 16, 12, 18, 12
_HEIGHT = 256  # of a picture
_CUT = tuple(name for name in VIEWS if name != "image")  # by the parsing map
_PLAIN = ("image", "parts")
_COLUMNS = (*_PLAIN, *(VIEWS[name].title for name in _CUT))
_OPACITY = 0.6  # of the parts over the image
_WIDEST = 1024  # pixels of a picture, and the number of images: limits of the sheet
_MOST = 100
_MADE_BY = ("Software", "mbnet-preview")  # in the sheet's file, which may be replaced


def overlay(image: np.ndarray, parsing: np.ndarray) -> np.ndarray:
    """Blends the parts' colours over images.

    Args:
      image: uint8 [..., H, W, 3].
      parsing: uint8 [..., H, W], canonical labels.

    Returns:
      uint8 [..., H, W, 3].
    """
    colours = np.array(PALETTE, np.uint8)[parsing]
    mixed = (1 - _OPACITY) * image + _OPACITY * colours
    return np.where(parsing[..., None] > 0, mixed.round(), image).astype(np.uint8)


def pictures(image: np.ndarray, parsing: np.ndarray, views: ConfigDict) -> list[list]:
    """The pictures of each image, one per column of `_COLUMNS`.

    Args:
      image: uint8 [n, H, W, 3].
      parsing: uint8 [n, H, W], canonical labels.
      views: `config.views`.

    Returns:
      A list per image of pictures, uint8 [h, w, 3].
    """
    make = jax.jit(partial(make_views, options=views, names=_CUT))
    made = jax.device_get(make(normalise(image), parsing))
    columns = (
        image,
        overlay(image, parsing),
        *(to_rgb(name, made[name]) for name in _CUT),
    )
    return [list(row) for row in zip(*columns, strict=True)]


def draw_sheet(
    rows: list[tuple[str, list]],
    shares: np.ndarray,
    title: str,
    columns: Sequence[str] = _COLUMNS,
) -> bytes:
    """Draws pictures under a legend.

    Args:
      rows: the name of each image, and its pictures, uint8 [h, w, 3].
      shares: [NUM_LABELS], each part's share of the people's pixels, for the legend.
      title: printed above.
      columns: the title of each of an image's pictures.

    Returns:
      The bytes of a PNG file.
    """
    fitted = [[_scaled(picture) for picture in drawn] for _, drawn in rows]
    widths = [max(row[i].width for row in fitted) for i in range(len(columns))]
    face = Font(_FONT)
    legend = [
        (PALETTE[part], f"{NAMES[part]} {100 * shares[part]:.0f} %")
        for part in range(1, NUM_LABELS)
    ]
    legend_top = _MARGIN + _LINE + _GAP
    top = legend_top + _LINE * len(legend) + _GAP
    row_height = _HEIGHT + _LINE + _GAP
    # Two images side by side.
    pair = sum(widths) + _GAP * len(widths) + _GAP
    sheet = Image.new(
        "RGB",
        (
            2 * _MARGIN + 2 * pair,
            top + _LINE + -(-len(rows) // 2) * row_height + _MARGIN,
        ),
        BACKGROUND,
    )
    draw = ImageDraw.Draw(sheet)
    room = sheet.width - 2 * _MARGIN
    face.draw(draw, (_MARGIN, _MARGIN), face.shortened(title, room), TEXT)
    for number, (colour, text) in enumerate(legend):
        y = legend_top + number * _LINE
        draw.rectangle((_MARGIN, y, _MARGIN + 28, y + _LINE - 4), colour)
        face.draw(draw, (_MARGIN + 36, y), text, TEXT)
    for number, ((name, _), row) in enumerate(zip(rows, fitted, strict=True)):
        x = _MARGIN + number % 2 * pair
        y = top + _LINE + number // 2 * row_height
        name = face.shortened(name, pair - _GAP)
        face.draw(draw, (x, y + _HEIGHT + 1), name, TEXT)
        for column, picture, width in zip(columns, row, widths, strict=True):
            if number < 2:
                face.draw(draw, (x, top), column, TEXT)
            sheet.paste(picture, (x, y))
            x += width + _GAP
    stream, maker = io.BytesIO(), PngImagePlugin.PngInfo()
    maker.add_text(*_MADE_BY)
    sheet.save(stream, "PNG", pnginfo=maker)
    return stream.getvalue()


def _scaled(picture: np.ndarray) -> Image.Image:
    height, width = picture.shape[:2]
    size = (min(max(round(width * _HEIGHT / height), 1), _WIDEST), _HEIGHT)
    return Image.fromarray(picture).resize(size, Image.Resampling.NEAREST)


def preview(config: ConfigDict, out: Path, count: int) -> None:
    """Writes the sheet of `count` training images of the config's dataset to `out`.

    Raises:
      ValueError: `count` is out of range, `out` exists and is no sheet, or an image has
        no map, or one that does not fit it or `data.parsing_labels`.
      FileNotFoundError: the dataset or the folder of `out` is missing.
      OSError: a file cannot be read or written.
    """
    if not isinstance(count, int) or not 1 <= count <= _MOST:
        raise ValueError(f"--images={count} must be a whole number from 1 to {_MOST}")
    _check_out(out)
    data = config.data
    folder = images_folder(data)
    if data.parsing_dir:
        check_maker(Path(data.parsing_dir), data.parsing_labels)
    variant = data.get("variant", "")
    records = read_records(data.name, folder, data.parsing_dir or None, variant)
    records = records["train"]
    indices = np.linspace(0, len(records) - 1, min(count, len(records))).round()
    chosen = [records[int(index)] for index in indices]
    names, images, maps = [], [], []
    for record in chosen:
        name = printable(os.path.relpath(record.path, folder))
        if record.parsing_path is None:
            raise ValueError(
                f"{name} has no parsing map: give --config.data.parsing_dir, or make "
                f"maps:\n  {MAKE_MAPS}"
            )
        size, labels = (data.height, data.width), data.parsing_labels
        image, found = read_image(record.path), read_bytes(record.parsing_path)
        names.append(_described(name, record.own))
        images.append(resize_image(image, size))
        maps.append(decode_parsing(found, labels, size, name, image.shape[:2]))
    drawn = pictures(np.stack(images), np.stack(maps), config.views)
    rows = list(zip(names, drawn, strict=True))
    title = f"{config.name}: maps read as data.parsing_labels={data.parsing_labels!r}"
    write_whole(out, draw_sheet(rows, _shares(maps), title))
    print(f"wrote {printable(out)}")


def preview_folder(
    images: Sequence[Path], folder: Path, parsing_dir: Path, labels: str, count: int
) -> Path:
    """Writes the sheet of `count` photographs of a folder into that of their maps.

    Args:
      images: in `folder`, at least one; those without a map are left out.
      folder: what `parsing_dir` mirrors.
      parsing_dir: the maps.
      labels: their label set.
      count: how many photographs are shown, at most.

    Returns:
      The path of the sheet.

    Raises:
      ValueError, OSError: as in `preview`.
    """
    pairs = [(image, map_path(image, folder, parsing_dir)) for image in images]
    pairs = [pair for pair in pairs if pair[1].is_file()]
    rows, maps = [], []
    for index in np.linspace(0, len(pairs) - 1, min(count, len(pairs))).round():
        path, own = pairs[int(index)]
        name = printable(os.path.relpath(path, folder))
        image = read_image(path)
        height, width = image.shape[:2]
        size = (_HEIGHT, min(max(round(width * _HEIGHT / height), 1), _WIDEST))
        maps.append(
            decode_parsing(read_bytes(own), labels, size, name, (height, width))
        )
        image = resize_image(image, size)
        rows.append((name, [image, overlay(image, maps[-1])]))
    title = f"{printable(folder)}: maps read as {labels!r}"
    out = sheet_path(parsing_dir)
    write_whole(out, draw_sheet(rows, _shares(maps), title, _PLAIN))
    return out


def sheet_path(parsing_dir: Path) -> Path:
    """A name for the sheet among maps: of no file, or of an earlier sheet."""
    for number in itertools.count():
        more = f"-{number}" if number else ""
        path = parsing_dir / f"maps_preview{more}.png"
        if not os.path.lexists(path) or _is_sheet(path):
            return path
    raise AssertionError  # there is always a next number


def _shares(maps: Sequence[np.ndarray]) -> np.ndarray:
    """Each part's share of the people's pixels in maps of any sizes."""
    parts = np.bincount(
        np.concatenate([[0], *map(np.ravel, maps)]), minlength=NUM_LABELS
    )
    parts[0] = 0  # background is not part of the people
    return parts / max(parts.sum(), 1)


def _described(name: str, own: Identifiers) -> str:
    """The image's name with the labels that the dataset gives it."""
    labels = [f"{label} {text}" for label, text in own._asdict().items() if text]
    return f"{name}: {', '.join(labels)}" if labels else name


def _check_out(out: Path) -> None:
    """Refuses an `out` that no PNG file can be written to without loss."""
    name = f"--out={printable(out)}"
    if out.suffix.lower() != ".png" or "\0" in str(out):
        raise ValueError(f"{name} must be the name of a file that ends in .png")
    if not out.parent.is_dir():
        raise FileNotFoundError(f"{name}: no such folder: {printable(out.parent)}")
    if out.is_dir():
        raise ValueError(f"{name} is a folder; give the name of the picture's file")
    if os.path.lexists(out) and not _is_sheet(out):
        raise ValueError(
            f"{name} exists, and is no earlier preview; delete it, or give another name"
        )


def _is_sheet(path: Path) -> bool:
    """Whether a file is an earlier sheet."""
    key, value = _MADE_BY
    try:
        with Image.open(io.BytesIO(read_bytes(path)), formats=("PNG",)) as picture:
            return picture.info.get(key) == value
    except Exception:  # whatever it is, it is not ours
        return False
