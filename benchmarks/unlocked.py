"""Measures the processor time in which other threads of Python may run."""

import contextlib
import time
from collections.abc import Callable, Iterator
from unittest import mock

import cv2
import numpy as np
from array_record.python.array_record_data_source import ArrayRecordDataSource
from PIL import Image


@contextlib.contextmanager
def unlocked() -> Iterator[list[float]]:
    """Lists the processor seconds of calls in which other threads of Python may run."""
    spent: list[float] = []

    def timed(call: Callable) -> Callable:
        def timed_call(*args, **kwargs):
            start = time.thread_time()
            try:
                return call(*args, **kwargs)
            finally:
                spent.append(time.thread_time() - start)

        return timed_call

    class Decoder:
        """One of Pillow's decoders, which are written in C."""

        def __init__(self, decoder):
            self._decoder = decoder
            self.decode = timed(decoder.decode)

        def __getattr__(self, name):
            return getattr(self._decoder, name)

    getdecoder, read = Image._getdecoder, ArrayRecordDataSource.__getitem__
    with contextlib.ExitStack() as stack:
        for owner, name, replacement in (
            (Image, "_getdecoder", lambda *given: Decoder(getdecoder(*given))),
            (ArrayRecordDataSource, "__getitem__", timed(read)),
            (cv2, "resize", timed(cv2.resize)),
            (cv2, "LUT", timed(cv2.LUT)),
            (np, "stack", timed(np.stack)),
        ):
            stack.enter_context(mock.patch.object(owner, name, replacement))
        yield spent
