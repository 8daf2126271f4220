"""ONNX Runtime, which runs parsers and detectors: imported only when one is loaded."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

# In order of preference; ONNX Runtime may be built without the first.
_PROVIDERS = ("CUDAExecutionProvider", "CPUExecutionProvider")


class Value(NamedTuple):
    """An input or output; names and None stand for axes of any size."""

    name: str
    type: str
    shape: Sequence[int | str | None]


def start_session(
    model: Path, doing: str = "making maps"
) -> tuple[Any, Sequence[Value], Sequence[Value]]:
    """ONNX Runtime's session of a model's file, its inputs and its outputs.

    Args:
      model: the file.
      doing: what needs ONNX Runtime, for the message.

    Raises:
      ValueError: ONNX Runtime is not installed; or naming the file, if it is no model.
    """
    onnxruntime = import_runtime(doing)
    settings = onnxruntime.SessionOptions()
    settings.log_severity_level = 4  # errors are raised; it would print them too
    available = onnxruntime.get_available_providers()
    providers = [name for name in _PROVIDERS if name in available]
    try:
        session = onnxruntime.InferenceSession(
            str(model),
            settings,
            providers=providers,
            enable_fallback=len(providers) > 1,  # from GPU to CPU, and says so
        )
        inputs, outputs = session.get_inputs(), session.get_outputs()
        # Names that are not text raise only when they are read.
        found = [Value(v.name, v.type, v.shape) for v in inputs + outputs]
        return session, found[: len(inputs)], found[len(inputs) :]
    except Exception as error:  # ONNX Runtime's have no class in common
        raise ValueError(
            f"{model} cannot be loaded as an ONNX model ({one_line(error)}); export "
            "the model again"
        ) from error


def import_runtime(doing: str = "making maps") -> Any:
    """Returns ONNX Runtime, which `doing` needs.

    Raises:
      ValueError: it is not installed.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise ValueError(
            f"{doing} needs ONNX Runtime: pip install -r requirements-parse.txt"
        ) from error
    return onnxruntime


def is_fixed(axis: int | str | None) -> bool:
    """Whether an axis has a size; -1 and a name stand for any."""
    return isinstance(axis, int) and axis > 0


def one_line(error: Exception) -> str:
    """The first 300 characters of a message, in one line."""
    return " ".join(str(error).split())[:300] or type(error).__name__
