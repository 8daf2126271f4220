"""Makes a video of people who walk through a scene, and searches in it.

python -m benchmarks.street FOLDER [--model RUN] [--people N] [--seconds S] [--seed S]

The people are synthetic and walk in lanes, so that nobody hides another. FOLDER gets:

  street.mp4    the video
  street.csv    every box in it, in the form of MOTChallenge; the id is the person
  street.onnx   a detector of this scene, in D-FINE's form: whatever in a lane differs
                from the empty scene is a person
  queries/      each person at another camera, in the clothes of the video (PID_1.jpg)
                and in others (PID_2.jpg)
  boxes.html    the page of a search with the boxes: an entry for each track
  detect.html   the page of a search with the detector: an entry for each crop

Prints how many queries of either kind have the person first. Needs
requirements-dev.txt.
"""

import argparse
import re
from pathlib import Path
from typing import NamedTuple

import cv2
import numpy as np

from benchmarks.street_detector import write_detector
from mbnet_jax.commands import search
from mbnet_jax.synthetic.cameras.camera import make_camera
from mbnet_jax.synthetic.clothes.wardrobe import make_wardrobe, sample_outfits
from mbnet_jax.synthetic.options import SyntheticOptions
from mbnet_jax.synthetic.people.body import load_body
from mbnet_jax.synthetic.people.dressing import dress
from mbnet_jax.synthetic.people.figure import draw_figure, place_figure
from mbnet_jax.synthetic.people.gait import rotation, walking_pose
from mbnet_jax.synthetic.people.identity import sample_identity
from mbnet_jax.synthetic.render import render
from mbnet_jax.synthetic.scenes.scene import make_scene

RATE = 10.0  # frames per second
LANES = 3
_SPEED = 1.3  # metres per second
_METRES = (2.1, 1.6)  # height and width of what a person is drawn on


class Street(NamedTuple):
    """A video and what is known of it.

    Attributes:
      frames: uint8 [n, h, w, 3], RGB.
      empty: uint8 [h, w, 3], the scene without people.
      boxes: rows of (frame from 1, person from 1, x, y, width, height).
    """

    frames: np.ndarray
    empty: np.ndarray
    boxes: list[tuple[int, ...]]


def options(people: int, seed: int) -> SyntheticOptions:
    """Those of the people in the video, whom no training has seen."""
    return SyntheticOptions(
        train_identities=0, test_identities=people, outfits=2, cameras=2, seed=seed
    )


def make_street(
    people: int,
    seconds: float,
    size: tuple[int, int] = (540, 960),
    seed: int = 99,
    phases: int = 8,
) -> Street:
    """Draws the video.

    Args:
      people: they take turns in the lanes.
      seconds: of the video.
      size: height and width in pixels.
      seed: of people and scene.
      phases: drawn moments of a step.
    """
    made = options(people, seed)
    rng = np.random.default_rng(seed)
    picture = make_scene("street", make_camera(made, 1), [], rng).picture
    empty = cv2.resize(picture, size[::-1], interpolation=cv2.INTER_AREA)
    count = int(seconds * RATE)
    frames = np.repeat(empty[None], count, axis=0)
    lane = size[0] // LANES
    scale = lane / _METRES[0]
    turns = -(-people // LANES)
    boxes = []
    for pid in range(1, people + 1):
        right = bool(rng.integers(2))
        sprites = _sprites(made, pid, right, scale, phases)
        turn, row = divmod(pid - 1, LANES)
        first, last = (int(count * each / turns) for each in (turn, turn + 1))
        step = _SPEED * scale / RATE
        path = size[1] - sprites[0].shape[1]
        start = rng.uniform(0, max(path - step * (last - first), 0))
        for number in range(first, last):
            at = start + step * (number - first)
            left = int(at if right else path - at)
            sprite = sprites[number % phases]
            box = _paste(frames[number], sprite, left, row * lane)
            if box is not None:
                boxes.append((number + 1, pid, *box))
    return Street(frames, empty, sorted(boxes))


def _sprites(
    made: SyntheticOptions, pid: int, right: bool, scale: float, phases: int
) -> list[np.ndarray]:
    """A person's step from the side, float32 [h, w, 4]: colour times share, share."""
    identity, body = sample_identity(made, pid), load_body()
    outfit = sample_outfits(made, make_wardrobe(made), pid, identity.female)[0]
    dressed = dress(body, identity, outfit)
    size = tuple(int(metres * scale) for metres in _METRES)
    turned = rotation(1, (1 if right else -1) * np.pi / 2 * 0.7).T.astype(np.float32)
    found = []
    for phase in range(phases):
        angle = 2 * np.pi * phase / phases
        rotations = walking_pose(
            body, dressed.joints, identity.gait, angle, dressed.stride
        )
        posed = place_figure(dressed, rotations) @ turned
        low, high = posed[dressed.boxed].min(0), posed[dressed.boxed].max(0)
        posed -= np.float32([(low[0] + high[0]) / 2, low[1], 0])
        # Seen from +z: x to the right, rows downwards.
        points = posed * (scale, -scale, -1) + (size[1] / 2, size[0] - 2, 10)
        light = (np.array([0.3, 0.8, 0.5]) / 0.99, 0.65, 0.4)
        forward = np.array([0.0, 0.0, -1.0])
        colour, share = draw_figure(
            dressed, identity, outfit, posed, points, forward, light, size
        )
        found.append(np.dstack([colour, 1 - share[..., 0]]))
    return found


def _paste(
    frame: np.ndarray, sprite: np.ndarray, left: int, top: int
) -> tuple[int, int, int, int] | None:
    """Draws a person over a frame; returns the box of what is inside it."""
    shown = sprite[:, max(-left, 0) : frame.shape[1] - left]
    left = max(left, 0)
    rows, columns = (np.flatnonzero((shown[..., 3] > 0.5).any(i)) for i in (1, 0))
    if not len(columns):
        return None
    region = frame[top : top + shown.shape[0], left : left + shown.shape[1]]
    region[:] = np.clip(
        region * (1 - shown[..., 3:]) + shown[..., :3] * 255 + 0.5, 0, 255
    )
    width, height = np.ptp(columns) + 1, np.ptp(rows) + 1
    return int(left + columns[0]), int(top + rows[0]), int(width), int(height)


def write_video(path: Path, frames: np.ndarray) -> None:
    """Writes RGB frames, uint8 [n, h, w, 3], as MPEG-4."""
    code = cv2.VideoWriter_fourcc(*("mp4v" if path.suffix == ".mp4" else "MJPG"))
    writer = cv2.VideoWriter(str(path), code, RATE, frames.shape[2:0:-1])
    for frame in frames:
        writer.write(np.ascontiguousarray(frame[..., ::-1]))
    writer.release()


def write_frame(path: Path, image: np.ndarray, quality: int = 95) -> None:
    """Writes RGB, uint8 [h, w, 3]."""
    blue_first = np.ascontiguousarray(image[..., ::-1])
    cv2.imwrite(str(path), blue_first, [cv2.IMWRITE_JPEG_QUALITY, quality])


def write_boxes(path: Path, boxes: list[tuple[int, ...]]) -> None:
    """Writes them as MOTChallenge does its ground truth."""
    rows = [",".join(map(str, (*row, 1, 1, 1))) for row in boxes]
    path.write_text("\n".join(rows) + "\n")


def write_queries(folder: Path, people: int, seed: int) -> list[Path]:
    """Draws each person at camera 2, in the first and the second outfit."""
    folder.mkdir(exist_ok=True)
    made, paths = options(people, seed), []
    for pid in range(1, people + 1):
        for outfit in (1, 2):
            image, _, quality = render(made, pid, outfit, 2, 1)
            paths.append(folder / f"{pid}_{outfit}.jpg")
            write_frame(paths[-1], image, quality)
    return paths


def write_street(folder: Path, street: Street) -> None:
    """Writes the video, its boxes and its detector."""
    folder.mkdir(parents=True, exist_ok=True)
    write_video(folder / "street.mp4", street.frames)
    write_boxes(folder / "street.csv", street.boxes)
    write_detector(folder / "street.onnx", street.empty, LANES)


def first_hits(page: str) -> list[str]:
    """What a page says of the first hit of each query: frame, time and track."""
    sections = page.split("<h2>Query ")[1:]
    return [
        re.search(r"Rank 1, [^,]+, ([^\"]*)\"", section).group(1)
        for section in sections
    ]


def main() -> None:
    """Makes the video, searches with its boxes and with its detector."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("folder", type=Path)
    parser.add_argument("--model")
    parser.add_argument("--people", type=int, default=6)
    parser.add_argument("--seconds", type=float, default=12)
    parser.add_argument("--seed", type=int, default=99)
    given = parser.parse_args()
    folder = given.folder
    street = make_street(given.people, given.seconds, seed=given.seed)
    write_street(folder, street)
    queries = write_queries(folder / "queries", given.people, given.seed)
    common = ["--gallery", folder / "street.mp4", "--query", *queries, "--fps", "2"]
    common += ["--cache", folder / "cache", "--crops", folder / "crops", "--k", "12"]
    common += ["--model", given.model] if given.model else []
    for name, flags in {
        "boxes": ["--boxes", folder / "street.csv"],
        "detect": ["--detect", folder / "street.onnx", "--whole-queries"],
    }.items():
        page = folder / f"{name}.html"
        search.main([str(word) for word in (*common, *flags, "--out", page)])
        if name == "boxes":
            hits = first_hits(page.read_text())
            tracks = [int(re.search(r"track (\d+)", hit).group(1)) for hit in hits]
            expected = [int(path.stem.split("_")[0]) for path in queries]
            right = np.array(tracks) == expected
            for outfit, words in enumerate(("the same clothes", "other clothes")):
                print(f"{words}: {right[outfit::2].sum()} of {given.people} are first")


if __name__ == "__main__":
    main()
