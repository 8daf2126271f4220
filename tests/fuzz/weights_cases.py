"""Files of weights: safetensors, npz, and what claims to be them."""

import functools
import io
import json
import pickle
import struct
import zipfile
from pathlib import Path

import numpy as np
import safetensors.numpy

from mbnet_jax.backbones.weights.files import read_weights

from . import mutate
from .case import Case, surface
from .choices import Choices


@functools.cache
def arrays() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(0)
    return {
        "conv1.weight": rng.normal(size=(4, 3, 3, 3)).astype(np.float32),
        "bn1.running_mean": np.zeros(4, np.float32),
        "half": np.ones(3, np.float16),
        "count": np.full((), 7, np.int64),
    }


def header(content, body: bytes = bytes(64), length: int | None = None) -> bytes:
    """A safetensors file with any header."""
    data = content if isinstance(content, bytes) else mutate.dumped(content).encode()
    size = len(data) if length is None else length
    return struct.pack("<Q", size) + data + body


def odd_safetensors(c: Choices) -> tuple[str, bytes, bool | None]:
    """What was done, the bytes, whether they must be taken."""
    data = safetensors.numpy.save(arrays())
    kind = c.pick(("sound", "bytes", "bytes", "bytes", "header", "header", "length"))
    if kind == "sound":
        return kind, data, True
    if kind == "bytes":
        return (*mutate.damaged(c, data), None)
    size = struct.unpack("<Q", data[:8])[0]
    content, body = json.loads(data[8 : 8 + size]), data[8 + size :]
    if kind == "header":
        how, _, text = mutate.changed_json(c, content)
        return how, header(text.encode(), body), None
    length = c.pick((0, 1, size - 1, size + 9, 2**40, 2**63, 2**64 - 1))
    return f"header of {length}", header(content, body, length), False


def odd_npz(c: Choices) -> tuple[str, bytes, bool | None]:
    """What was done, the bytes, whether they must be taken."""
    buffer = io.BytesIO()
    np.savez(buffer, **arrays())
    data = buffer.getvalue()
    kind = c.pick(("sound", "bytes", "bytes", "pickle", "npy", "shape", "text", "zip"))
    if kind == "sound":
        return kind, data, True
    if kind == "bytes":
        return (*mutate.damaged(c, data), None)
    if kind == "npy":
        buffer = io.BytesIO()
        np.save(buffer, np.ones(3))
        return kind, buffer.getvalue(), False
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as file:
        if kind == "pickle":
            plain = io.BytesIO()
            np.save(plain, np.array([{"a": 1}], object), allow_pickle=True)
            file.writestr("a.npy", plain.getvalue())
        elif kind == "shape":
            count = c.pick((10**6, 10**10, 10**15, -1))
            text = f"{{'descr': '<f4', 'fortran_order': False, 'shape': ({count},), }}"
            head = text.ljust(117).encode() + b"\n"
            magic = b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head))
            file.writestr("a.npy", magic + head + bytes(64))
        elif kind == "text":
            file.writestr("readme.txt", "no array")
        else:
            file.writestr("../../up.npy", "x")
    return kind, stream.getvalue(), False


@surface("weights", share=30, seconds=15)
def weights(c: Choices, folder: Path) -> Case:
    """Bytes, headers and shapes of a file are odd, or it is of another kind."""
    kind = c.pick(("safetensors",) * 4 + ("npz",) * 3 + ("file", "other", "name"))
    valid: bool | None = None
    path = folder / "w.safetensors"
    if kind == "safetensors":
        what, data, valid = odd_safetensors(c)
        path.write_bytes(data)
    elif kind == "npz":
        path = folder / "w.npz"
        what, data, valid = odd_npz(c)
        path.write_bytes(data)
    elif kind == "file":
        path = folder / c.pick(("w.safetensors", "w.npz", "w.pth", "w"))
        path.write_bytes(b"x")
        what, valid = mutate.odd_file(c, path), False
    elif kind == "other":
        path = folder / c.pick(("w.pth", "w.bin", "w.SAFETENSORS", "w", "w.npy"))
        path.write_bytes(c.pick((pickle.dumps({"a": 1}), b"", b"x" * 99)))
        what, valid = f"content of {path.suffix}", False
    else:
        name = c.pick([n for n in mutate.NAMES if not n.endswith(("up.jpg", "b.jpg"))])
        name = name.replace(".jpg", c.pick((".safetensors", ".npz", "")))
        what = f"{mutate.shown(name)}"
        tokens = (name, "file")
        return Case(what, lambda: read_weights(name), tokens, valid=False)

    def check(found) -> str | None:
        if not all(isinstance(each, np.ndarray) for each in found.values()):
            return "no arrays"
        if valid:
            same = found.keys() == arrays().keys() and all(
                np.array_equal(found[name], each) for name, each in arrays().items()
            )
            return None if same else "other arrays"
        return None

    what = f"{kind}: {what}"
    return Case(what, lambda: read_weights(str(path)), (path.name,), check, valid)
