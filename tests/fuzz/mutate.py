"""Mutations of what surfaces share: bytes, JSON, values, names, kinds of files."""

import copy
import json
import math
import os
from pathlib import Path
from typing import Any

from .choices import Choices

HUGE = 10**5000
VALUES = (
    None,
    True,
    False,
    -1,
    0,
    1,
    2**31,
    10**12,
    -(10**12),
    0.5,
    -0.5,
    1e300,
    math.nan,
    math.inf,
    -math.inf,
    "",
    " ",
    "x",
    "7",
    "../up",
    "/absolute",
    "a\0b",
    "\udcff",
    "x" * 5000,
    "Ünïcode ١٢",
    [],
    [1],
    [[]],
    ["x", None],
    {},
    {"a": 1},
    HUGE,
)
NAMES = (
    "",
    ".",
    "..",
    "../up.jpg",
    "a/../../up.jpg",
    "/no/such/absolute.jpg",
    "a\0b.jpg",
    "a\nb.jpg",
    "\udcff.jpg",
    "x" * 300 + ".jpg",
    "a/" * 600 + "b.jpg",
    "١٢٣.jpg",
    "-rf.jpg",
    " .jpg",
    "a\\b.jpg",
    "no image.txt",
)


def value(c: Choices) -> Any:
    """Any value of JSON or Python."""
    return copy.deepcopy(c.pick(VALUES))


def shown(thing: Any) -> str:
    """A value in the words of a case, shortened."""
    text = "a number of 5,000 digits" if thing is HUGE else ascii_of(thing)
    return text if len(text) < 80 else f"{text[:60]}... ({len(text)})"


def ascii_of(thing: Any) -> str:
    try:
        return ascii(thing)
    except ValueError:  # holds an integer of too many digits
        return "a number of thousands of digits"


def damaged(c: Choices, data: bytes) -> tuple[str, bytes]:
    """Bytes with one or two faults; and which."""
    how = []
    for _ in range(c.pick((1, 1, 2))):
        kind = c.pick(("flip", "cut", "insert", "drop", "repeat", "zero", "swap"))
        at = c.whole(0, max(len(data) - 1, 0))
        if c.once_in(3):  # headers decide most
            at = min(at, c.whole(0, 64))
        count = c.whole(1, 40)
        if kind == "flip":
            changed = bytes(b ^ (1 << c.whole(0, 7)) for b in data[at : at + 1])
            data = data[:at] + changed + data[at + 1 :]
        elif kind == "cut":
            data = data[:at]
        elif kind == "insert":
            data = data[:at] + c.blob(count) + data[at:]
        elif kind == "drop":
            data = data[:at] + data[at + count :]
        elif kind == "repeat":
            data = data[:at] + data[at : at + count] * 2 + data[at + count :]
        elif kind == "zero":
            data = data[:at] + bytes(len(data[at : at + count])) + data[at + count :]
        else:
            data = data[at : at + count] + data[:at] + data[at + count :]
        how.append(f"{kind} at {at}")
    return ", ".join(how), data


def changed_json(c: Choices, content: Any) -> tuple[str, str, str]:
    """An object with one entry changed: what was done, the entry's name, the text."""
    content = copy.deepcopy(content)
    parents = [
        (part, key, path)
        for part, path in _containers(content, "")
        for key in (part if isinstance(part, dict) else range(len(part)))
    ]
    parent, key, path = c.pick(parents)
    name = f"{path}.{key}".lstrip(".")
    kind = c.pick(("delete", "set", "set", "set", "rename", "nest", "double"))
    if kind == "delete":
        del parent[key]
    elif kind == "rename" and isinstance(parent, dict):
        parent[c.pick(("odd", "", "\udcff", "x" * 999))] = parent.pop(key)
    elif kind == "nest":
        deep: Any = parent[key]
        for _ in range(c.pick((1, 50, 400))):
            deep = [deep]
        parent[key] = deep
    elif kind == "double":
        old = parent[key]
        parent[key] = old + old if isinstance(old, list | str) else [old, old]
    else:
        parent[key] = value(c)
        kind = f"= {shown(parent[key])}"
    return f"{name} {kind}", name, dumped(content)


def dumped(content: Any) -> str:
    """JSON, also of numbers that Python refuses to print."""
    mark = "the huge number"

    def marked(part):
        if part is HUGE or part == HUGE:
            return mark
        if isinstance(part, dict):
            return {key: marked(entry) for key, entry in part.items()}
        return [marked(entry) for entry in part] if isinstance(part, list) else part

    return json.dumps(marked(content)).replace(f'"{mark}"', "9" * 5000)


def _containers(part: Any, path: str):
    if isinstance(part, dict | list) and part:
        yield part, path
        entries = part.items() if isinstance(part, dict) else enumerate(part)
        for key, entry in entries:
            yield from _containers(entry, f"{path}.{key}")


def odd_json(c: Choices, content: Any) -> tuple[str, tuple[str, ...], bytes]:
    """The bytes of a faulty JSON file; what was done, names of what is wrong."""
    kind = c.pick(("entry",) * 6 + ("bytes",) * 2 + ("other",))
    if kind == "entry":
        how, name, text = changed_json(c, content)
        return how, (name.split(".")[-1], name), text.encode()
    if kind == "bytes":
        how, data = damaged(c, json.dumps(content, indent=2).encode())
        return how, (), data
    how = c.pick(("empty", "null", "list", "number", "utf-16", "deep", "bom", "nan"))
    data = {
        "empty": b"",
        "null": b"null",
        "list": b"[1, 2]",
        "number": b"9" * 5000,
        "utf-16": json.dumps(content).encode("utf-16"),
        "deep": b"[" * 100_000,
        "bom": b"\xef\xbb\xbf" + json.dumps(content).encode(),
        "nan": b'{"version": NaN}',
    }[how]
    return how, (), data


def odd_file(c: Choices, path: Path) -> str:
    """Replaces a file by something that is none, or is odd; says by what."""
    kinds = ("pipe", "folder", "loop", "nowhere", "gone", "empty", "device", "huge")
    kind = c.pick(kinds)
    path.unlink(missing_ok=True)
    if kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    elif kind == "loop":
        path.symlink_to(path.name)
    elif kind == "nowhere":
        path.symlink_to("nowhere")
    elif kind == "empty":
        path.write_bytes(b"")
    elif kind == "device":
        path.symlink_to("/dev/zero")
    elif kind == "huge":
        with path.open("wb") as file:
            file.truncate(1 << 40)
    return kind
