"""Presets of parsers, on small models made in each one's form."""

import numpy as np
import pytest
from parsers import COLOURS, painted, write_model

from mbnet_jax.parsing.geometry import labels_from_logits, to_input
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.load import load_parser, parser_options
from mbnet_jax.parsing.presets import PRESETS
from mbnet_jax.parsing.segmenter import Parser

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")

# Preset -> its model: the sizes and outputs of the public files, and logits of each 4th
# pixel, or where these would miss the last pixel, of each.
_SCHP = {"channels": "bgr", "points": True, "form": "schp"}
FORMS = {
    "segformer": {"classes": 18},
    "schp-lip": {"classes": 20, "size": (473, 473), "batch": 1, **_SCHP},
    "schp-atr": {"classes": 18, "size": (512, 512), "stride": 1, **_SCHP},
    "schp-pascal": {"classes": 7, "size": (512, 512), "stride": 1, **_SCHP},
}
SIZES = ((37, 14), (13, 40), (1, 9), (24, 24))


def pictures(classes: int) -> tuple[list[np.ndarray], list[np.ndarray]]:
    """Images of random pixels in the model's colours, and their labels."""
    known = [label for label in COLOURS if label < classes]
    rng = np.random.default_rng(0)
    labels = [rng.choice(known, size).astype(np.uint8) for size in SIZES]
    return [painted(each) for each in labels], labels


def parsed(parser: Parser, images: list[np.ndarray]) -> list[np.ndarray]:
    step = parser.batch
    starts = range(0, len(images), step)
    return [labels for i in starts for labels in parser(images[i : i + step])]


def test_every_preset_has_a_form_here():
    assert FORMS.keys() == PRESETS.keys()
    for name, preset in PRESETS.items():
        assert FORMS[name]["classes"] == len(LABEL_SETS[preset.labels])


@pytest.mark.parametrize("name", FORMS)
def test_a_presets_maps_are_aligned_to_the_pixel(name, tmp_path):
    path = write_model(tmp_path / "m.onnx", **FORMS[name])
    images, expected = pictures(FORMS[name]["classes"])
    parser = load_parser(path, name)
    assert parser.labels == PRESETS[name].labels
    for found, labels in zip(parsed(parser, images), expected, strict=True):
        assert found.dtype == np.uint8
        np.testing.assert_array_equal(found, labels)


@pytest.mark.parametrize("name", FORMS)
@pytest.mark.parametrize("form", ["argmax", "argmax 1"])
def test_a_model_may_return_labels(name, form, tmp_path):
    model = FORMS[name] | {"form": form, "batch": 4}
    path = write_model(tmp_path / "m.onnx", **model)
    images, expected = pictures(model["classes"])
    for found, labels in zip(load_parser(path, name)(images), expected, strict=True):
        np.testing.assert_array_equal(found, labels)


def test_schp_takes_blue_first_and_returns_its_fusion_second(tmp_path):
    rgb = write_model(tmp_path / "m.onnx", **FORMS["schp-lip"] | {"channels": "rgb"})
    red_and_blue = painted(np.array([[6, 11]] * 2))
    found = load_parser(rgb, "schp-lip")([red_and_blue])[0]
    np.testing.assert_array_equal(found, [[11, 6]] * 2)
    bgr = write_model(tmp_path / "m.onnx", **FORMS["schp-lip"])
    first = Parser(parser_options(bgr, "schp-lip", options={"output": 0}))
    assert not np.isin(first([red_and_blue])[0], [6, 11]).any()
    # A file that returns the fusion alone is known by its only output.
    alone = FORMS["schp-lip"] | {"form": "logits"}
    alone = load_parser(write_model(tmp_path / "a.onnx", **alone), "schp-lip")
    np.testing.assert_array_equal(alone([red_and_blue])[0], [[6, 11]] * 2)
    with pytest.raises(ValueError, match="has 3 outputs, no --output=3; they count"):
        Parser(parser_options(bgr, "schp-lip", options={"output": 3}))


def reference(image: np.ndarray, size: int) -> np.ndarray:
    """What SCHP's extractor gives its network: float [size, size, 3].

    The box of the whole image, w - 1 by h - 1, is enlarged to a square about its
    centre; that becomes size - 1 by size - 1, by bilinear interpolation, with black
    beyond the image.
    """
    height, width = image.shape[:2]
    centre = np.array([(height - 1) / 2, (width - 1) / 2])
    square = max(height - 1, width - 1)
    offsets = (np.arange(size) - (size - 1) / 2) * square / (size - 1)
    ys, xs = centre[0] + offsets, centre[1] + offsets
    black = np.pad(image.astype(float), ((1, 1), (1, 1), (0, 0)))
    sampled = np.zeros((size, size, 3))
    for y in (np.floor(ys), np.floor(ys) + 1):
        for x in (np.floor(xs), np.floor(xs) + 1):
            weight = np.outer(1 - np.abs(ys - y), 1 - np.abs(xs - x))
            row = np.clip(y + 1, 0, height + 1).astype(int)
            column = np.clip(x + 1, 0, width + 1).astype(int)
            sampled += weight[..., None] * black[row][:, column]
    return sampled


@pytest.mark.parametrize("shape", [(61, 23), (23, 61), (900, 300), (50, 50), (2, 9)])
@pytest.mark.parametrize("size", [473, 512])
def test_padding_is_that_of_schps_extractor(shape, size):
    rng = np.random.default_rng(1)
    image = rng.integers(60, 256, (*shape, 3), dtype=np.uint8)
    found = to_input(image, (size, size), "pad").astype(float)
    expected = reference(image, size)
    # OpenCV computes positions to 1/32 of a pixel, where 196 levels may lie.
    assert np.abs(found - expected).max() <= 196 / 32 * 2
    assert np.abs(found - expected).mean() < 2
    scale = (size - 1) / (max(shape) - 1)
    used = [(side - 1) * scale for side in shape]
    first = [(size - 1 - extent) / 2 for extent in used]
    black = (found == 0).all(-1)
    inside = np.zeros_like(black)
    rows, columns = (
        slice(int(np.ceil(start)), int(np.floor(start + extent)) + 1)
        for start, extent in zip(first, used, strict=True)
    )
    inside[rows, columns] = True
    assert not (black & inside).any()
    # Beyond the outermost pixels' centres, the image fades over one of its pixels.
    fade = int(np.ceil(scale)) + 1
    far = np.ones_like(black)
    far[max(rows.start - fade, 0) : rows.stop + fade][
        :, max(columns.start - fade, 0) : columns.stop + fade
    ] = False
    assert black[far].all()


def test_an_input_that_is_not_square_keeps_the_aspect_too():
    image = np.full((50, 10, 3), 255, np.uint8)
    found = to_input(image, (100, 200), "pad")[..., 0] > 127
    assert found.any(1).all() and found.any(0).sum() in (19, 20, 21)
    logits = np.zeros((100, 200, 7), np.float32)
    logits[..., 1] = found
    assert labels_from_logits(logits, (50, 10), (100, 200), "pad").all()


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"model": "segfromer"}, "parser='?segfromer'? is neither a preset .segformer"),
        ({"model": ""}, "parser='' must be a preset .* or an ONNX file"),
        ({"model": 5}, "parser=5 must be a preset"),
        ({"model": None}, "parser=None must be a preset"),
        ({"preset": "schp"}, "preset schp is unknown; nearest known: schp-lip"),
        ({"preset": None}, "is a file: give its form too, as load_parser"),
        ({"revision": "0" * 40}, "a revision is of a preset's download, not of a file"),
        ({"sha256": "0" * 64}, "has the SHA-256 .* not 0000"),
        ({"sha256": "A" * 64}, "--sha256='AAAA.* must be 64 hexadecimal digits"),
        ({"model": "segformer", "preset": "schp-lip"}, "'segformer' is a preset itsel"),
        (
            {"model": "schp-pascal", "preset": None},
            "no public ONNX file of schp-pascal .*, and give load_parser",
        ),
    ],
)
def test_wrong_names_are_named(tmp_path, given, message):
    path = write_model(tmp_path / "m.onnx")
    arguments = {"model": path, "preset": "segformer"} | given
    with pytest.raises((ValueError, FileNotFoundError), match=message) as found:
        load_parser(**arguments)
    assert "\n" not in str(found.value)


def test_what_labels_depend_on_is_in_the_digest(tmp_path):
    path = write_model(tmp_path / "m.onnx")
    first = load_parser(path, "segformer")
    moved = write_model(tmp_path / "moved.onnx")
    assert load_parser(moved, "segformer").digest == first.digest
    other = write_model(tmp_path / "other.onnx", stride=8)
    assert load_parser(other, "segformer").digest != first.digest
    for change in ({"fit": "pad"}, {"channels": "bgr"}, {"mean": (0.5, 0.5, 0.5)}):
        changed = Parser(parser_options(path, "segformer", options=change))
        assert changed.digest != first.digest
