"""Bars, and notices of what takes a while."""

import contextlib
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import TextIO

from mbnet_jax.progress.rate import Clock, duration
from mbnet_jax.progress.screen import (
    DELAY,
    SCREEN,
    Line,
    is_other_process,
    write,
)

_PLAIN_EVERY, _PLAIN_LATER = 10, 60  # seconds between lines, in the first minute, later


class Bar(Line):
    """The progress of a known number of units; made by `progress`."""

    def __init__(
        self,
        total: float,
        doing: str,
        unit: str,
        initial: float = 0,
        each: tuple[int, str] | None = None,
        plain: bool = True,
        leave: bool = True,
        clock: Clock = time.monotonic,
    ):
        """See `progress`."""
        super().__init__(clock)
        self.doing, self.total, self.done = doing, total, initial
        self._unit, self._each, self._initial = unit, each, initial
        self._plain, self._leave, self._next = plain, leave, _PLAIN_EVERY
        self._extra: Sequence[str] = ()
        self.rate.note(initial)

    def update(self, count: float = 1) -> None:
        """Adds `count` units."""
        self.at(self.done + count)

    def at(self, done: float) -> None:
        """Shows that `done` units are done."""
        self.done = done
        self.rate.note(self.done)
        if self._plain and self.seconds >= self._next:
            self._next = self.seconds + (
                _PLAIN_EVERY if self.seconds < 60 else _PLAIN_LATER
            )
            left, _, more = self.parts()
            self.write_plain(", ".join([left, *more]))

    def show(self, *extra: str) -> None:
        """Shows more, behind rate and time left, until the next call."""
        self._extra = extra

    def write(self, text: str, file: TextIO | None = None) -> None:
        """Prints `text` above the bar; to stdout unless `file` is given."""
        write(text, file or sys.stdout)

    def write_plain(self, text: str) -> None:
        """Prints `text` to stderr where the bar itself is not shown."""
        if not SCREEN.is_live and not is_other_process():
            write(text, sys.stderr)

    def speed(self) -> float | None:
        """Units a second, or those of `each`; None if not known yet."""
        rate = self.rate.value
        return rate and rate * (self._each[0] if self._each else 1)

    def speed_and_left(self) -> list[str]:
        """Rate and time left, as they are shown; empty if not known yet."""
        speed = self.speed()
        if not speed:
            return []
        left = round((self.total - self.done) / self.rate.value)
        hours, left = divmod(left, 3600)
        clock = f"{hours}:{left // 60:02}" if hours else f"{left // 60}"
        digits = 0 if speed >= 10 else 1
        unit = self._each[1] if self._each else self._unit
        return [
            f"{speed:,.{digits}f} {_plural(unit)}/s",
            f"{clock}:{left % 60:02} left",
        ]

    def parts(self) -> tuple[str, float | None, list[str]]:
        """As in `Line`."""
        if self._each is None:
            units = _plural(self._unit)
            left = f"{self.doing} {self.done:,.0f}/{self.total:,.0f} {units}"
        else:
            left = f"{self._unit} {self.done}/{self.total}"
        fraction = self.done / self.total if self.total else 1.0
        return left, fraction, [*self.speed_and_left(), *self._extra]

    def __enter__(self) -> "Bar":
        """Shows the bar."""
        SCREEN.open(self)
        return self

    def __exit__(self, kind, *_) -> None:
        """Ends it, with a line that says how long it took, if all is done."""
        SCREEN.close(self)
        shown = self._leave and self.seconds >= DELAY
        if shown and kind is None and self.done >= self.total:
            count = self.done - self._initial
            unit = self._unit if count == 1 else _plural(self._unit)
            units = f"{count:,.0f} {unit}"
            _announce(f"{self.doing}: {units} in {duration(self.seconds)}")


def progress(
    total: float,
    doing: str,
    *,
    unit: str,
    initial: float = 0,
    each: tuple[int, str] | None = None,
    plain: bool = True,
    leave: bool = True,
) -> Bar:
    """A bar, to be used in a `with` statement.

    Args:
      total: the number of units.
      doing: what is done with them, such as "embedding".
      unit: in the singular, or a symbol such as "MB".
      initial: the units that were done before.
      each: what to count for the rate instead: (64, "image") if the unit is a step of
        64 images.
      plain: whether to print a line now and then where there is no terminal.
      leave: whether to print a line at the end.
    """
    return Bar(total, doing, unit, initial, each, plain, leave)


def _plural(unit: str) -> str:
    return f"{unit}s" if unit.islower() else unit


class _Status(Line):
    def __init__(self, doing: str, clock: Clock = time.monotonic):
        super().__init__(clock)
        self.doing = doing

    def parts(self) -> tuple[str, float | None, list[str]]:
        return f"{self.doing} ... {duration(self.seconds)}", None, []


@contextlib.contextmanager
def status(doing: str, *, leave: bool = False) -> Iterator[None]:
    """Says what its body does, and for how long, if that is more than a second.

    Args:
      doing: such as "compiling the training step".
      leave: whether to leave a line on a terminal too.
    """
    line, said = _Status(doing), threading.Event()

    def say() -> None:
        said.set()
        write(f"{doing} ...", sys.stderr)

    SCREEN.open(line)
    live = SCREEN.is_live
    timer = threading.Timer(DELAY, say)
    timer.daemon = True
    if not live and not is_other_process():
        timer.start()
    try:
        yield
    finally:
        timer.cancel()
        SCREEN.close(line)
    if said.is_set() or (live and leave and line.seconds >= DELAY):
        _announce(line.parts()[0])


def announced(program: Callable, what: Callable[..., str]) -> Callable:
    """A compiled function that says so while it compiles: at its first call.

    Args:
      program: the function; it compiles when it is called.
      what: its arguments -> what is compiled. It compiles once for each text.
    """
    return _Announced(program, what)


class _Announced:
    """See `announced`; has what else a compiled function has, as its cache's size."""

    def __init__(self, program: Callable, what: Callable[..., str]):
        self._program, self._what = program, what
        self._compiled: set[str] = set()

    def __call__(self, *arguments):
        text = self._what(*arguments)
        if text in self._compiled:
            return self._program(*arguments)
        with status(f"compiling {text}", leave=True):
            result = self._program(*arguments)
        self._compiled.add(text)
        return result

    def __getattr__(self, name: str):
        return getattr(self._program, name)


def _announce(text: str) -> None:
    if not is_other_process():
        write(text, sys.stderr)
