"""The site's contents: the lists of links in docs/README.md, its first page."""

import re
from typing import NamedTuple

_SECTION = re.compile(r"## (.+)")
_ENTRY = re.compile(r"- \[([^]]+)\]\(([^)\s#]+)\).*")


class Section(NamedTuple):
    """A heading of the first page, with the pages listed under it.

    entries: (title, link) of each, the link relative to docs/.
    """

    title: str
    entries: tuple[tuple[str, str], ...]


def sections(text: str) -> list[Section]:
    """Returns the sections that list pages; a page counts where it is listed first.

    Args:
      text: the first page, in Markdown.
    """
    found: list[tuple[str, list[tuple[str, str]]]] = []
    seen = set()
    for line in text.splitlines():
        if heading := _SECTION.fullmatch(line):
            found.append((heading[1], []))
        elif (entry := _ENTRY.fullmatch(line)) and found and entry[2] not in seen:
            seen.add(entry[2])
            found[-1][1].append((entry[1], entry[2]))
    return [Section(title, tuple(entries)) for title, entries in found if entries]
