import io
import re
from pathlib import Path

import numpy as np
import pytest
import tiny
from PIL import Image

from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.labels import NAMES
from mbnet_jax.parsing.maps import (
    VOC_COLOURS,
    decode_parsing,
    encode_parsing,
    map_path,
)

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


def test_files_without_labels_are_refused_by_name():
    grey_as_rgb = np.full((*SIZE, 3), 5, np.uint8)
    good = tiny.encoded(every_label("lip"), "PNG")
    for data, message in (
        (tiny.encoded(grey_as_rgb, "PNG"), r"x\.jpg has the colour \(5, 5, 5\), which"),
        (
            tiny.encoded(np.zeros(SIZE, np.uint16), "PNG"),
            r"x\.jpg must .* mode is I",
        ),
        (good[: len(good) // 2], r"x\.jpg cannot be decoded; replace the file"),
        (b"", r"x\.jpg cannot be decoded"),
    ):
        with pytest.raises(ValueError, match=message):
            decode_parsing(data, "lip", SIZE, "x.jpg")


def test_a_map_has_its_images_path_but_is_never_the_image():
    root = Path("data/rgb")
    found = map_path(root / "train" / "1.a.jpg", root, Path("maps"))
    assert found == Path("maps/train/1.a.png")
    with pytest.raises(ValueError, match="would be the image itself"):
        map_path(root / "x.png", root, root)
    with pytest.raises(ValueError, match="parsing_dir cannot mirror it"):
        map_path(Path("other/x.png"), root, Path("maps"))


def test_an_unknown_set_is_refused():
    with pytest.raises(ValueError, match="'cihp' is unknown; known: canonical, lip, a"):
        decode_parsing(tiny.encoded(every_label("lip"), "PNG"), "cihp", SIZE, "x.jpg")


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
