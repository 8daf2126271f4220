"""Checks what callers give to the embedder: types as well as values."""

import os
from collections.abc import Sequence
from typing import Any

import numpy as np
from jax.sharding import Mesh
from PIL import Image

from mbnet_jax import schema
from mbnet_jax.configs import base
from mbnet_jax.devices.mesh import AXIS
from mbnet_jax.files import printable
from mbnet_jax.images import check_size
from mbnet_jax.models.branches import ordered
from mbnet_jax.parsing.label_sets import LABEL_SETS
from mbnet_jax.parsing.segmenter import Parser
from mbnet_jax.refusals import shown

BATCH_SIZE = {"batch_size": base.FIELDS.eval.batch_size}
IMAGE, MAP = "uint8 [height, width, 3] in RGB", "uint8 [height, width]"


def checked_list(name: str, items: Any, array: str) -> list:
    """Returns a list of photographs or maps, all of them of a known type.

    Args:
      name: of the argument, "images" or "parsing".
      items: what the caller gave for it.
      array: what an array among the items must be, `IMAGE` or `MAP`.

    Raises:
      ValueError: naming the argument or its item, what it must be, and what it is.
    """
    if isinstance(items, np.ndarray):
        stack = items.ndim == (4 if array == IMAGE else 3) and items.dtype == np.uint8
        # Paths in an array of NumPy are a list too.
        usable = stack or (items.ndim == 1 and items.dtype.kind in "UO")
        found = (list(items) if stack else items.tolist()) if usable else None
    elif isinstance(items, Sequence) and not isinstance(items, str | bytes | bytearray):
        found = list(items)
    else:
        found = None
    if found is None:
        raise ValueError(
            f"{name} must be a list of paths, Pillow images or arrays {array}; it is "
            f"{kind(items)}: give [{name}] for a single one, list({name}) for a "
            "generator"
        )
    for index, item in enumerate(found):
        check_item(item, f"{name}[{index}]", array)
    return found


def check_item(item: Any, what: str, array: str) -> None:
    """Refuses what is no path, Pillow image, or array of the wanted kind.

    Raises:
      ValueError: naming `what`, what it must be, and what it is.
    """
    if isinstance(item, Image.Image):
        return
    if isinstance(item, np.ndarray):
        axes = 3 if array == IMAGE else 2
        fits = item.dtype == np.uint8 and item.ndim == axes and item.size
        if fits and (axes == 2 or item.shape[2] == 3):
            check_size(item.shape[1], item.shape[0], what)
            return
        raise ValueError(f"{what} must be {array}; it is {kind(item)}")
    if not isinstance(item, str | os.PathLike):
        raise ValueError(
            f"{what} must be a path, a Pillow image or an array {array}; it is "
            f"{kind(item)}"
        )
    check_path(item, what)


def check_maps(images: list, maps: list | None, parser: Parser | None) -> None:
    """Refuses maps that are not one for each image, or that a parser makes.

    Raises:
      ValueError: saying what to give, or leave out.
    """
    if maps is None:
        return
    if parser is not None:
        raise ValueError(
            "the embedder's parser makes the maps: leave out parsing, or load the "
            "embedder without a parser"
        )
    if len(maps) != len(images):
        raise ValueError(
            f"there are {len(images)} images and {len(maps)} parsing maps; give a map "
            "for each image, in the same order"
        )


def check_path(path: Any, what: str) -> None:
    """Refuses what cannot be the path of a file or folder.

    Raises:
      ValueError: naming `what`, and what it is.
    """
    try:
        text = os.fspath(path)
    except TypeError:
        text = None
    if not isinstance(text, str):
        raise ValueError(f"{what} must be a path, of text; it is {kind(path)}")
    try:
        encoded = os.fsencode(text)
    except UnicodeEncodeError:  # a lone surrogate
        encoded = b""
    if not encoded or b"\0" in encoded:
        raise ValueError(f"{what}={text[:60]!r} is not a name of a file or folder")


def kind(value: Any) -> str:
    """What a value is, in a few words."""
    if isinstance(value, np.ndarray):
        return f"an array, {value.dtype} {list(value.shape)}"
    if value is None or isinstance(value, bool):
        return repr(value)
    if isinstance(value, str):
        return shown(value)
    if isinstance(value, os.PathLike):
        return f"the path {printable(str(value))}"
    return f"of type {type(value).__name__}"


def checked_batch_size(batch_size: Any) -> int:
    """Returns the batch size as an int.

    Raises:
      ValueError: if it is none, or beyond the limits of `eval.batch_size`.
    """
    if isinstance(batch_size, np.integer):
        batch_size = int(batch_size)
    problem = [*schema.problems({"batch_size": batch_size}, BATCH_SIZE)]
    if problem:
        raise ValueError(problem[0])
    return batch_size


def checked_branches(branches: Any, has: Sequence[str]) -> tuple[str, ...]:
    """Returns the named branches in the order of `BRANCHES`.

    Raises:
      ValueError: if they are not a list of different branches that the network has.
    """
    if isinstance(branches, str):
        raise ValueError(f"branches={branches!r} must be a list: [{branches!r}]")
    names = branches if isinstance(branches, list | tuple) else ()
    known = all(isinstance(name, str) and name in has for name in names)
    if not names or not known or len({*names}) < len(names):
        raise ValueError(
            f"branches={shown(branches)} must name one or more of what the network "
            f"has, each once, in a list: {', '.join(map(repr, has))}"
        )
    return ordered(names)


def checked_flag(name: str, value: Any) -> bool:
    """Returns a flag as a bool.

    Raises:
      ValueError: if it is neither True nor False.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False; it is {shown(value)}")
    return bool(value)


def checked_label_set(label_set: Any) -> str:
    """Returns the label set.

    Raises:
      ValueError: if there is none of this name.
    """
    if not isinstance(label_set, str) or label_set not in LABEL_SETS:
        raise ValueError(
            f"parsing_labels={shown(label_set)} is unknown; known: "
            f"{', '.join(LABEL_SETS)}"
        )
    return label_set


def checked_parser(parser: Any, parsing_labels: str | None) -> Parser | None:
    """Returns the parser.

    Raises:
      ValueError: if it is none, or a label set is given too, which is of given maps.
    """
    if parser is None:
        return None
    if not isinstance(parser, Parser):
        raise ValueError(
            "parser must be a preset's name, such as 'segformer', or what "
            f"mbnet_jax.load_parser returns; it is {kind(parser)}"
        )
    if parsing_labels is not None:
        raise ValueError(
            f"parsing_labels={shown(parsing_labels)} is of maps that are given; the "
            "parser makes its own: leave it out"
        )
    return parser


def checked_mesh(mesh: Any) -> Mesh:
    """Returns the mesh.

    Raises:
      ValueError: if it is not what `make_mesh` returns.
    """
    if not isinstance(mesh, Mesh) or mesh.axis_names != (AXIS,):
        found = mesh.axis_names if isinstance(mesh, Mesh) else kind(mesh)
        raise ValueError(
            "mesh must be what mbnet_jax.devices.mesh.make_mesh returns, with the "
            f"axis {AXIS!r}; it is {found}"
        )
    return mesh
