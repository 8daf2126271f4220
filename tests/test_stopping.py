"""How benchmarks end the processes that they start."""

import os
import signal
import subprocess
import sys

import pytest

from benchmarks.stopping import stopping

# Says that it is ready, and "saved" after SIGTERM.
CHILD = """
import signal, sys, time
signal.signal(signal.SIGTERM, lambda *_: sys.exit(3))
try:
    print("ready", flush=True)
    while True:
        time.sleep(0.1)
finally:
    print("saved", flush=True)
"""


def interrupt():
    raise KeyboardInterrupt


def terminate():
    os.kill(os.getpid(), signal.SIGTERM)


@pytest.mark.parametrize(("end", "code"), [(interrupt, 130), (terminate, 143)])
def test_the_process_saves_and_ends_before_we_do(end, code):
    handler = signal.getsignal(signal.SIGTERM)
    process = subprocess.Popen(
        [sys.executable, "-c", CHILD],
        stdout=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    with process.stdout:
        assert process.stdout.readline() == "ready\n"
        with pytest.raises(SystemExit) as ended, stopping(process):
            end()
            process.wait()
        assert ended.value.code == code
        assert process.returncode == 3
        assert process.stdout.read() == "saved\n"
    assert signal.getsignal(signal.SIGTERM) == handler
