"""The words in which bad input is refused: what it is, and what there is instead."""

import difflib
import sys
from collections.abc import Iterable
from typing import Any

import numpy as np

from mbnet_jax.suggestions import meant

_SHOWN = 60  # characters of a wrong value in a message
_LINES = 10  # problems in a message
_NAMES = 12  # known names in a message


def unknown(name: str, known: Iterable[str]) -> str:
    """That `name` is none of the known names, and which of them are near."""
    known = [*known]
    near = _near(name, known) or known[:10]
    return f"{plain(name)} is unknown; nearest known: {', '.join(near)}"


def instead(name: str, known: Iterable[str]) -> str:
    """The known names in place of a wrong one: of many, those that are near."""
    known = [*known]
    if len(known) <= _NAMES:
        return f"known: {', '.join(known)}"
    if near := _near(name, known):
        return f"nearest known: {', '.join(near)}"
    return f"known: {', '.join(known[:_NAMES])} and {len(known) - _NAMES} more"


def _near(name: str, known: list[str]) -> list[str]:
    near = meant(name, known)
    return near or difflib.get_close_matches(name[:100], known, n=3, cutoff=0.5)


def plain(name: str) -> str:
    """The name as it is, if it is one; or else quoted and shortened."""
    return name if name and name.isprintable() and len(name) < 100 else shown(name)


def shown(value: Any) -> str:
    """The value in one line, shortened; of an array, the dtype and shape."""
    jax = sys.modules.get("jax")  # not imported here: that takes a second
    if isinstance(value, (np.ndarray, jax.Array) if jax else np.ndarray):
        return f"{value.dtype} {list(value.shape)}"
    try:
        text = repr(value)
    except Exception:  # integers of 4,300 digits, objects that cannot be printed
        text = f"a value of type {type(value).__name__}"
    text = " ".join(text.splitlines())
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."


def refuse(found: Iterable[str], what: str = "", remedy: str = "") -> None:
    """Raises a ValueError of the problems, one line each, if there is any."""
    lines = [*found]
    if not lines:
        return
    if len(lines) == 1:
        text = f"{what}: {lines[0]}" if what else lines[0]
    else:
        more = len(lines) - _LINES
        listed = lines[:_LINES] + [f"and {more} more"] * (more > 0)
        text = "\n  ".join([f"{what or 'the config'}:", *listed])
    raise ValueError(text + (f"; {remedy}" if remedy else ""))
