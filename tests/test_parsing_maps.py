import io
import os
import re
import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from mbnet_jax.parsing.label_sets import LABEL_SETS, to_canonical
from mbnet_jax.parsing.labels import NAMES
from mbnet_jax.parsing.maps import (
    check_map,
    decode_parsing,
    encode_parsing,
    read_labels,
)
from mbnet_jax.parsing.voc import VOC_COLOURS

SIZE = (4, 5)

# Written by hand from the sets' names, in their order: the canonical parts.
TRANSLATED = {
    "canonical": [0, 1, 2, 3, 4, 5, 6, 7],
    "lip": [0, 1, 1, 4, 1, 2, 2, 2, 5, 3, 2, 2, 3, 1, 4, 4, 5, 5, 6, 6],
    "atr": [0, 1, 1, 1, 2, 3, 3, 2, 3, 6, 6, 1, 5, 5, 4, 4, 7, 2],
    "pascal": [0, 1, 2, 2, 4, 3, 5],
}


def every_label(labels: str) -> np.ndarray:
    """A map [4, 5] with each label of a set."""
    return np.resize(np.arange(len(LABEL_SETS[labels]), dtype=np.uint8), SIZE)


def palette_png(pixels: np.ndarray, palette: np.ndarray) -> bytes:
    picture = Image.fromarray(pixels)
    picture.putpalette(palette.ravel().tolist())
    stream = io.BytesIO()
    picture.save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize("labels", LABEL_SETS)
def test_each_label_becomes_its_part_in_every_kind_of_file(labels):
    pixels = every_label(labels)
    expected = np.array(TRANSLATED[labels])[pixels]
    other_palette = np.random.default_rng(0).integers(0, 256, (256, 3))
    files = {
        "grey": tiny.encoded(pixels, "PNG"),
        "palette": encode_parsing(pixels),
        "palette of other colours": palette_png(pixels, other_palette),
        "RGB": tiny.encoded(VOC_COLOURS[pixels], "PNG"),
    }
    for kind, data in files.items():
        found = decode_parsing(data, labels, SIZE, "x.jpg")
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, expected, err_msg=kind)


def test_the_colours_are_those_of_pascal_voc():
    # The first ones and the last in the VOC devkit's colour map.
    expected = {1: (128, 0, 0), 2: (0, 128, 0), 4: (0, 0, 128), 7: (128, 128, 128)}
    expected |= {8: (64, 0, 0), 19: (128, 192, 0), 255: (224, 224, 192)}
    assert {i: tuple(VOC_COLOURS[i].tolist()) for i in expected} == expected


def test_another_size_is_resized_to_the_nearest_label():
    small = np.array([[1, 13], [9, 18]], np.uint8)
    large = decode_parsing(tiny.encoded(small, "PNG"), "lip", (6, 4), "x.jpg")
    np.testing.assert_array_equal(
        large, np.repeat(np.repeat([[1, 1], [3, 6]], 3, 0), 2, 1)
    )
    back = decode_parsing(tiny.encoded(large, "PNG"), "canonical", (2, 2), "x.jpg")
    np.testing.assert_array_equal(back, [[1, 1], [3, 6]])


@pytest.mark.parametrize(
    ("highest", "labels", "fits"),
    [
        (19, "atr", "it would fit 'lip'"),
        (17, "pascal", "it would fit 'lip' or 'atr'"),
        (7, "pascal", "it would fit 'canonical' or 'lip' or 'atr'"),
        (255, "lip", "it fits no label set"),
    ],
)
def test_a_label_outside_the_set_is_refused_with_the_sets_it_fits(
    highest, labels, fits
):
    pixels = np.zeros(SIZE, np.uint8)
    pixels[1, 2] = highest
    expected = (
        f"of train/x.jpg has the label {highest}, but data.parsing_labels={labels!r} "
        f"ends at {len(LABEL_SETS[labels]) - 1}; {fits}"
    )
    for data in (tiny.encoded(pixels, "PNG"), tiny.encoded(VOC_COLOURS[pixels], "PNG")):
        with pytest.raises(ValueError, match=re.escape(expected)):
            decode_parsing(data, labels, SIZE, "train/x.jpg")


def png(pixels: np.ndarray, **how) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(pixels).save(stream, "PNG", **how)
    return stream.getvalue()


def raw_png(pixels: np.ndarray, bits: int, colour: int, size=None) -> bytes:
    """A PNG file written by hand, of big-endian samples; `size` is what it claims."""

    def chunk(name: bytes, content: bytes) -> bytes:
        checked = struct.pack(">I", zlib.crc32(name + content))
        return struct.pack(">I", len(content)) + name + content + checked

    height, width = pixels.shape[:2]
    samples = pixels.reshape(height, -1)
    if bits == 16:
        rows = samples.astype(">u2").view(np.uint8)
    else:
        places = np.arange(bits)[::-1]
        rows = np.packbits((samples[..., None] >> places & 1).reshape(height, -1), 1)
    header = struct.pack(">IIBBBBB", *(size or (width, height)), bits, colour, 0, 0, 0)
    data = zlib.compress(np.pad(rows, ((0, 0), (1, 0))).tobytes())
    content = chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")
    return b"\x89PNG\r\n\x1a\n" + content


LIP = every_label("lip")
GOOD = png(LIP)
GREY_AS_RGB = np.full((*SIZE, 3), 5, np.uint8)
# A 16-bit RGB image whose colours differ from those of VOC in the lower bytes alone.
NEARLY_VOC = VOC_COLOURS[LIP].astype(np.uint16) * 256 + 128
SHUFFLED = np.roll(VOC_COLOURS, 1, axis=0)
BOMB = raw_png(LIP, 8, 0, size=(65500, 65500))
REFUSED = {
    "another colour": (png(GREY_AS_RGB), r"colour \(5, 5, 5\), which"),
    "16-bit grey": (png(LIP.astype(np.uint16)), r"must .* mode is I;16B"),
    "16-bit RGB": (raw_png(NEARLY_VOC, 16, 2), "must .* mode is RGB;16B"),
    "4-bit grey": (raw_png(LIP % 16, 4, 0), "must .* mode is L;4"),
    "1-bit grey": (png(LIP > 3), "must .* mode is 1"),
    "grey with alpha": (
        tiny.encoded(np.stack([LIP, LIP], -1), "PNG"),
        "mode is LA",
    ),
    "JPEG": (tiny.encoded(LIP, "JPEG"), "cannot be decoded .it is no PNG file"),
    "GIF": (tiny.encoded(LIP, "GIF"), "cannot be decoded .it is no PNG file"),
    "animated": (
        png(LIP, save_all=True, append_images=[Image.fromarray(LIP[::-1])]),
        "is animated; give a palette",
    ),
    "VOC's palette in another order": (palette_png(LIP, SHUFFLED), "in another order"),
    "cut": (GOOD[: len(GOOD) // 2], "cannot be decoded .*; replace the file"),
    "cut in its header": (GOOD[:20], "cannot be decoded .*; replace the file"),
    "text": (b"no image at all", "cannot be decoded .it is no PNG file"),
    "empty": (b"", "cannot be decoded .it is empty"),
    "too large": (BOMB, "cannot be decoded .*exceeds limit"),
}


@pytest.mark.parametrize("kind", REFUSED)
def test_files_without_labels_are_refused_by_name(kind):
    data, message = REFUSED[kind]
    with pytest.raises(ValueError, match=rf"the parsing map of x\.jpg .*({message})"):
        decode_parsing(data, "lip", SIZE, "x.jpg")


def test_few_bits_of_a_palette_and_transparency_do_not_change_the_labels():
    four_bits = LIP % 16
    transparent = np.dstack([VOC_COLOURS[LIP], np.zeros_like(LIP)])
    for data, expected in (
        (palette_png(four_bits, VOC_COLOURS[:16]), four_bits),
        (png(transparent), LIP),
        (png(LIP, transparency=0), LIP),
    ):
        np.testing.assert_array_equal(read_labels(data, "x.jpg"), expected)
    np.testing.assert_array_equal(read_labels(Image.fromarray(LIP), "x.jpg"), LIP)
    with pytest.raises(ValueError, match=r"must be .* format is JPEG"):
        read_labels(Image.open(io.BytesIO(tiny.encoded(LIP, "JPEG"))), "x.jpg")
    with pytest.raises(ValueError, match=r"must be .* mode is F"):
        read_labels(Image.fromarray(LIP).convert("F"), "x.jpg")


def test_the_check_before_training_decides_as_the_loader_does(tmp_path):
    path = tmp_path / "x.png"
    path.write_bytes(GOOD)
    check_map(path, "lip", "x.jpg", SIZE)
    for label_set, size, message in (
        ("atr", SIZE, "x.jpg has the label 19, but"),
        ("lip", SIZE[::-1], "x.jpg is 5x4 pixels .* its image 4x5; give a map of the"),
    ):
        for decode in (
            lambda *given: check_map(path, *given),
            lambda *given: decode_parsing(GOOD, given[0], (8, 8), *given[1:]),
        ):
            with pytest.raises(ValueError, match=message):
                decode(label_set, "x.jpg", size)
    with pytest.raises(FileNotFoundError, match=r"gone\.png"):
        check_map(tmp_path / "gone.png", "lip", "x.jpg")
    os.mkfifo(tmp_path / "pipe.png")
    with pytest.raises(ValueError, match=r"pipe\.png is not a regular file"):
        check_map(tmp_path / "pipe.png", "lip", "x.jpg")


@pytest.mark.parametrize(
    ("labels", "message"),
    [
        (np.zeros((0, 4), np.uint8), r"of x is empty: \[0, 4\]"),
        (np.array([[-1, 2]]), "of x has the label -1; labels start at 0"),
        (np.ones((2, 2)), "must be an array of integers; it is float64"),
        (np.ones((2, 2), bool), "must be an array of integers; it is bool"),
        ([[1, 2]], "must be an array of integers; it is list"),
        (None, "must be an array of integers; it is NoneType"),
    ],
)
def test_what_is_no_label_is_refused(labels, message):
    with pytest.raises(ValueError, match=message):
        to_canonical(labels, "lip", "x")


@pytest.mark.parametrize(
    "labels",
    [
        np.zeros((2, 2)),
        np.zeros((0, 2), np.uint8),
        np.zeros((2, 2, 3), np.uint8),
        [[1]],
    ],
)
def test_only_labels_are_encoded(labels):
    with pytest.raises(ValueError, match=r"labels must be uint8 \[height, width\]"):
        encode_parsing(labels)


@pytest.mark.parametrize("unknown", ["cihp", "", None, ["lip"], 3])
def test_an_unknown_set_is_refused(unknown):
    with pytest.raises(ValueError, match=" is unknown; known: canonical, lip, atr, p"):
        decode_parsing(GOOD, unknown, SIZE, "x.jpg")


def test_documentation_has_every_label_of_every_set():
    text = (Path(__file__).parent.parent / "docs" / "parsing.md").read_text()
    table = text[text.index("| `canonical` |") :].split("\n\n")[0].splitlines()
    cells = [[cell.strip() for cell in row.split("|")[1:-1]] for row in table]
    sets = [re.match(r"`(\w+)`", heading)[1] for heading in cells[0]]
    assert sorted(sets) == sorted(LABEL_SETS)
    for part, row in enumerate(cells[2:]):
        assert row[0] == f"{part} {NAMES[part]}"
        for labels, cell in zip(sets[1:], row[1:], strict=True):
            listed = [
                f"{number} {name}" if part else str(number)
                for number, (name, of) in enumerate(LABEL_SETS[labels])
                if of == part
            ]
            assert cell == ", ".join(listed)
    assert len(cells) - 2 == len(NAMES)
