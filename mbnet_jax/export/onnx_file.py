"""A program as an ONNX model, converted by jax2onnx."""

import contextlib
import importlib.util
import logging
from collections.abc import Iterator
from types import ModuleType

import jax.numpy as jnp

from mbnet_jax.export.flat import flat
from mbnet_jax.export.programs import Program

ENDING = ".onnx"
OUTPUT = "embedding"


def check_converter() -> None:
    """Raises a ValueError, with the remedy, if a package is missing."""
    for package in ("jax2onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(
                f"ONNX files need the package {package}: pip install -r "
                "requirements-export.txt; or give --no-onnx"
            )


def to_onnx(program: Program) -> bytes:
    """Returns the program as an ONNX model with a free batch size "b".

    Its inputs have the program's names, its output is `OUTPUT`. The network must
    compute in float32: few operations of ONNX Runtime support bfloat16.
    """
    from jax2onnx import to_onnx as convert

    arguments = program.arguments()
    # jax2onnx traces jax.numpy and Flax by replacing their functions, and infers some
    # shapes wrongly if the batch size is free. So it is given primitive operations.
    with _restored(jnp), _quiet("onnx_ir", "jax2onnx"):
        model = convert(
            flat(program.embed, arguments),
            arguments,
            model_name=f"mbnet_{program.embedding}",
            input_names=list(program.inputs),
            output_names=[OUTPUT],
        )
    return model.SerializeToString()


@contextlib.contextmanager
def _restored(module: ModuleType) -> Iterator[None]:
    """Restores the functions of `module` that jax2onnx leaves replaced."""
    before = dict(vars(module))
    try:
        yield
    finally:
        for name, value in before.items():
            if getattr(module, name) is not value:
                setattr(module, name, value)


@contextlib.contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Suppresses warnings about the shapes of intermediate values."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
