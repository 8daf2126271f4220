"""What a case is, and the table of surfaces that make cases."""

import dataclasses
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from .choices import Choices


class Wrong(Exception):
    """Raised by a case that finds its own result wrong."""


@dataclasses.dataclass
class Case:
    """One mutated input.

    Attributes:
      what: the mutation, in words.
      run: hands the input to the program; returns its result.
      tokens: a refusal's message has to hold one of them.
      check: says what is wrong with the result; None if nothing is.
      valid: True: the input must be taken; False: refused; None: either.
      writes: files and folders that the program may change.
      unsown: folders in which the harness puts no file of its own.
      environment: variables; None removes one.
    """

    what: str
    run: Callable[[], Any]
    tokens: tuple[str, ...]
    check: Callable[[Any], str | None] = lambda _: None
    valid: bool | None = None
    writes: tuple[Path, ...] = ()
    unsown: tuple[Path, ...] = ()
    environment: dict[str, str | None] = dataclasses.field(default_factory=dict)


class Surface(NamedTuple):
    """One kind of input.

    Attributes:
      name: of the surface.
      make: (decisions, a new folder) -> case.
      share: of the cases of a long run.
      seconds: limit of a case.
    """

    name: str
    make: Callable[[Choices, Path], Case]
    share: int
    seconds: float


SURFACES: dict[str, Surface] = {}


def surface(name: str, share: int, seconds: float = 30):
    """Registers the function that makes a surface's cases."""

    def register(make):
        SURFACES[name] = Surface(name, make, share, seconds)
        return make

    return register
