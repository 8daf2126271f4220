"""Mutated input ends handled or refused; the harness tells what else may happen."""

import tempfile
import time
from pathlib import Path

import pytest
from fuzz import networks, surfaces
from fuzz.case import SURFACES, Case, Surface
from fuzz.choices import Choices
from fuzz.harness import BAD, GOOD, run_case
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st


def ended(tmp_path, run, seconds=5.0, tokens=("offender",), **fields) -> str:
    """The kind of a case that calls `run` with its folder."""

    def make(_, folder: Path) -> Case:
        (folder / "data").write_text("somebody's")
        (folder / "out").mkdir()
        return Case("", lambda: run(folder), tokens, writes=(folder / "out",), **fields)

    surface = Surface("a surface", make, 1, seconds)
    return run_case(surface, Choices.seeded("a surface", 0, 0), tmp_path).kind


def fail(error: BaseException):
    def run(_):
        raise error

    return run


@pytest.mark.parametrize(
    ("kind", "error"),
    [
        ("refused", ValueError("offender=3 must be less")),
        ("refused", FileNotFoundError("no such file: offender")),
        ("refused", SystemExit("error: offender is odd; replace it")),
        ("unclear", ValueError("must be less")),
        ("unclear", ValueError("offender is odd")),
        ("unclear", ValueError("offender must be less" + " " * 30_000)),
        ("traceback", TypeError("offender must be less")),
        ("traceback", KeyError("offender")),
        ("memory", MemoryError()),
    ],
)
def test_errors_are_told_apart(tmp_path, kind, error):
    assert ended(tmp_path, fail(error)) == kind
    if kind == "refused":
        assert ended(tmp_path, fail(error), valid=True) == "wrong"


def test_results_are_told_apart(tmp_path):
    assert ended(tmp_path, lambda _: 1) == "handled"
    assert ended(tmp_path, lambda _: 1, valid=False) == "wrong"
    assert ended(tmp_path, lambda _: 1, check=lambda n: f"{n} is not 2") == "wrong"
    assert ended(tmp_path, lambda _: time.sleep(9), seconds=0.1) == "hang"


def test_files_are_watched(tmp_path):
    def kind(run) -> str:
        return ended(tmp_path, run)

    assert kind(lambda f: (f / "out" / "made").write_text("x")) == "handled"
    assert kind(lambda f: (f / "made").write_text("x")) == "escape"
    assert kind(lambda f: (f / ".." / ".." / "made").write_text("x")) == "escape"
    assert kind(lambda f: (f / "data").unlink()) == "loss"
    assert kind(lambda f: (f / "data").write_text("other")) == "loss"
    # Also in a folder that the program may write to.
    assert kind(lambda f: next((f / "out").iterdir()).unlink()) == "loss"
    assert kind(lambda f: (f / "out" / "a.part").write_text("x")) == "litter"
    assert not (tmp_path / "case").exists() and not {*GOOD} & {*BAD}


def test_a_case_is_the_same_every_time(tmp_path):
    def drawn(number: int) -> list:
        choices = Choices.seeded("a surface", 7, number)
        return [choices.whole(0, 99), choices.pick("abc"), choices.blob(9)]

    assert drawn(3) == drawn(3) != drawn(4)


# Cases of each surface in the suite; a long run makes many more.
FEW = {"export into": 4, "prepared": 3, "run": 6, "gallery": 5, "cache": 8, "parse": 6}
FEW |= {"commands": 20}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """What the cases share, in a folder that pytest removes."""
    before = tempfile.tempdir
    tempfile.tempdir = str(tmp_path_factory.mktemp("shared"))
    surfaces.prepare([*SURFACES])
    yield
    tempfile.tempdir = before
    networks.restore()


@pytest.mark.usefixtures("shared")
@pytest.mark.parametrize("name", SURFACES)
def test_mutated_input_is_handled_or_refused(tmp_path, name):
    @settings(
        max_examples=FEW.get(name, 25),
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=[*HealthCheck],
    )
    @given(st.data())
    def check(data):
        outcome = run_case(SURFACES[name], Choices.drawn(data), tmp_path)
        assert outcome.kind in GOOD, outcome

    check()
