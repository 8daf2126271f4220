"""Reads TensorBoard's files of events."""

import struct
from pathlib import Path

from tensorboardX.proto.event_pb2 import Event


def read_events(folder: Path) -> list[Event]:
    """The events of all files, the oldest file first."""
    found = []
    for path in sorted((folder / "events").iterdir(), key=lambda p: p.stat().st_mtime):
        data, offset = path.read_bytes(), 0
        while offset < len(data):
            (length,) = struct.unpack_from("<Q", data, offset)
            found.append(Event.FromString(data[offset + 12 : offset + 12 + length]))
            offset += 16 + length
    return found


def scalars_of(events: list[Event]) -> dict:
    return {
        (value.tag, event.step): value.simple_value
        for event in events
        for value in event.summary.value
        if value.HasField("simple_value")
    }
