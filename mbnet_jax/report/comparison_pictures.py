"""The pictures of a comparison, read from the dataset's folder."""

import os
from pathlib import Path

from mbnet_jax.images import read_image
from mbnet_jax.report.page import Images


class Pictures:
    """The pictures of a page.

    Attributes:
      images: those that could be read.
      missing: how many times one could not.
    """

    def __init__(self, folder: Path | None):
        """Reads nothing yet; without a folder, all pictures are missing."""
        self.images, self.missing = Images(), 0
        self._folder = folder
        self._unreadable: set[str] = set()

    def number(self, name: str) -> int | None:
        """The number of the image `name`, relative to the folder; None if missing.

        A name that leads out of the folder is not read: the page may be sent on.
        """
        path = os.path.normpath(name)
        outside = os.path.isabs(path) or path.split(os.sep)[0] == os.pardir
        if self._folder is not None and not outside and path not in self._unreadable:
            try:
                return self.images.add(path, lambda: read_image(self._folder / path))
            except (OSError, ValueError):
                self._unreadable.add(path)
        self.missing += 1
        return None
