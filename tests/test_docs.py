"""What the documentation names exists, and its commands and Python run.

They run as they are, page by page, in a copy of the project whose configs are tiny,
with a run in `runs/synthetic`. A line `<!-- not run: REASON -->` before a block
exempts it, but its commands must exist.
"""

import contextlib
import difflib
import re
import subprocess
from pathlib import Path

import doc_blocks
import doc_run
import pytest
from doc_blocks import PAGES, ROOT

from configs import base, synthetic
from mbnet_jax.config import flat, load_config

KINDS = ("", "sh", "python", "csv")
FILES = (".py", ".json", ".jsonl", ".png", ".csv", ".html", ".safetensors", ".onnx")
WRITTEN = ("config", "config_maps")  # configs, by mbnet-init
NOT_OURS = ("venv", "pip", "pytest")  # modules


# Of base and of synthetic, and those that may be missing.
FIELDS = flat(synthetic.get_config()) | flat(base.FIELDS)
# What can add flags: the commands, and the packages of benchmarks.
IMPORT = r"(mbnet_jax\.commands|benchmarks\.\w+)(?:\.| import )(\w+)"
SECTIONS = {name.partition(".")[0] for name in FIELDS if "." in name}


@pytest.mark.parametrize("page", PAGES)
def test_blocks_say_what_they_are(page):
    for block in doc_blocks.blocks(page):
        where = f"{page}:{block.line}"
        assert block.kind in KINDS, f"{where}: unknown info string {block.kind!r}"
        if not block.kind:
            command = re.search(
                r"^\s*(\$|!|%|\S*python3?|(\S*/)?mbnet-\w+|pip|cd|export|srun|gcloud|git)"
                r" .*",
                block.text,
                re.M,
            )
            assert not command, f"{where}: {command[0]!r} is in no block of sh"


def defined_flags(argv: list[str]) -> tuple[set[str], list[str]]:
    """Returns the flags that a script or module defines, and its arguments."""
    if argv[0] == "-m":
        path, rest = ROOT / argv[1].replace(".", "/"), argv[2:]
        files = [*path.glob("*.py")] if path.is_dir() else [path.with_suffix(".py")]
        assert not path.is_dir() or path / "__main__.py" in files, argv
    else:
        files, rest = [ROOT / argv[0]], argv[1:]
    missing = [file for file in files if not file.is_file()]
    assert files and not missing, f"no such file: {missing or argv}"
    source = "".join(file.read_text() for file in files)
    # train.py -> commands/train.py -> cli.py -> flags.py; a benchmark's command.py too.
    for _ in range(4):
        imported = {
            ROOT.joinpath(*package.split("."), f"{module}.py")
            for package, module in re.findall(IMPORT, source)
        }
        source += "".join(file.read_text() for file in imported if file.is_file())
    return {*re.findall(r'\(\s*"--([\w-]+)"', source)}, rest


def check_call(argv: list[str]) -> None:
    """Checks that script or module, flags, config and its fields exist and parse.

    Raises:
      AssertionError: if a script, a module or a flag does not exist.
      ValueError: if a config or a field does not, or a value has another type.
    """
    if argv[0] == "-c":
        compile(argv[1], "-c", "exec")
        return
    if argv[0] == "--version" or (argv[:1] == ["-m"] and argv[1] in NOT_OURS):
        return
    known, rest = defined_flags(argv)
    config, overrides = None, []
    words = iter(rest)
    for word in words:
        name, equals, value = word.removeprefix("--").partition("=")
        if name == "config" or name.startswith("config."):
            assert "config" in known, f"no --{name}"
            value = value if equals else next(words)
            if name == "config":  # mbnet-init writes some, when the page's blocks run
                config = "manifest" if Path(value).stem in WRITTEN else value
            else:
                overrides.append(f"{name.removeprefix('config.')}={value}")
        elif word == "--configs" and name in known:
            config = next(words)  # the first of several
        elif word.startswith("--"):
            near = difflib.get_close_matches(name, known)
            positive = name.removeprefix("no").removeprefix("-")
            assert {name, positive} & known, f"no --{name}; {near}"
    if config or overrides:
        load_config(config, overrides)


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
            assert (ROOT / file).is_file(), f"{where}: no such file: {file}"
        for argv in doc_blocks.python_calls(block.text):
            try:
                check_call(argv)
            except (AssertionError, ValueError) as error:
                pytest.fail(f"{where}: python {' '.join(argv)}\n{error}", False)
    for code in doc_blocks.inline_code(page):
        for argv in doc_blocks.python_calls(code):
            check_call(argv)


@pytest.mark.parametrize("page", PAGES)
def test_fields_exist(page):
    for code in doc_blocks.inline_code(page):
        # `<branch>` stands for any of them; "global" is a keyword in a config file.
        code = code.replace("<branch>", "global").replace('["global"]', ".global")
        named = re.fullmatch(
            r"(?:--)?(?:c\.|config\.)?([a-z_]+\.[a-z_.]+)( ?=.*)?", code
        )
        if named and named[1].partition(".")[0] in SECTIONS:
            name = named[1]
            if not name.endswith(FILES):
                known = name in FIELDS or any(f.startswith(f"{name}.") for f in FIELDS)
                assert known, f"{page}: no such field: {name}"


def anchors(page: Path) -> set[str]:
    """Returns the anchors of a page's headings, as GitHub derives them."""
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
        assert path.exists(), f"{page} links to {target}, which does not exist"
        if anchor:
            assert anchor in anchors(path), f"{page} links to {target}: no heading"


def test_the_readme_links_every_page():
    linked = re.findall(r"\]\(([^)#\s]+)", (ROOT / "README.md").read_text())
    assert {*PAGES} - {"README.md"} <= {*linked}


@pytest.fixture(scope="module")
def copy(tmp_path_factory):
    """A copy of the project with tiny configs and a trained run."""
    return doc_run.make_copy(tmp_path_factory.mktemp("docs") / "mbnet-jax")


done_already = set()  # commands of earlier pages, which are not repeated


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


def test_a_failing_block_is_reported_with_page_and_line(tmp_path):
    (tmp_path / ".venv" / "bin").mkdir(parents=True)
    message = r"docs/x.md:7: false\nended with 1"
    with pytest.raises(pytest.fail.Exception, match=message):
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
        ("python trian.py --config configs/prcc.py", "no such file: .*trian.py"),
        ("python -m mbnet_jax.data.prview", "no such file: .*prview.py"),
        ("mbnet-trian --config prcc", "no such file: .*trian.py"),
        ("python eval.py --config configs/prcc.py --chekpoint=6", "no --chekpoint"),
        ("mbnet-eval --config prcc --chekpoint=6", "no --chekpoint"),
        (".venv/bin/mbnet-search --galery photos", "no --galery"),
        ("mbnet-search --config prcc", "no --config"),
        ("mbnet-across --configs prc", "config file not found: prc;"),
        (
            "python train.py --config configs/prc.py --config.seed=1",
            "config file not found: configs/prc.py",
        ),
        ("mbnet-train --config prc --config.seed=1", "config file not found: prc;"),
        (
            "python train.py --config configs/prcc.py --config.data.rot=/data",
            "data.rot is unknown;",
        ),
        (
            "mbnet-train --config prcc --config.model.backbones.global.wdth=8",
            "model.backbones.global.wdth is unknown;",
        ),
        ("mbnet-train --config prcc --config.seed=many", "seed='many' must be a whole"),
        ("mbnet-train --config prcc --config.seed many", "seed='many' must be a whole"),
    ],
)
def test_commands_that_do_not_exist_are_found(call, error, monkeypatch):
    monkeypatch.chdir(ROOT)
    for good in (
        "python train.py --config configs/prcc.py --config.seed=1",
        "mbnet-train --config prcc --config.seed=1 --workdir runs/x",
        ".venv/bin/mbnet-train --config=prcc --config.model.backbones.global.width=8",
        "mbnet-eval --config prcc --checkpoint=6",
        "mbnet-search --gallery photos --query a.jpg",
    ):
        [argv] = doc_blocks.python_calls(good)
        check_call(argv)
    [argv] = doc_blocks.python_calls(call)
    with pytest.raises((AssertionError, ValueError), match=error):
        check_call(argv)


def test_installed_commands_are_the_modules_of_the_same_names():
    files = (ROOT / "mbnet_jax" / "commands").glob("[a-z]*.py")
    names = {f.stem for f in files if not f.stem.endswith("flags")} - {"cli"}
    assert doc_run.installed_commands() == {
        f"mbnet-{name}": f"mbnet_jax.commands.{name}" for name in names
    }


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
