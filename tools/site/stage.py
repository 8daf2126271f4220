"""Copies the repository's pages to where the site has them, with their links.

The repository keeps its layout, so that every link works there too. In the site,
`docs/` is the root, and a file that is no page gets one that shows it
(`tools/site/sources`).
"""

import os
import re
import shutil
from pathlib import Path

from tools.site import contents, sources

ROOT = Path(__file__).parents[2]
FIRST = Path("docs", "README.md")
PICTURES = (".jpg", ".png", ".svg")
WIDE = "---\nhide-toc: true\n---\n\n"  # no list of headings beside the first page
_LINK = re.compile(r"\]\(([^)\s]+)\)")


def pages(root: Path = ROOT) -> dict[Path, str]:
    """The pages of the site: file, relative to `root`, -> name in the site."""
    found = {FIRST: "index"}
    for path in sorted(root.glob("*.md")):
        found[path.relative_to(root)] = path.stem.lower()
    for path in sorted(root.glob("docs/*.md")):
        found.setdefault(path.relative_to(root), path.stem)
    for path in sorted(root.glob("benchmarks/**/*.md")):
        name = path.relative_to(root).with_suffix("").as_posix()
        found[path.relative_to(root)] = re.sub(r"README$", "index", name)
    for path in sorted(root.glob("tools/site/api/*.rst")):
        found[path.relative_to(root)] = f"api/{path.stem}"
    return found


def stage(out: Path, root: Path = ROOT) -> None:
    """Writes the pages, pictures and shown files of the repository `root` into `out`.

    Raises:
      ValueError: naming the page, if it links to a missing file or is listed in no
        section of docs/README.md.
    """
    known = pages(root)
    first = (root / FIRST).read_text()
    check_listed(known, contents.sections(first))
    shown: set[Path] = set()
    for file, name in known.items():
        text = (root / file).read_text()
        if file.suffix == ".md":
            text = relink(text, file, name, known, shown, root)
        if file == FIRST:
            text = f"{WIDE}{text}{toctrees(contents.sections(first), known)}"
        target = out / f"{name}{file.suffix}"
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    for file in sorted(shown):
        if file.suffix in PICTURES:
            target = out / site_path(file)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(root / file, target)
        else:
            sources.write(root, file, out)


def check_listed(known: dict[Path, str], listed: list[contents.Section]) -> None:
    """Checks that the first page lists every other page.

    Raises:
      ValueError: naming the pages that it does not list.
    """
    entries = {
        Path(os.path.normpath(FIRST.parent / link))
        for section in listed
        for _, link in section.entries
    }
    api = {file for file in known if file.suffix == ".rst" and file.stem != "index"}
    missing = known.keys() - entries - api - {FIRST}
    if missing:
        names = ", ".join(sorted(map(str, missing)))
        raise ValueError(f'{FIRST} does not list {names}: add "- [Title](LINK): what"')


def relink(
    text: str,
    file: Path,
    name: str,
    known: dict[Path, str],
    shown: set[Path],
    root: Path = ROOT,
) -> str:
    """Returns a page's text with the links that the site has; code stays as it is.

    Args:
      text: Markdown.
      file: the page, relative to `root`.
      name: its name in the site.
      known: as in `pages`.
      shown: gets the linked files that are no pages, relative to `root`.

    Raises:
      ValueError: naming page, line and link, if there is no such file.
    """
    lines, code = [], False

    def replace(match: re.Match) -> str:
        target, hash_, anchor = match[1].partition("#")
        if not target or re.match(r"\w+:", target):
            return match[0]
        path = Path(os.path.normpath(file.parent / target))
        if path.parts[0] == ".." or not (root / path).exists():
            line = len(lines) + 1
            raise ValueError(f"{file}:{line} links to {match[1]}, which does not exist")
        if path in known:
            to = f"{known[path]}{path.suffix}"
        elif path.suffix in PICTURES:
            shown.add(path)
            to = site_path(path)
        else:  # a file shown in the site has no headings
            shown.add(path)
            to, hash_, anchor = f"{sources.name_of(path)}.md", "", ""
        to = os.path.relpath(to, Path(name).parent)
        return f"]({Path(to).as_posix()}{hash_}{anchor})"

    for line in text.splitlines(keepends=True):
        if line.startswith("```"):
            code = not code
        lines.append(line if code else _LINK.sub(replace, line))
    return "".join(lines)


def site_path(picture: Path) -> str:
    """Where the site has a picture: `docs/` is its root."""
    parts = picture.parts[1:] if picture.parts[0] == "docs" else picture.parts
    return Path(*parts).as_posix()


def toctrees(listed: list[contents.Section], known: dict[Path, str]) -> str:
    """The first page's hidden tables of contents, which make the sidebar."""
    text = ""
    for title, entries in listed:
        files = [Path(os.path.normpath(FIRST.parent / link)) for _, link in entries]
        lines = [
            f"{words} <{known[file]}>"
            for (words, _), file in zip(entries, files, strict=True)
            if file in known
        ]
        options = f":hidden:\n:caption: {title}\n\n"
        text += f"\n```{{toctree}}\n{options}" + "\n".join(lines) + "\n```\n"
    return text
