"""Parsers by name: a preset, whose file is downloaded, or an ONNX file."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mbnet_jax.files import printable
from mbnet_jax.parsing.download import check_file, download
from mbnet_jax.parsing.options import ParserOptions
from mbnet_jax.parsing.presets import PRESETS
from mbnet_jax.parsing.runtime import import_runtime
from mbnet_jax.parsing.segmenter import Parser
from mbnet_jax.refusals import shown, unknown
from mbnet_jax.sources import did_you_mean

_KNOWN = ", ".join(PRESETS)


def load_parser(
    model: str | os.PathLike,
    preset: str | None = None,
    *,
    revision: str | None = None,
    sha256: str | None = None,
) -> Parser:
    """Loads a human parser, for `Embedder.load(..., parser=...)`.

    Args:
      model: the name of a preset, such as "segformer", whose file is downloaded once
        into the Hugging Face hub's cache; or the path of an ONNX file.
      preset: the preset whose form a file has.
      revision: another commit of the preset's repository, 40 hexadecimal digits.
      sha256: what the file must have, 64 hexadecimal digits.

    Raises:
      ValueError: ONNX Runtime is not installed, or an argument is wrong.
      FileNotFoundError: there is no such file.
      ConnectionError: it cannot be downloaded; says what to do without a network.
    """
    return Parser(parser_options(model, preset, revision=revision, sha256=sha256))


def parser_options(
    model: str | os.PathLike,
    preset: str | None = None,
    *,
    revision: str | None = None,
    sha256: str | None = None,
    options: Mapping[str, Any] | None = None,
    flag: str = "",
) -> ParserOptions:
    """Does what `load_parser` does, without loading the model.

    Args:
      model, preset, revision, sha256: as in `load_parser`.
      options: values of `ParserOptions` that replace the preset's, by name.
      flag: the command's flag that `model` was given by, for messages.
    """
    options = dict(options or {})
    given = f"{flag}=" if flag else "parser="
    if not isinstance(model, str | os.PathLike) or not os.fspath(model):
        raise ValueError(
            f"{given}{shown(model)} must be a preset ({_KNOWN}) or an ONNX file"
        )
    if preset is not None and preset not in PRESETS:
        raise ValueError(f"preset {unknown(shown(preset).strip(chr(39)), PRESETS)}")
    if model in PRESETS:
        return _of_preset(model, preset, revision, sha256, options, flag)
    path = Path(model)
    if not path.exists():
        raise FileNotFoundError(
            f"{given}{printable(model)} is neither a preset ({_KNOWN}) nor an ONNX "
            f"file{did_you_mean(path)}; give one of these"
        )
    if revision is not None:
        raise ValueError("a revision is of a preset's download, not of a file")
    if preset is None and "labels" not in options:
        raise ValueError(
            f"{given}{printable(path)} is a file: give its form too, "
            + ("--preset NAME" if flag else 'as load_parser("FILE", "NAME")')
            + f", one of {_KNOWN}"
            + ("; or --labels lip|atr|pascal|canonical" if flag == "--model" else "")
        )
    form = PRESETS[preset].options() if preset else {}
    found = ParserOptions(path, **form | options)
    check_file(path, sha256)
    return found


def _of_preset(
    name: str,
    other: str | None,
    revision: str | None,
    sha256: str | None,
    options: dict,
    flag: str,
) -> ParserOptions:
    """The options of a preset, whose file is downloaded."""
    if other not in (None, name):
        raise ValueError(
            f"{name!r} is a preset itself: give no other, or give a file in its place"
        )
    preset = PRESETS[name]
    instead = f"give {flag} FILE --preset {name}"
    if not flag:
        instead = f'give load_parser("FILE", "{name}")'
    if preset.source is None:
        raise ValueError(
            f"no public ONNX file of {name} is known: export one, and {instead}"
        )
    import_runtime()  # before a download
    path, address = download(preset.source, revision, sha256, instead)
    return ParserOptions(path, **preset.options() | options, address=address)
