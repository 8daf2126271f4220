"""The parts of the pictures: the choice of images, and the drawing."""

import io

import numpy as np
import pytest
from PIL import Image

from benchmarks.pictures import layout, lists, maps
from benchmarks.pictures.choice import choose, choose_images, choose_people
from benchmarks.pictures.maps import ModuleMap, PeopleMaps, inside_outside
from mbnet_jax.data import Split
from mbnet_jax.data.records import UNKNOWN
from mbnet_jax.report import heat
from mbnet_jax.report import ranked_lists as figures
from mbnet_jax.report.ranked_lists import RankedItem
from mbnet_jax.retrieval import RetrievalMetrics


def metrics(first, precision):
    first = np.array(first)
    precision = np.where(first == 0, np.nan, precision)
    return RetrievalMetrics(0, 0, {}, int((first > 0).sum()), precision, first)


PERFECT = metrics([1] * 7, [1.0] * 7)


def test_the_largest_differences_come_first_and_ties_by_row():
    other = metrics([2, 2, 1, 5, 3, 2, 9], [0.5, 0.9, 0.8, 0.1, 0.5, 0.5, 0.2])
    chosen = choose(PERFECT, other, np.arange(7))
    assert chosen.rows.tolist() == [3, 6, 0, 4] and chosen.total == 6
    # No query is right only by the second network.
    assert choose(other, PERFECT, np.arange(7)).total == 0
    assert choose(other, PERFECT, np.arange(7)).rows.tolist() == []


def test_one_query_per_person_is_shown_and_all_are_counted():
    other = metrics([2] * 7, [0.5, 0.4, 0.3, 0.2, 0.1, 0.0, 0.6])
    chosen = choose(PERFECT, other, np.array([1, 1, 2, 2, 2, 2, 1]))
    assert chosen.rows.tolist() == [5, 1] and chosen.total == 7


def test_only_the_nearest_image_decides_which_network_is_right():
    """Average precision does not, and queries without a match do not count."""
    one = metrics([1, 2, 1, 0], [0.2, 0.9, 0.5, 0.5])
    two = metrics([2, 1, 1, 0], [0.4, 0.1, 0.1, 0.5])
    assert choose(one, two, np.arange(4)).rows.tolist() == [0]
    assert choose(two, one, np.arange(4)).rows.tolist() == [1]
    assert choose(one, two, np.arange(4)).total == 1


def split(*rows):
    """A split from (person, camera, outfit) of each image."""
    pid, camera, clothes = np.array(rows, np.int32).T
    names = tuple(f"{i:03d}.jpg" for i in range(len(rows)))
    return Split(pid, camera, clothes, names, np.arange(len(rows)), None)


def test_people_are_those_of_the_queries_then_the_lowest_numbers():
    query = split(*[(p, 0, 10 * p) for p in range(8)], (8, 0, UNKNOWN))
    gallery = split(*[(p, 1, 10 * p + (p != 2)) for p in range(8)], (8, 1, UNKNOWN))
    # Person 2 never changes clothes, and person 8's are unknown.
    assert choose_people([6, 2, 6], (query, gallery)) == [6, 0, 1, 3]
    assert choose_people([7, 6, 5, 4], (query, gallery)) == [7, 6, 5, 4]
    assert choose_people([], (query, split((1, 0, 99)))) == [1]
    with pytest.raises(ValueError, match="nobody in the test split"):
        choose_people([], (query,))


def test_images_are_from_the_camera_that_shows_the_most_outfits():
    query = split((1, 0, 5), (2, 1, 7), (1, 3, 6), (1, 3, 5))
    gallery = split((1, 2, 6), (1, 3, 5), (1, 2, 5), (1, 4, 8))
    images, outfits = choose_images(1, (query, gallery))
    # Cameras 2 and 3 show two outfits: 2 is lower, and does not show the third.
    found = [(split is gallery, index) for split, index in images]
    assert found == [(True, 2), (True, 0), (True, 3)] and outfits == 3
    # The queries come first.
    assert choose_images(1, (query,))[0] == [(query, 3), (query, 2)]
    many = split(*[(1, 0, outfit) for outfit in range(9)])
    images, outfits = choose_images(1, (many,))
    assert [index for _, index in images] == [0, 1, 2, 3, 4] and outfits == 9


BLUE = np.full((128, 64, 3), (10, 20, 200), np.uint8)
QUERY = RankedItem(BLUE, "0001_1_c1_1.jpg", "0001", "1")
COLOURS = {None: figures.NEUTRAL, True: figures.RIGHT, False: figures.WRONG}


def item(correct):
    return RankedItem(BLUE, "0002_1_c2_1.jpg", "0002", "2", 0.5, correct)


def framed(picture, block, row, column):
    left, top = lists.corner(block, row, column)
    height = lists.IMAGE[1] + 2 * lists.FRAME
    return np.asarray(picture)[top : top + height, left : left + lists.CELL]


def test_frames_and_marks_show_right_and_wrong():
    verdicts = [[True, False], [False, False]], [[False, True], [True, True]]
    blocks = [
        (QUERY, [lists.Ranked("caption", [item(v) for v in row]) for row in block])
        for block in verdicts
    ]
    picture = lists.draw_blocks(blocks)
    marks = {True: set(), False: set()}
    for block, rows in enumerate(verdicts):
        assert (framed(picture, block, 0, 0)[:3] == figures.NEUTRAL).all()
        for row, expected in enumerate(rows):
            for column, verdict in enumerate(expected, start=1):
                cell = framed(picture, block, row, column)
                for side in (cell[-4:], cell[:, :4], cell[50:, -4:]):
                    assert (side == COLOURS[verdict]).all()
                # An image of aspect 2:1 fills the frame, except for the mark.
                assert (cell[30:-4, 4:-4] == BLUE[0, 0]).all()
                mark = cell[: lists.MARK, -lists.MARK :]
                white = (mark == figures.BACKGROUND).all(-1)
                assert white.sum() > 20
                marks[verdict].add(white.tobytes())
            assert (framed(picture, block, row, 3) == figures.BACKGROUND).all()
    # Each verdict has its own mark.
    assert len(marks[True]) == len(marks[False]) == 1 and marks[True] != marks[False]
    assert picture.size == (lists.WIDTH, 2 * lists.BLOCK - lists.BLOCK_GAP + 16)
    assert lists.draw_blocks([]).size == (lists.WIDTH, layout.MARGIN)


def test_text_does_not_overlap_images():
    def drawn(captions, camera):
        query = RankedItem(BLUE, "q.jpg", "0001", camera)
        ranked = [lists.Ranked(text, [item(True)] * 10) for text in captions]
        return np.asarray(lists.draw_blocks([(query, ranked)])).astype(int)

    base = drawn(("above", "below"), "1")
    for changed, row in ((("other", "below"), 0), (("above", "other"), 1)):
        where = np.argwhere((drawn(changed, "1") != base).any(-1))
        _, top = lists.corner(0, row, 1)
        assert top - lists.HEAD <= where[:, 0].min() and where[:, 0].max() < top
    where = np.argwhere((drawn(("above", "below"), "8") != base).any(-1))
    assert where[:, 0].min() >= lists.corner(0, 0, 0)[1] + lists.IMAGE[1]
    assert where[:, 1].max() < lists.corner(0, 0, 1)[0]


def test_wrapping_keeps_all_text():
    text = "Some words of which several fit into a line and a_word_that_does_not_fit"
    lines = layout.wrapped(text, 120)
    assert " ".join(lines) == text and len(lines) > 3
    assert all(layout.Font(layout.FONT_SIZE).length(line) <= 120 for line in lines[:-1])
    assert layout.wrapped("", 120) == []
    two, three = (layout.heading("T", notes, 400).height for notes in ("ab", "abc"))
    assert three - two == layout.LINE


def test_files_have_the_best_quality_below_the_limit():
    noise = np.random.default_rng(0).integers(0, 256, (700, 1000, 3), np.uint8)
    small = layout.encoded(Image.fromarray(noise))
    assert len(small) < layout.MOST_BYTES
    shrunk = Image.open(io.BytesIO(small)).size
    assert shrunk[0] < 1000 and shrunk[0] / shrunk[1] == pytest.approx(10 / 7, 0.01)
    plain = layout.encoded(Image.new("RGB", (1000, 700), (9, 9, 9)))
    assert Image.open(io.BytesIO(plain)).size == (1000, 700)


def test_means_weight_cells_by_their_share_of_the_area():
    area = np.zeros((3, 8, 4), np.float32)
    area[0, :4, :2] = 1  # the first of 2x2 cells
    area[1, 2:6, :2] = 1  # a half of both on the left
    values = np.array([[[1, 2], [3, 4.0]]] * 3)
    inside, outside = inside_outside(values, area)
    assert inside[:2] == pytest.approx([1, 2]) and np.isnan(inside[2])
    assert outside == pytest.approx([3, 8 / 3, 2.5])


def test_the_outline_encloses_the_area():
    area = np.zeros((64, 32), np.float32)
    area[16:32, 8:24] = 1
    view, cells = np.full((64, 32, 3), 128, np.uint8), np.arange(8.0).reshape(4, 2)
    picture = layout.overlaid(view, cells, area, (0, 7), 256)
    plain = heat.overlay(view, cells, 0, 7, 256)
    changed = (picture != plain).any(-1)
    rows, columns = np.nonzero(changed)
    edges = rows.min(), rows.max(), columns.min(), columns.max()
    assert edges == pytest.approx((64, 127, 32, 95), abs=2)
    assert not changed[68:124, 36:92].any()
    assert (picture[changed].reshape(-1, 3).max(0) == 255).all()


def test_the_summary_distinguishes_position_from_image():
    area = np.zeros((2, 64, 32), np.float32)
    area[:, :, :16] = 1
    view = np.zeros((2, 64, 32, 3), np.uint8)
    by_position = np.array([[[0.1, 0.5]] * 4] * 2)
    by_image = np.array([[[0.1, 0.1]] * 4, [[0.5, 0.5]] * 4])
    same, changing = (
        maps.summary(ModuleMap("a map", "unit", values, view, area, "left"))
        for values in (by_position, by_image)
    )
    begin = "A map in these images: 0.10 to 0.50, mean on the left "
    end = "of a cell over the images {}, std of the cells' means {}."
    assert same.startswith(begin + "0.10, on the rest 0.50; std")
    assert changing.startswith(begin + "0.30, on the rest 0.30; std")
    assert same.endswith(end.format("0.000", "0.200"))
    assert changing.endswith(end.format("0.200", "0.000"))


def shown(**without):
    """Random maps of two people with two and one images."""
    rng = np.random.default_rng(0)
    view = rng.integers(0, 256, (3, 64, 32, 3), np.uint8)
    area = (rng.random((3, 64, 32)) > 0.5).astype(np.float32)

    def module_map(title):
        values = None if title in without.get("titles", ()) else rng.random((3, 4, 2))
        return ModuleMap(title, "unit", values, view, area, "person")

    captions = [("file.jpg", "outfit 1, camera 1")] * 3
    attention = [module_map(title) for title in ("FAM", "to crops", "to mask")]
    gate = module_map("gate")
    return PeopleMaps([2, 1], captions, view, view, gate, attention)


def test_missing_modules_are_left_out_and_named(monkeypatch):
    headings = []
    real = maps.heading
    monkeypatch.setattr(
        maps,
        "heading",
        lambda title, notes, width: headings.append(notes) or real(title, notes, width),
    )
    sizes = [
        Image.open(io.BytesIO(maps.draw_attention(shown(titles=titles), ["x"]))).size
        for titles in ((), ("FAM",), ("to crops", "to mask"))
    ]
    # For each of two people: one column less, and two.
    step = layout.LEAST_WIDTH + layout.GAP
    assert [sizes[0][0] - width for width, _ in sizes] == [0, 2 * step, 4 * step]
    assert not any("does not have" in note for note in headings[0])
    assert "The network does not have: FAM." in headings[1]
    assert "The network does not have: to crops, to mask." in headings[2]
