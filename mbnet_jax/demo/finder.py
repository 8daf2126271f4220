"""One network, and the searches that a page asks of it."""

import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import jax
from jax.sharding import Mesh

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.predicted import can_predict
from mbnet_jax.files import printable
from mbnet_jax.models.branches import needing_maps, ordered
from mbnet_jax.parsing.segmenter import Parser
from mbnet_jax.runs.load import SHIPPED, load
from mbnet_jax.runs.network import Network
from mbnet_jax.search.embedder import Embedder
from mbnet_jax.search.gallery import Gallery, open_gallery
from mbnet_jax.search.nearest import Hit, embed_queries, find_nearest
from mbnet_jax.search.photographs import Failures

_REMEDY = "let a parser make them: --parser segformer (docs/use.md)"


class Found(NamedTuple):
    """What a search found.

    Attributes:
      query: the photograph.
      folder: the gallery's.
      hits: the most similar photographs, most similar first.
      branches: that embedded them.
      count: how many photographs were searched.
      failures: those that were left out, and why.
    """

    query: Path
    folder: Path
    hits: list[Hit]
    branches: tuple[str, ...]
    count: int
    failures: Failures


class Finder:
    """Searches folders with one network.

    Dropped photographs have no parsing maps. Branches that need maps are offered if a
    parser makes them, or the network predicts them.

    Attributes:
      network: the trained network.
      mesh: the devices that it is on.
      embedder: embeds with it.
      branches: those that are offered.
      default: those of `branches` that the network's evaluation combines.
      warning: what is lost without maps; "" if nothing is.
    """

    def __init__(
        self,
        network: Network,
        mesh: Mesh,
        cache: Path,
        *,
        parser: Parser | None = None,
        batch_size: int = 64,
    ):
        """Takes the network and the mesh that its weights are on.

        Args:
          network: the trained network.
          mesh: the devices that it is on.
          cache: the folder of embeddings that `mbnet-search` uses, too.
          parser: makes parsing maps.
          batch_size: photographs embedded at a time.

        Raises:
          ValueError: if none of the network's branches can do without maps, and there
            are none.
        """
        self.network, self.mesh = network, mesh
        self.embedder = Embedder(network, mesh, parser=parser)
        self._cache, self._batch_size = cache, batch_size
        has = self.network.model.branches
        maps = parser is not None or can_predict(self.network.model)
        without = [name for name in has if maps or name not in needing_maps(has)]
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            self.default = self.embedder.choose(None, False, _REMEDY)
        self.branches = ordered(without)
        self.warning = " ".join(str(each.message) for each in caught)

    @classmethod
    def load(cls, source: str | os.PathLike | None, cache: Path, **options) -> "Finder":
        """Reads the network that `mbnet_jax.runs.load.load` finds.

        Args:
          source: where; None: the network of the package.
          cache, options: as in the constructor.

        Raises:
          FileNotFoundError, ValueError: if it cannot be read.
        """
        mesh = make_mesh(jax.local_devices())
        network = load(SHIPPED if source is None else source, mesh)
        return cls(network, mesh, cache, **options)

    def open(self, folder: Path, branches: tuple[str, ...]) -> Gallery:
        """Reads the embeddings of a folder, computing missing ones; see `find`."""
        return open_gallery(
            folder,
            self.embedder,
            branches,
            self._cache,
            batch_size=self._batch_size,
        )

    def find(self, query: Path, folder: Path, branches: Sequence[str], k: int) -> Found:
        """Returns the `k` photographs in `folder` most similar to `query`.

        Raises:
          ValueError, OSError: saying what cannot be used, as `mbnet-search` does.
        """
        if not branches:
            raise ValueError("choose at least one branch")
        chosen = self.embedder.choose([*branches], False, _REMEDY)
        paths, rows, failed = embed_queries([query], folder, self.embedder, chosen)
        if not paths:
            # The file lies in a folder of uploads, which says nothing to anybody.
            raise ValueError(failed[0][1].replace(str(query), printable(query.name)))
        gallery = self.open(folder, chosen)
        hits = find_nearest(paths, rows, gallery, k)[0].hits
        return Found(query, folder, hits, chosen, len(gallery.names), gallery.failures)
