"""Folders of runs and exports, read back; exports into folders that hold files."""

import copy
import functools
import json
import os
import shutil
from pathlib import Path

import jax
import numpy as np
import small_run

from mbnet_jax.commands import export as export_command
from mbnet_jax.report.training import logged
from mbnet_jax.runs.exported import KIND
from mbnet_jax.runs.load import load
from mbnet_jax.runs.network import without_classifiers
from mbnet_jax.runs.run_folder import RunFolder

from . import mutate, networks, weights_cases
from .case import Case, surface
from .choices import Choices


def prepare() -> None:
    networks.export()
    networks.run()
    load(networks.run(), small_run.one_device())


@functools.cache
def content_of(folder: Path) -> dict:
    return json.loads((folder / "config.json").read_text())


def _same_weights(found, network=None) -> str | None:
    wanted = jax.tree.leaves((network or networks.network()).variables)
    leaves = jax.tree.leaves(found.variables)
    same = len(wanted) == len(leaves) and all(
        np.array_equal(a, b) for a, b in zip(leaves, wanted, strict=True)
    )
    return None if same else "other weights"


def _loaded(folder: Path):
    return load(folder, small_run.one_device())


@surface("export", share=25, seconds=30)
def export(c: Choices, folder: Path) -> Case:
    """A file of an export is odd."""
    path = folder / "my_export"
    shutil.copytree(networks.export(), path)
    config, weights = path / "config.json", path / "model.safetensors"
    kind = c.pick(("config",) * 5 + ("weights",) * 3 + ("file", "file", "sound"))
    tokens = (config.name, weights.name, path.name)
    valid: bool | None = None
    check = _same_weights
    if kind == "config":
        how, names, data = mutate.odd_json(c, content_of(networks.export()))
        config.write_bytes(data)
        tokens += names
    elif kind == "weights":
        if c.once_in(2):
            how, data = mutate.damaged(c, weights.read_bytes())
            check = _any_weights  # a changed number is a network too
        else:
            how, data, _ = weights_cases.odd_safetensors(c)
            valid = False
        weights.write_bytes(data)
    elif kind == "file":
        odd = c.pick((config, weights))
        how, valid = f"{odd.name}: {mutate.odd_file(c, odd)}", False
    else:
        how, valid = "sound", True
    return Case(f"{kind} {how}", lambda: _loaded(path), tokens, check, valid)


def _any_weights(found) -> str | None:
    return None


@surface("run", share=12, seconds=40)
def run(c: Choices, folder: Path) -> Case:
    """A file of a run is odd: config, checkpoints, metrics."""
    path = folder / "my_run"
    shutil.copytree(networks.run(), path)
    config = path / "config.json"
    kind = c.pick(("config",) * 5 + ("config file", "metrics", "log", "log", "load"))
    tokens = (config.name, path.name)
    if kind == "config":
        how, names, data = mutate.odd_json(c, content_of(networks.run()))
        config.write_bytes(data)
        return Case(
            f"{kind} {how}",
            lambda: RunFolder(path),
            (*tokens, *names),
            _config_is_sound,
        )
    if kind == "config file":
        how = mutate.odd_file(c, config)
        return Case(f"{kind} {how}", lambda: RunFolder(path), tokens, valid=False)
    if kind == "metrics":
        file = path / "eval" / "metrics.json"
        content = {"step": 1, "protocols": {"general": {"all": {"mAP": 0.5}}}}
        file.write_text(json.dumps(content))
        if c.once_in(2):
            how = mutate.odd_file(c, file)
        else:
            how, _, data = mutate.odd_json(c, content)
            file.write_bytes(data)

        def check(found) -> str | None:
            return None if isinstance(found, dict) else f"{found!r} is no object"

        return Case(
            f"{kind} {how}", lambda: RunFolder(path).metrics(), (file.name,), check
        )
    if kind == "log":
        file = path / "metrics.jsonl"
        if c.once_in(3):
            how = mutate.odd_file(c, file)
        else:
            how, data = mutate.damaged(c, file.read_bytes() * 20)
            file.write_bytes(data)
        return Case(f"{kind} {how}", lambda: logged(file), (file.name,))
    return _damaged_checkpoints(c, path)


def _config_is_sound(found: RunFolder) -> str | None:
    sound = type(found.num_classes) is int and type(found.num_clothes) is int
    sound &= found.num_classes > 0 and found.num_clothes >= 0
    return None if sound else f"classes {found.num_classes!r}, {found.num_clothes!r}"


def _damaged_checkpoints(c: Choices, path: Path) -> Case:
    """Reads the best checkpoint, after damage to one or both folders."""
    files = sorted(
        p
        for name in ("best", "checkpoints")
        for p in (path / name).rglob("*")
        if p.is_file()
    )
    file = c.pick(files)
    kind = c.pick(("bytes", "bytes", "file", "folder", "all"))
    if kind == "bytes":
        how, data = mutate.damaged(c, file.read_bytes())
        file.write_bytes(data)
    elif kind == "file":
        how = mutate.odd_file(c, file)
    elif kind == "folder":
        part = path / c.pick(("best", "checkpoints", "best/1"))
        how = part.name
        shutil.rmtree(part)
        if c.once_in(2):
            part.write_text("a file")
    else:
        how = "best and checkpoints"
        for name in ("best", "checkpoints"):
            shutil.rmtree(path / name)
    return Case(
        f"load, {kind} {file.relative_to(path)} {how}",
        lambda: _loaded(path),
        (path.name,),
        _same_weights,
        writes=(path,),
    )


@surface("source", share=10, seconds=20)
def source(c: Choices, folder: Path) -> Case:
    """What is given as a network is none."""
    options: tuple = (
        None, 3, "", ".", "..", "no/such", "a/b/c", "a\0b", b"bytes", 1.5, [], {}, True,
        "\udcff", "x" * 5000, "/dev/zero", Path("/"), object(), np.zeros(3),
        folder / "gone", "https://example.com/x",
    )  # fmt: skip
    thing = c.pick(options[1:])
    kind = c.pick(("load", "checkpoint"))
    if kind == "load":
        return Case(
            f"load {mutate.shown(thing)}",
            lambda: _loaded(thing),
            (str(thing), "source", repr(thing)),
            valid=False,
            environment={"HF_HUB_OFFLINE": "1"},
        )
    which = c.pick((None, -1, 0, 3, 10**30, "newest", "1 ", "", 1.5, True, [], "٣"))
    return Case(
        f"checkpoint {mutate.shown(which)}",
        lambda: load(networks.run(), small_run.one_device(), which),
        ("checkpoint", str(which)),
        valid=False,
    )


def _folder_for(c: Choices, out: Path) -> str:
    """Fills the folder that is to be written with something; says with what."""
    kind = c.pick(
        ("new", "empty", "export", "export and more", "somebody's", "kind only", "file",
         "run", "link", "sub-folder", "pipe in it", "other config")
    )  # fmt: skip
    if kind in ("export", "export and more", "sub-folder", "pipe in it"):
        shutil.copytree(networks.export(), out)
    if kind in ("empty", "somebody's", "kind only", "other config"):
        out.mkdir()
    if kind in ("export and more", "somebody's", "kind only"):
        (out / "thesis.tex").write_text("years of work")
    if kind == "kind only":
        (out / "config.json").write_text(json.dumps({"kind": KIND}))
    if kind == "other config":
        (out / "config.json").write_text('{"somebody": 1}')
    if kind == "sub-folder":
        (out / "notes").mkdir()
        (out / "notes" / "thesis.tex").write_text("years of work")
    if kind == "pipe in it":
        os.mkfifo(out / "pipe")
    if kind == "run":
        shutil.copytree(networks.run(), out)
    if kind == "file":
        out.write_text("somebody's")
    if kind == "link":
        shutil.copytree(networks.export(), out.parent / "real")
        out.symlink_to("real")
    return kind


@surface("export into", share=3, seconds=60)
def export_into(c: Choices, folder: Path) -> Case:
    """`mbnet-export` writes into a folder that holds something."""
    out = folder / "exported"
    kind = _folder_for(c, out)
    argv = ["--model", str(networks.run()), "--out", str(out), "--no-stablehlo"]
    argv += ["--no-onnx"]
    replaced = kind in ("new", "empty", "export")

    def check(_) -> str | None:
        return _same_weights(_loaded(out), without_classifiers(networks.network()))

    return Case(
        kind,
        lambda: export_command.main(argv),
        ("--out", out.name),
        check,
        True if replaced else None,
        writes=(out,) if replaced else (folder / "new",),
        unsown=(out,),
    )


ARGUMENTS = {
    "--branches": ("", "x", "global,x", ",", "mask", "\udcff", "global,global"),
    "--checkpoint": ("", "x", "-1", "9", "٣", "9" * 5000, "1.5", "newest"),
    "--platforms": ("", "x", "cpu,x", ",", "CPU"),
    "--out": ("", "/dev/null/x", "a\0b", "/proc/no", "x" * 300),
    "--model": ("", "gone", "a\0b", "/dev/zero", "x" * 5000),
    "--license": ("a\nb: c", "x" * 5000, "'", "\0"),
}


@surface("export flags", share=8, seconds=60)
def export_flags(c: Choices, folder: Path) -> Case:
    """An argument of `mbnet-export` is odd."""
    flag = c.pick([*ARGUMENTS])
    new = c.pick(ARGUMENTS[flag])
    values = {"--model": str(networks.run()), "--out": str(folder / "out")} | {
        flag: new
    }
    argv = [word for pair in values.items() for word in pair] + ["--no-onnx"]
    if flag != "--platforms":
        argv.append("--no-stablehlo")
    return Case(
        f"{flag} {mutate.shown(new)}",
        lambda: export_command.main(copy.copy(argv)),
        (flag, flag.strip("-"), new or flag),
        valid=None if flag == "--license" or new == "global,global" else False,
        writes=(folder / "out",),
        environment={"HF_HUB_OFFLINE": "1"},
    )
