"""What is said of a guess and of a division, in lines for the terminal."""

import unicodedata
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence

from mbnet_jax.data.records import some_of
from mbnet_jax.files import printable
from mbnet_jax.own_images.divide import Division
from mbnet_jax.own_images.guess import spread
from mbnet_jax.own_images.pattern import FIELDS, Labels, Pattern

_EXAMPLES = 5
_LEFT_OUT = 10  # lines
_FEW = 10  # test persons, below which the figures are rough
_NOUNS = {
    "person": ("person", "persons"),
    "camera": ("camera", "cameras"),
    "clothes": ("name of clothes", "names of clothes"),
}


def of_pattern(
    pattern: Pattern, labels: Mapping[str, Labels], guessed: bool
) -> Iterator[str]:
    """The pattern, what it takes from some names, and all that it found."""
    yield f"pattern{' (a guess)' if guessed else ''}: {pattern.text}"
    examples = spread([*labels], _EXAMPLES)
    width = max(map(_width, examples))
    for name in examples:
        read = (f"{field}={getattr(labels[name], field)}" for field in pattern.fields)
        space = " " * (width - _width(name))
        yield printable(f"  {printable(name)}{space}  {', '.join(read)}")
    for field in FIELDS:
        counts = Counter(getattr(row, field) for row in labels.values())
        if field in pattern.fields:
            noun = _NOUNS[field][len(counts) != 1]
            often = [name for name, _ in counts.most_common()]
            yield f"{len(counts)} {noun}: {some_of(often, 6)}"


def _width(name: str) -> int:
    """Columns that a terminal gives a name; it gives CJK two a character."""
    wide = sum(unicodedata.east_asian_width(each) in "WF" for each in name)
    return len(printable(name)) + wide


def some_names(names: Sequence[str]) -> str:
    """A few names from all over the list."""
    return ", ".join(printable(name) for name in spread(names, _EXAMPLES))


def of_others(others: Sequence[Pattern], command: str, dry_run: bool) -> Iterator[str]:
    """How to correct the guess, with other patterns that may be meant."""
    first = "" if dry_run else "remove the files written below and "
    yield f"if that is wrong, {first}give the pattern:"
    for text in [other.text for other in others] or ["..."]:
        yield f'  {command} --pattern "{text}"'


def of_left_out(
    left_out: Sequence[tuple[str, str]], unfit: Sequence[str]
) -> Iterator[str]:
    """The images that are not used, and why.

    Args:
      left_out: images, and why they cannot be read.
      unfit: images whose names do not fit the pattern.
    """
    if left_out:
        yield f"left out: {len(left_out)} that cannot be used"
        for name, why in left_out[:_LEFT_OUT]:
            yield printable(f"  {name}: {why}")
        if len(left_out) > _LEFT_OUT:
            yield f"  and {len(left_out) - _LEFT_OUT} more"
    if unfit:
        yield (
            f"left out: {len(unfit)} whose names do not fit the pattern: "
            f"{some_of(unfit)}"
        )


def of_division(division: Division, labels: Mapping[str, Labels]) -> Iterator[str]:
    """Who is trained on, who is searched for, and what the test will show."""
    images = Counter(division.splits.values())
    test = {n for n, split in division.splits.items() if split != "train"}
    tested = {labels[name].person for name in test}
    trained = {row.person for row in labels.values()} - tested
    yield (
        f"training: {images['train']} images of {len(trained)} persons; test: "
        f"{images['query']} queries in a gallery of {images['gallery']}, "
        f"{len(tested)} other persons"
    )
    if division.single:
        yield (
            f"note: {some_of(division.single)} have one image each, from which little "
            "is learned"
        )
    one = next(iter(labels.values()))
    if not one.camera:
        yield (
            "note: without cameras, images of one moment count as matches, so the "
            "figures will be too good (rule any); add {camera} to the pattern if the "
            "names tell cameras, places or days apart"
        )
    elif division.rule == "any":
        yield (
            "note: too few persons are seen by two cameras; the test has few matches"
        )
    elif not one.clothes:
        yield (
            "note: without {clothes} in the pattern, the table does not tell whether "
            "people are found after a change of clothes"
        )
    elif division.rule != "clothes_changing":
        yield (
            "note: too few persons change clothes between cameras; that part of the "
            "table has few matches"
        )
    if len(tested) < _FEW:
        yield f"note: figures of {len(tested)} test persons are rough"
