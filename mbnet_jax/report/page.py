"""HTML pages from templates, and the images inside them."""

import base64
import hashlib
import io
from collections.abc import Callable, Hashable, Sequence

import jinja2
import numpy as np
from PIL import Image

from mbnet_jax.files import encodable
from mbnet_jax.images import resize_image

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("mbnet_jax.report", "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)
# The style sheets and the scripts of a page: files in `templates/`, without values.
_SHEETS = {
    "report.html": ("style.css", "report.css", "embedding_map.css"),
    "search.html": ("style.css", "search.css"),
    "compare.html": ("style.css", "compare.css"),
}
_SCRIPTS = {"report.html": ("report.js", "embedding_map.js")}
# Most characters of all images of a page together; the page stays below 10 MB.
BUDGET = 6_500_000
HEIGHTS = (256, 192, 160, 128, 96, 64, 48)  # pixels, tried in turn


def render(template: str, **values) -> str:
    """Returns the text of `template`, a file in `templates/`, with these values.

    Values are escaped, so a file name or a label cannot become markup. Templates mark
    values that are markup with `|safe`. What UTF-8 cannot encode becomes replacement
    characters.
    """
    sheets, scripts = (_files(of.get(template, ())) for of in (_SHEETS, _SCRIPTS))
    page = _TEMPLATES.get_template(template).render(
        sheets=sheets, scripts=scripts, policy=_policy(sheets, scripts), **values
    )
    return encodable(page)


def _files(names: Sequence[str]) -> list[str]:
    """The texts of files in `templates/`, as the page has them."""
    return [_TEMPLATES.get_template(name).render() for name in names]


def _policy(sheets: Sequence[str], scripts: Sequence[str]) -> str:
    """A content policy: a browser applies and runs these texts alone.

    It loads no file, sends no form, and runs no handler and no style in an attribute.
    """
    return "; ".join(
        (
            "default-src 'none'",
            "img-src data:",
            f"style-src {_hashes(sheets)}",
            f"script-src {_hashes(scripts)}",
            "form-action 'none'",
            "base-uri 'none'",
        )
    )


def _hashes(texts: Sequence[str]) -> str:
    digests = (hashlib.sha256(text.encode()).digest() for text in texts)
    named = (f"'sha256-{base64.b64encode(digest).decode()}'" for digest in digests)
    return " ".join(named) or "'none'"


def picture(image: np.ndarray | Image.Image, height: int, quality: int = 80) -> str:
    """Returns an image as the `data:` URI of a JPEG.

    Args:
      image: RGB; uint8 [H, W, 3] if it is an array.
      height: largest height in pixels; a smaller image keeps its size.
      quality: of the JPEG, 0 to 95.
    """
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    if image.height > height:
        width = max(round(image.width * height / image.height), 1)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()


class Images:
    """The images of a page: each is stored once and referred to by its number."""

    def __init__(self):
        """Creates an empty store."""
        self._numbers: dict[Hashable, int] = {}
        self._images: list[np.ndarray] = []

    def add(self, key: Hashable, load: Callable[[], np.ndarray]) -> int:
        """Returns the number of image `key`.

        If the key is new, `load` is called for the image, uint8 [H, W, 3].
        """
        if key not in self._numbers:
            self._numbers[key] = len(self._images)
            image = load()
            height = min(image.shape[0], HEIGHTS[0])
            width = max(round(image.shape[1] * height / image.shape[0]), 1)
            self._images.append(resize_image(image, (height, width)))
        return self._numbers[key]

    def encoded(self, budget: int = BUDGET) -> list[dict]:
        """Returns `uri`, `width` and `height` of each image, in order of number.

        All images are scaled down together until their URIs fit `budget`, a number of
        characters. At the smallest of `HEIGHTS` they may exceed it.
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
