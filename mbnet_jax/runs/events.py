"""TensorBoard's file of events: scalars and pictures by step."""

import contextlib
import math
import struct
import time
from collections.abc import Mapping
from pathlib import Path

from tensorboardX.event_file_writer import EventsWriter
from tensorboardX.proto.event_pb2 import Event, SessionLog
from tensorboardX.proto.summary_pb2 import Summary
from tensorboardX.summary import scalar

from mbnet_jax.files import filename_in_errors, read_bytes

FOLDER = "events"  # in a run's
_TESTED = ("mAP", "rank1")  # measures


class Events:
    """A new file in the folder `events` of a run; to be closed.

    Every method raises an OSError that names the run's folder if it cannot write.
    """

    def __init__(self, run: Path, suffix: str = ""):
        """Creates the file; `suffix` ends its name."""
        self._run = run
        with filename_in_errors(run):
            (run / FOLDER).mkdir(exist_ok=True)
            # Not SummaryWriter: its thread dies of a full disk, and its queue blocks.
            self._writer = EventsWriter(str(run / FOLDER / "events"), suffix)

    def resume(self, step: int) -> None:
        """Makes TensorBoard drop what other files have from `step` on."""
        self._write(step, file_version="brain.Event:2")
        self._write(step, session_log=SessionLog(status=SessionLog.START))

    def scalars(self, step: int, values: dict[str, float]) -> None:
        """Writes scalars by name."""
        for name, value in values.items():
            self._write(step, summary=scalar(name, value))
        with filename_in_errors(self._run):
            self._writer.flush()

    def picture(self, step: int, name: str, path: Path) -> None:
        """Writes a picture: an RGB PNG that this program made."""
        data = read_bytes(path)
        width, height = struct.unpack_from(">II", data, 16)  # of the header
        image = Summary.Image(
            height=height, width=width, colorspace=3, encoded_image_string=data
        )
        self._write(step, summary=Summary(value=[{"tag": name, "image": image}]))

    def _write(self, step: int, **content) -> None:
        with filename_in_errors(self._run):
            event = Event(step=step, wall_time=time.time(), **content)
            self._writer.write_event(event)

    def close(self) -> None:
        """Writes what is left, and closes the file."""
        with filename_in_errors(self._run):
            self._writer.close()


def write_test(
    run: Path,
    step: int,
    results: Mapping[str, Mapping[str, Mapping[str, float]]],
    lists: Path | None,
    tag: str = "test",
) -> None:
    """Writes a test of the checkpoint of `step` into a file of its own.

    Args:
      run: the run's folder.
      step: of the checkpoint.
      results: protocol -> embedding -> measure -> value; `_TESTED` are written.
      lists: the picture of ranked lists; None if there is none.
      tag: what the names of scalars and picture begin with.
    """
    with contextlib.closing(Events(run, ".test")) as events:
        scores = {
            f"{tag}/{protocol}/{embedding}/{measure}": measures[measure]
            for protocol, embeddings in results.items()
            for embedding, measures in embeddings.items()
            for measure in _TESTED
            if not math.isnan(measures.get(measure, math.nan))
        }
        events.scalars(step, scores)
        if lists is not None:
            events.picture(step, f"{tag}/ranked_lists", lists)
