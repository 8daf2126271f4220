"""The configs that come with the package: `from mbnet_jax.configs import base`.

Their files are in `configs/` at the top of a checkout. An installed package has a copy.
"""

import ast
import importlib.util
import os
import sys
import traceback
from pathlib import Path
from types import ModuleType

from ml_collections import ConfigDict, FrozenConfigDict

from mbnet_jax.files import read_bytes
from mbnet_jax.refusals import shown

_INSTALLED = Path(__file__).parent / "config_files"  # see setup.py
_CHECKOUT = Path(__file__).parent.parent / "configs"
_MAX_BYTES = 1 << 20  # of a config file
_EXAMPLE = "write one like configs/synthetic.py"
FOLDER = _INSTALLED if _INSTALLED.is_dir() else _CHECKOUT

# Files that hold fields, and are not configs.
_FIELDS = {"base", "backbone", "people"}

# Makes this module a package of the files in there.
__path__ = [str(FOLDER)]


def names() -> list[str]:
    """The configs that can be run, sorted."""
    return sorted(p.stem for p in FOLDER.glob("[a-z]*.py") if p.stem not in _FIELDS)


def find(name: str | Path) -> Path:
    """The file of a config: a path, or the name of one that comes with the package.

    Raises:
      ValueError: if there is neither, listing the names.
    """
    known = ", ".join(names())
    if not isinstance(name, str | Path):
        raise ValueError(f"config={shown(name)} must be a file, or one of {known}")
    path = str(name)
    if os.path.exists(path) and not (os.path.isdir(path) and path in names()):
        return Path(name)
    if path in names():
        return FOLDER / f"{path}.py"
    path = path if path and path.isprintable() else shown(path)
    raise ValueError(f"config file not found: {path}; give a file, or one of {known}")


def read(file: Path) -> ConfigDict:
    """Runs a config file; returns the config of its `get_config()`, locked.

    A file that defines no `get_config` is not run.

    Raises:
      ValueError: naming the file, and the line if it is known, if the file cannot be
        read or run, or returns no config.
    """
    what = f"config file {file if str(file).isprintable() else repr(str(file))}"
    try:
        data = read_bytes(file, _MAX_BYTES)
        tree = ast.parse(_text(data, what), str(file))
    except SyntaxError as error:
        line = f", line {error.lineno}" if error.lineno else ""
        raise ValueError(
            f"{what}{line} is not Python ({error.msg}); {_EXAMPLE}"
        ) from error
    except (RecursionError, MemoryError) as error:
        raise ValueError(f"{what} is not Python ({error}); {_EXAMPLE}") from error
    except OSError as error:
        raise ValueError(
            f"{what} cannot be read ({error.strerror}); give another"
        ) from error
    if not _may_define(tree, "get_config"):
        raise ValueError(f"{what} has no function get_config(); {_EXAMPLE}")
    module = ModuleType(f"{__name__}.from_a_file")
    module.__file__ = str(file)
    sys.modules[module.__name__] = module  # where dataclasses and pickle look
    try:
        exec(compile(tree, str(file), "exec", dont_inherit=True), vars(module))
        config = module.get_config()
        if isinstance(config, ConfigDict):
            config.copy_and_resolve_references()  # raises if it cannot
            if isinstance(config, FrozenConfigDict):
                config = ConfigDict(config)
            return config.lock()
    except (Exception, SystemExit) as error:
        called = traceback.extract_tb(error.__traceback__)
        lines = [entry.lineno for entry in called if entry.filename == str(file)]
        line = f", line {lines[-1]}" if lines else ""
        reason = " ".join(str(error).split())[:500]
        raise ValueError(
            f"{what}{line}: {type(error).__name__}: {reason}; correct the file"
        ) from error
    raise ValueError(
        f"{what}: get_config() must return an ml_collections.ConfigDict, not a "
        f"{type(config).__name__}; {_EXAMPLE}"
    )


def _text(data: bytes, what: str) -> str:
    try:
        text = importlib.util.decode_source(data)
    except (SyntaxError, UnicodeDecodeError) as error:
        raise ValueError(f"{what} is not text in UTF-8; save it as such") from error
    if "\0" in text:
        raise ValueError(f"{what} is not text; {_EXAMPLE}")
    return text


def _may_define(tree: ast.Module, name: str) -> bool:
    """Whether a module's code binds `name` somewhere, or imports everything."""
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef) and node.name == name:
            return True
        if isinstance(node, ast.Name) and node.id == name:
            return True
        if isinstance(node, ast.alias) and name in (node.name, node.asname):
            return True
        if isinstance(node, ast.alias) and node.name == "*":
            return True
    return False
