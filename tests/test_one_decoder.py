"""A file, a Pillow image of it, and training see the same pixels."""

import contextlib
import io

import numpy as np
from PIL import Image

from mbnet_jax.images import read_image, resize_image
from mbnet_jax.search.photographs import load_photograph


def saved(picture: Image.Image, form: str, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, form, **options)
    return stream.getvalue()


def kinds() -> dict[str, bytes]:
    """Files of many formats and modes, by a name."""
    rng = np.random.default_rng(0)
    first = Image.fromarray(rng.integers(0, 255, (20, 12, 3), dtype=np.uint8))
    exif = Image.Exif()
    exif[0x0112] = 6
    found = {}
    for mode in ("1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "LAB", "I", "F"):
        for form in ("PNG", "TIFF", "JPEG", "WEBP", "GIF"):
            with contextlib.suppress(
                OSError, ValueError
            ):  # a mode that the format lacks
                found[f"{mode} {form}"] = saved(first.convert(mode), form)
    for form in ("PNG", "TIFF", "JPEG", "WEBP"):
        found[f"rotated {form}"] = saved(first, form, exif=exif)
    second = [first.transpose(Image.Transpose.ROTATE_180)]
    for form in ("PNG", "GIF", "TIFF", "WEBP"):
        found[f"animated {form}"] = saved(
            first, form, save_all=True, append_images=second
        )
    sixteen = Image.fromarray(rng.integers(0, 65535, (20, 12), dtype=np.uint16))
    found["16 bits PNG"] = saved(sixteen, "PNG")
    found["16 bits TIFF"] = saved(sixteen, "TIFF")
    return found


def test_a_file_a_pillow_image_of_it_and_training_agree(tmp_path):
    refused = []
    for name, data in kinds().items():
        path = tmp_path / "image"
        path.write_bytes(data)
        found = []
        for take in (
            lambda path=path: read_image(path),
            lambda path=path: load_photograph(path, None, "x", (20, 12), "lip")[0],
            lambda path=path: load_photograph(
                Image.open(path), None, "x", (20, 12), "lip"
            )[0],
        ):
            try:
                found.append(resize_image(take(), (20, 12)))
            except ValueError as error:
                assert "convert it to RGB" in str(error)
                found.append(None)
        if found[0] is None:
            assert found == [None] * 3, name
            refused.append(name)
            continue
        for other in found[1:]:
            np.testing.assert_array_equal(found[0], other, err_msg=name)
    assert refused == ["LAB TIFF", "I TIFF", "F TIFF"]
