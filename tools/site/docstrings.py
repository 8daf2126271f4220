"""Makes reStructuredText, which Sphinx reads, of this project's docstrings.

They are plain text with sections ("Args:", "Returns:"), which Sphinx's napoleon reads,
and code between single backticks.
"""

import re
from typing import Any

_FIELDS = re.compile(r"\w+(, \w+)*: \S")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)")
_NAME = re.compile(r"[A-Za-z_][\w.]*")


def process(app: Any, what: str, name: str, obj: Any, options: Any, lines: list[str]):
    """Changes a docstring's lines in place: Sphinx's `autodoc-process-docstring`."""
    text = "\n".join(lines)
    if what == "class":
        text = with_attributes(text)
    lines[:] = plain(text).splitlines()


def with_attributes(text: str) -> str:
    """Puts "Attributes:" above each paragraph of fields, as a NamedTuple's has.

    >>> with_attributes("A pair.\\n\\nfirst: int32 [B].\\nlast: too,\\n  or None.")
    'A pair.\\n\\nAttributes:\\n  first: int32 [B].\\n  last: too,\\n    or None.'
    """
    paragraphs = text.split("\n\n")
    for index, paragraph in enumerate(paragraphs):
        rows = paragraph.strip("\n").splitlines()
        starts = [row for row in rows if not row.startswith(" ")]
        if rows and starts[:1] == rows[:1] and all(map(_FIELDS.match, starts)):
            paragraphs[index] = "\n".join(
                ["Attributes:", *(f"  {row}" for row in rows)]
            )
    return "\n\n".join(paragraphs)


def plain(text: str) -> str:
    """Escapes asterisks, and doubles the backticks around all code but names.

    >>> plain("*`a.b` of `f(*x)`")
    '\\\\*`a.b` of ``f(*x)``'
    """
    parts = re.split(r"(`+[^`]+`+)", text)
    parts[::2] = [part.replace("*", r"\*") for part in parts[::2]]
    return _CODE.sub(
        lambda m: m[0] if _NAME.fullmatch(m[1]) else f"``{m[1]}``", "".join(parts)
    )


def skip(app: Any, what: str, name: str, obj: Any, skipped: bool, options: Any):
    """Leaves out a NamedTuple's fields: Sphinx's `autodoc-skip-member`.

    The docstring lists them; theirs is "Alias for field number 0".
    """
    return True if type(obj).__name__ == "_tuplegetter" else None
