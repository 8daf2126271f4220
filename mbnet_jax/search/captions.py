"""What a page says of a crop: the scene, the frame and the time."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.detection.boxes import NO_TRACK
from mbnet_jax.detection.crops import Crop
from mbnet_jax.files import printable
from mbnet_jax.search.photographs import Failures
from mbnet_jax.search.scenes import People

Tracklets = Mapping[str, list[str]]


class Label(NamedTuple):
    """The name of a picture, and where in it a person is; "" if it is all of it."""

    name: str
    where: str = ""


class Searched(NamedTuple):
    """What was searched, in words.

    Attributes:
      what: such as "12 photographs".
      folder: that the user gave; or an index, in words.
      failures: files that are left out besides the gallery's own, and why.
      labels: path of a picture -> its label, if that is not its path.
    """

    what: str
    folder: Path | str
    failures: Failures
    labels: Mapping[Path, Label]


def searched_scenes(
    folder: Path, people: People, queries: People | None, tracklets: Tracklets
) -> Searched:
    """What was searched, if people were cut out of scenes.

    Args:
      folder: of the scenes, or a single one.
      people: in the gallery.
      queries: people in queries; None: these are photographs of one person.
      tracklets: as `with_tracks` returns them.
    """
    crops = sum(map(len, tracklets.values()))
    single = len(people.crops) - crops
    parts = []
    if tracklets:
        parts.append(f"{_count(len(tracklets), 'tracklet')} ({_count(crops, 'crop')})")
    if single:
        parts.append(_count(single, "crop"))
    what = f"{' and '.join(parts)} of people, from {_count(people.scenes, 'scene')}"
    labels = labels_of(people, tracklets)
    if queries is not None:
        labels = labels_of(queries, {}) | labels
    return Searched(what, folder, people.failures, labels)


def _count(count: int, what: str) -> str:
    return f"{count:,} {what}{'s' * (count != 1)}"


def labels_of(people: People, tracklets: Tracklets) -> dict[Path, Label]:
    """The label of each crop, by its path.

    Args:
      people: the crops.
      tracklets: as `with_tracks` returns them.
    """
    found = {}
    for name, (scene, crop) in people.crops.items():
        others = [people.crops[each][1] for each in tracklets.get(name, ())]
        where = _tracklet(others) if others else _crop(crop)
        found[people.folder / name] = Label(printable(scene), where)
    return found


def _crop(crop: Crop) -> str:
    parts = []
    if crop.seconds is not None:
        parts += [f"frame {crop.frame:,}", clock(crop.seconds)]
    box = crop.box
    parts.append(f"box {box.width:.0f} x {box.height:.0f} at {box.x:.0f}, {box.y:.0f}")
    if crop.box.track != NO_TRACK:
        parts.append(f"track {crop.box.track}")
    return ", ".join(parts)


def _tracklet(crops: list[Crop]) -> str:
    first, last = crops[0], crops[-1]
    text = f"track {first.box.track}, {len(crops):,} crop{'s' * (len(crops) > 1)}"
    frames = f"{first.frame:,}"
    if last.frame != first.frame:
        frames = f"{frames} to {last.frame:,}"
    text += f", frame{'s' * (last.frame != first.frame)} {frames}"
    if first.seconds is None or last.seconds is None:
        return text
    times = clock(first.seconds)
    if last.frame != first.frame:
        times = f"{times} to {clock(last.seconds)}"
    return f"{text}, {times}"


def clock(seconds: float) -> str:
    """A time in a video: "1:02:03.4" or "2:03.4"."""
    tenths = int(seconds * 10 + 0.5)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths / 10:04.1f}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"
