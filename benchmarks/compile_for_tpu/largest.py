"""Finds the largest batch that fits, by compiling."""

from collections.abc import Callable


def largest(fits: Callable[[int], bool], start: int, most: int = 1 << 14) -> int:
    """The largest batch of a chip that fits, to an eighth of it; 0: not even `start`.

    Doubles from `start` until a batch does not fit, then halves the gap.

    Args:
      fits: whether a batch does. It is taken to fit if a larger one does.
      start: the smallest batch; all that are tried are multiples of it.
      most: no larger batch is tried.
    """
    if not fits(start):
        return 0
    good, bad = start, 2 * start
    while bad <= most and fits(bad):
        good, bad = bad, 2 * bad
    if bad > most:
        return good
    while bad - good > max(start, good // 8):
        middle = (good + bad) // 2 // start * start
        if middle in (good, bad):
            break
        good, bad = (middle, bad) if fits(middle) else (good, middle)
    return good
