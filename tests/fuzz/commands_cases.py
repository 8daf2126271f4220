"""Command lines: odd flags and values of every command but `mbnet-export`'s.

A command line is one that would work, or one whose data is missing, with one thing
changed; so nothing is trained. `networks_cases` has the flags of `mbnet-export`.
"""

import functools
import importlib
import os
import subprocess
import sys
from pathlib import Path

import layouts
import photos
import tiny

from . import manifest_cases, maps_cases, mutate, networks
from .case import Case, Wrong, surface
from .choices import Choices
from .command_lines import COMMANDS, NO_COUNT, PERHAPS, SURPLUS

ROOT = Path(__file__).parent.parent.parent


@functools.cache
def data() -> Path:
    """Two images of a manifest."""
    root = networks.folder() / "commands"
    found = [row for row in manifest_cases.rows() if row["pid"] in ("eve", "dan")]
    found = [found[0], *found[-2:]]
    for row in found:
        layouts.write_image(root / row["path"], 3)
    (root / "manifest.csv").write_text(manifest_cases.written(found), newline="")
    return root


@functools.cache
def maps() -> Path:
    """A map of each image."""
    folder = networks.folder() / "maps"
    for path in data().rglob("*.jpg"):
        target = (folder / path.relative_to(data())).with_suffix(".png")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(tiny.encoded(tiny.person(), "PNG"))
    return folder


@functools.cache
def gallery() -> Path:
    folder = networks.folder() / "gallery"
    for number, name in enumerate(("a.jpg", "b.jpg")):
        photos.write_photo(folder / name, number)
    return folder


def prepare() -> None:
    maps_cases.prepare()
    networks.compile_once()
    maps(), gallery(), networks.run(), networks.export()


def _filled(text: str, folder: Path) -> str:
    """The text with the places of a case in it."""
    if "{" not in text:
        return text
    places = {
        "folder": folder,
        "out": folder / "out",
        "pipe": folder / "pipe",
        "data": data(),
        "maps": maps(),
        "photos": gallery(),
        "run": networks.run(),
        "export": networks.export(),
        "onnx": maps_cases.model(),
    }
    return text.format(**places)


@surface("commands", share=25, seconds=40)
def commands(c: Choices, folder: Path) -> Case:
    """One argument is odd, surplus, missing, repeated, or names an odd file."""
    name = c.pick([*COMMANDS])
    command = COMMANDS[name]
    out, odd_path = folder / "out", folder / "odd.png"
    out.mkdir()
    os.mkfifo(folder / "pipe")
    given = {flag: _filled(text, folder) for flag, text in command.arguments.items()}
    kind = c.pick(
        ("value",) * 8 + ("surplus",) * 3 + ("no value", "left out", "twice", "sound")
        + ("file",) * 3
    )  # fmt: skip
    flag = c.pick([*command.odd])
    words, what, valid = [], "", None
    tokens: tuple[str, ...] = command.lacks
    writes: tuple[Path, ...] = (out, folder.parent.parent / "runs")
    if kind == "value":
        odd = command.odd[flag]
        if NO_COUNT[1:4] == odd[1:4] and c.once_in(5):
            new = c.pick(PERHAPS)
        else:
            new, valid, tokens = c.pick(odd), False, ()
        what, tokens = f"{flag} {mutate.shown(new)}", (*tokens, flag, new or flag)
        given[flag] = new.replace("\0", "")
    elif kind == "surplus":
        new = _filled(c.pick(SURPLUS), folder)
        short = new.lstrip("-").removeprefix("no").removeprefix("config.")
        tokens = (new, short.partition("=")[0] or "''")
        what, valid, words = mutate.shown(new), False, [new]
    elif kind == "no value":
        given.pop(flag, None)
        what, valid, tokens = flag, False, (flag,)
    elif kind == "left out":
        flag = c.pick([each for each in given if (name, each) != ("search", "model")])
        del given[flag]
        what, tokens = flag, (*tokens, flag, flag.removeprefix("config."))
        tokens += ("manifest.csv",) * (flag == "config.data.root")
        writes += (folder.parent.parent / "preview.png",)
        writes += (folder.parent.parent / "search.html",)
    elif kind == "twice":
        new = c.pick(command.odd[flag]).replace("\0", "")
        what, words = f"{flag} {mutate.shown(new)}", [f"--{flag}={new}"]
        tokens += (flag, new or flag)
    elif kind == "file":
        flag = c.pick(command.paths + ("out",) * ("out" in given))
        how = mutate.odd_file(c, odd_path)
        what, given[flag] = f"{flag} {how}", str(odd_path)
        tokens += (flag, odd_path.name)
        if how in ("gone", "folder"):
            writes += (odd_path,)
        elif name != "train" or flag != "workdir":
            valid = False
    elif not command.lacks:
        valid = True
    if command.lacks:
        valid = False
    words += _words(c, given)
    if kind == "no value":
        words.append(f"--{flag}")
    # A process of its own takes seconds.
    own = kind in ("surplus", "no value") and c.whole(0, 99) == 77
    result = out / {"preview": "sheet.png", "search": "page.html"}.get(name, "maps")

    def check(_) -> str | None:
        missing = kind == "sound" and not result.exists()
        return f"no {result.name}" if missing else None

    return Case(
        f"{name}: {kind} {what}" + " in its own process" * own,
        lambda: (_in_process if not own else _in_its_own)(name, words),
        (*tokens, *(token.replace("_", "-") for token in tokens)),  # flags
        check,
        valid,
        writes,
        environment={"HF_HUB_OFFLINE": "1"},
    )


def _words(c: Choices, given: dict[str, str]) -> list[str]:
    """The arguments, some of them as two words."""
    words = []
    for flag, value in given.items():
        apart = not value.startswith("-") and c.once_in(4)
        words += [f"--{flag}", value] if apart else [f"--{flag}={value}"]
    return words


def _in_process(name: str, words: list[str]) -> None:
    """Calls a command's `main`, as often as one likes."""
    module = importlib.import_module(f"mbnet_jax.commands.{name}")
    before, sys.argv = sys.argv, [f"mbnet-{name}", *words]
    try:
        module.main()
    except SystemExit as end:
        _judge(end.code)
    finally:
        sys.argv = before


def _judge(code) -> None:
    """Ends as the command does, unless its message is none for a terminal."""
    if code in (None, 0):
        return
    text = str(code)
    control = {character for character in text if ord(character) < 32} - {"\n"}
    if not text.startswith("error: ") or control:
        raise Wrong(f"a message with {control}: {text[:200]!r}")
    raise SystemExit(code)


def _in_its_own(name: str, words: list[str]) -> None:
    """Runs a command in a process of its own."""
    done = subprocess.run(
        [sys.executable, "-m", f"mbnet_jax.commands.{name}", *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        errors="replace",
    )
    if "Traceback" in done.stderr:
        raise RuntimeError(done.stderr[-300:])
    _judge(done.returncode and done.stderr[done.stderr.find("error: ") :])
