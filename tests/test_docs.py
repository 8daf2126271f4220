"""What the documentation says exists, and its commands and Python run.

They run as they stand, page by page, in a copy of the project whose configs are tiny,
with a run in `runs/synthetic`. A line `<!-- not run: REASON -->` before a block
excepts it; its commands must exist all the same.
"""

import contextlib
import difflib
import re
import subprocess
import sys
import unittest.mock
from pathlib import Path

import doc_blocks
import doc_run
import pytest
from absl import flags
from doc_blocks import PAGES, ROOT
from ml_collections import config_flags

from configs import synthetic
from tools.config_reference import flat

KINDS = ("", "sh", "python", "csv")
FILES = (".py", ".json", ".jsonl", ".png", ".csv", ".html", ".safetensors", ".onnx")
NOT_OURS = ("venv", "pip", "pytest")  # modules


FIELDS = flat(synthetic.get_config())  # base's and its own
SECTIONS = {name.partition(".")[0] for name in FIELDS if "." in name}


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_what_they_are(page):
    for block in doc_blocks.blocks(page):
        where = f"{page}:{block.line}"
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
    for _ in range(2):  # train.py -> commands/train.py -> commands/cli.py
        imported = sorted({*re.findall(r"mbnet_jax\.commands\.(\w+)", source)})
        commands = ROOT / "mbnet_jax" / "commands"
        source += "".join((commands / f"{name}.py").read_text() for name in imported)
    pairs = re.findall(r'DEFINE_\w+\(\s*"([\w-]+)"|\(\s*"--([\w-]+)"', source)
    return {"help", *map("".join, pairs)}, rest


def check_call(argv: list[str]) -> None:
    """That script or module, flags, config and its fields exist and parse."""
    if argv[0] == "-c":
        compile(argv[1], "-c", "exec")
        return
    if argv[0] == "--version" or (argv[:1] == ["-m"] and argv[1] in NOT_OURS):
        return
    known, rest = defined_flags(argv)
    # A config that comes with the project may be given by its name.
    named = re.compile(r"(--config[\0=])(\w+)(?=\0|$)")
    rest = named.sub(r"\1configs/\2.py", "\0".join(rest)).split("\0")
    overrides = []
    for number, word in enumerate(rest):
        name = word.removeprefix("--").partition("=")[0]
        if name == "config" or name.startswith("config."):
            overrides.append(word)
            if "=" not in word:
                overrides.append(rest[number + 1])
        elif word.startswith("--"):
            near = difflib.get_close_matches(name, known)
            positive = name.removeprefix("no").removeprefix("-")
            assert {name, positive} & known, f"no --{name}; {near}"
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
        where = f"{page}:{block.line}"
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


def test_the_readme_links_every_page():
    linked = re.findall(r"\]\(([^)#\s]+)", (ROOT / "README.md").read_text())
    assert {*PAGES} - {"README.md"} <= {*linked}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project with tiny configs and a trained run."""
    return doc_run.make_copy(tmp_path_factory.mktemp("docs") / "mbnet-jax")


done_already = set()  # commands that another page has, too


@pytest.mark.parametrize("page", PAGES)
def test_commands_and_python_run(page, copy):
    with contextlib.ExitStack() as stack:
        session = None
        for block in doc_blocks.blocks(page):
            if block.not_run:
                continue
            if block.kind == "python":
                if session is None:
                    session = doc_run.Session(copy)
                    stack.callback(session.close)
                session.run(block)
            elif block.kind == "sh":
                for line, text in doc_blocks.steps(block):
                    command = text.replace(".venv/bin/python", "python")
                    if command not in done_already:
                        done_already.add(command)
                        doc_run.run(copy, text, f"{page}:{line}")


def test_a_failing_block_is_told_with_its_place(tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    told = r"docs/x.md:7: false\nended with 1"
    with pytest.raises(pytest.fail.Exception, match=told):
        doc_run.run(tmp_path, "false", "docs/x.md:7")
    session = doc_run.Session(tmp_path)
    session.run(doc_blocks.Block("docs/x.md", 3, "python", "a = 1", ""))
    bad = doc_blocks.Block("docs/x.md", 7, "python", "a += 1\nassert a == 1", "")
    with pytest.raises(pytest.fail.Exception, match=r'"docs/x.md", line 8'):
        session.run(bad)
    session.close()


@pytest.mark.parametrize(
    ("call", "error"),
    [
        ("trian.py --config configs/prcc.py", AssertionError),
        ("-m mbnet_jax.data.prview", AssertionError),
        ("eval.py --config configs/prcc.py --chekpoint=6", AssertionError),
        ("train.py --config configs/prc.py --config.seed=1", OSError),
        ("train.py --config configs/prcc.py --config.data.rot=/data", AttributeError),
        ("train.py --config configs/prcc.py --config.seed=many", flags.Error),
    ],
)
def test_commands_that_do_not_exist_are_found(call, error, monkeypatch):
    monkeypatch.chdir(ROOT)
    check_call(["train.py", "--config", "configs/prcc.py", "--config.seed=1"])
    with pytest.raises(error):
        check_call(call.split())


def test_calls_of_python_are_found():
    text = (
        "cd x && A=1 uv run --python .venv/bin/python python a.py \\\n"
        "    --b='c d' &  # not python e.py\n"
        'ssh host --command="\n  python -m f; ls"'
    )
    assert [*doc_blocks.python_calls(text)] == [["a.py", "--b=c d"], ["-m", "f"]]
    block = doc_blocks.Block("docs/x.md", 3, "sh", "python a \\\n  b\nA=1 python c", "")
    assert doc_blocks.steps(block) == [(3, "python a \\\n  b"), (5, "A=1 python c")]
    text = "cd x/mbnet-jax && A=1 .venv/bin/mbnet-train --b c | mbnet-parse"
    assert [*doc_blocks.python_calls(text)] == [
        ["-m", "mbnet_jax.commands.train", "--b", "c"],
        ["-m", "mbnet_jax.commands.parse"],
    ]
    block = block._replace(text="mbnet-search a\npython b")
    assert doc_blocks.steps(block) == [(3, "mbnet-search a"), (4, "python b")]
    loop = block._replace(text="for i in 1 2; do\n    python a\ndone")
    assert doc_blocks.steps(loop) == [(3, loop.text)]
