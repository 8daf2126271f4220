"""What the documentation says exists, and its commands and Python run.

They run as they stand, page by page, in a copy of the project whose configs are tiny,
with a run in `runs/synthetic`. A line `<!-- not run: REASON -->` before a block
excepts it; its commands must exist all the same.
"""

import difflib
import json
import os
import re
import shutil
import stat
import subprocess
import sys
import unittest.mock
from pathlib import Path

import doc_blocks
import pytest
import tiny
from absl import flags
from doc_blocks import PAGES, ROOT
from ml_collections import ConfigDict, config_flags

from configs import base, synthetic

KINDS = ("", "sh", "python", "csv")
FILES = (".py", ".json", ".jsonl", ".png", ".csv", ".html", ".safetensors", ".onnx")
NOT_OURS = ("venv", "pip", "pytest")  # modules
LIMIT = 240  # seconds
# Where the run in runs/synthetic is not as `tiny` has it: it has the checkpoint that
# the pages name. The compiled step depends on none of these, nor on numbers of steps.
TRAINED = ("train.steps_per_epoch=301", "train.checkpoint_every=300")
SAME_STEP = {
    "train.schedule": "step",
    "train.warmup_epochs": 0.0,
    "train.decay_epochs": (),
}
# Runs the Python blocks of a page in one interpreter, as a reader would.
SESSION = r"""
import json, sys
names = {"__name__": "__main__"}
for line in sys.stdin:
    file, text = json.loads(line)
    exec(compile(text, file, "exec"), names)
    print("\0", flush=True)
"""


def flat(config: ConfigDict, prefix: str = "") -> dict:
    """Full name -> value of every field."""
    found = {}
    for key, value in config.items():
        inner = isinstance(value, ConfigDict)
        found |= flat(value, f"{prefix}{key}.") if inner else {prefix + key: value}
    return found


FIELDS = flat(synthetic.get_config())  # base's and its own
SECTIONS = {name.partition(".")[0] for name in FIELDS if "." in name}


def place(page: str, line: int) -> str:
    return f"{page}:{line}"


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_what_they_are(page):
    for block in doc_blocks.blocks(page):
        where = place(page, block.line)
        assert block.kind in KINDS, f"{where}: unknown info string {block.kind!r}"
        if not block.kind:
            command = re.search(
                r"^\s*(\$|!|%|\S*python3?|pip|cd|export|srun|gcloud|git) .*",
                block.text,
                re.M,
            )
            assert not command, f"{where}: {command[0]!r} stands in no block of sh"


def defined_flags(argv: list[str]) -> tuple[set[str], list[str]]:
    """The flags that a script or module defines, and the arguments behind it."""
    if argv[0] == "-m":
        path, rest = ROOT / argv[1].replace(".", "/"), argv[2:]
        files = [*path.glob("*.py")] if path.is_dir() else [path.with_suffix(".py")]
        assert not path.is_dir() or path / "__main__.py" in files, argv
    else:
        files, rest = [ROOT / argv[0]], argv[1:]
    missing = [file for file in files if not file.is_file()]
    assert files and not missing, f"there is no {missing or argv}"
    source = "".join(file.read_text() for file in files)
    if "mbnet_jax.cli" in source:
        source += (ROOT / "mbnet_jax" / "cli.py").read_text()
    pattern = r'(?:DEFINE_\w+|add_argument)\(\s*"(?:--)?(\w[\w-]*)"'
    return {"help", *re.findall(pattern, source)}, rest


def check_call(argv: list[str]) -> None:
    """That script or module, flags, config and its fields exist and parse."""
    if argv[0] == "-c":
        compile(argv[1], "-c", "exec")
        return
    if argv[0] == "--version" or (argv[:1] == ["-m"] and argv[1] in NOT_OURS):
        return
    known, rest = defined_flags(argv)
    overrides = []
    for number, word in enumerate(rest):
        name = word.removeprefix("--").partition("=")[0]
        if name == "config" or name.startswith("config."):
            overrides.append(word)
            if "=" not in word:
                overrides.append(rest[number + 1])
        elif word.startswith("--"):
            near = difflib.get_close_matches(name, known)
            assert {name, name.removeprefix("no")} & known, f"no --{name}; {near}"
    if overrides:
        values = flags.FlagValues()
        config_flags.DEFINE_config_file("config", flag_values=values)
        # Which fields there are to override is taken from sys.argv.
        with unittest.mock.patch.object(sys, "argv", ["", *overrides]):
            values(sys.argv)
        values.config.copy_and_resolve_references()


@pytest.mark.parametrize("page", PAGES)
def test_commands_exist(page, monkeypatch):
    monkeypatch.chdir(ROOT)
    for block in doc_blocks.blocks(page):
        where = place(page, block.line)
        if block.kind == "python":
            compile(block.text, where, "exec")
        if block.kind != "sh":
            continue
        syntax = subprocess.run(
            ["bash", "-n"], input=block.text, capture_output=True, text=True
        )
        assert not syntax.returncode, f"{where}: {syntax.stderr}"
        for file in re.findall(r"install .*?-r (\S+)", block.text):
            assert (ROOT / file).is_file(), f"{where}: there is no {file}"
        for argv in doc_blocks.python_calls(block.text):
            try:
                check_call(argv)
            except (AssertionError, flags.Error, AttributeError, OSError) as error:
                pytest.fail(f"{where}: python {' '.join(argv)}\n{error}", False)
    for code in doc_blocks.inline_code(page):
        for argv in doc_blocks.python_calls(code):
            check_call(argv)


@pytest.mark.parametrize("page", PAGES)
def test_fields_exist(page):
    for code in doc_blocks.inline_code(page):
        named = re.fullmatch(r"(?:--)?(?:config\.)?([a-z_]+\.[a-z_.]+)(=.*)?", code)
        if named and named[1].partition(".")[0] in SECTIONS:
            name = named[1]
            if not name.endswith(FILES):
                known = name in FIELDS or any(f.startswith(f"{name}.") for f in FIELDS)
                assert known, f"{page}: there is no field {name}"


def anchors(page: Path) -> set[str]:
    """What a page's headings are linked by, as GitHub makes it of them."""
    headings = re.findall(r"^#+ (.*)", page.read_text(), re.M)
    return {
        re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-")
        for heading in headings
    }


@pytest.mark.parametrize("page", PAGES)
def test_links_lead_somewhere(page):
    for target in re.findall(r"\]\(([^)\s]+)\)", (ROOT / page).read_text()):
        if "://" in target:
            continue
        file, _, anchor = target.partition("#")
        path = (ROOT / page).parent / file if file else ROOT / page
        assert path.exists(), f"{page} links to {target}, which is not there"
        if anchor:
            assert anchor in anchors(path), f"{page} links to {target}: no heading"


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project with tiny configs and a trained run."""
    folder = tmp_path_factory.mktemp("docs") / "mbnet-jax"
    left = ("runs", "data", "build", "__pycache__")
    folder.mkdir()
    for entry in ROOT.iterdir():
        if entry.is_dir() and not entry.name.startswith(".") and entry.name not in left:
            skipped = shutil.ignore_patterns("__pycache__")
            shutil.copytree(entry, folder / entry.name, ignore=skipped)
        elif entry.is_file():
            shutil.copy(entry, folder)
    small = flat(tiny.tiny_config(Path("data"))) | SAME_STEP
    small |= dict.fromkeys(("model.backbone", "model.mask_backbone"), tiny.ONE_BLOCK)
    for module in (base, synthetic):
        known = flat(module.get_config())
        # Height and width of the synthetic images follow from data's.
        follow = ("data.synthetic.height", "data.synthetic.width")
        shrink(folder, module, {k: small[k] for k in known if k not in follow})
    with (folder / "mbnet_jax/models/resnet.py").open("a") as source:
        source.write(f"\n\nDEPTHS[{tiny.ONE_BLOCK!r}] = ((1, 0, 0, 0), False)\n")
    python = folder / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    python.chmod(python.stat().st_mode | stat.S_IXUSR)
    overrides = " ".join(f"--config.{override}" for override in TRAINED)
    run(folder, f"python train.py --config configs/synthetic.py {overrides}", "tiny")
    return folder


def shrink(folder: Path, module, values: dict) -> None:
    """Lets a config of the copy have other values; what it is named stays."""
    values = {key: value for key, value in values.items() if not key.endswith("name")}
    with (folder / "configs" / Path(module.__file__).name).open("a") as source:
        source.write(
            "\n\n_full = get_config\n\n\ndef get_config():\n    c = _full()\n"
            f"    c.update_from_flattened_dict({values!r})\n    return c\n"
        )


def environment(folder: Path) -> dict[str, str]:
    """One device, as on a laptop; compiled programs are shared with other tests."""
    inherited = {k: v for k, v in os.environ.items() if k != "XLA_FLAGS"}
    path = os.pathsep.join([str(folder / ".venv" / "bin"), os.environ["PATH"]])
    return inherited | {"PATH": path, "MPLBACKEND": "Agg"}


def run(folder: Path, text: str, where: str) -> None:
    """Runs shell commands; the first that fails fails the test."""
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", text],
        cwd=folder,
        env=environment(folder),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=LIMIT,
    )
    if done.returncode:
        pytest.fail(f"{where}: {text}\nended with {done.returncode}:\n{done.stdout}")


class Session:
    """An interpreter for the Python blocks of one page."""

    def __init__(self, folder: Path):
        self._process = subprocess.Popen(
            [sys.executable, "-c", SESSION],
            cwd=folder,
            env=environment(folder),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )

    def run(self, block: doc_blocks.Block) -> None:
        # The lines before it are empty: errors then tell the page's line.
        text = "\n" * (block.line - 1) + block.text
        print(json.dumps([block.page, text]), file=self._process.stdin, flush=True)
        output = []
        for line in self._process.stdout:
            if line == "\0\n":
                return
            output.append(line)
        where = place(block.page, block.line)
        pytest.fail(f"{where}:\n{block.text}\nfailed:\n{''.join(output)}")

    def close(self) -> None:
        self._process.stdin.close()
        self._process.wait(LIMIT)


done_already = set()  # commands that another page has, too


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_python_run(page, copy):
    session = None
    for block in doc_blocks.blocks(page):
        if block.not_run:
            continue
        if block.kind == "python":
            session = session or Session(copy)
            session.run(block)
        elif block.kind == "sh":
            for line, text in doc_blocks.steps(block):
                command = text.replace(".venv/bin/python", "python")
                if command not in done_already:
                    done_already.add(command)
                    run(copy, text, place(page, line))
    if session:
        session.close()
