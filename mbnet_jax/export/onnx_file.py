"""A program in ONNX form, through jax2onnx."""

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
    """Raises a ValueError, which names the remedy, if a package is missing."""
    for package in ("jax2onnx", "onnxruntime"):
        if importlib.util.find_spec(package) is None:
            raise ValueError(
                f"ONNX files need the package {package}: pip install -r "
                "requirements-export.txt; or give --no-onnx"
            )


def to_onnx(program: Program) -> bytes:
    """The program as an ONNX model, of a free batch size "b".

    Its inputs are named as the program's, its output `OUTPUT`. The network must
    compute in float32: few of ONNX Runtime's operations know bfloat16.
    """
    from jax2onnx import to_onnx as convert

    arguments = program.arguments()
    # jax2onnx follows calls of jax.numpy and Flax by replacing these functions, and
    # gets some shapes of a free batch size wrong. It is given plain operations.
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
    """Puts back what jax2onnx leaves replaced in `module`."""
    before = dict(vars(module))
    try:
        yield
    finally:
        for name, value in before.items():
            if getattr(module, name) is not value:
                setattr(module, name, value)


@contextlib.contextmanager
def _quiet(*names: str) -> Iterator[None]:
    """Keeps back warnings about shapes of values inside the model."""
    loggers = [logging.getLogger(name) for name in names]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
