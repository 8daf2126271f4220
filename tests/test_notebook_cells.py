"""What the notebook's cells do in Colab, on small archives and repositories."""

import ast
import re
import shutil
import subprocess
import sys
import types
import zipfile
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parent.parent
NOTEBOOK = ROOT / "notebooks" / "mbnet_colab.ipynb"
CELLS = {cell.id: cell for cell in nbformat.read(NOTEBOOK, as_version=4).cells}
CLONES = "https://github.com/OWNER/mbnet-jax"


@pytest.fixture
def cell():
    """The imports and functions of the notebook, as attributes; nothing else of it."""
    kept = (ast.Import, ast.ImportFrom, ast.FunctionDef)
    body = []
    for name in ("setup", "unpack", "reading"):
        tree = ast.parse(CELLS[name].source)
        body += [node for node in tree.body if isinstance(node, kept)]
    names = {}
    exec(compile(ast.Module(body, []), NOTEBOOK.name, "exec"), names)
    return types.SimpleNamespace(**names)


def zipped(file, names):
    with zipfile.ZipFile(file, "w") as archive:
        for name in names:
            archive.writestr(name, name)
    return file


def files_in(folder):
    return {str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file()}


def test_an_archive_is_unpacked_once(cell, tmp_path, capsys):
    archive = zipped(tmp_path / "LTCC_ReID.zip", ["LTCC_ReID/train/a.png"])
    folder = cell.unpack(archive, tmp_path / "disk")
    assert files_in(folder) == {"LTCC_ReID/train/a.png"}
    (folder / "LTCC_ReID" / "prepared").write_text("by a training")
    assert cell.unpack(str(archive), tmp_path / "disk") == folder
    assert "is unpacked already" in capsys.readouterr().out
    assert (folder / "LTCC_ReID" / "prepared").exists()


def test_a_second_dataset_and_a_changed_archive_are_unpacked(cell, tmp_path):
    disk = tmp_path / "disk"
    first = cell.unpack(zipped(tmp_path / "a.zip", ["a"]), disk)
    second = cell.unpack(zipped(tmp_path / "b.zip", ["b"]), disk)
    changed = cell.unpack(zipped(tmp_path / "a.zip", ["a", "c"]), disk)
    assert [files_in(f) for f in (first, second, changed)] == [{"a"}, {"b"}, {"a", "c"}]


def test_an_interrupted_unpacking_starts_over(cell, tmp_path, monkeypatch):
    archive, disk = zipped(tmp_path / "a.zip", ["a", "b"]), tmp_path / "disk"

    def killed(_, folder, **__):
        (Path(folder) / "half").write_text("of an image")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(shutil, "unpack_archive", killed)
        cell.unpack(archive, disk)
    assert [path.suffix for path in disk.iterdir()] == [".part"]
    assert files_in(cell.unpack(archive, disk)) == {"a", "b"}
    assert len(list(disk.iterdir())) == 1


def test_what_is_no_archive_is_named_and_leaves_nothing(cell, tmp_path):
    with pytest.raises(FileNotFoundError, match="correct the name or upload it"):
        cell.unpack(tmp_path / "a.zip", tmp_path / "disk")
    whole = zipped(tmp_path / "a.zip", ["a" * 100]).read_bytes()
    for name, content in (("a.zip", whole[:-30]), ("a.rar", b"Rar!"), ("a.tgz", b"x")):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(RuntimeError, match=f"{name} cannot be unpacked"):
            cell.unpack(tmp_path / name, tmp_path / "disk")
    assert not list((tmp_path / "disk").iterdir())


def test_nothing_is_unpacked_outside_its_folder(cell, tmp_path):
    archive = zipped(tmp_path / "a.zip", ["../../evil", "/tmp/evil-abs", "good"])
    assert "good" in files_in(cell.unpack(archive, tmp_path / "disk"))
    assert not (tmp_path / "evil").exists() and not Path("/tmp/evil-abs").exists()


def test_the_flags_of_a_dataset(cell):
    with_maps = cell.dataset_flags("I", "M", "lip")
    assert "--config.data.root=I" in with_maps
    assert "--config.data.parsing_labels=lip" in with_maps
    without = cell.dataset_flags("I")
    assert "--config.loss.ktm_area=0." in without and "parsing" not in str(without)


@pytest.fixture
def colab(tmp_path, monkeypatch):
    """Runs the setup cell as in Colab, whose disk is empty; returns (place, names).

    Call it with REPOSITORY and what a user types.
    """
    content = tmp_path / "content"
    content.mkdir()
    monkeypatch.chdir(content)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setitem(sys.modules, "google.colab", types.ModuleType("colab"))
    monkeypatch.setenv("JAX_PLATFORMS", "cpu")
    run = subprocess.run

    def without_pip(command, **options):
        if "pip" in command:
            return installed.append(command)
        return run(command, **options)

    installed = []
    monkeypatch.setattr(subprocess, "run", without_pip)

    def setup(repository, *typed):
        answers = iter(typed)
        names = {"REPOSITORY": repository, "input": lambda _: next(answers)}
        source = CELLS["setup"].source
        assert source.count('Path("/content")') == 1
        exec(source.replace('"/content"', repr(str(content))), names)
        assert installed.pop()[:5] == [sys.executable, "-m", "pip", "install", "-q"]
        return names["project"]

    setup.content = content
    return setup


@pytest.fixture
def repository(tmp_path):
    """The address of a repository that looks like the project's."""
    folder = tmp_path / "origin"
    (folder / "mbnet_jax").mkdir(parents=True)
    (folder / "mbnet_jax" / "__init__.py").touch()
    (folder / "train.py").touch()
    git = ["git", "-C", str(folder), "-c", "user.name=a", "-c", "user.email=a@b"]
    for words in (["init", "-q"], ["add", "."], ["commit", "-qm", "all"]):
        subprocess.run([*git, *words], check=True)
    return f"file://{folder}"


def test_colab_fetches_the_project_once(colab, repository):
    broken = colab.content / "mbnet-jax.part"  # of a session that was cut off
    (broken / "mbnet_jax").mkdir(parents=True)
    (broken / "train.py").touch()
    project = colab(repository)
    assert project == colab.content / "mbnet-jax" and (project / ".git").is_dir()
    assert not broken.exists()
    (project / "mine").touch()
    assert colab("") == project and (project / "mine").exists()


def test_colab_asks_for_the_address(colab, repository):
    assert (colab("", f" {repository}\n") / "train.py").exists()


def test_colab_uses_a_copy_of_any_name(colab, repository):
    subprocess.run(["git", "clone", "-q", repository, "anything"], check=True)
    assert colab("") == colab.content / "anything"


def test_a_wrong_address_leaves_nothing(colab, tmp_path):
    with pytest.raises(RuntimeError, match="cannot be fetched"):
        colab(f"file://{tmp_path}/missing")
    assert not (colab.content / "mbnet-jax").exists()


@pytest.mark.parametrize(
    "remote",
    [
        CLONES,
        f"{CLONES}.git\n",
        "git@github.com:OWNER/mbnet-jax.git",
        "ssh://git@github.com/OWNER/mbnet-jax",
        "https://name:secret@github.com/OWNER/mbnet-jax.git",
    ],
)
def test_links_are_to_the_repository(cell, remote):
    web = cell.web_address(remote)
    assert web == f"{CLONES}/blob/HEAD"
    listed = cell.reading({"Use it": "docs/use.md"}, web)
    assert listed == f"- [Use it]({CLONES}/blob/HEAD/docs/use.md)"


@pytest.mark.parametrize(
    "remote", ["", "/srv/mbnet", "https://elsewhere.org/a/b", "https://github.com/a"]
)
def test_without_a_web_address_files_are_named(cell, remote):
    assert cell.web_address(remote) is None
    cell.reading.__globals__["project"] = ROOT
    assert "- Use it: `docs/use.md`" in cell.reading({"Use it": "docs/use.md"}, None)


def test_no_link_is_relative_and_every_file_exists():
    """Relative links do not work in Colab."""
    for name, cell in CELLS.items():
        if cell.cell_type == "markdown":
            assert not re.findall(r"\]\((?!https?:)", cell.source), name
        for file, section in re.findall(r"\b(docs/\w+\.md)(?:#([\w-]+))?", cell.source):
            text = (ROOT / file).read_text().lower()
            assert not section or f"# {section.replace('-', ' ')}\n" in text
