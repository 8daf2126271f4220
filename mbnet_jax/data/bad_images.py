"""Unreadable images: reports each once, and aborts training past a limit."""

import sys
import threading

import jax
import numpy as np
from jax.experimental import multihost_utils

from mbnet_jax.progress import write

_MESSAGE_BYTES = 1 << 14


class BadImages:
    """The unreadable images of one process, with reasons. Threads may add to it."""

    def __init__(self, limit: int):
        """Takes `data.max_bad_images`, the most that one process tolerates."""
        self._limit = limit
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}

    def add(self, name: str, error: Exception) -> None:
        """Records an image by its file name; prints a warning the first time."""
        with self._lock:
            known = name in self._reasons
            self._reasons[name] = str(error)  # includes the name
            if not known and not self.too_many:
                write(
                    f"warning: {self._reasons[name]}; using another image of the same "
                    f"person instead ({len(self._reasons)} bad so far, "
                    f"data.max_bad_images={self._limit})",
                    sys.stderr,  # processes other than 0 print here too
                )

    @property
    def too_many(self) -> bool:
        """Whether this process has met more than `data.max_bad_images`."""
        return len(self._reasons) > self._limit

    def check(self) -> None:
        """Aborts on every process if any has met too many; all must call it together.

        Raises:
          ValueError: listing the images.
        """
        message = ""
        if self.too_many:
            message = (
                f"more images than data.max_bad_images={self._limit} are bad:\n  "
                + "\n  ".join(self._reasons.values())
                + "\nReplace them, or raise data.max_bad_images. The same command then "
                "resumes from the newest checkpoint."
            )
        if jax.process_count() > 1:
            message = _first_of_all(message)
        if message:
            raise ValueError(message)


def _first_of_all(message: str) -> str:
    """The first nonempty message of all processes; "" if there is none."""
    padded = np.zeros(_MESSAGE_BYTES, np.uint8)
    data = np.frombuffer(message.encode(errors="replace")[:_MESSAGE_BYTES], np.uint8)
    padded[: len(data)] = data
    messages = multihost_utils.process_allgather(padded)
    texts = (row.tobytes().rstrip(b"\0").decode(errors="ignore") for row in messages)
    return next(filter(None, texts), "")
