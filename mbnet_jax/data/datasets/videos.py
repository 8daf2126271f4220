"""Folders of frames, each of which is listed once."""

import os
from pathlib import Path

from mbnet_jax.data.datasets.listing import check_regular
from mbnet_jax.files import printable
from mbnet_jax.images import IMAGE_ENDINGS


def images_in(folder: Path, where: str) -> list[str]:
    """The names of the images in a folder, sorted.

    What is hidden or no image by its name is left out. There is no question to the file
    system for each file, of which a video dataset has hundreds of thousands.

    Args:
      folder: to list, without those in it.
      where: what names the folder, for messages.

    Raises:
      FileNotFoundError: the folder is missing, or holds no image.
      ValueError: an image is not a regular file.
      OSError: the folder cannot be listed. All messages name `where` or the file.
    """
    try:
        with os.scandir(folder) as entries:
            found = {
                entry.name: entry.is_file()
                for entry in entries
                if entry.name.lower().endswith(IMAGE_ENDINGS)
                and not entry.name.startswith(".")
            }
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(
            f"{where}: there is no folder {printable(folder)}; unpack the dataset again"
        ) from error
    except OSError as error:
        raise OSError(
            f"{where}: {printable(folder)} cannot be listed ({error.strerror}); make "
            "it readable"
        ) from error
    if not found:
        raise FileNotFoundError(
            f"{where}: {printable(folder)} holds no image; unpack the dataset again"
        )
    odd = sorted(name for name, is_file in found.items() if not is_file)
    check_regular([folder / name for name in odd], "images", "Unpack them again")
    return sorted(found)
