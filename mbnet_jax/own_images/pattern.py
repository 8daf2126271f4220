"""Patterns of file names: where in a name person, camera and clothes are.

`{person}/{clothes}/{camera}_*` reads person Ana, clothes "red coat" and camera "door"
in `Ana/red coat/door_17.jpg`.
"""

import itertools
import re
import unicodedata
from typing import NamedTuple

from mbnet_jax.images import IMAGE_ENDINGS
from mbnet_jax.refusals import shown, unknown

FIELDS = ("person", "camera", "clothes")
RULES = (
    "{person}, {camera} and {clothes} end at the next character of the pattern; * is "
    "any text in a name, # a number, **/ any folders; the file's ending does not count"
)
_MOST = 300  # characters
_PIECES = re.compile(
    r"(?P<field>\{[^{}]*\})|(?P<wild>\*\*/|\*\*|\*|#)|(?P<text>.)", re.S
)
_WILD = {"**/": "(?:.*/)?", "**": ".*", "*": "[^/]*", "#": r"\d+"}


class Labels(NamedTuple):
    """What a pattern reads in a name; "" for a field that it does not have."""

    person: str
    camera: str = ""
    clothes: str = ""


class Pattern:
    """A pattern that names can be matched with.

    Attributes:
      text: as it is shown and given, without a file's ending.
      fields: those of `FIELDS` that it has.
    """

    def __init__(self, text: str):
        """Reads the pattern.

        Raises:
          ValueError: naming what is wrong with it.
        """
        text = unicodedata.normalize("NFC", text.strip())
        if len(text) > _MOST:
            raise ValueError(f"--pattern has {len(text)} characters; at most {_MOST}")
        self.text = text = without_ending(text.removesuffix(".*")).removeprefix("./")
        pieces = [*_PIECES.finditer(text)]
        found: list[str] = []
        regex = ""
        for piece, after in itertools.zip_longest(pieces, pieces[1:]):
            if piece["wild"]:
                regex += _WILD[piece["wild"]]
            elif piece["text"]:
                if piece["text"] in "{}":
                    raise _wrong(text, f"{piece['text']!r} has no partner")
                regex += re.escape(piece["text"])
            else:
                regex += _field(text, piece["field"][1:-1], found, after)
        if "person" not in found:
            raise _wrong(text, "it has no {person}")
        self.fields = tuple(field for field in FIELDS if field in found)
        self._regex = re.compile(regex, re.S)

    def match(self, name: str) -> Labels | None:
        """Reads the labels in an image's path with slashes; None if it does not fit."""
        name = without_ending(unicodedata.normalize("NFC", name))
        match = self._regex.fullmatch(name)
        if match is None:
            return None
        found = {field: text.strip() for field, text in match.groupdict().items()}
        return Labels(**found) if all(found.values()) else None


def without_ending(name: str) -> str:
    """The name without the ending of an image file, in any case."""
    for ending in IMAGE_ENDINGS:
        if name.lower().endswith(ending):
            return name[: -len(ending)]
    return name


def _field(text: str, name: str, found: list[str], after: re.Match | None) -> str:
    """The regular expression of a field that `after` follows."""
    if name not in FIELDS:
        raise _wrong(text, "{" + unknown(name, FIELDS).replace(" is", "} is", 1))
    if name in found:  # a folder and the file's name may both have it
        return f"(?P={name})"
    found.append(name)
    if after is None:
        return f"(?P<{name}>[^/]+)"
    if after["field"] or (after["wild"] or "#") != "#":
        raise _wrong(
            text, f"after {{{name}}} there must be a character that ends it, or #"
        )
    end = r"\d" if after["wild"] else re.escape(after["text"])
    return f"(?P<{name}>[^/{end}]+)"


def _wrong(text: str, what: str) -> ValueError:
    return ValueError(
        f"--pattern={shown(text)}: {what}; write one like {{person}}/{{camera}}_*: "
        f"{RULES}"
    )
