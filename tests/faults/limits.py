"""Little memory, few file descriptors; a worker or a reading thread that dies."""

import os
import resource
import signal
import sys
from collections.abc import Iterator

import numpy as np

from tests.faults.kills import _moments
from tests.faults.rows import Row, Setting

_THREAD = """
import sys, threading
from mbnet_jax.commands import train
from mbnet_jax.data import loader
load, calls = loader.load_example, []
def failing(*arguments):
    calls.append(0)
    if len(calls) == 90:
        raise {error}
    return load(*arguments)
loader.load_example = failing
train.main()
"""


def descriptors(setting: Setting) -> Iterator[Row]:
    """Everything with 64 open files."""

    def limited() -> None:
        resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))

    place = setting.place()
    ended = place.begin(preexec_fn=limited).end()
    kept = ended.code == 0
    yield setting.row("64 descriptors", "all", "ends as ever", ended, kept, place)


def memory(setting: Setting) -> Iterator[Row]:
    """From a moment on, the process gets no more memory from the system."""
    moments = _moments(np.random.default_rng(3))
    for name in ("generation", "start", "training", "final evaluation"):
        place = setting.place(data=name != "generation")
        process = place.begin()
        process.wait_until(lambda m=moments[name], p=place: m(p))
        for pid in (process.popen.pid, *process.children()):
            used = _address_space(pid)
            if used:
                resource.prlimit(pid, resource.RLIMIT_AS, (used, used))
        ended = process.end()
        kept = not process.left()  # it may also have had enough
        promised = "ends, perhaps by an abort; nothing is damaged"
        yield setting.row("no more memory", name, promised, ended, kept, place)


def _address_space(pid: int) -> int:
    try:
        with open(f"/proc/{pid}/statm") as file:
            return int(file.read().split()[0]) * resource.getpagesize()
    except OSError:
        return 0


def killed_worker(setting: Setting) -> Iterator[Row]:
    """SIGKILL to one of the processes that render."""
    place = setting.place()
    process = place.begin()
    process.wait_until(lambda: place.count("data/synthetic/*/*/*.jpg") > 5)
    children = process.children()
    if len(children) < 2:
        process.end(signal.SIGKILL)
        seen = "skipped: one CPU, no workers"
        yield Row("killed worker", "generation", "", seen, True)
        return
    os.kill(children[0], signal.SIGKILL)
    ended = process.end()
    kept = ended.code == 1 and "was killed" in ended.error and not process.left()
    promised = "an error that says so"
    yield setting.row("killed worker", "generation", promised, ended, kept, place)


def failing_thread(setting: Setting) -> Iterator[Row]:
    """A thread that reads images ends, or meets an error that nobody expected."""
    for error in ("SystemExit", "MemoryError('no memory for an image')"):
        place = setting.place(data=True)
        script = place.folder / "failing.py"
        script.write_text(_THREAD.format(error=error))
        command = [sys.executable, str(script), *place.command()[2:]]
        ended = place.begin(command).end()
        kept = ended.code not in (0, None)
        name = error.split("(")[0]
        promised = "ends with an error"
        yield setting.row(
            f"reading thread: {name}", "training", promised, ended, kept, place
        )
