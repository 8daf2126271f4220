"""Pages that show files of the repository which are not pages themselves."""

import json
from pathlib import Path

_LEXERS = {
    ".py": "python",
    ".sh": "bash",
    ".toml": "toml",
    ".json": "json",
    ".md": "markdown",
}
# Not in the search, which would find every line of code, and in no table of contents.
_HEAD = "---\norphan: true\nnosearch: true\n---\n\n"


def name_of(file: Path) -> str:
    """The name in the site of the page that shows a file or folder."""
    return f"source/{file.as_posix()}"


def write(root: Path, file: Path, out: Path) -> None:
    """Writes the page of a file, or those of a folder and of what is in it.

    Args:
      root: the repository.
      file: the file or folder, relative to `root`.
      out: the folder of the site's pages.
    """
    path = root / file
    if path.is_dir():
        inside = [
            file / entry.name for entry in sorted(path.iterdir()) if _shown(entry)
        ]
        lines = []
        for item in inside:
            shown = item.name + "/" * (root / item).is_dir()
            lines.append(f"- [`{shown}`]({file.name}/{item.name}.md)")
        body = "\n".join(lines)
        for item in inside:
            write(root, item, out)
    elif file.suffix == ".ipynb":
        body = notebook(path.read_text())
    else:
        text = path.read_text()
        fence = "`" * (3 + text.count("```"))  # longer than any in the file
        body = f"{fence}{_LEXERS.get(file.suffix, 'text')}\n{text.rstrip()}\n{fence}"
    target = out / f"{name_of(file)}.md"
    target.parent.mkdir(parents=True, exist_ok=True)
    target.write_text(f"{_HEAD}# `{file.as_posix()}`\n\n{body}\n")


def notebook(text: str) -> str:
    """A notebook's cells as Markdown, without outputs and headings.

    Args:
      text: the file, in the notebook format 4.
    """
    parts = []
    for cell in json.loads(text)["cells"]:
        source = "".join(cell["source"])
        if cell["cell_type"] == "code":
            parts.append(f"````python\n{source}\n````")
        else:
            lines = source.splitlines()
            parts.append(
                "\n".join(
                    f"**{s.lstrip('# ')}**" if s.startswith("#") else s for s in lines
                )
            )
    return "\n\n".join(parts)


def _shown(entry: Path) -> bool:
    """Whether the page of a folder lists an entry: source code, and folders of it."""
    return entry.suffix == ".py" or (entry.is_dir() and any(entry.glob("*.py")))
