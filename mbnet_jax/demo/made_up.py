"""Made-up people to search among, for those who bring no photographs."""

import hashlib
import json
from pathlib import Path
from typing import NamedTuple

from mbnet_jax.configs import synthetic_many
from mbnet_jax.files import cache_folder
from mbnet_jax.synthetic.generate import generate
from mbnet_jax.synthetic.options import SyntheticOptions

# The world that the network of the package was trained in, but with other people,
# clothes and cameras: training has the seed 2.
_OPTIONS = SyntheticOptions(
    **synthetic_many.PEOPLE
    | {"train_identities": 1, "test_identities": 16, "outfits": 2, "seed": 3}
)
_QUERIES = 8


class People(NamedTuple):
    """Photographs of made-up people.

    Attributes:
      gallery: the folder to search.
      queries: photographs of different people, who are in the gallery too.
    """

    gallery: Path
    queries: list[Path]


def people(
    folder: Path | None = None,
    options: SyntheticOptions = _OPTIONS,
    workers: int | None = None,
) -> People:
    """Draws the people, or finds them drawn: some seconds the first time.

    Args:
      folder: where; by default below `~/.cache/mbnet_jax`.
      options: how many, and what they look like.
      workers: processes that draw; None: one a CPU.

    Raises:
      ValueError, OSError: as in `generate`.
    """
    text = json.dumps(options.record(), sort_keys=True)
    name = hashlib.sha256(text.encode()).hexdigest()[:12]
    root = generate((folder or cache_folder("demo")) / name, options, workers=workers)
    first: dict[str, Path] = {}  # of each person
    for path in sorted((root / "query").glob("*.jpg")):
        first.setdefault(path.name.partition("_")[0], path)
    return People(root / "gallery", [*first.values()][:_QUERIES])
