"""Config values, files and names: `load_config`, `check_config`."""

import ast
import functools
import math
from pathlib import Path

from configs import base
from mbnet_jax.config import check_config, flat, load_config
from mbnet_jax.configs import names

from . import mutate
from .case import Case, surface
from .choices import Choices

FIELDS = flat(base.FIELDS)
GOOD_FILE = (
    "from mbnet_jax.configs import synthetic\n\n\n"
    "def get_config():\n    c = synthetic.get_config()\n    c.{} = {}\n    return c\n"
)
FILES = {
    "empty": b"",
    "no get_config": b"x = 1\n",
    "get_config is no function": b"get_config = 3\n",
    "get_config needs arguments": b"def get_config(a, b):\n    return a\n",
    "returns None": b"def get_config():\n    pass\n",
    "returns a dict": b"def get_config():\n    return {'train': 1}\n",
    "returns an int": b"def get_config():\n    return 7\n",
    "syntax error": b"def get_config(:\n",
    "indentation": b"def get_config():\nreturn 1\n",
    "NUL": b"x = 1\0\n",
    "not UTF-8": b"x = '\xff\xfe'\n",
    "UTF-16": "def get_config():\n    return 1\n".encode("utf-16"),
    "raises KeyError": b"def get_config():\n    raise KeyError('x')\n",
    "raises at import": b"raise RuntimeError('no')\n",
    "missing import": b"import no_such_module_here\n",
    "division by zero": b"1 / 0\n",
    "exits": b"import sys\nsys.exit(0)\n",
    "another command": b"from mbnet_jax import api\nif __name__ == '__main__': 1 / 0\n",
    "recursion": b"def get_config():\n    return get_config()\n",
    "a picture": b"\x89PNG\r\n\x1a\n" + bytes(range(256)),
    "deep": b"x = " + b"(" * 5000 + b"\n",
}


@functools.cache
def default() -> dict:
    """Field -> value of the config `synthetic`."""
    return flat(load_config("synthetic"))


def never(old, new) -> bool:
    """Whether no field with the value `old` can have the value `new`."""
    if isinstance(new, float) and not math.isfinite(new):
        return True
    if isinstance(old, bool):
        return not isinstance(new, bool)
    if isinstance(old, int | float):
        if not isinstance(new, int | float) or isinstance(new, bool):
            return True
        fraction = isinstance(old, int) and isinstance(new, float)
        return fraction or new < 0 or new > 2**31
    if isinstance(old, str):
        return not isinstance(new, str) or "\0" in new or len(new) > 4500
    return not isinstance(new, tuple | list)


def _changed(field: str, new) -> dict:
    config = load_config("synthetic").to_dict()
    section = config
    *parents, last = field.split(".")
    for name in parents:
        section = section[name]
    section[last] = new
    return config


@surface("config", share=50, seconds=10)
def config(c: Choices, folder: Path) -> Case:
    """A value of a field, in Python, a file or as an override."""
    fields = default()
    field = c.pick([*fields])
    old, new = fields[field], mutate.value(c)
    kind = c.pick(("python", "python", "override", "override", "file", "structure"))
    what = f"{kind}: {field} = {mutate.shown(new)}"
    tokens = (field,)
    valid = False if never(old, new) else None
    if kind == "python":
        # JSON has lists where configs have tuples.
        return Case(
            what, lambda: check_config(_changed(field, new)), tokens, valid=valid
        )
    if kind == "structure":
        return _structure(c, field, tokens)
    if kind == "file":
        path = folder / "my_config.py"
        text = "10**5000" if new == mutate.HUGE else ascii(new)
        text = {"nan": "float('nan')", "inf": "float('inf')"}.get(text, text)
        text = "-float('inf')" if text == "-inf" else text
        path.write_text(GOOD_FILE.format(_attribute(field), text))
        return Case(what, lambda: load_config(path), (*tokens, path.name), valid=None)
    text = c.pick((str, repr))(new) if new != mutate.HUGE else "9" * 5000

    def check(loaded) -> str | None:
        got = flat(loaded)[field]
        if isinstance(old, str):
            return None if got in (text, text.strip("'\"")) else f"became {got!r}"
        plain = text.lstrip()[:1] not in ("(", "[", "'", '"')
        if plain and isinstance(old, tuple) and FIELDS[field].each.kind is str:
            words = tuple(word.strip() for word in text.rstrip(",").split(","))
            return None if got == words else f"{text[:50]!r} became {got!r}"
        try:
            value = ast.literal_eval(text)  # a single entry is a tuple
            value = tuple(value) if isinstance(value, list) else value
            return None if got in (value, (value,)) else f"became {got!r}"
        except (ValueError, SyntaxError):
            known = str(got).lower() == text.lower() or got == (text,)
            return None if known else f"{text[:50]!r} became {got!r}"

    return Case(
        what,
        lambda: load_config("synthetic", [f"{field}={text}"]),
        (field, field.replace(".global.", '["global"].')),
        check,
    )


def _attribute(field: str) -> str:
    return field.replace(".global.", "['global'].")


def _structure(c: Choices, field: str, tokens: tuple) -> Case:
    """A field that is missing, misspelt, or a section that is none."""
    kind = c.pick(("missing", "misspelt", "section", "extra", "text", "no equals"))
    *parents, last = field.split(".")
    section = ".".join(parents) or field
    if kind in ("text", "no equals"):
        text = f"{field}x=1" if kind == "text" else field
        return Case(f"{kind} {text}", lambda: load_config("synthetic", [text]), tokens)

    def run():
        config = load_config("synthetic").to_dict()
        place = config
        for name in parents:
            place = place[name]
        if kind == "missing":
            del place[last]
        elif kind == "misspelt":
            place[f"{last}_"] = place.pop(last)
        elif kind == "extra":
            place["no_field"] = 1
        else:
            config = _changed(section, 7)
        check_config(config)

    optional = field.startswith(("data.synthetic.", "model.backbones", "views."))
    valid = None if optional or field == section else False
    if field == section and kind != "section":
        valid = False
    return Case(f"{kind} {field}", run, (field, section, "no_field"), valid=valid)


@surface("config file", share=15, seconds=15)
def config_file(c: Choices, folder: Path) -> Case:
    """A file that is not a config, or a name that is none."""
    path = folder / c.pick(("my_config.py", "config", "a b.py", "ü.py", "x.json"))
    kind = c.pick(("content",) * 3 + ("bytes", "file", "name"))
    if kind == "name":
        name = c.pick((*mutate.NAMES, *(n + "x" for n in names()), "synthetic "))
        return Case(
            f"name {mutate.shown(name)}",
            lambda: load_config(name),
            (name, "config file"),
            valid=False,
        )
    if kind == "content":
        what = c.pick([*FILES])
        path.write_bytes(FILES[what])
        valid: bool | None = False
    elif kind == "bytes":
        good = Path(base.__file__).with_name("synthetic.py").read_bytes()
        what, data = mutate.damaged(c, good)
        path.write_bytes(data)
        valid = None
    else:
        path.write_bytes(b"")
        what, valid = mutate.odd_file(c, path), False
    return Case(what, lambda: load_config(path), (path.name,), valid=valid)
