"""Images met in training that cannot be used: each is told of once, few are borne."""

import sys
import threading

import jax
import numpy as np
from jax.experimental import multihost_utils
from tqdm import tqdm

_MESSAGE_BYTES = 1 << 14


class BadImages:
    """What went wrong with which image; threads may add to it."""

    def __init__(self, limit: int):
        """Takes `data.max_bad_images`, how many one process bears."""
        self._limit = limit
        self._lock = threading.Lock()
        self._reasons: dict[str, str] = {}

    def add(self, name: str, error: Exception) -> None:
        """Notes the image's file name, and tells of it the first time."""
        with self._lock:
            known = name in self._reasons
            self._reasons[name] = str(error)  # it has the name
            if not known and not self.too_many:
                tqdm.write(
                    f"warning: {self._reasons[name]}; another image of the same "
                    f"person stands in for it ({len(self._reasons)} bad so far, "
                    f"data.max_bad_images={self._limit})",
                    file=sys.stderr,  # where processes other than 0 are heard too
                )

    @property
    def too_many(self) -> bool:
        """Whether there are more than `data.max_bad_images`."""
        return len(self._reasons) > self._limit

    def check(self) -> None:
        """Ends the run if any process has met too many; all must call it together.

        Raises:
          ValueError: listing them.
        """
        message = ""
        if self.too_many:
            message = (
                f"more images than data.max_bad_images={self._limit} are bad:\n  "
                + "\n  ".join(self._reasons.values())
                + "\nReplace them, or raise data.max_bad_images; started again, the "
                "run goes on from its newest checkpoint."
            )
        if jax.process_count() > 1:
            message = _any_of_all(message)
        if message:
            raise ValueError(message)


def _any_of_all(message: str) -> str:
    """The first message that is not empty, of all processes."""
    padded = np.zeros(_MESSAGE_BYTES, np.uint8)
    data = np.frombuffer(message.encode()[:_MESSAGE_BYTES], np.uint8)
    padded[: len(data)] = data
    messages = multihost_utils.process_allgather(padded)
    texts = (row.tobytes().rstrip(b"\0").decode(errors="ignore") for row in messages)
    return next(filter(None, texts), "")
