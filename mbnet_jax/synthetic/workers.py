"""Processes that render images, and that never outlive the one that started them."""

import contextlib
import multiprocessing
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from multiprocessing.connection import Connection

import cv2


def run(
    make: Callable[[list], int], tasks: Sequence[list], workers: int
) -> Iterator[int]:
    """Calls `make` with every task, in `workers` spawned processes.

    Yields its results as they come. Whatever ends this process, the workers end too.

    Raises:
      ChildProcessError: if a worker died.
    """
    # Spawned, not forked: the parent may hold JAX's threads.
    context = multiprocessing.get_context("spawn")
    # Nothing is ever sent. A worker reads its end in vain until the other is closed,
    # by this process or by its death.
    theirs, lifeline = context.Pipe(duplex=False)
    pool = ProcessPoolExecutor(workers, context, _begin, (theirs,))
    try:
        with _uninterruptible_children(), _without_the_script():
            futures = [pool.submit(make, task) for task in tasks]
        for future in as_completed(futures):
            yield future.result()
        pool.shutdown()
    except BrokenProcessPool as error:
        raise ChildProcessError(
            "a process that renders images was killed, perhaps for lack of memory; "
            "start again: the images that exist are kept"
        ) from error
    finally:
        lifeline.close()
        pool.shutdown(cancel_futures=True)
        theirs.close()


@contextlib.contextmanager
def _uninterruptible_children() -> Iterator[None]:
    """Blocks SIGINT, and with it in the processes started meanwhile, for ever.

    Ctrl-C reaches all processes of a terminal; the parent's handling of it suffices.
    """
    previous = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, previous)


@contextlib.contextmanager
def _without_the_script() -> Iterator[None]:
    """Keeps processes started meanwhile from running the program's script again.

    They would, to find what is pickled from it, and a script without
    `if __name__ == "__main__":` would then generate in every worker.
    """
    script = vars(sys.modules["__main__"])
    kept = {name: script[name] for name in ("__file__", "__spec__") if name in script}
    script.pop("__file__", None)
    script["__spec__"] = None
    try:
        yield
    finally:
        script.update(kept)


def _begin(lifeline: Connection) -> None:
    """Prepares a worker."""
    cv2.setNumThreads(1)
    threading.Thread(target=_end_with, args=(lifeline,), daemon=True).start()


def _end_with(lifeline: Connection) -> None:
    with contextlib.suppress(EOFError, OSError):
        lifeline.recv_bytes()
    os._exit(1)


@contextlib.contextmanager
def sigterm_exits(message: str) -> Iterator[None]:
    """Lets SIGTERM exit as Ctrl-C does, with what `with` statements do at their end.

    Only where nobody else handles the signal. The exit code is that of a shell, 143.
    """
    in_main = threading.current_thread() is threading.main_thread()
    if not in_main or signal.getsignal(signal.SIGTERM) != signal.SIG_DFL:
        yield
        return

    def leave(number: int, _) -> None:
        print(f"\n{message}", file=sys.stderr)
        sys.exit(128 + number)

    signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
