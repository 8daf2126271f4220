"""The images of a page: each once, and all of them within a number of bytes."""

from collections.abc import Callable, Hashable

import numpy as np

from mbnet_jax.images import resize_image
from mbnet_jax.report.page import picture

# Most characters of all images together; the page is to stay below 10 MB.
BUDGET = 6_500_000
HEIGHTS = (256, 192, 160, 128, 96, 64, 48)  # pixels, tried in turn


class Images:
    """Images by number: whatever shows one names it, and the page holds it once."""

    def __init__(self):
        """Starts without any."""
        self._numbers: dict[Hashable, int] = {}
        self._images: list[np.ndarray] = []

    def add(self, key: Hashable, image: Callable[[], np.ndarray]) -> int:
        """The number of the image `key`; `image` makes it, uint8 [H, W, 3], if new."""
        if key not in self._numbers:
            self._numbers[key] = len(self._images)
            made = image()
            height = min(made.shape[0], HEIGHTS[0])
            width = max(round(made.shape[1] * height / made.shape[0]), 1)
            self._images.append(resize_image(made, (height, width)))
        return self._numbers[key]

    def encoded(self, budget: int = BUDGET) -> list[dict]:
        """Their `uri`, `width` and `height`, in the order of numbers.

        All are made as much smaller as it takes to fit `budget`; past the smallest
        of `HEIGHTS` they exceed it.
        """
        fitting = HEIGHTS[0]
        for height in HEIGHTS:
            if height > fitting and height != HEIGHTS[-1]:
                continue
            uris = [picture(image, height) for image in self._images]
            total = sum(map(len, uris))
            if total <= budget:
                break
            fitting = height * np.sqrt(budget / total)  # bytes grow with the area
        return [
            {"uri": uri, "width": image.shape[1], "height": image.shape[0]}
            for uri, image in zip(uris, self._images, strict=True)
        ]
