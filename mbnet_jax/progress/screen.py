"""The last line of the terminal, and what is printed above it."""

import abc
import contextlib
import sys
import threading
from collections.abc import Callable
from typing import TextIO

from rich.console import Console
from rich.file_proxy import FileProxy
from rich.live import Live
from rich.text import Text

from mbnet_jax.progress.rate import Clock, Rate
from mbnet_jax.progress.stream import is_plain

DELAY = 1.0  # seconds; what is over sooner is not shown
_REFRESHES = 4  # a second
_NARROWEST_BAR, _WIDEST_BAR = 6, 40


class Line(abc.ABC):
    """Something that is shown while it lasts."""

    def __init__(self, clock: Clock):
        """Starts now, by `clock`."""
        self.rate = Rate(clock)
        self.poll: Callable[[], None] = lambda: None  # called before it is drawn
        self.clock, self.start = clock, clock()

    @property
    def seconds(self) -> float:
        """Since it started."""
        return self.clock() - self.start

    @abc.abstractmethod
    def parts(self) -> tuple[str, float | None, list[str]]:
        """Text, how much is done (0..1; None: unknown), and more, if there is room."""

    def rendered(self, width: int, ascii_only: bool = False) -> Text:
        """The line, of at most `width` characters."""
        if self.seconds < DELAY:
            return Text("")
        left, fraction, more = self.parts()
        bar = 0 if fraction is None else _NARROWEST_BAR + 2
        while more and len(left) + bar + len(", ".join(more)) > width:
            more = more[:-1]
        right = ", ".join(more)
        room = min(width - len(left) - len(right) - 2, _WIDEST_BAR)
        pieces = [left[:width]]
        if fraction is not None and room >= _NARROWEST_BAR:
            full, empty = ("#", "-") if ascii_only else ("━", "╌")
            filled = round(min(fraction, 1) * room)
            bars = (full * filled, "green"), (empty * (room - filled), "dim")
            pieces += [" ", *bars]
        return Text.assemble(*pieces, f" {right}" if right else "", no_wrap=True)


class _Console(Console):
    def show_cursor(self, show: bool = True) -> bool:
        """Leaves the cursor as it is: a kill would leave it hidden."""
        return False


class Screen:
    """The last line of the terminal; it shows the innermost of what is open."""

    def __init__(self):
        """Shows nothing yet."""
        self._lock = threading.Lock()
        self._open: list[tuple[Line, contextlib.ExitStack]] = []
        self._live: Live | None = None

    @property
    def is_live(self) -> bool:
        """Whether there is such a line now."""
        return self._live is not None

    def print(self, text: str) -> bool:
        """Prints a line above the last one; False if there is none.

        Long lines are not broken, as they would be by rich's stand-in for stdout.
        """
        live = self._live
        if live is None:
            return False
        live.console.print(text, soft_wrap=True, markup=False, highlight=False)
        return True

    def open(self, line: Line) -> None:
        """Shows `line`; what was shown before pauses meanwhile."""
        with self._lock:
            pause = contextlib.ExitStack()
            if self._open:
                pause.enter_context(self._open[-1][0].rate.paused())
            self._open.append((line, pause))
            if len(self._open) > 1 or is_plain(sys.stderr) or is_other_process():
                return
            console = _Console(stderr=True, force_jupyter=False)
            live = Live(
                get_renderable=lambda: self._rendered(console),
                console=console,
                refresh_per_second=_REFRESHES,
                transient=True,
                redirect_stdout=sys.stdout is not None and sys.stdout.isatty(),
            )
            live.start()
            self._live = live

    def close(self, line: Line) -> None:
        """Ends what `open` began."""
        with self._lock:
            for entry in self._open:
                if entry[0] is line:
                    entry[1].close()
                    self._open.remove(entry)
                    break
            live = self._live
            if not self._open and live is not None:
                self._live = None
                live.stop()

    def _rendered(self, console: Console) -> Text:
        lines = self._open[-1:]  # without the lock, which `close` holds
        if not lines:
            return Text("")
        lines[0][0].poll()
        # Not the last column, where some terminals begin a new line.
        return lines[0][0].rendered(console.width - 1, console.options.ascii_only)


SCREEN = Screen()


def write(text: str, file: TextIO) -> None:
    """Prints a line in one piece, so that threads do not mix theirs."""
    if isinstance(file, FileProxy) and SCREEN.print(text):
        return
    if file is not None:
        file.write(f"{text}\n")
        file.flush()


def is_other_process() -> bool:
    """Whether this is one of several processes of a run, and not process 0."""
    jax = sys.modules.get("jax")  # what does not need it does not import it here
    several = jax is not None and jax.distributed.is_initialized()
    return several and jax.process_index() > 0
