"""Generation that is killed, stopped, or started twice: no hang, nothing lost."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from folders import contents

from mbnet_jax.synthetic import SyntheticOptions, generate
from mbnet_jax.synthetic.workers import run

ROOT = Path(__file__).parent.parent
OPTIONS = SyntheticOptions(
    train_identities=8, test_identities=1, outfits=2, cameras=2, height=64, width=32
)
SCRIPT = (
    "import sys\n"
    "from mbnet_jax.synthetic import SyntheticOptions, generate\n"
    f"generate(sys.argv[1], {OPTIONS!r}, workers=2)\n"
)
LIMIT = 60  # seconds; a hang fails

pytestmark = pytest.mark.skipif(
    len(os.sched_getaffinity(0)) < 2, reason="needs two workers"
)


def begin(root):
    """Generates in a process, of a group of its own.

    Its script has no `if __name__ == "__main__":`, and workers must not run it again.
    """
    script = root.with_name(f"{root.name}.py")
    script.write_text(SCRIPT)
    return subprocess.Popen(
        [sys.executable, str(script), str(root)],
        cwd=ROOT,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def wait_until(condition):
    deadline = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < deadline, "no progress"
        time.sleep(0.01)


def workers(process):
    """Process ids of its workers."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [pid for pid in map(int, children.split()) if "spawn_main" in command(pid)]


def command(pid):
    with contextlib.suppress(OSError):
        return Path(f"/proc/{pid}/cmdline").read_text()
    return ""


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    return contents(
        generate(
            tmp_path_factory.mktemp("whole") / "x", OPTIONS, workers=1, progress=False
        )
    )


def die(task):
    if task == [2]:
        os.kill(os.getpid(), signal.SIGKILL)
    return len(task)


def test_a_killed_worker_is_an_error():
    with pytest.raises(ChildProcessError, match="was killed, perhaps for lack of mem"):
        list(run(die, [[1], [2], [3]], 2))


def test_signals_leave_no_worker_and_the_next_start_adds_the_rest(tmp_path, whole):
    root = tmp_path / "made"
    for number, code, said in (
        (signal.SIGKILL, -signal.SIGKILL, ""),
        (signal.SIGTERM, 143, "stopped; the next start keeps the images in"),
        (signal.SIGINT, -signal.SIGINT, "KeyboardInterrupt"),  # commands catch it
    ):
        before = len([*root.glob("*/*.jpg")])
        process = begin(root)
        wait_until(lambda before=before: len([*root.glob("*/*.jpg")]) > before + 4)
        ours = workers(process)
        assert len(ours) == 2
        os.kill(process.pid, number)
        assert process.wait(LIMIT) == code
        wait_until(lambda ours=ours: not any("spawn_main" in command(p) for p in ours))
        said_by_all = process.stderr.read()  # to its end: nobody else has it open
        assert said in said_by_all
        assert said_by_all.count("Traceback") == (number == signal.SIGINT)
    assert len([*root.glob("*/*.jpg")]) < len(whole) // 2
    assert contents(generate(root, OPTIONS, workers=1, progress=False)) == whole


def test_of_two_at_once_the_second_waits(tmp_path, whole):
    first = begin(tmp_path / "made")
    wait_until(lambda: len([*(tmp_path / "made").glob("*/*.jpg")]) > 4)
    os.kill(first.pid, signal.SIGSTOP)  # or it might end before the second begins
    second = begin(tmp_path / "made")
    said = second.stderr.readline()
    os.kill(first.pid, signal.SIGCONT)
    for process in (first, second):
        process.communicate(timeout=LIMIT)
        assert process.returncode == 0
    assert f"is in use by process {first.pid} on " in said
    assert said.endswith("; waiting for it\n")
    assert contents(tmp_path / "made") == whole
