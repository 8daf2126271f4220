"""What can be written to a stream: escape codes, bold, how wide a line."""

import os
import shutil
from typing import TextIO

PLAIN_WIDTH = 80  # characters, where there is no terminal
_DUMB = ("", "dumb", "unknown")  # values of TERM


def is_plain(stream: TextIO) -> bool:
    """Whether `stream` is no terminal that escape codes can be written to.

    A notebook gives its commands a terminal, but would keep every state of a line.
    """
    notebook = "JPY_PARENT_PID" in os.environ  # set in its kernels
    dumb = os.environ.get("TERM", "").lower() in _DUMB
    return notebook or dumb or stream is None or not stream.isatty()


def shows_bold(stream: TextIO) -> bool:
    """Whether text can be bold on `stream`; not so if NO_COLOR is set."""
    return not is_plain(stream) and not os.environ.get("NO_COLOR")


def width_of(stream: TextIO) -> int:
    """The characters in a line of a terminal, or `PLAIN_WIDTH` elsewhere."""
    if stream is None or not stream.isatty():
        return PLAIN_WIDTH
    return shutil.get_terminal_size((PLAIN_WIDTH, 24)).columns
