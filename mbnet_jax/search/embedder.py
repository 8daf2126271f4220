"""A trained network that embeds photographs."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from jax.sharding import Mesh
from PIL import Image

from mbnet_jax.data.needed_maps import CUT_BY_MAP
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import ALL, make_embed
from mbnet_jax.models import BRANCHES
from mbnet_jax.parsing.label_sets import check_label_set
from mbnet_jax.retrieval.sizes import power_of_two
from mbnet_jax.runs import load as trained
from mbnet_jax.search.embedding_digest import embedding_digest, weights_digest
from mbnet_jax.search.photographs import Photograph, load_photograph, name_of
from mbnet_jax.search.stream import stream


class Embedder:
    """Embeds photographs of people with a trained network.

    Rows of one person are alike: compare them by the cosine, which for rows of
    length 1 is the product.
    """

    def __init__(
        self,
        network: trained.Trained,
        mesh: Mesh,
        *,
        flip: bool | None = None,
        parsing_labels: str | None = None,
    ):
        """Takes the network and the mesh that its weights are on; see `load`."""
        self.config = network.config.copy_and_resolve_references()
        self.step = network.step  # of training
        self._model = network.model
        self._variables = network.variables
        self._mesh = mesh
        if flip is not None:
            self.config.eval.flip = flip
        if parsing_labels is not None:
            self.config.data.parsing_labels = parsing_labels
        check_label_set(self.config.data.parsing_labels)
        self._programs: dict[tuple[str, ...], Callable] = {}
        self._weights_digest: str | None = None
        self._told = False

    @classmethod
    def load(
        cls,
        source: str | os.PathLike | None = None,
        *,
        mesh: Mesh | None = None,
        flip: bool | None = None,
        parsing_labels: str | None = None,
    ) -> "Embedder":
        """Reads a trained network.

        Args:
          source: what `mbnet_jax.runs.load.load` reads, such as a run's folder. None:
            the network that comes with the package, trained on synthetic people only,
            and a warning says so.
          mesh: the devices to use; all of this process unless given.
          flip: whether the mirrored image's embedding is added; as the run's
            `eval.flip` unless given.
          parsing_labels: the label set of the parsing maps to come; the run's
            `data.parsing_labels` unless given.

        Raises:
          FileNotFoundError: if there is no such network.
          ValueError: if it cannot be read, or the label set is unknown.
        """
        mesh = make_mesh(jax.local_devices()) if mesh is None else mesh
        if source is None:
            warnings.warn(
                "the network that comes with mbnet_jax was trained on synthetic people "
                "only; for real ones train a network on your data, or give your own",
                stacklevel=2,
            )
            source = trained.SHIPPED
        network = trained.load(source, mesh)
        return cls(network, mesh, flip=flip, parsing_labels=parsing_labels)

    def embed(
        self,
        images: Sequence[Photograph],
        parsing: Sequence[Photograph] | None = None,
        branches: Sequence[str] | None = None,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Embeds a list of photographs: float32 [n, d], rows of length 1, in order.

        Args:
          images: paths, Pillow images and uint8 arrays [h, w, 3] in RGB, of any
            sizes, also mixed.
          parsing: their parsing maps: paths, Pillow images or uint8 arrays [h, w],
            each of its image's size. Not read where no branch needs them.
          branches: those to combine, as `eval.branches`. None: as the run was
            evaluated, which without `parsing` may leave the global branch alone, and
            a warning says so once.
          batch_size: images at a time, rounded up to a multiple of the devices. A
            list that is shorter makes a batch of the next power of two.

        Raises:
          FileNotFoundError: naming a file that is missing.
          ValueError: naming an image or map that cannot be used (see
            `load_photograph`); or the lists or the branches do not fit.
        """
        images = _listed("images", images)
        maps = None if parsing is None else _listed("parsing", parsing)
        chosen = self.choose(branches, maps is not None)
        rows = np.empty((len(images), self.width(chosen)), np.float32)
        for places, done in self.stream(images, maps, chosen, batch_size):
            rows[places] = done
        return rows

    def choose(
        self, branches: Sequence[str] | None, with_maps: bool
    ) -> tuple[str, ...]:
        """The branches that `embed` combines, in the order of `BRANCHES`.

        Raises:
          ValueError: if the network lacks one, or one needs parsing maps.
        """
        has = self._model.branches
        if isinstance(branches, str):
            raise ValueError(f"branches={branches!r}: give a list, [{branches!r}]")
        asked = self.config.eval.branches if branches is None else branches
        lacking = [branch for branch in asked if branch not in has]
        if lacking or (branches is not None and not asked):
            raise ValueError(
                f"branches={tuple(asked)}: name one or more of what the network has: "
                f"{', '.join(map(repr, has))}"
            )
        chosen = tuple(b for b in BRANCHES if b in (asked or has))
        needing = [branch for branch in chosen if branch in CUT_BY_MAP]
        if with_maps or not needing:
            return chosen
        if branches is not None or "global" not in has:
            raise ValueError(
                f"{', '.join(map(repr, needing))} cannot do without parsing maps: give "
                "`parsing`, a map for each image"
                + (", or branches=['global']" if "global" in has else "")
            )
        if not self._told:
            self._told = True
            without = " and ".join(needing)
            warnings.warn(
                f"no parsing maps: the global branch alone embeds, without {without}",
                stacklevel=3,
            )
        return ("global",)

    def needs_maps(self, branches: tuple[str, ...]) -> bool:
        """Whether one of the branches cannot do without parsing maps."""
        return any(branch in CUT_BY_MAP for branch in branches)

    def width(self, branches: tuple[str, ...]) -> int:
        """Numbers in an embedding of the branches that `choose` returned."""
        data, rows = self.config.data, self._mesh.size
        shape = (rows, data.height, data.width)
        made = self._program(branches).eval_shape(
            self._variables,
            jax.ShapeDtypeStruct((*shape, 3), np.uint8),
            jax.ShapeDtypeStruct(shape, np.uint8),
        )
        return _main(made).shape[1]

    def digest(self, branches: tuple[str, ...]) -> str:
        """What decides an embedding beside the photograph: see `embedding_digest`.

        `branches` are what `choose` returned.
        """
        if self._weights_digest is None:
            self._weights_digest = weights_digest(self._variables)
        return embedding_digest(self.config, self._weights_digest, branches)

    def stream(
        self,
        images: Sequence[Photograph],
        parsing: Sequence[Photograph] | None,
        branches: tuple[str, ...],
        batch_size: int = 64,
        failed: Callable[[int, Exception], None] | None = None,
    ) -> Iterator[tuple[list[int], np.ndarray]]:
        """Embeds batch by batch: yields places in `images` and their rows [b, d].

        Threads decode what comes next while the devices work.

        Args:
          images, parsing, batch_size: as of `embed`.
          branches: what `choose` returned.
          failed: called with the place of an image that cannot be used, and why;
            it is left out. Without, the error is raised.
        """
        if batch_size < 1:
            raise ValueError(f"batch_size={batch_size} must be at least 1")
        if parsing is not None and len(parsing) != len(images):
            raise ValueError(
                f"there are {len(images)} images and {len(parsing)} parsing maps; give "
                "a map for each image, in the same order"
            )
        data, devices = self.config.data, self._mesh.size
        size = min(batch_size, power_of_two(len(images)))
        size = -(-size // devices) * devices
        if not self.needs_maps(branches):
            parsing = None

        def load(place: int) -> tuple[np.ndarray, np.ndarray]:
            name = f"images[{place}]"
            if parsing is None:
                return load_photograph(images[place], None, name, data)
            if parsing[place] is None:
                raise ValueError(
                    f"{name_of(images[place], name)} has no parsing map: "
                    f"parsing[{place}] is None"
                )
            return load_photograph(images[place], parsing[place], name, data)

        program = self._program(branches)
        yield from stream(
            load,
            lambda image, parsing: _main(program(self._variables, image, parsing)),
            len(images),
            (size, data.height, data.width),
            data.threads,
            failed,
        )

    def _program(self, branches: tuple[str, ...]) -> Callable:
        """The compiled network of these branches; made once."""
        if branches not in self._programs:
            config = self.config.copy_and_resolve_references()
            config.eval.branches = branches
            self._programs[branches] = make_embed(config, self._model, self._mesh)
        return self._programs[branches]


def _main(made: dict) -> jax.Array:
    """Of what `make_embed` computes, the combination, or the only branch."""
    return made[ALL] if ALL in made else next(iter(made.values()))


def _listed(name: str, items: Sequence[Photograph]) -> list[Photograph]:
    single = 3 if name == "images" else 2  # axes of one
    if isinstance(items, str | os.PathLike | Image.Image) or (
        isinstance(items, np.ndarray) and items.ndim <= single
    ):
        raise ValueError(f"{name} must be a list: give [{name}] for a single one")
    return list(items)
