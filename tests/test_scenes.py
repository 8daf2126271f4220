"""Videos and their boxes: frames, files of boxes, crops and tracklets."""

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import tiny

from benchmarks.street import write_video
from mbnet_jax.detection.boxes import Box
from mbnet_jax.detection.crops import BOXES, cut
from mbnet_jax.detection.finders import Finder, by_file
from mbnet_jax.detection.mot import read_boxes
from mbnet_jax.detection.video import sampled_frames
from mbnet_jax.search.captions import clock, labels_of
from mbnet_jax.search.gallery import Gallery
from mbnet_jax.search.scenes import find_people, finders_by_file, list_scenes
from mbnet_jax.search.tracks import with_tracks

TRACKS = (
    "1,4,10,10,20,40,1\n1,-1,50,5,20,40,0.9\n4,4,12,10,20,40,1\n9,4,200,10,9,40,1\n"
)


def make_video(path: Path, count: int = 25, size: tuple[int, int] = (64, 96)) -> Path:
    """Frame n, from 1, is grey of brightness 8 n."""
    path.parent.mkdir(parents=True, exist_ok=True)
    grey = np.arange(1, count + 1, dtype=np.uint8)[:, None, None, None] * 8
    write_video(path, np.broadcast_to(grey, (count, *size, 3)))
    return path


@pytest.mark.parametrize("name", ["a.mp4", "a.avi"])
@pytest.mark.parametrize(
    ("fps", "numbers"),
    [
        (1, [1, 11, 21]),
        (2, [1, 6, 11, 16, 21]),
        (4, [1, 4, 6, 9, 11, 14, 16, 19, 21, 24]),
    ],
)
def test_frames_are_sampled_by_time(tmp_path, name, fps, numbers):
    """Of ten frames per second."""
    found = [*sampled_frames(make_video(tmp_path / name), fps)]
    assert [frame.number for frame in found] == numbers
    for frame in found:
        assert frame.seconds == pytest.approx((frame.number - 1) / 10, abs=1e-3)
        assert frame.image.shape == (64, 96, 3) and frame.image.dtype == np.uint8
        assert abs(frame.image.mean() - 8 * frame.number) < 4
    assert found[-1].share > 0.8


def test_a_higher_rate_than_the_videos_takes_each_frame_once(tmp_path):
    found = [*sampled_frames(make_video(tmp_path / "a.mp4", 7), 100)]
    assert [frame.number for frame in found] == [*range(1, 8)]


def test_frames_with_boxes_are_sampled_alone(tmp_path):
    path = make_video(tmp_path / "a.mp4")
    only = {3, 4, 12, 25, 99}
    found = [frame.number for frame in sampled_frames(path, 1, only)]
    assert found == [3, 12, 25]
    assert not [*sampled_frames(path, 1, ())]


def test_what_is_no_video_is_refused(tmp_path):
    for content, reason in (
        (b"no video", "cannot be decoded; convert it"),
        (b"#EXTM3U\nhttp://localhost/a.ts", "a list of other files"),
    ):
        path = tmp_path / "a.mp4"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=reason):
            next(sampled_frames(path, 1))
    with pytest.raises(FileNotFoundError):
        next(sampled_frames(tmp_path / "gone.mp4", 1))


def test_boxes_of_a_file(tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(
        f"frame,id,x,y,width,height\n{TRACKS}\n2,7,1.5,2,3,4\n2,8,1,2,3,4,0,1\n"
    )
    found = read_boxes(path)
    assert {*found} == {1, 2, 4, 9}
    assert found[1] == [Box(10, 10, 20, 40, 1, 4), Box(50, 5, 20, 40, 0.9, -1)]
    # Without confidence it is 1; with confidence 0 a row is ignored.
    assert found[2] == [Box(1.5, 2, 3, 4, 1, 7)]
    assert read_boxes(path, 0.95)[1] == found[1][:1]
    for wrong, reason in (
        ("1,1,1,1,5", "line 1, '1,1,1,1,5', has 5 columns"),
        ("0,1,1,1,5,5", "frames are whole numbers from 1"),
        ("1,1,1,1,5,0", "width and height must be above 0"),
        ("1,1,1,1,5,nan", "not finite"),
        ("1,1,1,1,5,5\n1,1,x,1,5,5", "line 2, .* has a cell that is not a number"),
    ):
        path.write_text(wrong)
        with pytest.raises(ValueError, match=reason):
            read_boxes(path)


def counted(finder: Finder, calls: list[int]) -> Finder:
    def find(number, image):
        calls.append(number)
        return finder.find(number, image)

    return Finder(find, finder.digest, finder.only)


def test_crops_are_cut_once_and_again_if_something_changed(tmp_path):
    video, boxes = make_video(tmp_path / "a.mp4"), tmp_path / "a.txt"
    boxes.write_text(TRACKS)
    calls: list[int] = []
    finder = counted(by_file(boxes), calls)
    crops = cut(video, tmp_path / "crops", finder, 10)
    # The box of frame 9 is beyond the border.
    assert [(c.frame, c.box.track) for c in crops] == [(1, 4), (1, -1), (4, 4)]
    assert [c.seconds for c in crops] == pytest.approx([0, 0, 0.3], abs=1e-3)
    for found in crops:
        pixels = cv2.imread(str(tmp_path / "crops" / found.name))
        assert pixels.shape == (40, 20, 3)
        assert abs(pixels.mean() - 8 * found.frame) < 4
    assert calls == [1, 4, 9]
    assert cut(video, tmp_path / "crops", finder, 10) == crops
    assert len(calls) == 3
    # Incomplete: a crop is gone, or the table.
    (tmp_path / "crops" / crops[0].name).unlink()
    assert cut(video, tmp_path / "crops", finder, 10) == crops and len(calls) == 6
    next((tmp_path / "crops").glob(f"*/{BOXES}")).unlink()
    assert cut(video, tmp_path / "crops", finder, 10) == crops and len(calls) == 9
    # Other boxes, another rate, another video.
    boxes.write_text(TRACKS.replace("0.9", "0.8"))
    cut(video, tmp_path / "crops", counted(by_file(boxes), calls), 10)
    cut(video, tmp_path / "crops", finder, 5)
    os.utime(video, (1, 1))
    cut(video, tmp_path / "crops", finder, 10)
    assert len(calls) > 9 + 2 * 3 and len([*(tmp_path / "crops").iterdir()]) == 4


def test_photographs_are_the_frames_of_one_file(tmp_path):
    folder = tmp_path / "img1"
    folder.mkdir()
    for number in (1, 2, 3):
        pixels = np.full((64, 96, 3), 50 * number, np.uint8)
        (folder / f"{number:06d}.jpg").write_bytes(tiny.encoded(pixels, "JPEG"))
    boxes = tmp_path / "gt.txt"
    boxes.write_text("1,1,0,0,20,40\n3,1,0,0,30,50\n")
    scenes, failures = list_scenes(folder)
    finder_of = finders_by_file(boxes, scenes, None)
    people = find_people(scenes, finder_of, 1, tmp_path / "crops")
    assert not failures and people.scenes == 3
    named = [(scene, crop.box.width) for scene, crop in people.crops.values()]
    assert named == [("000001.jpg", 20), ("000003.jpg", 30)]
    make_video(folder / "b.mp4")
    with pytest.raises(
        ValueError, match="the file of one video, and the gallery has 1"
    ):
        finders_by_file(boxes, list_scenes(folder)[0], None)


def test_each_video_has_its_file_of_boxes(tmp_path):
    folder, boxes = tmp_path / "videos", tmp_path / "boxes"
    for name in ("a.mp4", "day/b.mp4", "c.mp4"):
        make_video(folder / name, 5)
        (boxes / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / "bad.avi").write_text("no video")
    (boxes / "a.csv").write_text("1,1,0,0,20,40\n")
    (boxes / "bad.csv").write_text("1,1,0,0,20,40\n")
    (boxes / "day" / "b.mp4.txt").write_text("2,1,0,0,20,40\n2,1,0,0,0,40\n")
    scenes, _ = list_scenes(folder)
    finder_of = finders_by_file(boxes, scenes, None)
    people = find_people(scenes, finder_of, 1, tmp_path / "crops")
    assert [scene for scene, _ in people.crops.values()] == ["a.mp4"]
    reasons = dict(people.failures)
    assert "cannot be decoded" in reasons["bad.avi"]
    assert "has no file of boxes" in reasons["c.mp4"]
    assert "line 2" in reasons["day/b.mp4"]


def test_a_tracklet_is_the_mean_of_its_crops(tmp_path):
    video, boxes = make_video(tmp_path / "a.mp4"), tmp_path / "a.csv"
    rows = [
        f"{frame},{track},10,10,20,40" for frame in (1, 2, 3) for track in (4, 0, -1)
    ]
    boxes.write_text("\n".join(rows))
    scenes, _ = list_scenes(video)
    finder_of = finders_by_file(boxes, scenes, None)
    people = find_people(scenes, finder_of, 10, tmp_path / "crops")
    names = [*people.crops]
    assert len(names) == 9 and len(people.tracks()) == 2
    rng = np.random.default_rng(0)
    features = rng.normal(size=(9, 5)).astype(np.float32)
    features /= np.linalg.norm(features, axis=1, keepdims=True)
    order = rng.permutation(9)  # rows in the cache have an order of their own
    gallery = Gallery(
        tmp_path / "crops",
        names,
        order,
        features,
        [bytes([n]) for n in range(9)],
        9,
        [],
    )
    merged, tracklets = with_tracks(gallery, people)
    assert len(merged.names) == 2 + 3 and merged.features.shape == (5, 5)
    for members in tracklets.values():
        assert len(members) == 3
    for name, row in zip(merged.names, merged.rows, strict=True):
        members = tracklets.get(name, [name])
        mean = features[[order[names.index(each)] for each in members]].mean(0)
        mean /= np.linalg.norm(mean)
        np.testing.assert_allclose(merged.features[row], mean, rtol=1e-5)
        nearest = max(
            members, key=lambda each: features[order[names.index(each)]] @ mean
        )
        assert name == nearest
        assert merged.digests[merged.names.index(name)] == bytes([names.index(name)])
    labels = labels_of(people, tracklets)
    shown = {labels[merged.folder / name].where for name in tracklets}
    times = "3 crops, frames 1 to 3, 0:00.0 to 0:00.2"
    assert shown == {f"track 4, {times}", f"track 0, {times}"}
    single = next(name for name in merged.names if name not in tracklets)
    assert "box 20 x 40 at 10, 10" in labels[merged.folder / single].where
    # Without tracks nothing changes.
    boxes.write_text("1,-1,10,10,20,40")
    people = find_people(scenes, lambda _: by_file(boxes), 10, tmp_path / "crops")
    assert with_tracks(gallery, people) == (gallery, {})


def test_times_are_written_as_clocks_show_them():
    times = [0, 4.84, 59.96, 3599.94, 3723.4]
    assert [clock(time) for time in times] == [
        *("0:00.0", "0:04.8", "1:00.0", "59:59.9", "1:02:03.4")
    ]
