"""A process that runs cases, so that one that ends or blocks it is a case's outcome."""

import multiprocessing
import os
import shutil
import tempfile
from collections.abc import Sequence
from multiprocessing.connection import Connection
from pathlib import Path

from .case import SURFACES
from .choices import Choices
from .harness import WHAT, Outcome, run_case

_MORE = 30  # seconds beyond a case's own limit, after which its process is killed
_START = 600  # seconds for what the cases share


class Worker:
    """Runs cases one after another; starts anew after one that ended the process."""

    def __init__(self, base: Path, names: Sequence[str]):
        """Takes an empty folder for all files of the cases, and the surfaces."""
        self._base, self._names = base, names
        self._process = None

    def run(self, name: str, seed: int, number: int) -> Outcome:
        """Runs a case of a surface."""
        if self._process is None:
            self.start()
        self._pipe.send((name, seed, number))
        if not self._pipe.poll(SURFACES[name].seconds + _MORE):
            what = self._what()
            self.stop()
            return Outcome("hang", what, "blocked, and was killed")
        try:
            found = self._pipe.recv()
        except EOFError:
            self._process.join()
            what, code = self._what(), self._process.exitcode
            self.stop()
            return Outcome("traceback", what, f"ended the process: {code}")
        if isinstance(found, Exception):
            raise RuntimeError(f"{name}:{seed}:{number} cannot be made") from found
        return found

    def _what(self) -> str:
        return "".join(path.read_text() for path in self._base.glob(f"*/{WHAT}"))

    def start(self) -> None:
        """Starts the process, and makes what the cases share."""
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        folder = tempfile.mkdtemp(dir=self._base)
        self._process = context.Process(
            target=_work, args=(other, folder, self._names), daemon=True
        )
        self._process.start()
        other.close()
        if not self._pipe.poll(_START) or self._pipe.recv() != "ready":
            raise RuntimeError("the process does not start")

    def stop(self) -> None:
        """Ends the process."""
        if self._process is not None:
            self._process.kill()
            self._process.join()
            self._process = None
            for folder in self._base.iterdir():
                shutil.rmtree(folder, ignore_errors=True)


def _work(pipe: Connection, folder: str, names: Sequence[str]) -> None:
    import jax

    from . import surfaces

    # Warnings of libraries in C, and of threads.
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 2)
    tempfile.tempdir = folder
    # Commands would choose a folder in the case's home for all later cases.
    jax.config.update("jax_compilation_cache_dir", f"{folder}/xla")
    surfaces.prepare(names)
    pipe.send("ready")
    while True:
        try:
            name, seed, number = pipe.recv()
        except EOFError:
            return
        choices = Choices.seeded(name, seed, number)
        try:
            pipe.send(run_case(SURFACES[name], choices, Path(folder)))
        except Exception as error:
            pipe.send(error)
