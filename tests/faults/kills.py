"""SIGKILL at random moments, again and again; SIGTERM and Ctrl-C at each moment."""

import json
import shutil
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator

import numpy as np

from tests.faults.place import EVERY, STEPS, Place, short
from tests.faults.rows import Row, Setting

Moment = Callable[[Place], bool]


def _last_step(place: Place) -> int:
    steps = [json.loads(line)["step"] for line in place.lines() if line.endswith("}")]
    return max(steps, default=0)


def _validates(place: Place) -> bool:
    lines = [line for line in place.lines() if line.endswith("}")]
    step = json.loads(lines[-1])["step"] if lines else 0
    return step > 0 and step % EVERY == 0 and "validation" not in lines[-1]


def _moments(rng: np.random.Generator) -> dict[str, Moment]:
    """What to wait for, in the order in which a run comes to it."""
    images, step = int(rng.integers(1, 60)), int(rng.integers(1, STEPS - 1))
    return {
        "generation": lambda p: p.count("data/synthetic/*/*/*.jpg") >= images,
        "preparation": lambda p: p.count("data/prepared/*/*/*/*incomplete*") > 0,
        "start": lambda p: p.count("run/best") > 0,
        "training": lambda p: _last_step(p) >= min(step, STEPS // 2),
        "checkpoint": lambda p: p.count("run/checkpoints/*.orbax-checkpoint-tmp*") > 0,
        "validation": _validates,
        "best checkpoint": lambda p: p.count("run/best/*.orbax-checkpoint-tmp*") > 0,
        "final evaluation": lambda p: p.count(f"run/checkpoints/{STEPS}") > 0,
        "results": lambda p: p.count("run/eval/*") > 0,
        "report": lambda p: p.count("run/eval/ranked_lists.png") > 0,
    }


# Seconds past the moment, at most, until the kill.
_SPREAD = {"start": 4.0, "final evaluation": 1.5, "results": 0.3, "report": 0.5}


def sigkill(setting: Setting, kills: int) -> Iterator[Row]:
    """Kills one run at each moment in turn, completes it, and starts another."""
    rng = np.random.default_rng(0)
    done, missed, seconds, runs, differ = Counter(), Counter(), [], 0, []
    while done.total() < kills:
        place = setting.place()
        for name, moment in _moments(rng).items():
            if done.total() == kills:
                break
            process = place.begin()
            reached = process.wait_until(lambda m=moment, p=place: m(p))
            time.sleep(rng.uniform(0, _SPREAD.get(name, 0.05)))
            ended = process.end(signal.SIGKILL)
            seconds.append(ended.seconds)
            if not reached or ended.code != -signal.SIGKILL:
                missed[name] += 1
                if ended.code != -signal.SIGKILL:
                    continue  # it ended by itself; no kill
            done[name] += 1
        row = setting.row("SIGKILL", "", "", place.complete(), True, place)
        runs += 1
        if not row.kept:
            differ.append(f"{row.seen} ({place.folder})")
        print(f"{done.total()} kills, {runs} runs, {differ or 'all equal'}", flush=True)
    for name, count in done.items():
        late = f", {missed[name]} late" if missed[name] else ""
        yield Row("SIGKILL", name, _AGAIN, f"{count} kills{late}", not differ, "")
    yield Row(
        "SIGKILL",
        "all of these",
        _AGAIN,
        f"{done.total()} kills, {np.mean(seconds):.1f} s each, of {runs} runs"
        + "".join(f"; {short(d)}" for d in differ),
        not differ,
        "**no**" if differ else "yes",
    )


_SIGNALLED = (
    "generation",
    "preparation",
    "training",
    "validation",
    "final evaluation",
    "report",
)
_AGAIN = "the same command resumes"
_SAVED = "the step is saved; exit {}"
_STOPS = "stops at once; exit {}"


def signals(setting: Setting) -> Iterator[Row]:
    """SIGTERM to the process; SIGINT to its group, as a terminal sends it."""
    for name, moment in _moments(np.random.default_rng(1)).items():
        if name in _SIGNALLED:
            yield from _both(setting, name, moment)


def _both(setting: Setting, name: str, moment: Moment) -> Iterator[Row]:
    for fault, number, code in (
        ("SIGTERM", signal.SIGTERM, 143),
        ("Ctrl-C", signal.SIGINT, 130),
    ):
        place = setting.place(data=name != "generation")
        if name == "preparation":
            shutil.rmtree(place.data / "prepared")
        process = place.begin()
        reached = process.wait_until(lambda p=place: moment(p))
        ended = process.end(number, group=number == signal.SIGINT)
        left = process.left()
        # A signal that nobody handles ends the process; a shell calls that 128 + it.
        seen = 128 - ended.code if (ended.code or 0) < 0 else ended.code
        saves = name in ("training", "validation")
        promised = (_SAVED if saves else _STOPS).format(code)
        where = name if reached else f"{name} (missed)"
        yield setting.row(
            fault, where, promised, ended, seen == code and not left, place
        )
