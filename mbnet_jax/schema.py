"""What a value may be: the type, range and choices of a config field or a JSON entry.

`configs/base.py` has one `Field` for every field of a config. The same fields check
command lines, config files, the `config.json` of runs and exports, and every other JSON
file that is read back.
"""

import dataclasses
import math
import unicodedata
from collections.abc import Iterator, Mapping
from typing import Any

from ml_collections import ConfigDict

from mbnet_jax.refusals import refuse, shown, unknown

ANY = "*"  # in a section: what every other name in it may be
# Control characters, halves of characters (from names that are not UTF-8), line ends.
_NO_TEXT = {"Cc", "Cs", "Zl", "Zp"}


@dataclasses.dataclass(frozen=True)
class Field:
    """One field.

    Attributes:
      default: its usual value; None where there is none.
      kind: bool, int, float, str, tuple or dict.
      low, high: the smallest and the largest number, or number of entries or
        characters.
      above: whether `low` itself is excluded.
      choices: the only values; empty: all.
      each: what the entries of a tuple are; of a text, what else than one it may be.
      repeated: whether an entry may occur several times.
      optional: whether it may be missing.
    """

    default: Any
    kind: type
    low: float = -math.inf
    high: float = math.inf
    above: bool = False
    choices: tuple = ()
    each: "Field | None" = None
    repeated: bool = False
    optional: bool = False

    def accepts(self, value: Any) -> bool:
        """Whether `value` is allowed."""
        if self.kind in (int, float):
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or (self.kind is int and not isinstance(value, int)):
                return False
            # Also refuses what is not a number; compares huge integers exactly.
            return self.low <= value <= self.high and not (
                self.above and value == self.low
            )
        if self.kind is tuple:
            return (
                isinstance(value, tuple | list)
                and self.low <= len(value) <= self.high
                and all(map(self.each.accepts, value))
                and (self.repeated or len({*value}) == len(value))
            )
        if self.each and not isinstance(value, self.kind):
            return self.each.accepts(value)
        if not isinstance(value, self.kind):
            return False
        if self.choices:
            return value in self.choices
        if self.kind is str:
            return self.low <= len(value) <= self.high and _is_text(value)
        return True

    def allowed(self) -> str:
        """What it may be, as in "a whole number from 1 to 4"."""
        if self.choices:
            return "one of " + ", ".join(map(repr, self.choices))
        if self.kind is bool:
            return "True or False"
        if self.kind is str and self.each:
            return f"a text, or {self.each.allowed()}"
        if self.kind is str:
            least = f"{self.low} to " if self.low > 0 else "at most "
            return f"text of {least}{self.high:,} characters, without control codes"
        if self.kind is dict:
            return "an object"
        if self.kind is tuple:
            fixed = self.low == self.high
            count = f"{self.low}" if fixed else f"{self.low} to {self.high:,}"
            entries = "entries" if self.repeated else "different entries"
            return f"{count} {entries}, each {self.each.allowed()}"
        name = "a whole number" if self.kind is int else "a number"
        if self.high == math.inf and self.low == -math.inf:
            return name
        low, high = (f"{limit:,.10g}" for limit in (self.low, self.high))
        if self.above:
            return f"{name} above {low}, at most {high}"
        return f"{name} from {low} to {high}"


def whole(default: int | None, low: int = 0, high: int = 2**31 - 1) -> Field:
    """A whole number from `low` to `high`."""
    return Field(default, int, low, high)


def real(
    default: float | None, low: float = 0.0, high: float = 1e6, *, above: bool = False
) -> Field:
    """A finite number from `low` to `high`; with `above`, `low` itself is excluded."""
    return Field(default, float, low, high, above)


def flag(default: bool | None) -> Field:
    """True or False."""
    return Field(default, bool)


def text(default: str | None = "", low: int = 0, high: int = 4096) -> Field:
    """A text of `low` to `high` characters, without control characters."""
    return Field(default, str, low, high)


def choice(default: str | None, *others: str) -> Field:
    """One of some texts, of which the first is the default."""
    known = (*others,) if default is None else (default, *others)
    return Field(default, str, choices=known)


def several(
    default: tuple | None,
    each: Field,
    low: int = 0,
    high: int = 1000,
    *,
    repeated: bool = False,
) -> Field:
    """A tuple of `low` to `high` entries, different ones unless `repeated`."""
    return Field(default, tuple, low, high, each=each, repeated=repeated)


def text_or_several(default: str | None, most: int = 100) -> Field:
    """A text, or a tuple of different texts that are not empty."""
    return Field(default, str, 0, 4096, each=several(None, text(None, 1), 1, most))


def pixels(default: int | None = None) -> Field:
    """A height or width.

    Images are boxes around a person. The limit keeps a slip of the finger from filling
    the memory.
    """
    return whole(default, 8, 2048)


def size(height: int, width: int) -> Field:
    """A height and a width."""
    return several((height, width), pixels(), 2, 2, repeated=True)


def mapping() -> Field:
    """A JSON object, whose entries are checked elsewhere."""
    return Field(None, dict)


def optional(field: Field) -> Field:
    """The same field, which may be missing."""
    return dataclasses.replace(field, optional=True)


def optional_section(fields: ConfigDict) -> ConfigDict:
    """The same section, which may be missing."""
    return ConfigDict({name: optional(field) for name, field in fields.items()})


def _is_text(value: str) -> bool:
    return value.isprintable() or not _NO_TEXT & {*map(unicodedata.category, value)}


def defaults(fields: ConfigDict) -> ConfigDict:
    """The default of every field that has one, in the same sections.

    The config takes any value: `check` refuses those that are wrong, by their names.
    """
    config = ConfigDict(type_safe=False)
    for name, field in fields.items():
        if name == ANY:
            continue
        if isinstance(field, ConfigDict):
            section = defaults(field)
            if section:
                config[name] = section
        elif not field.optional:
            config[name] = field.default
    return config


def problems(
    values: Mapping, fields: Mapping, prefix: str = "", *, complete: bool = True
) -> Iterator[str]:
    """What is wrong with values, one line each: unknown, mistyped, out of range.

    Args:
      values: name -> value, or a nested mapping.
      fields: name -> `Field`, or a nested mapping.
      prefix: of the names in the lines.
      complete: whether fields that are missing are wrong too.
    """
    for name, value in values.items():
        known = isinstance(name, str)
        field = fields.get(name, fields.get(ANY)) if known else None
        plain = known and name.replace("-", "_").isidentifier()  # or a flag's name
        full = prefix + (name if plain else shown(name))
        if field is None:
            yield unknown(full, [f"{prefix}{key}" for key in fields if key != ANY])
        elif isinstance(field, Field):
            if not field.accepts(value):
                yield wrong(full, value, field)
        elif isinstance(value, Mapping | ConfigDict):
            yield from problems(value, field, f"{full}.", complete=complete)
        else:
            yield f"{full}={shown(value)} must be a section with fields of its own"
    for name in [*fields] if complete else ():
        field = fields[name]
        if name in values or name == ANY:
            continue
        if not isinstance(field, Field):
            yield from problems({}, field, f"{prefix}{name}.")
        elif not field.optional:
            yield f"{prefix}{name} is missing; it must be {field.allowed()}"


def wrong(name: str, value: Any, field: Field) -> str:
    """That the field `name` cannot have `value`, and what it must be."""
    return f"{name}={shown(value)} must be {field.allowed()}"


def check(
    values: Mapping, fields: Mapping, what: str, prefix: str = "", remedy: str = ""
) -> None:
    """Refuses values that do not fit their fields.

    Args:
      values, fields, prefix: as in `problems`.
      what: what has the values, as in "the config"; "": the fields' names suffice.
      remedy: what to do.

    Raises:
      ValueError: with a line for each problem.
    """
    if isinstance(values, Mapping | ConfigDict):
        refuse(problems(values, fields, prefix), what, remedy)
    else:
        name = what or prefix.removesuffix(".") or "the values"
        refuse([f"names with values are needed, got {shown(values)}"], name, remedy)
