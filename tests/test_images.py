"""The decoder: what it takes, what it refuses in one line, and small bombs."""

import io
import random
import struct
import time
import zlib

import numpy as np
import pytest
from PIL import Image

from mbnet_jax.images import MAX_PIXELS, check_image, decode_image

PIXELS = np.random.default_rng(0).integers(0, 255, (48, 24, 3), dtype=np.uint8)
RGB = Image.fromarray(PIXELS)
TURNED = Image.Exif()
TURNED[0x0112] = 6


def saved(picture, kind, **options) -> bytes:
    stream = io.BytesIO()
    picture.save(stream, kind, **options)
    return stream.getvalue()


def chunk(name: bytes, data: bytes) -> bytes:
    body = name + data
    return struct.pack(">I", len(data)) + body + struct.pack(">I", zlib.crc32(body))


def png(width: int, height: int, *more: bytes, data: bytes | None = None) -> bytes:
    if data is None:
        data = zlib.compress((b"\0" * (3 * width + 1)) * height)
    head = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    parts = (chunk(b"IHDR", head), *more, chunk(b"IDAT", data), chunk(b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


OTHER = RGB.rotate(180)
LOSSLESS = {
    "PNG": saved(RGB, "PNG"),
    "BMP": saved(RGB, "BMP"),
    "TIFF": saved(RGB, "TIFF"),
    "TIFF, LZW": saved(RGB, "TIFF", compression="tiff_lzw"),
    "WebP": saved(RGB, "WEBP", lossless=True),
    "pages": saved(RGB, "TIFF", save_all=True, append_images=[OTHER]),
    "APNG": saved(RGB, "PNG", save_all=True, append_images=[OTHER]),
    "RGBA": saved(RGB.convert("RGBA"), "PNG"),
}


@pytest.mark.parametrize("name", LOSSLESS)
def test_the_first_image_of_every_format_is_decoded(name):
    np.testing.assert_array_equal(decode_image(LOSSLESS[name], "x"), PIXELS)


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "TIFF", "WEBP"])
def test_the_orientation_turns_the_image(kind):
    options = {"lossless": True} if kind == "WEBP" else {}
    plain = decode_image(saved(RGB, kind, **options), "x")
    turned = decode_image(saved(RGB, kind, exif=TURNED, **options), "x")
    np.testing.assert_array_equal(turned, np.rot90(plain, -1))
    assert check_image(saved(RGB, kind, exif=TURNED), "x") == turned.shape[:2]


def test_sixteen_bits_of_grey_keep_the_upper_eight():
    grey = (np.arange(48 * 24) * 56 % 65536).astype(np.uint16).reshape(48, 24)
    for kind in ("PNG", "TIFF"):
        decoded = decode_image(saved(Image.fromarray(grey), kind), "x")
        np.testing.assert_array_equal(decoded, np.repeat(grey[..., None] >> 8, 3, 2))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "CMYK", "YCbCr", "RGBX"])
def test_other_modes_become_rgb(mode):
    decoded = decode_image(saved(RGB.convert(mode), "TIFF"), "x")
    expected = RGB.convert(mode).convert("RGB")
    np.testing.assert_array_equal(decoded, np.asarray(expected))


JPEG = saved(RGB, "JPEG")
PROGRESSIVE = saved(Image.new("L", (8, 8)), "JPEG", progressive=True)
SCAN = PROGRESSIVE[PROGRESSIVE.rindex(b"\xff\xda") : -2]
BOMB = zlib.compress(b"\0" * (4 << 20))
REFUSED = {
    "empty": (b"", "it is empty"),
    "text": (b"<html>not found</html>", "not an image of a known format"),
    "PSD": (b"8BPS" + b"\0" * 50, "not an image of a known format"),
    "JPEG, cut": (JPEG[:-100], "truncated"),
    "PNG, cut": (LOSSLESS["PNG"][:-400], "truncated"),
    "PNG, not compressed": (png(4, 4, data=b"\x78\x9cgarbage"), "broken data stream"),
    "no pixels": (png(0, 5), "not an image"),
    "huge": (png(65_500, 65_500, data=b"x"), f"{MAX_PIXELS:,} in all"),
    "large": (png(9_000, 9_000, data=b"x"), "9,000 x 9,000 pixels; 1 to"),
    "wide": (png(40_000, 2, data=b"x"), "40,000 x 2 pixels"),
    "text bomb": (png(4, 4, chunk(b"zTXt", b"k\0\0" + BOMB)), "too large"),
    "profile bomb": (png(4, 4, chunk(b"iCCP", b"k\0\0" + BOMB)), "too large"),
    "scans": (PROGRESSIVE[:-2] + 300 * SCAN + PROGRESSIVE[-2:], "more than 200 scans"),
    **{
        f"TIFF of mode {mode}": (saved(Image.new(mode, (24, 48)), "TIFF"), f"is {mode}")
        for mode in ("I", "F", "LAB")
    },
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_refused_is_named(name, capfd):
    data, message = REFUSED[name]
    start = time.monotonic()
    with pytest.raises(ValueError, match=rf"the image of a/b\.jpg .*{message}") as one:
        decode_image(data, "a/b.jpg")
    with pytest.raises(ValueError) as other:
        check_image(data, "a/b.jpg")
    assert str(other.value) == str(one.value)
    assert time.monotonic() - start < 5
    assert capfd.readouterr() == ("", "")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_garbage_beside_the_pixels_is_ignored():
    junk = b"Exif\0\0MM\0*\0\0\0\x08\xff\xff" + b"\xff" * 42
    for name, content in (
        (b"\xff\xe1", junk),
        (b"\xff\xe2", b"ICC_PROFILE\0\x05\x01" + b"j" * 14),
    ):
        size = struct.pack(">H", len(content) + 2)
        broken = JPEG[:2] + name + size + content + JPEG[2:]
        np.testing.assert_array_equal(
            decode_image(broken, "x"), decode_image(JPEG, "x")
        )
    assert not decode_image(png(4, 4, chunk(b"eXIf", junk[6:])), "x").any()


def test_a_name_of_any_bytes_is_shown_in_one_line():
    with pytest.raises(ValueError, match=r"the image of caf\ufffd\\n\.jpg cannot"):
        decode_image(b"", "caf\udce9\n.jpg")


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_damaged_files_end_in_one_error_or_in_pixels(capfd):
    draw = random.Random(0)
    files = [*LOSSLESS.values(), JPEG, PROGRESSIVE, saved(RGB, "GIF")]
    files.append(saved(RGB.convert("1"), "TIFF", compression="group4"))
    files += [saved(RGB, "TIFF", compression=c) for c in ("jpeg", "packbits", "lzma")]
    ends = {"decoded": 0, "refused": 0}
    for number in range(1500):
        data = bytearray(files[number % len(files)])
        at = draw.randrange(len(data))
        if number % 3 == 0:
            del data[at:]
        elif number % 3 == 1:
            data[at : at + 4] = draw.randbytes(4)
        else:
            data[draw.randrange(min(len(data), 400))] = draw.choice((0, 127, 128, 255))
        try:
            shape = check_image(bytes(data), "a.jpg")
        except ValueError:
            shape = None
        try:
            image = decode_image(bytes(data), "a.jpg")
            assert image.dtype == np.uint8 and image.ndim == 3
            assert image.shape[:2] == shape
            ends["decoded"] += 1
        except ValueError as error:
            assert (
                str(error).startswith("the image of a.jpg ") and len(str(error)) < 400
            )
            assert shape is None
            ends["refused"] += 1
    assert min(ends.values()) > 300
    assert capfd.readouterr() == ("", "")
