"""Runs a case in a sandbox, and says how it ended.

| kind | how the case ended |
|---|---|
| handled | with a result, which is right |
| refused | with one of our errors, whose message names the offender and a remedy |
| traceback | with another exception |
| unclear | with an error that does not name them |
| wrong | with a wrong result; invalid input was taken, or valid input refused |
| hang | not within its time |
| memory | after taking far more memory than the case has data |
| loss | somebody's file changed or vanished |
| escape | a file appeared outside the folders that the case may write to |
| litter | a half-written file was left behind |
"""

import contextlib
import io
import os
import re
import resource
import shutil
import signal
import sys
import traceback
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

from .case import Case, Surface, Wrong
from .choices import Choices

GOOD = ("handled", "refused")
BAD = ("traceback", "unclear", "wrong", "hang", "memory", "loss", "escape", "litter")
WHAT = "what.txt"  # the running case, for the one who ends a blocked process
KEPT = "keep me.txt"  # somebody's file, put into every folder
_MEMORY = 1 << 20  # KiB that a case may add to the process
_ADDRESSES = 4 << 30  # bytes that a case may map
_LONGEST = 20_000  # characters of a message
# What to do, or what is allowed.
_REMEDY = re.compile(
    r"\b(must|gives?|expected|replace|delete|remove|move|restore|install|correct|set"
    r"|use|choose|known|unpack|free|make|generate|export|train|evaluate|download|at"
    r" most|at least|needs?|keep|list|add|name|save|convert|rename|wait|leave|write"
    r"|put|quote|see|it has|try|raise|lower|run|check|close|shorten|takes?|reads?|ends?"
    r"|label|has to be|one of)\b",
    re.IGNORECASE,
)
# The message about a missing file says itself what to do.
_MISSING = re.compile(r"no such|not found|missing|do(es)? not exist", re.IGNORECASE)


class Outcome(NamedTuple):
    """How a case ended: its kind, the mutation, and what happened."""

    kind: str
    what: str
    detail: str


class Hang(BaseException):
    """Raised inside a case whose time is over."""


def run_case(surface: Surface, choices: Choices, base: Path) -> Outcome:
    """Makes a case in a new folder in `base`, runs it, and judges how it ended."""
    root = base / "case"
    folder = root / "some" / "where"
    folder.mkdir(parents=True)
    try:
        case = surface.make(choices, folder)  # its own failure is no case's outcome
        for parent, _, _ in os.walk(root):
            if not any(Path(parent).is_relative_to(each) for each in case.unsown):
                Path(parent, KEPT).write_text("somebody's")
        (base / WHAT).write_text(ascii(case.what))
        before = _files(root)
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        with _surroundings(root, case):
            kind, detail = _judged(case, surface.seconds)
        more = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - peak
        if more > _MEMORY:
            kind, detail = "memory", f"{more >> 10:,} MiB; {detail}"
        for damage, file in _damage(before, _files(root), case, root):
            kind, detail = damage, f"{file}; {kind}: {detail}"
        return Outcome(kind, case.what, detail)
    finally:
        shutil.rmtree(root)


@contextlib.contextmanager
def _surroundings(root: Path, case: Case) -> Iterator[None]:
    """A working directory and a home of the case's own; nothing is printed."""
    directory, variables = os.getcwd(), dict(os.environ)
    (root / "home").mkdir()
    os.chdir(root)
    os.environ.update(HOME=str(root / "home"), XDG_CACHE_HOME=str(root / "home"))
    for name, value in case.environment.items():
        os.environ.pop(name, None)
        if value is not None:
            os.environ[name] = value
    try:
        with (
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            warnings.catch_warnings(),
        ):
            warnings.simplefilter("ignore")
            yield
    finally:
        os.environ.clear()
        os.environ.update(variables)
        os.chdir(directory)


def _judged(case: Case, seconds: float) -> tuple[str, str]:
    """The kind of the case, and what happened."""
    try:
        with _limited(seconds):
            result = case.run()
            problem = case.check(result)
    except Hang:
        return "hang", f"longer than {seconds} s"
    except Wrong as error:
        return "wrong", str(error)
    except SystemExit as end:
        if end.code in (None, 0):
            return _taken(case, "exit 0")
        if end.code == 2:  # argparse; absl's usage
            return _refused(case, SystemExit, _printed())
        return _refused(case, SystemExit, str(end.code))
    except (ValueError, OSError) as error:
        return _refused(case, type(error), str(error))
    except KeyboardInterrupt:
        raise
    except MemoryError:
        return "memory", "MemoryError"
    except BaseException as error:
        return "traceback", _where(error)
    if problem:
        return "wrong", problem
    return _taken(case, "a result")


def _printed() -> str:
    return sys.stderr.getvalue() if isinstance(sys.stderr, io.StringIO) else ""


def _where(error: BaseException) -> str:
    frames = traceback.extract_tb(error.__traceback__)[-3:]
    place = " < ".join(f"{Path(f.filename).name}:{f.lineno}" for f in frames[::-1])
    return f"{type(error).__name__}: {str(error)[:300]} [{place}]"


def _taken(case: Case, how: str) -> tuple[str, str]:
    if case.valid is False:
        return "wrong", f"taken ({how})"
    return "handled", how


def _refused(case: Case, kind: type, message: str) -> tuple[str, str]:
    detail = f"{kind.__name__}: {message[:600]}"
    if case.valid:
        return "wrong", f"refused: {detail}"
    named = any(form in message for token in case.tokens for form in _forms(token))
    remedy = _REMEDY.search(message) or _MISSING.search(message)
    if not named or not remedy or len(message) > _LONGEST:
        return "unclear", detail
    return "refused", detail


def _forms(token: str) -> Iterator[str]:
    """A token as messages may show it: quoted, shortened, with replaced bytes."""
    yield token
    quoted = repr(token)[1:-1]
    yield quoted
    if len(quoted) > 40:
        yield quoted[:40]
    with contextlib.suppress(UnicodeEncodeError):
        yield os.fsencode(token).decode("utf-8", "replace")


@contextlib.contextmanager
def _limited(seconds: float) -> Iterator[None]:
    def stop(*_):
        raise Hang

    before = signal.signal(signal.SIGALRM, stop)
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    most = pages * resource.getpagesize() + _ADDRESSES
    resource.setrlimit(resource.RLIMIT_AS, (most, hard))
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))
        signal.signal(signal.SIGALRM, before)


def _files(root: Path) -> dict[Path, tuple]:
    """Everything below `root` but folders -> what changes if it is written to."""
    found = {}
    for parent, folders, names in os.walk(root):
        for name in names + [n for n in folders if os.path.islink(Path(parent, n))]:
            path = Path(parent, name)
            status = path.lstat()
            found[path] = (status.st_mode, status.st_size, status.st_mtime_ns)
    return found


def _damage(
    before: dict, after: dict, case: Case, root: Path
) -> Iterator[tuple[str, Path]]:
    """Files that were lost, appeared elsewhere than allowed, or were left behind."""
    allowed = (*case.writes, root / "home")
    for path in after:
        if path not in before and path.name.endswith((".part", ".old")):
            yield "litter", path
        elif path not in before and not any(path.is_relative_to(a) for a in allowed):
            yield "escape", path
    for path, status in before.items():
        ours = path.name != KEPT and any(path.is_relative_to(a) for a in allowed)
        if not ours and after.get(path) != status:
            yield "loss", path
