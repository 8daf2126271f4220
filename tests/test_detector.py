"""Detectors: what they are given, and what their outputs say."""

import numpy as np
import pytest
from detectors import greedy, write_constant, write_mean, yolox_output

from mbnet_jax.detection import forms
from mbnet_jax.detection.boxes import Box, crop, inside, suppressed
from mbnet_jax.detection.load import load_detector
from mbnet_jax.detection.presets import PRESETS

IMAGE = np.zeros((128, 192, 3), np.uint8)  # twice the models' size


def test_yolox_boxes_are_decoded_at_all_strides(tmp_path):
    boxes = [
        (20.0, 30.0, 16.0, 40.0, 0.9, 0.9, 8),
        (60.5, 33.0, 20.0, 50.0, 0.8, 0.9, 16),
        (85.0, 40.0, 18.0, 44.0, 0.9, 0.95, 32),
        (40.0, 8.0, 10.0, 14.0, 0.9, 0.2, 8),  # something else
        (20.0, 50.0, 12.0, 20.0, 0.5, 0.9, 8),  # 0.45 in all
    ]
    path = write_constant(tmp_path / "m.onnx", [yolox_output(boxes)])
    detector = load_detector(path)
    assert (detector.form, detector.size) == ("yolox", (64, 96))
    found = detector(IMAGE)
    expected = [
        (2 * (x - w / 2), 2 * (y - h / 2), 2 * w, 2 * h, sure * person)
        for x, y, w, h, sure, person, _ in (boxes[2], boxes[0], boxes[1])
    ]
    # The third one ends at 94 of 96 pixels; none is cut.
    np.testing.assert_allclose([box[:5] for box in found], expected, rtol=1e-5)
    assert len(load_detector(path, confidence=0.4)(IMAGE)) == 4


def test_overlapping_yolox_boxes_are_suppressed(tmp_path):
    same = [
        (20.0, 30.0, 16.0, 40.0, 0.9, 0.9, 8),
        (21.0, 31.0, 16.0, 40.0, 0.95, 0.9, 16),
        (40.0, 30.0, 16.0, 40.0, 0.9, 0.9, 8),
    ]
    path = write_constant(tmp_path / "m.onnx", [yolox_output(same)])
    assert [round(box.x) for box in load_detector(path)(IMAGE)] == [26, 64]


@pytest.mark.parametrize("seed", range(4))
def test_suppression_is_that_of_its_definition(seed):
    rng = np.random.default_rng(seed)
    corner, sides = rng.uniform(0, 60, (80, 2)), rng.uniform(5, 50, (80, 2))
    boxes, scores = np.hstack([corner, sides]), rng.permutation(np.arange(1, 81)) / 80
    most = rng.uniform(0.2, 0.7)
    kept = suppressed(boxes, scores, most).tolist()
    assert kept == greedy(boxes, scores, most) and 5 < len(kept) < 80
    assert suppressed(boxes[:0], scores[:0], most).size == 0


@pytest.mark.parametrize("size", [(100, 50), (50, 100), (37, 91), (1, 500)])
def test_yoloxs_letterbox_and_its_boxes_agree(size):
    """A white rectangle in the input is where its box says it is in the image."""
    image = np.zeros((*size, 3), np.uint8)
    image[..., 0] = 200  # red
    values = forms.yolox_input(image, (64, 96))
    assert values.shape == (1, 3, 64, 96) and values.dtype == np.float32
    blue, green, red = values[0]
    # The image fills one side of the input from its corner, and grey the rest.
    rows, columns = (np.flatnonzero((red == 200).any(axis)) for axis in (1, 0))
    assert rows[0] == columns[0] == 0
    assert (blue[red == 200] == 0).all() and (green[red != 200] == 114).all()
    scale = min(64 / size[0], 96 / size[1])
    high, wide = rows[-1] + 1, columns[-1] + 1
    assert abs(high - size[0] * scale) <= 1 and abs(wide - size[1] * scale) <= 1
    whole = size[1] * scale / 2, size[0] * scale / 2, size[1] * scale, size[0] * scale
    found = yolox_output([(*whole, 1, 1, 32)])[0]
    boxes, scores = forms.yolox_boxes(found, size, (64, 96))
    np.testing.assert_allclose(boxes[scores == 1], [[0, 0, *size[::-1]]], atol=1e-4)


def test_detr_boxes_are_shares_of_the_image(tmp_path):
    logits = np.full((1, 3, 80), -8, np.float32)
    logits[0, 0, 0], logits[0, 1, 0], logits[0, 2, 5] = 1, 3, 9  # the last: a bus
    boxes = np.float32([[[0.5, 0.5, 0.25, 0.5], [0.9, 0.5, 0.4, 0.5], [0.5] * 4]])
    path = write_constant(tmp_path / "m.onnx", [logits, boxes])
    found = load_detector(path)(IMAGE)
    sure = 1 / (1 + np.exp([-3.0, -1.0]))
    # The first one is cut at the right border.
    expected = [[134.4, 32, 57.6, 64], [72, 32, 48, 64]]
    np.testing.assert_allclose([box[:4] for box in found], expected, rtol=1e-5)
    np.testing.assert_allclose([box.confidence for box in found], sure, rtol=1e-5)


def test_detr_takes_red_first_and_shares_of_255(tmp_path):
    image = np.zeros((40, 80, 3), np.uint8)
    image[:] = (102, 51, 153)
    (box,) = load_detector(write_mean(tmp_path / "m.onnx"))(image)
    # Centre 0.4, 0.2 and size 0.6, 1: red, green, blue, and 1.
    np.testing.assert_allclose(box[:4], (8, 0, 48, 28), rtol=1e-4)


def test_boxes_are_cut_at_the_borders_and_small_ones_left_out():
    found = inside(
        [Box(-5, -5, 20, 40), Box(90, 10, 30, 30), Box(96, 0, 9, 50)], 100, 60
    )
    assert found == [Box(0, 0, 15, 35), Box(90, 10, 10, 30)]
    image = np.arange(60 * 100 * 3).reshape(60, 100, 3)
    np.testing.assert_array_equal(
        crop(image, Box(10.5, 3, 8, 16.2)), image[3:20, 10:19]
    )


def test_what_is_no_detector_is_refused(tmp_path):
    ten = np.zeros((1, 10, 7), np.float32)
    wrong_count = write_constant(tmp_path / "count.onnx", [ten])
    with pytest.raises(ValueError, match=r"returns float32 \[1, 10, 7\] for an input"):
        load_detector(wrong_count)
    no_boxes = write_constant(tmp_path / "boxes.onnx", [ten, ten])
    with pytest.raises(ValueError, match="D-FINE and RT-DETR; give such a detector"):
        load_detector(no_boxes)
    grey = write_constant(tmp_path / "grey.onnx", [yolox_output([])], channels=1)
    with pytest.raises(ValueError, match="whose only input is float images"):
        load_detector(grey)
    wild = write_constant(tmp_path / "nan.onnx", [yolox_output([]) + np.nan])
    with pytest.raises(ValueError, match="NaN or infinite; export"):
        load_detector(wild)
    (tmp_path / "text.onnx").write_text("no model")
    with pytest.raises(ValueError, match="cannot be loaded as an ONNX model"):
        load_detector(tmp_path / "text.onnx")
    with pytest.raises(FileNotFoundError, match=r"neither a preset .*did you mean"):
        load_detector(tmp_path / "text.onn")


def test_presets_are_of_one_commit_and_permissive():
    for source in PRESETS.values():
        assert len(source.revision) == 40 and len(source.sha256) == 64
        assert "Apache-2.0" in source.licence and source.size > 1e6
