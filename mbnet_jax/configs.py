"""The configs that come with the package: `from mbnet_jax.configs import base`.

Their files are in `configs/` at the top of a checkout. An installed package has a copy.
"""

from pathlib import Path

_INSTALLED = Path(__file__).parent / "config_files"  # see setup.py
_CHECKOUT = Path(__file__).parent.parent / "configs"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT

# Makes this module a package of the files in there.
__path__ = [str(FOLDER)]


def names() -> list[str]:
    """The configs that can be run, sorted."""
    return sorted(p.stem for p in FOLDER.glob("[a-z]*.py") if p.stem != "base")


def find(name: str) -> Path:
    """The file of a config: a path, or the name of one that comes with the package.

    Raises:
      ValueError: if there is neither, listing the names.
    """
    path = Path(name)
    if path.is_file():
        return path
    if name in names():
        return FOLDER / f"{name}.py"
    raise ValueError(
        f"config file not found: {name}; give a file, or one of {', '.join(names())}"
    )
