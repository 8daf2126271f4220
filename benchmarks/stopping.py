"""How a benchmark that trains in processes ends them."""

import contextlib
import signal
import subprocess
from collections.abc import Iterator


@contextlib.contextmanager
def stopping(process: subprocess.Popen) -> Iterator[None]:
    """Forwards SIGTERM and Ctrl-C to the process, which then saves and exits.

    Start it in a session of its own, so that Ctrl-C reaches it only once, through us.
    """

    def end(number, frame):
        raise SystemExit(128 + number)

    before = signal.signal(signal.SIGTERM, end)
    try:
        yield
    except KeyboardInterrupt:
        raise SystemExit(128 + signal.SIGINT) from None
    finally:
        signal.signal(signal.SIGTERM, before)
        if process.poll() is None:
            process.terminate()
            process.wait()
