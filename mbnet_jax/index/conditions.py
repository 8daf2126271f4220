"""Which photographs of an index are searched: cameras and times."""

import datetime
from typing import NamedTuple

from mbnet_jax.refusals import shown


class Conditions(NamedTuple):
    """What a photograph must fulfil to be searched; one without the label never does.

    Attributes:
      cameras: its camera is one of these; empty: any.
      after: it was taken then or later, in UTC without an offset; None: at any time.
      before: it was taken earlier; None: at any time.
    """

    cameras: tuple[str, ...] = ()
    after: datetime.datetime | None = None
    before: datetime.datetime | None = None

    @property
    def sql(self) -> str | None:
        """The conditions as an SQL expression; None if there are none."""
        parts = []
        if self.cameras:
            parts.append(f"camera IN ({', '.join(map(quoted, self.cameras))})")
        for sign, time in ((">=", self.after), ("<", self.before)):
            if time is not None:
                parts.append(f"time {sign} timestamp '{time.isoformat(' ')}'")
        return " AND ".join(parts) or None

    def __str__(self) -> str:
        """The conditions in words; "" if there are none."""
        parts = []
        if self.cameras:
            parts.append(f"of camera {' or '.join(self.cameras)}")
        if self.after is not None:
            parts.append(f"from {self.after.isoformat(' ')}")
        if self.before is not None:
            parts.append(f"before {self.before.isoformat(' ')}")
        return " ".join(parts)


def quoted(text: str) -> str:
    """A text as a literal of SQL."""
    return "'" + text.replace("'", "''") + "'"


def read_time(text: str) -> datetime.datetime:
    """Reads an ISO 8601 date or time; returns it in UTC, without its offset.

    One without an offset is taken for UTC; so the clock of the cameras may be used
    throughout.

    Raises:
      ValueError: it is none.
    """
    try:
        time = datetime.datetime.fromisoformat(text)
        if time.tzinfo is not None:
            time = time.astimezone(datetime.UTC).replace(tzinfo=None)
    except (ValueError, OverflowError) as error:
        raise ValueError(
            f"{shown(text)} must be a time such as 2026-05-31 or 2026-05-31T14:30:00"
        ) from error
    return time
