"""Builds the documentation site; a warning is an error.

pip install -e . -r requirements-docs.txt
python -m tools.site build/site
"""

import argparse
import importlib.util
import shutil
import sys
import tempfile
from pathlib import Path

from tools.site import stage

HERE = Path(__file__).parent
INSTALL = "pip install -r requirements-docs.txt"


def build(out: Path) -> int:
    """Builds the site into `out`, which it replaces.

    Args:
      out: a folder that a build made, an empty one, or a new one.

    Returns:
      0, or Sphinx's exit status.

    Raises:
      ValueError: if a page links to a missing file or is missing in the contents, or
        `out` holds something else.
      ModuleNotFoundError: naming the command that installs Sphinx and its theme.
    """
    for name in ("sphinx", "furo", "myst_parser", "sphinx_copybutton"):
        if importlib.util.find_spec(name) is None:
            raise ModuleNotFoundError(f"{name} is not installed: {INSTALL}", name=name)
    from sphinx.cmd.build import build_main

    if out.exists():
        if not out.is_dir() or (
            any(out.iterdir()) and not (out / "objects.inv").is_file()
        ):
            raise ValueError(f"{out} is no site that was built: name another folder")
        shutil.rmtree(out)
    with tempfile.TemporaryDirectory() as work:
        pages, doctrees = Path(work, "pages"), Path(work, "doctrees")
        stage.stage(pages)
        flags = ["-q", "-W", "--keep-going", "-b", "html", "-d", str(doctrees)]
        return build_main([*flags, "-c", str(HERE), str(pages), str(out)])


def main() -> int:
    """Parses the flags and builds the site."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.site", description=__doc__.partition("\n")[0]
    )
    parser.add_argument(
        "out", type=Path, help="folder to build into, such as build/site"
    )
    out = parser.parse_args().out
    try:
        status = build(out)
    except (ValueError, ModuleNotFoundError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if not status:
        print(f"open {out / 'index.html'}")
    return status


if __name__ == "__main__":
    sys.exit(main())
