"""Writes docs/config.md: every config field, from its comment in configs/.

python -m tools.config_reference
"""

import ast
import importlib
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

from mbnet_jax import schema
from mbnet_jax.config import flat
from mbnet_jax.configs import names
from mbnet_jax.files import write_whole
from mbnet_jax.schema import Field

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "config.md"

SHIPPED = names()
# The fields of every branch have the same comments, in `backbone.backbone`.
BACKBONE = "model.backbones.<branch>"
FILES = ("base.py", "backbone.py", "people.py")
# Functions in them that make a section: its name.
SECTIONS = {"backbone": BACKBONE, "people": "data.synthetic"}
INTRO = """\
# Config fields

<!-- Made by tools/config_reference.py from the comments in configs/; edit those. -->

Every field, with its default and what else it may be, from
[configs/base.py](../configs/base.py), which takes [those of a
backbone](../configs/backbone.py) and [of synthetic people](../configs/people.py) from
files of their own. A config file states
[what differs](#what-each-config-changes), and the command line overrides both:

```sh
python eval.py --config configs/synthetic.py --config.eval.ranks=1,20
```

Unknown fields, and values that are not allowed, are rejected before anything is
computed, wherever they come from: the command line, a config file, Python or a saved
run. The message says what to write instead, also for the names that other programs use
(`lr`, `num_workers`). Fields of your own are
[declared first](extending.md#add-a-config-field).

## How to write values

| value | after `--config.` | in a config file, after `c.` |
|---|---|---|
| number | `train.learning_rate=1e-3` | `train.learning_rate = 1e-3` |
| text | `data.root="/my data"` | `data.root = "/my data"` |
| True | `eval.rerank`, or `eval.rerank=true` | `eval.rerank = True` |
| False | `eval.flip=false` | `eval.flip = False` |
| list | `model.branches=global,mask` | `model.branches = ("global", "mask")` |
| list of one | `model.branches=global` | `model.branches = ("global",)` |
| empty list | `eval.branches="()"` | `eval.branches = ()` |
| height, width | `views.silhouette=64,32` | `views.silhouette = (64, 32)` |

`--no-config.eval.flip` also means False. `--config.FIELD VALUE` works like
`--config.FIELD=VALUE`. A list may be written as in Python, in quotes, which entries
with a comma need: `--config.model.branches="('global', 'mask')"`. From Python, the same
texts are the overrides of `load_config("synthetic", ["model.branches=global,mask"])`.

The flags of every command follow the same rules: lists with commas (`--branches
global,mask`), switches `--half` and `--no-half`, sizes `HEIGHT,WIDTH`. Words are joined
by dashes (`--batch-size`); underscores work too. `--help` lists a command's flags.

A run's config is saved as `config.json` in its folder; some fields may change
[when a run resumes](architecture.md#when-something-happens).
"""
NOTES = {
    BACKBONE: """\
The backbone of each branch. On the command line the branch named `global` is written
like the others: `--config.model.backbones.global.name=resnet18`. In a config file,
where it is a keyword of Python, write
`c.model.backbones["global"].name = "resnet18"`.""",
    "data": """\
With several datasets, `data.parts.<name>` has the fields of one that differ: `name`,
`root`, `parsing_dir`, `parsing_labels`, `variant`, `synthetic` ([Training on several
datasets](several.md)).""",
}
CHANGES = """\
## What each config changes

An empty cell is the default. The fields of `data.synthetic` and `data.parts` are
left out.
"""


def comments(source: str) -> dict[str, str]:
    """Returns each field's comment, above or behind `c.FIELD = ...`, in file order.

    Fields that a function of `SECTIONS` sets have the section's name before theirs, and
    come last.
    """
    lines = source.splitlines()
    behind, whole = {}, set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            number = token.start[0]
            behind[number] = token.string.lstrip("# ")
            if lines[number - 1].lstrip().startswith("#"):
                whole.add(number)
    found = {}
    for prefix, node in _assignments(ast.parse(source)):
        above, number = [], node.lineno - 1
        while number in whole:
            above.insert(0, behind[number])
            number -= 1
        parts = [" ".join(above), behind.get(node.end_lineno, "")]
        for target in node.targets:
            field = ast.unparse(target)
            if field.startswith("c."):
                found[prefix + field[2:]] = " ".join(filter(None, parts))
    made = (*SECTIONS.values(),)
    return dict(sorted(found.items(), key=lambda item: item[0].startswith(made)))


def _assignments(node: ast.AST, prefix: str = "") -> Iterator[tuple[str, ast.Assign]]:
    """The assignments in file order, each with what its fields' names begin with."""
    if isinstance(node, ast.FunctionDef) and node.name in SECTIONS:
        prefix = f"{SECTIONS[node.name]}."
    if isinstance(node, ast.Assign):
        yield prefix, node
    for child in ast.iter_child_nodes(node):
        yield from _assignments(child, prefix)


def cell(text: str) -> str:
    """Returns text as a cell of a table."""
    text = text[:1].upper() + text[1:].removesuffix(".")
    return text.replace("|", "\\|").replace("<", "&lt;")


def allowed(field: Field) -> str:
    """Returns what a field may be, as in its errors, less what is usual for text."""
    if field.choices:
        return ", ".join(map(code, field.choices))
    text = re.sub(r"text of [^;]* control codes", "text", field.allowed())
    return text.replace("entries, each text", "texts")


def code(value) -> str:
    """Returns a value as it is written in a config file."""
    return f"`{value!r}`".replace("'", '"')


def defaults(values: dict, branches: tuple[str, ...]) -> dict[str, str]:
    """Returns field -> the cell with its default; one field for that of all branches.

    Args:
      values: field -> value.
      branches: the branches, in the order of a cell whose values differ.
    """
    cells = {}
    for field, value in values.items():
        match = re.fullmatch(r"model\.backbones\.\w+(\.\w+)", field)
        if not match:
            cells[field] = code(value)
            continue
        each = {b: code(values[f"model.backbones.{b}{match[1]}"]) for b in branches}
        cells[BACKBONE + match[1]] = (
            ", ".join(f"{value} (`{branch}`)" for branch, value in each.items())
            if len({*each.values()}) > 1
            else code(value)
        )
    return cells


def tables(cells: dict[str, str], texts: dict[str, str], values: dict[str, str]) -> str:
    """Returns a table for each section.

    Args:
      cells: field -> the cell with its default.
      texts: field or section -> its comment.
      values: field -> what it may be.

    Raises:
      ValueError: if a field has no comment.
    """
    rows: dict[str, list[str]] = {}
    for field, default in cells.items():
        if not texts.get(field):
            raise ValueError(f"{field} has no comment in configs/; write one")
        row = f"| `{field}` | {default} | {values[field]} | {cell(texts[field])} |"
        rows.setdefault(field.rpartition(".")[0], []).append(row)
    parts = []
    for section in rows:
        text = texts.get(section, "")
        note = NOTES.get(section) or (text and f"{text[0].upper()}{text[1:]}.")
        parts += [
            f"\n## `{section}`\n" if section else "\n## The run\n",
            *([f"{note}\n"] if note else []),
            "| field | default | allowed | meaning |\n|---|---|---|---|",
            *rows[section],
        ]
    return "\n".join(parts) + "\n"


def page() -> str:
    """Returns the text of docs/config.md.

    Raises:
      ValueError: if a field has no comment.
    """
    configs = {
        name: flat(importlib.import_module(f"mbnet_jax.configs.{name}").get_config())
        for name in ("base", *SHIPPED)
    }
    base = configs["base"]
    texts = {}
    for file in FILES:
        texts |= comments((ROOT / "configs" / file).read_text())
    fields_of = flat(importlib.import_module("mbnet_jax.configs.base").FIELDS)
    own = {name: f for name, f in fields_of.items() if schema.ANY not in name}
    branches = base["model.branches"]
    cells = defaults({name: field.default for name, field in own.items()}, branches)
    values = {
        re.sub(r"^(model\.backbones)\.\w+\.", r"\1.<branch>.", name): allowed(field)
        for name, field in own.items()
    }
    # In file order, which ConfigDict does not keep; a section's parts follow it.
    fields = list(dict.fromkeys([*(f for f in texts if f in cells), *cells]))
    tops = [field.partition(".")[0] for field in fields]
    fields.sort(key=lambda field: tops.index(field.partition(".")[0]))
    order = [
        field.replace("<branch>", branch) for field in fields for branch in branches
    ]
    # A field that a config lacks has its default; generated people are left out.
    usual = {name: field.default for name, field in own.items()} | base
    changed = []
    for field in sorted({*usual} & {*order}, key=order.index):
        theirs = [configs[name].get(field, usual[field]) for name in SHIPPED]
        row = ["" if value == usual[field] else code(value) for value in theirs]
        if any(row) and not field.startswith("data.synthetic."):
            changed.append(f"| `{field}` | {' | '.join(row)} |")
    head = f"| field | {' | '.join(SHIPPED)} |\n|---|{'---|' * len(SHIPPED)}"
    rows = "\n".join(changed)
    all_fields = tables({field: cells[field] for field in fields}, texts, values)
    return f"{INTRO}{all_fields}\n{CHANGES}\n{head}\n{rows}\n"


if __name__ == "__main__":
    write_whole(PAGE, page())
