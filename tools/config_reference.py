"""Writes docs/config.md: every config field, from the comments in the config files.

python -m tools.config_reference
"""

import ast
import importlib
import io
import tokenize
from pathlib import Path

from mbnet_jax.config import flat
from mbnet_jax.files import write_whole

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "config.md"

SHIPPED = ("synthetic", "synthetic_large", "ltcc", "prcc", "vc_clothes", "manifest")
INTRO = """\
# Config fields

<!-- Made by tools/config_reference.py from the comments in configs/; edit those. -->

Every field that there is, with its default from [configs/base.py](../configs/base.py),
the field's usual setting. A config file says [what differs](#what-each-config-changes),
and the command line has the last word:

```sh
python eval.py --config configs/synthetic.py --config.eval.ranks="(1, 20)"
```

A tuple is written in quotes, with a comma even after a single entry:
`--config.model.branches="('global',)"`. Numbers keep their kind: a float needs its
point (`--config.loss.ktm_area=0.`). A name that is no field is refused, with the
nearest that exist. A run's config is in `config.json` in its folder; what may differ
when the run goes on is [told elsewhere](architecture.md#when-something-happens).
"""
CHANGES = """\
## What each config changes

Against the defaults above; empty where a config leaves the default. The fields of
`data.synthetic` are left out.
"""


def comments(source: str) -> dict[str, str]:
    """Field -> what comments above and behind `c.FIELD = ...` say, in file order."""
    lines = source.splitlines()
    behind, whole = {}, set()
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            number = token.start[0]
            behind[number] = token.string.lstrip("# ")
            if lines[number - 1].lstrip().startswith("#"):
                whole.add(number)
    found = {}
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Assign):
            above, number = [], node.lineno - 1
            while number in whole:
                above.insert(0, behind[number])
                number -= 1
            said = [" ".join(above), behind.get(node.end_lineno, "")]
            for target in node.targets:
                field = ast.unparse(target)
                if field.startswith("c."):
                    found[field[2:]] = " ".join(filter(None, said))
    return found


def cell(text: str) -> str:
    """Text as a cell of a table."""
    return text.replace("|", "\\|").replace("<", "&lt;").removesuffix(".")


def code(value) -> str:
    """A value as it is written in a config file."""
    return f"`{value!r}`".replace("'", '"')


def tables(values: dict, said: dict[str, str]) -> str:
    """A table for each section."""
    parts = []
    for field, value in values.items():
        section = field.rpartition(".")[0]
        heading = f"## {section or 'The run'}"
        if not any(part.startswith(heading + "\n") for part in parts):
            note = said.get(section, "")
            parts.append(
                f"{heading}\n\n"
                + (f"{note[0].upper()}{note[1:]}.\n\n" if note else "")
                + "| field | default | meaning |\n|---|---|---|"
            )
        if not said.get(field):
            raise ValueError(f"no comment says what {field} means; write one")
        parts.append(f"| `{field}` | {code(value)} | {cell(said[field])} |")
    return "\n".join(f"\n{p}" if p.startswith("##") else p for p in parts) + "\n"


def page() -> str:
    """The text of docs/config.md.

    Raises:
      ValueError: a field has no comment.
    """
    configs = {
        name: flat(importlib.import_module(f"configs.{name}").get_config())
        for name in ("base", *SHIPPED)
    }
    said = {}
    for name in ("base", "synthetic"):
        own = comments((ROOT / "configs" / f"{name}.py").read_text())
        said |= {field: text for field, text in own.items() if field not in said}
    known = configs["synthetic"] | configs["base"]
    fields = {field: known[field] for field in [*said, *known] if field in known}
    changed = [
        f"| `{field}` | "
        + " | ".join(
            code(configs[name][field]) if configs[name][field] != value else ""
            for name in SHIPPED
        )
        + " |"
        for field, value in fields.items()
        if field in configs["base"]
        and any(configs[name][field] != value for name in SHIPPED)
    ]
    head = f"| field | {' | '.join(SHIPPED)} |\n|---|{'---|' * len(SHIPPED)}"
    rows = "\n".join(changed)
    return f"{INTRO}{tables(fields, said)}\n{CHANGES}\n{head}\n{rows}\n"


if __name__ == "__main__":
    write_whole(PAGE, page())
