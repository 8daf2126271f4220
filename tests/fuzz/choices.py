"""Where the decisions of a case come from: a seed, or hypothesis."""

import random
from collections.abc import Callable, Sequence
from typing import Any

from hypothesis import strategies as st


class Choices:
    """Decisions, each a whole number: the same numbers make the same case."""

    def __init__(self, whole: Callable[[int, int], int]):
        """Takes a function (low, high) -> a whole number from low to high."""
        self.whole = whole

    @classmethod
    def seeded(cls, surface: str, seed: int, number: int) -> "Choices":
        """Those of case `number` of a long run."""
        return cls(random.Random(f"{surface}:{seed}:{number}").randint)

    @classmethod
    def drawn(cls, data: st.DataObject) -> "Choices":
        """Those that hypothesis draws, and shrinks if the case fails."""
        return cls(lambda low, high: data.draw(st.integers(low, high)))

    def pick(self, options: Sequence) -> Any:
        """One of several."""
        return options[self.whole(0, len(options) - 1)]

    def once_in(self, count: int) -> bool:
        """True once in `count` times."""
        return self.whole(1, count) == 1

    def blob(self, most: int) -> bytes:
        """Up to `most` bytes."""
        return bytes(self.whole(0, 255) for _ in range(self.whole(0, most)))
