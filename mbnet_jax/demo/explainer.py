"""What each branch attended to in two photographs, and how similar it finds them."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import jax
import numpy as np

from mbnet_jax.demo.finder import Finder
from mbnet_jax.evaluation.embed_function import ALL, make_embed
from mbnet_jax.models.branches import BRANCHES
from mbnet_jax.report import heat
from mbnet_jax.report.attention import attention_function
from mbnet_jax.report.attention_pictures import Layer, layers_of
from mbnet_jax.report.similarity_maps import similarity_function
from mbnet_jax.search.batches import photograph_batches


class Map(NamedTuple):
    """A map of one kind, drawn over query and match.

    Attributes:
      title: what it shows.
      unit: of its values.
      low, high: the values of the darkest and the lightest colour.
      pictures: of query and match, uint8 [h, w, 3].
    """

    title: str
    unit: str
    low: float
    high: float
    pictures: tuple[np.ndarray, np.ndarray]


class Look(NamedTuple):
    """How one branch sees query and match.

    Attributes:
      title: the branch's.
      similarity: the cosine of its embeddings, -1 to 1.
      views: of query and match, uint8 [h, w, 3]: what the branch takes.
      maps: what makes the two similar, then of its modules and its transformer; may be
        empty.
    """

    title: str
    similarity: float
    views: tuple[np.ndarray, np.ndarray]
    maps: list[Map]


class Pair(NamedTuple):
    """Two photographs as the branches see them.

    Attributes:
      similarity: the cosine of the embeddings of all these branches together.
      looks: one of each branch.
    """

    similarity: float
    looks: list[Look]


class _Programs(NamedTuple):
    """What is compiled for a set of branches.

    embed: embeddings, with the mirrored photographs where the evaluation uses them.
    attend: attention maps.
    common: the parts of the cosine by cell.
    """

    embed: Callable
    attend: Callable
    common: Callable


class Explainer:
    """Compares photographs branch by branch; programs are compiled once."""

    def __init__(self, finder: Finder):
        """Takes the network, its devices and what makes parsing maps."""
        self.finder = finder
        self._programs: dict[tuple[str, ...], _Programs] = {}

    def compare(self, query: Path, match: Path, branches: tuple[str, ...]) -> Pair:
        """Returns what the branches see in two photographs.

        Maps are of the photographs as they are; similarities also use the mirrored
        ones, if the network's evaluation does.

        Args:
          query, match: files.
          branches: what `Embedder.choose` returned.

        Raises:
          ValueError, OSError: naming a file that cannot be used.
        """
        network, embedder = self.finder.network, self.finder.embedder
        data, devices = network.config.data, self.finder.mesh.size
        shape = (-(-2 // devices) * devices, data.height, data.width)
        maps = embedder.parser
        [batch] = photograph_batches(
            [query, match], maps, embedder.parsing_labels, shape, data.threads, None
        )
        programs = self._of(branches)
        rows = jax.device_get(
            programs.embed(network.variables, batch.image, batch.parsing)
        )
        two = network.variables, batch.image[:2], batch.parsing[:2]
        found, common = programs.attend(*two), programs.common(*two)
        layers = [*_similar(common.maps), *layers_of(found)]
        looks = []
        for name in branches:
            view = BRANCHES[name].view
            views = found.views[view]
            drawn = [
                _draw(layer, found.views[layer.view])
                for layer in layers
                if layer.branch == name
            ]
            similarity = float(rows[name][0] @ rows[name][1])
            title = BRANCHES[name].title
            looks.append(Look(title, similarity, (views[0], views[1]), drawn))
        whole = rows[ALL if ALL in rows else branches[0]]
        return Pair(float(whole[0] @ whole[1]), looks)

    def warm_up(self, folder: Path) -> int:
        """Does what the page will, so that its programs are compiled when it opens.

        Args:
          folder: a gallery, whose embeddings are computed.

        Returns:
          The number of its photographs.

        Raises:
          ValueError, OSError: as in `Finder.open`.
        """
        branches = self.finder.default
        gallery = self.finder.open(folder, branches)
        path = folder / gallery.names[0]
        self.finder.find(path, folder, branches, 1)
        self.compare(path, path, branches)
        return len(gallery.names)

    def _of(self, branches: tuple[str, ...]) -> "_Programs":
        if branches not in self._programs:
            network, embedder = self.finder.network, self.finder.embedder
            config = network.config.copy_and_resolve_references()
            predicted = embedder.predicts(branches, False)
            with config.unlocked():
                config.eval.branches = branches
                config.eval.maps = "predicted" if predicted else "given"
            self._programs[branches] = _Programs(
                make_embed(
                    config,
                    network.model,
                    self.finder.mesh,
                    branches,
                    embedder.flip,
                    predicted,
                ),
                attention_function(config, network.model),
                similarity_function(config, network.model),
            )
        return self._programs[branches]


def _similar(maps: dict[str, tuple[np.ndarray, np.ndarray]]) -> Iterator[Layer]:
    """The parts of each branch's cosine by cell, of query and match."""
    for branch, (query, match) in maps.items():
        values = np.concatenate([query, match])
        unit = "a part of the cosine; the mean is the cosine"
        yield Layer(branch, "what is similar", unit, BRANCHES[branch].view, values)


def _draw(layer: Layer, views: np.ndarray) -> Map:
    """Draws a layer of two images over their views, both on one scale."""
    low, high = heat.value_range(layer.values[:2])
    pictures = tuple(
        heat.overlay(view, values, low, high)
        for view, values in zip(views[:2], layer.values[:2], strict=True)
    )
    return Map(layer.title, layer.unit, low, high, pictures)
