"""The picture of ranked lists: what each region of pixels shows."""

import dataclasses

import numpy as np
import pytest
from PIL import Image

from mbnet_jax.report import ranked_lists as figures
from mbnet_jax.report.fonts import Font
from mbnet_jax.report.ranked_lists import RankedItem, draw_ranked_lists

BLUE = (10, 20, 200)
QUERY = RankedItem(
    np.full((128, 64, 3), BLUE, np.uint8), "0001_1_c1_1.jpg", "0001", "1"
)
FRAME_COLOURS = {None: figures.NEUTRAL, True: figures.RIGHT, False: figures.WRONG}


def item(correct, height=128, width=64):
    image = np.full((height, width, 3), BLUE, np.uint8)
    return RankedItem(image, "0002_1_c2_1.jpg", "0002", "2", 0.5, correct)


def drawn(path, rows, title="Title"):
    draw_ranked_lists(path, rows, title=title)
    return np.asarray(Image.open(path))


def cell(picture, row, column):
    """The framed image [H, W, 3] of a cell, without its caption."""
    left, top = figures.cell_corner(row, column)
    height = figures.IMAGE_HEIGHT + 2 * figures.FRAME
    return picture[top : top + height, left : left + figures.CELL_WIDTH]


def caption(picture, row, column):
    left, top = figures.cell_corner(row, column)
    top += figures.IMAGE_HEIGHT + 2 * figures.FRAME
    return picture[top : top + 4 * figures.LINE + 4, left : left + figures.CELL_WIDTH]


def test_size_frames_and_images(tmp_path):
    rows = [(QUERY, [item(True), item(False)]), (QUERY, [item(False)])]
    picture = drawn(tmp_path / "lists.png", rows)
    width, height = figures.picture_size(2, 2)
    assert picture.shape == (height, width, 3)
    for row, (query, items) in enumerate(rows):
        for column, shown in enumerate((query, *items)):
            framed = cell(picture, row, column)
            colour = FRAME_COLOURS[shown.correct]
            for side in (framed[:, :5], framed[-5:], framed[100:, -5:]):
                assert (side == colour).all()
            # Aspect 2:1 fills the cell, but for the corner of the mark.
            assert (framed[30:-5, 5:-5] == BLUE).all()
    # The second list is shorter: its last cell is empty.
    assert (cell(picture, 1, 2) == figures.BACKGROUND).all()


def test_marks_distinguish_right_from_wrong_without_colour(tmp_path):
    picture = drawn(tmp_path / "lists.png", [(QUERY, [item(True), item(False)])])
    size = figures.MARK
    tick, cross = (
        (cell(picture, 0, column)[:size, -size:] == figures.BACKGROUND).all(axis=-1)
        for column in (1, 2)
    )
    half = size // 2
    quarters = (slice(0, half), slice(half, None))
    # A cross reaches into all four quarters, a tick leaves the upper left empty.
    assert all(cross[y, x].sum() > 5 for y in quarters for x in quarters)
    assert cross[: half - 2, : half - 2].any()
    assert tick[:, half:].sum() > 5 and tick[half:, :half].sum() > 5
    assert not tick[: half - 2, : half - 2].any()
    assert not (cell(picture, 0, 0)[5:size, -size:-5] == figures.BACKGROUND).any()


@pytest.mark.parametrize(("height", "width"), [(64, 64), (300, 100), (1, 1)])
def test_images_keep_their_proportions(tmp_path, height, width):
    picture = drawn(tmp_path / "lists.png", [(QUERY, [item(True, height, width)])])
    shown = (cell(picture, 0, 1) == BLUE).all(axis=-1)
    scale = min(figures.IMAGE_HEIGHT / height, figures.IMAGE_WIDTH / width)
    middle = figures.CELL_WIDTH // 2, (figures.IMAGE_HEIGHT + 10) // 2
    assert shown[:, middle[0]].sum() == pytest.approx(height * scale, abs=1)
    assert shown[middle[1]].sum() == pytest.approx(width * scale, abs=1)


def test_every_fact_is_in_the_caption(tmp_path):
    """Each field changes the caption below its own image, and no other."""
    base = item(True)
    plain = drawn(tmp_path / "plain.png", [(QUERY, [base, base])])
    for change in (
        {"name": "x.jpg"},
        {"person": "Ana 65"},
        {"camera": "door"},
        {"similarity": 0.51},
    ):
        changed = RankedItem(**{**vars(base), **change})
        picture = drawn(tmp_path / "changed.png", [(QUERY, [base, changed])])
        assert (caption(picture, 0, 2) != caption(plain, 0, 2)).any()
        assert (caption(picture, 0, 1) == caption(plain, 0, 1)).all()
    titled = drawn(tmp_path / "titled.png", [(QUERY, [base, base])], title="Other")
    assert (titled[: figures.HEADER] != plain[: figures.HEADER]).any()


def test_same_input_same_bytes(tmp_path):
    for name in ("a.png", "b.png"):
        draw_ranked_lists(tmp_path / name, [(QUERY, [item(True)])], title="Title")
    assert (tmp_path / "a.png").read_bytes() == (tmp_path / "b.png").read_bytes()


def test_long_names_are_shortened_in_the_middle():
    font = Font(figures.FONT_SIZE)
    name = "0123_a_very_long_folder_and_file_name_000042.jpg"
    short = font.shortened(name, figures.CELL_WIDTH)
    start, end = short.split("\N{HORIZONTAL ELLIPSIS}")
    assert name.startswith(start) and name.endswith(end) and start and end
    assert font.length(short) <= figures.CELL_WIDTH
    assert font.shortened("short.jpg", figures.CELL_WIDTH) == "short.jpg"


@pytest.mark.parametrize(
    ("name", "drawn"),
    [
        ("a\nb.jpg", r"a\nb.jpg"),
        ("\u202egpj.exe", r"\u202egpj.exe"),
        ("\ud800.jpg", "\ufffd.jpg"),
        ("$x_{$.jpg", "$x_{$.jpg"),
        ("", ""),
    ],
)
def test_any_name_is_drawn_in_one_line(name, drawn, tmp_path):
    font = Font(figures.FONT_SIZE)
    assert font.shortened(name, figures.CELL_WIDTH) == drawn
    strange = dataclasses.replace(item(True), name=name)
    draw_ranked_lists(tmp_path / "a.png", [(QUERY, [strange])], title=name)


def test_a_name_of_any_length_is_shortened_at_once():
    font = Font(figures.FONT_SIZE)
    short = font.shortened("x" * 10_000_000, figures.CELL_WIDTH)
    assert 10 < len(short) < 40 and "\N{HORIZONTAL ELLIPSIS}" in short


GREY = np.zeros((4, 4), np.uint8)


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([], "rows is empty"),
        ([(QUERY, [])], r"row 0 \(0001_1_c1_1.jpg\) has no gallery image"),
        ([(QUERY, [QUERY])], "0001_1_c1_1.jpg in the list .* needs both"),
        (
            [(RankedItem(GREY, "grey", "7", "1"), [item(True)])],
            "grey must be uint8",
        ),
        (
            [(RankedItem(np.zeros((4, 0, 3), np.uint8), "x", "7", "1"), [item(True)])],
            r"x must be uint8 .* not empty, got uint8 \[4, 0, 3\]",
        ),
    ],
)
def test_bad_input_is_named(tmp_path, rows, message):
    with pytest.raises(ValueError, match=message):
        draw_ranked_lists(tmp_path / "lists.png", rows, title="Title")
    assert not list(tmp_path.iterdir())
