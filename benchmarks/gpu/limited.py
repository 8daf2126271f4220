"""Runs a command, and all that it starts, for at most some seconds."""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import NamedTuple

GRACE = 20.0  # seconds to save and end, once asked


class Ended(NamedTuple):
    """What became of a command.

    how: "succeeded", "failed with exit code 1" or "stopped at its limit of 60 s".
    printed, messages: its standard output and error.
    """

    how: str
    seconds: float
    printed: str
    messages: str


def run(command: Sequence[str], seconds: float) -> Ended:
    """Runs a command to its end, or stops it so that it takes `seconds` at most.

    It is asked to end `GRACE` before, or a quarter of `seconds` if that is less.
    """
    grace = min(GRACE, seconds / 4)
    start = time.monotonic()
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
        # A group of its own, so that what it starts can be stopped with it.
        process = subprocess.Popen(
            command, stdout=out, stderr=err, start_new_session=True
        )
        stopped = False
        try:
            for number, patience in (
                (signal.SIGTERM, seconds - grace),
                (signal.SIGKILL, grace),
            ):
                try:
                    process.wait(patience)
                    break
                except subprocess.TimeoutExpired:
                    stopped = True
                    _send(process.pid, number)
        finally:
            _send(process.pid, signal.SIGKILL)  # what is left of it
            code = process.wait()
        how = "succeeded" if code == 0 else f"failed with exit code {code}"
        if stopped:
            how = f"stopped at its limit of {seconds:.0f} s"
        for file in (out, err):
            file.seek(0)
        return Ended(how, time.monotonic() - start, out.read(), err.read())


def _send(group: int, number: int) -> None:
    """Sends a signal to a process and to all that it started."""
    try:
        os.killpg(group, number)
    except ProcessLookupError:
        return
