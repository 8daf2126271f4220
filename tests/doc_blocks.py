"""Fenced blocks of the documentation, and the commands in them."""

import re
import shlex
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent
PAGES = (
    "README.md",
    "CONTRIBUTING.md",
    "CHANGELOG.md",
    *sorted(f"docs/{path.name}" for path in (ROOT / "docs").glob("*.md")),
    *sorted(
        str(path.relative_to(ROOT)) for path in (ROOT / "benchmarks").glob("**/*.md")
    ),
)

_NOT_RUN = re.compile(r"<!-- not run: (\S.*) -->")
_BY_CI = ("<!-- main -->", "<!-- test -->")  # .ci/run runs these two
_ALONE = re.compile(r"([A-Z_]+=\S+ )*(\.venv/bin/)?(python|mbnet-[a-z]+) ")
_PYTHON = re.compile(r"(.*/)?python3?")
_COMMAND = re.compile(r"(?:.*/)?mbnet-([a-z]+)")  # installed with the package
_START = re.compile(r"[;&|<>()\n]*|[A-Z_]+=.*")  # what a command may follow


class Block(NamedTuple):
    """A fenced block.

    page: its file, relative to the root.
    line: the number of its first line, from 1.
    kind: the info string, "" for output, layouts and formulas.
    not_run: why the test does not run it; "" if it does.
    """

    page: str
    line: int
    kind: str
    text: str
    not_run: str


def blocks(page: str) -> list[Block]:
    """Returns the fenced blocks of a page, in its order."""
    found, start, before = [], None, ""
    lines = (ROOT / page).read_text().splitlines()
    for number, line in enumerate(lines, start=1):
        if not line.lstrip().startswith("```"):
            if start is None and line.strip():
                before = line.strip()
            continue
        assert line.startswith("```"), f"{page}:{number}: an indented fence"
        if start is None:
            start, kind = number, line[3:].strip()
            continue
        reason = _NOT_RUN.fullmatch(before)
        not_run = reason[1] if reason else "CI does" if before in _BY_CI else ""
        text = "\n".join(lines[start : number - 1])
        found.append(Block(page, start + 1, kind, text, not_run))
        start, before = None, ""
    assert start is None, f"{page}:{start}: the fence is not closed"
    return found


def steps(block: Block) -> list[tuple[int, str]]:
    """Returns what of a block of shell is run at once: line numbers and texts.

    These are the single commands, if all call python or an installed command, or else
    the whole block.
    """
    found, number = [], block.line
    for text in re.split(r"(?<!\\)\n", block.text):
        if text.strip():
            found.append((number, text))
        number += text.count("\n") + 1
    if all(_ALONE.match(text) for _, text in found):
        return found
    return [(block.line, block.text)]


def python_calls(text: str) -> Iterator[list[str]]:
    """Yields the arguments of each call of python in shell commands, quoted ones too.

    `mbnet-NAME` counts as `python -m mbnet_jax.commands.NAME`.
    """
    text = re.sub(r"(^|\s)#.*", r"\1", text.replace("\\\n", " "))
    words = shlex.shlex(text, posix=True, punctuation_chars=";&|<>()\n")
    words.whitespace, words.commenters, words.whitespace_split = " \t", "", True
    call, before = None, ""
    for word in [*words, ";"]:
        if set(word) <= set(";&|<>()\n"):
            if call:
                yield call
            call = None
        elif call is not None:
            call.append(word)
        elif _PYTHON.fullmatch(word) and before != "--python":
            call = []
        elif _START.fullmatch(before) and (command := _COMMAND.fullmatch(word)):
            call = ["-m", f"mbnet_jax.commands.{command[1]}"]
        elif "python " in word:
            yield from python_calls(word)
        before = word


def inline_code(page: str) -> list[str]:
    """Returns what is between backticks in a page's text, as one line each."""
    text = re.sub(r"^```.*?^```", "", (ROOT / page).read_text(), flags=re.S | re.M)
    return [" ".join(code.split()) for code in re.findall(r"`([^`]+)`", text)]
