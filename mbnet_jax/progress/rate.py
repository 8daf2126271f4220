"""How fast something goes, and how long it takes."""

import collections
import contextlib
import time
from collections.abc import Callable, Iterator

Clock = Callable[[], float]


def duration(seconds: float) -> str:
    """Formats seconds: "34 s", "2:05 min" or "3:05 h"."""
    if round(seconds) < 100:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes}:{rest:02} min"
    return f"{minutes // 60}:{minutes % 60:02} h"


class Rate:
    """Units a second, over a moving window of the time that is not spent in pauses.

    value: None until two counts are known.
    """

    def __init__(self, clock: Clock = time.monotonic, window: float = 30.0):
        """Takes the window in seconds; it has at least the last four counts."""
        self.value: float | None = None
        self._clock, self._window = clock, window
        self._counts: collections.deque[tuple[float, float]] = collections.deque()
        self._paused, self._pause_start, self._depth = 0.0, 0.0, 0

    def note(self, done: float) -> None:
        """Notes that `done` units are done by now."""
        counts = self._counts
        now = (self._pause_start if self._depth else self._clock()) - self._paused
        # Many fast units are as good as a few counts.
        if len(counts) > 1 and now - counts[-2][0] < self._window / 100:
            counts.pop()
        counts.append((now, done))
        while len(counts) > 4 and now - counts[1][0] >= self._window:
            counts.popleft()
        seconds = now - counts[0][0]
        if seconds > 0:
            self.value = (done - counts[0][1]) / seconds

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leaves the time of its body out. It may be nested."""
        if not self._depth:
            self._pause_start = self._clock()
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1
            if not self._depth:
                self._paused += self._clock() - self._pause_start
