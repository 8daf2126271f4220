"""Files of network weights with PyTorch's names: safetensors, npz, pth, or a hub id."""

import math
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import safetensors.numpy

from mbnet_jax.files import file_size
from mbnet_jax.sources import is_hub_id, misspelt, no_such

# The names in timm's repositories on the hub, and in those of both towers of CLIP.
HUB_FILES = ("model.safetensors", "open_clip_model.safetensors")
# Bytes of all arrays of a file: more than any network here has.
MAX_BYTES = 4 << 30
_PATIENCE = 10  # seconds until the hub has to answer


def read_weights(source: str) -> dict[str, np.ndarray]:
    """Reads the arrays of a file.

    Args:
      source: path of a `.safetensors`, `.npz`, `.pth`, `.pt` or `.bin` file (the
        last three need PyTorch), or a Hugging Face hub id such as
        "timm/resnet50.tv_in1k" (needs huggingface_hub), of which the first of
        `HUB_FILES` that it has is downloaded once, into the hub's cache.

    Returns:
      Name in the file -> array, of the shape and dtype in the file; floats of a
      file that PyTorch reads are float32.

    Raises:
      FileNotFoundError: if no such file exists.
      ValueError: if the kind of the source is unknown, it cannot be downloaded or
        read, or a package that it needs is not installed. The message says what to
        do.
    """
    path = Path(source)
    if path.suffix not in _READERS and not path.is_file():
        if not is_hub_id(source):
            raise ValueError(
                f"{source!r} is neither a file ({', '.join(_READERS)}) nor a Hugging "
                "Face hub id, such as timm/resnet50.tv_in1k; give one of these"
            )
        if misspelt(source):
            raise FileNotFoundError(no_such("file", source))
        path = download(source, *HUB_FILES)
    check_file(path)
    if path.suffix not in _READERS:
        raise ValueError(
            f"{path} ends in {path.suffix!r}; files of weights end in "
            + ", ".join(_READERS)
        )
    return _READERS[path.suffix](path)


def check_file(path: Path) -> None:
    """Raises an error for what is not a file, or too large a one; opens nothing."""
    _check_bytes(path, file_size(path))


def _check_bytes(path: Path, size: int) -> None:
    if size > MAX_BYTES:
        raise ValueError(
            f"{path} has {size:,} bytes of weights; at most {MAX_BYTES:,} are read"
        )


def reason(error: Exception) -> str:
    """The first line of an error's message, or its class if the message is empty."""
    return (str(error).strip() or type(error).__name__).splitlines()[0]


def download(hub_id: str, *files: str, instead: str = "file") -> Path:
    """Downloads a file of a Hugging Face repository into the hub's cache, once.

    Args:
      hub_id: the repository's.
      files: names in it; the first that it has is downloaded.
      instead: what the user may give in place of the id, "file" or "folder".

    Raises:
      ValueError: if the download fails, or huggingface_hub is not installed. The
        message names the alternative.
    """
    try:
        import huggingface_hub as hub
    except ImportError as error:
        raise ValueError(
            f"to download {hub_id} from the Hugging Face hub: pip install "
            f"huggingface_hub; or give the path of a {instead}"
        ) from error
    reasons, silent = [], None
    for file in files:
        if silent is None or _is_absent(silent):
            silent = None
            try:
                # Without an answer, the download would be tried for half a minute.
                url = hub.hf_hub_url(hub_id, file)
                hub.get_hf_file_metadata(url, timeout=_PATIENCE)
            except Exception as error:  # its errors have no common base class
                silent = error
        try:
            # Without an answer, what was downloaded before serves.
            local = silent is not None
            return Path(hub.hf_hub_download(hub_id, file, local_files_only=local))
        except Exception as error:
            reasons.append(reason(silent or error).rstrip("."))
    raise ValueError(
        f"cannot download {' or '.join(files)} of {hub_id!r} from the Hugging Face "
        f"hub: {'; '.join(dict.fromkeys(reasons))}. Without network, give the path of "
        f"a {instead} that was downloaded from "
        f"https://huggingface.co/{hub_id}/tree/main"
    )


def _is_absent(error: Exception) -> bool:
    """Whether the hub answered that the repository has no such file."""
    return "EntryNotFound" in type(error).__name__


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        return safetensors.numpy.load_file(path)
    except Exception as error:  # its own, and a KeyError for an unknown dtype
        raise ValueError(
            f"{path} is not a safetensors file ({reason(error)}); replace it"
        ) from error


def _read_npz(path: Path) -> dict[str, np.ndarray]:
    try:
        _check_bytes(path, _npz_bytes(path))
        with np.load(path, allow_pickle=False) as arrays:
            return dict(arrays)
    except Exception as error:  # zipfile's and zlib's have no common base class
        raise ValueError(
            f"{path} is not an npz file of plain arrays ({reason(error)}); replace it"
        ) from error


def _npz_bytes(path: Path) -> int:
    """Bytes of all arrays by their headers, which must be what the zip file says.

    Raises:
      ValueError: if a member is no array, or an array is larger than its member.
    """
    total = 0
    with zipfile.ZipFile(path) as archive:
        for member in archive.infolist():
            with archive.open(member) as file:
                version = np.lib.format.read_magic(file)
                read = {
                    (1, 0): np.lib.format.read_array_header_1_0,
                    (2, 0): np.lib.format.read_array_header_2_0,
                }
                if version not in read:
                    raise ValueError(f"{member.filename} has version {version}")
                shape, _, dtype = read[version](file)
            size = math.prod(shape) * dtype.itemsize
            if size > member.file_size or dtype.kind not in "fiub":
                raise ValueError(
                    f"{member.filename} is no array of numbers of its size"
                )
            total += member.file_size
    return total


def _read_pth(path: Path) -> dict[str, np.ndarray]:
    try:
        import torch
    except ImportError as error:
        raise ValueError(
            f"reading {path} needs PyTorch (pip install torch). Or convert it where "
            "PyTorch is installed, and give the .npz file:\n  python -c "
            f"\"import numpy, torch; w = torch.load('{path.name}', "
            "map_location='cpu', weights_only=True); "
            f"numpy.savez('{path.stem}.npz', **{{k: v.detach().numpy() for k, v in "
            'w.items()})"'
        ) from error
    problem = (
        f"{path} does not hold weights alone, as torch.save(net.state_dict(), FILE) "
        "writes them"
    )
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            _check_bytes(path, sum(member.file_size for member in archive.infolist()))
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # pickle's, zipfile's, PyTorch's own
        # PyTorch's own message advises running the code in the file.
        raise ValueError(f"{problem}: {type(error).__name__}") from error
    if not isinstance(weights, dict):
        raise ValueError(f"{problem}: it holds a {type(weights).__name__}")
    if len(weights) == 1 and isinstance(*weights.values(), dict):
        (weights,) = weights.values()  # BAAI's files name what they hold
    for name, value in weights.items():
        if not isinstance(name, str) or not isinstance(value, torch.Tensor):
            raise ValueError(f"{problem}: {name!r} is a {type(value).__name__}")
    _check_bytes(path, sum(4 * value.numel() for value in weights.values()))
    try:
        return {
            # NumPy has no bfloat16. torchvision's oldest files hold parameters, which
            # have gradients.
            name: (v.float() if v.is_floating_point() else v).detach().numpy()
            for name, v in weights.items()
        }
    except (RuntimeError, TypeError) as error:  # sparse, quantized, without data
        raise ValueError(f"{problem}: {reason(error)}") from error


_READERS: dict[str, Callable[[Path], dict[str, np.ndarray]]] = {
    ".safetensors": _read_safetensors,
    ".npz": _read_npz,
    ".pth": _read_pth,
    ".pt": _read_pth,
    ".bin": _read_pth,
}
