"""JSON files in general, and the functions on files."""

import functools
from pathlib import Path

from mbnet_jax import files, json_files, schema

from . import mutate
from .case import Case, surface
from .choices import Choices

FIELDS = {
    "version": schema.whole(None, 1, 3),
    "name": schema.text(None, 1, 100),
    "rates": schema.several(None, schema.real(None), 0, 3, repeated=True),
    "inner": schema.mapping(),
    "flag": schema.flag(None),
}
CONTENT = {
    "version": 2,
    "name": "a name",
    "rates": [0.5, 1],
    "inner": {"a": [1, {"b": None}]},
    "flag": True,
    "other": 7,
}
REMEDY = "restore a copy of it"


@surface("json", share=40, seconds=10)
def read(c: Choices, folder: Path) -> Case:
    """A file of a known schema."""
    path = folder / "content.json"
    if c.once_in(8):
        path.write_text("{}")
        how, valid = mutate.odd_file(c, path), False
    else:
        how, _, data = mutate.odd_json(c, CONTENT)
        path.write_bytes(data)
        valid = None
        if how.split(" ")[0].split(".")[0] in ("rates", "version", "name", "flag"):
            valid = _certain(how)

    def check(content) -> str | None:
        version = content["version"]
        sound = type(version) is int and isinstance(content["inner"], dict)
        sound &= type(content["flag"]) is bool and isinstance(content["name"], str)
        return None if sound and version in (1, 2, 3) else f"mistyped {content}"[:200]

    run = functools.partial(json_files.read_json, path, FIELDS, REMEDY)
    return Case(how, run, (path.name,), check, valid)


def _certain(how: str) -> bool | None:
    name, _, done = how.partition(" ")
    if name in FIELDS and done in ("delete", "rename", "= None", "nest", "= {'a': 1}"):
        return None if name == "inner" and done != "delete" else False
    return None


@surface("files", share=20, seconds=10)
def on_files(c: Choices, folder: Path) -> Case:
    """Deletion, and reading and writing where something odd is."""
    kind = c.pick(("delete", "write", "read", "writable"))
    path = folder / "file"
    if kind in ("read", "writable"):
        path.write_bytes(b"12345")
        how = mutate.odd_file(c, path)
        if kind == "read":
            valid = how == "empty"
            run = functools.partial(files.read_bytes, path)
            return Case(f"read {how}", run, ("file",), valid=valid)
        below = path / "below"
        return Case(
            f"writable {how}",
            lambda: files.check_writable(below, "give another folder"),
            ("file",),
            valid=None,
            writes=(folder,),
        )
    if kind == "write":
        path.write_bytes(b"12345")
        how = mutate.odd_file(c, path)
        return Case(
            f"write over {how}",
            lambda: files.write_whole(path, b"new"),
            ("file",),
            lambda _: None if path.read_bytes() == b"new" else "not written",
            writes=(path,),
        )
    target = folder / "made"
    (target / "sub").mkdir(parents=True)
    ours = ["a", "sub/b"]
    for name in ours:
        (target / name).write_text("x")
    foreign = c.pick((None, "c", "sub/c", "sub/.hidden", "d/e", "a b"))
    if foreign:
        (target / foreign).parent.mkdir(exist_ok=True)
        (target / foreign).write_text("x")
    listed = c.pick((ours, ours[:1], [], [*ours, "gone"]))
    ok = not foreign and len(listed) >= 2
    return Case(
        f"delete {listed} beside {foreign}",
        lambda: files.delete(target, listed),
        ("made",),
        lambda _: "still there" if target.exists() else None,
        ok,
        writes=(target,) if ok else (),
        unsown=(target,) if c.once_in(2) or ok else (),
    )
