"""HTML from templates, and pictures inside it."""

import base64
import io

import jinja2
import numpy as np
from PIL import Image

_TEMPLATES = jinja2.Environment(
    loader=jinja2.PackageLoader("mbnet_jax.report", "templates"),
    autoescape=True,
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=jinja2.StrictUndefined,
)


def render(template: str, **values) -> str:
    """The text of `template`, a file of this folder that extends `base.html`.

    Values are escaped: a file name or a person's label cannot become markup. A
    template marks what is markup already with `|safe`.
    """
    return _TEMPLATES.get_template(template).render(**values)


def picture(image: np.ndarray | Image.Image, height: int, quality: int = 80) -> str:
    """An image as a `data:` URI of a JPEG of at most `height` pixels.

    Args:
      image: RGB, uint8 [H, W, 3] if an array; it is made no larger.
    """
    if not isinstance(image, Image.Image):
        image = Image.fromarray(image)
    if image.height > height:
        width = max(round(image.width * height / image.height), 1)
        image = image.resize((width, height), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    image.convert("RGB").save(buffer, "JPEG", quality=quality, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(buffer.getvalue()).decode()
