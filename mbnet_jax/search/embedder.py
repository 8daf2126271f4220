"""A trained network that embeds photographs."""

import os
import warnings
from collections.abc import Callable, Iterator, Sequence

import jax
import numpy as np
from jax.sharding import Mesh

from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.batches import Failed, embed_batches
from mbnet_jax.evaluation.embed_function import ALL, embed_function, make_embed
from mbnet_jax.evaluation.predicted import can_predict
from mbnet_jax.models.branches import needing_maps, ordered
from mbnet_jax.parsing.load import load_parser
from mbnet_jax.parsing.segmenter import Parser
from mbnet_jax.runs.calibration_file import Calibration, read_calibrations
from mbnet_jax.runs.load import SHIPPED, find, load
from mbnet_jax.runs.network import Network
from mbnet_jax.search import checks
from mbnet_jax.search.batches import photograph_batches
from mbnet_jax.search.compare import Comparing
from mbnet_jax.search.identified import Identified
from mbnet_jax.search.identity import of_length_1
from mbnet_jax.search.lost import GIVE_MAPS, cannot, warning
from mbnet_jax.search.photographs import Photograph


class Embedder(Comparing, Identified):
    """Embeds photographs of people with a trained network.

    Embeddings of one person are similar. Compare them by the cosine, which for rows
    of length 1 is the dot product.

    Branches that need parsing maps take those that are given, or else those of the
    parser, or else those that the network itself predicts, if it was trained to
    (`model.parser`).
    """

    def __init__(
        self,
        network: Network,
        mesh: Mesh,
        *,
        flip: bool | None = None,
        parsing_labels: str | None = None,
        parser: Parser | None = None,
        calibrations: Sequence[Calibration] = (),
    ):
        """Takes the network and the mesh that its weights are on; see `load`."""
        if not isinstance(network, Network):
            raise ValueError(f"network must be a Network; it is {checks.kind(network)}")
        self._mesh = checks.checked_mesh(mesh)
        config = network.config
        self.config = config
        self.step = network.step  # of training
        self.flip = checks.checked_flag(
            "flip", config.eval.flip if flip is None else flip
        )
        self.parsing_labels = checks.checked_label_set(
            config.data.parsing_labels if parsing_labels is None else parsing_labels
        )
        self.parser = checks.checked_parser(parser, parsing_labels)
        self.calibrations = [*calibrations]  # for `compare`
        self._model = network.model
        self._variables = network.variables
        self._programs: dict[tuple[str, ...], Callable] = {}
        self._warned = False

    @classmethod
    def load(
        cls,
        source: str | os.PathLike | None = None,
        *,
        mesh: Mesh | None = None,
        flip: bool | None = None,
        parsing_labels: str | None = None,
        parser: str | Parser | None = None,
    ) -> "Embedder":
        """Reads a trained network.

        Args:
          source: what `mbnet_jax.runs.load.load` reads, such as a run's folder. None:
            the network that comes with the package, which was trained on synthetic
            people only; a warning says so.
          mesh: the devices to use. None: all devices of this process.
          flip: whether to add the mirrored image's embedding. None: as in the run
            (`eval.flip`).
          parsing_labels: the label set of the parsing maps that `embed` will be given.
            None: the run's (`data.parsing_labels`).
          parser: makes the maps on the way, for branches that need them: a preset of
            `load_parser`, such as "segformer", which is downloaded once; or what
            `load_parser` returned.

        Raises:
          FileNotFoundError: if there is no such network.
          ConnectionError: if the parser cannot be downloaded.
          ValueError: if it cannot be read; or naming an argument of a wrong type.
        """
        # Before the network is read, which takes a while.
        if source is not None:
            checks.check_path(source, "source")
        if flip is not None:
            checks.checked_flag("flip", flip)
        if parsing_labels is not None:
            checks.checked_label_set(parsing_labels)
        if isinstance(parser, str | os.PathLike):
            parser = load_parser(parser)
        parser = checks.checked_parser(parser, parsing_labels)
        mesh = checks.checked_mesh(
            make_mesh(jax.local_devices()) if mesh is None else mesh
        )
        if source is None:
            warnings.warn(
                "the network that comes with mbnet_jax was trained on synthetic people "
                "only; for real people, train a network on your own data and give that",
                stacklevel=2,
            )
            source = SHIPPED
        network = load(source, mesh)
        return cls(
            network,
            mesh,
            flip=flip,
            parsing_labels=parsing_labels,
            parser=parser,
            calibrations=read_calibrations(find(source), network.step),
        )

    def embed(
        self,
        images: Sequence[Photograph],
        parsing: Sequence[Photograph] | None = None,
        branches: Sequence[str] | None = None,
        batch_size: int = 64,
    ) -> np.ndarray:
        """Embeds a list of photographs: float32 [n, d], rows of length 1, in order.

        Args:
          images: paths, Pillow images and uint8 arrays [h, w, 3] in RGB; types and
            sizes may be mixed. An empty list gives no rows.
          parsing: their parsing maps: paths, Pillow images or uint8 arrays [h, w],
            each of its image's size. Not read if no branch needs them. Not given if
            the embedder has a parser. None: a network that can predict maps does so
            where a branch needs them.
          branches: the branches to combine. None: those of the run's evaluation
            (`eval.branches`); if there are neither `parsing` nor a parser nor
            predicted maps, only those that need no map, and a warning says once what
            is lost.
          batch_size: images per batch, rounded up to a multiple of the devices. A
            shorter list makes a batch of the next power of two.

        Raises:
          FileNotFoundError: naming a file that is missing.
          ValueError: naming an image or map that cannot be used (see
            `load_photograph`), or whose embedding is not of length 1; or naming an
            argument, or an item of it, of a wrong type or value.
        """
        images = checks.checked_list("images", images, checks.IMAGE)
        maps = (
            None
            if parsing is None
            else checks.checked_list("parsing", parsing, checks.MAP)
        )
        chosen = self.choose(branches, maps is not None)
        rows = np.empty((len(images), self.width(chosen)), np.float32)
        for indices, embedded in self.stream(images, maps, chosen, batch_size):
            rows[indices] = embedded
        return rows

    def choose(
        self,
        branches: Sequence[str] | None,
        with_maps: bool,
        remedy: str = GIVE_MAPS,
    ) -> tuple[str, ...]:
        """Returns the branches that `embed` combines, in the order of `BRANCHES`.

        Args:
          branches: as in `embed`.
          with_maps: whether there will be parsing maps besides those of the parser.
          remedy: what the user does to have maps, for messages.

        Raises:
          ValueError: if they are not a list of branches that the network has, or one
            needs parsing maps and there are none.
        """
        checks.checked_flag("with_maps", with_maps)
        has = self._model.branches
        requested = branches
        if branches is None:
            requested = tuple(self.config.eval.branches) or has
        chosen = checks.checked_branches(requested, has)
        needing = needing_maps(chosen)
        has_maps = with_maps or self.parser is not None or can_predict(self._model)
        if has_maps or not needing:
            return chosen
        others = [branch for branch in ordered(has) if branch not in needing_maps(has)]
        if branches is not None or not others:
            raise ValueError(cannot(needing, others, remedy))
        if not self._warned:
            self._warned = True
            warnings.warn(warning(needing, others, remedy), stacklevel=3)
        return tuple(others)

    def width(self, branches: tuple[str, ...]) -> int:
        """Returns the size d of an embedding of the branches that `choose` returned."""
        branches = checks.checked_branches(branches, self._model.branches)
        shape = (1, self.config.data.height, self.config.data.width)
        embedded = jax.eval_shape(
            embed_function(self.config, self._model, branches, self.flip, False),
            self._variables,
            jax.ShapeDtypeStruct((*shape, 3), np.uint8),
            jax.ShapeDtypeStruct(shape, np.uint8),
        )
        return _combined(embedded).shape[1]

    def predicts(self, branches: tuple[str, ...], with_maps: bool) -> bool:
        """Whether the network predicts the parsing maps that these branches take.

        Args:
          branches: what `choose` returned.
          with_maps: as in `choose`.
        """
        given = with_maps or self.parser is not None
        return not given and bool(needing_maps(branches)) and can_predict(self._model)

    def stream(
        self,
        images: Sequence[Photograph],
        parsing: Sequence[Photograph] | None,
        branches: tuple[str, ...],
        batch_size: int = 64,
        failed: Failed | None = None,
    ) -> Iterator[tuple[Sequence[int], np.ndarray]]:
        """Embeds batch by batch: yields indices in `images` and their rows [b, d].

        Args:
          images, parsing, batch_size: as in `embed`.
          branches: what `choose` returned.
          failed: called with the index of an image that cannot be used, and the
            error; the image is left out. None: the error is raised.
        """
        images = checks.checked_list("images", images, checks.IMAGE)
        if parsing is not None:
            parsing = checks.checked_list("parsing", parsing, checks.MAP)
        batch_size = checks.checked_batch_size(batch_size)
        branches = checks.checked_branches(branches, self._model.branches)
        if failed is not None and not callable(failed):
            raise ValueError(f"failed must be a function; it is {checks.kind(failed)}")
        checks.check_maps(images, parsing, self.parser)
        if not needing_maps(branches):
            parsing = None
        data, devices = self.config.data, self._mesh.size
        size = min(batch_size, 1 << (len(images) - 1).bit_length())
        size = -(-size // devices) * devices
        program = self._program(branches, self.predicts(branches, parsing is not None))
        shape = (size, data.height, data.width)
        made = self.parser if needing_maps(branches) else None
        batches = photograph_batches(
            images, made or parsing, self.parsing_labels, shape, data.threads, failed
        )
        embedded = embed_batches(
            lambda image, parsing: _combined(program(self._variables, image, parsing)),
            batches,
            len(images),
        )
        return of_length_1(embedded, images, self.config.name, failed)

    def _program(self, branches: tuple[str, ...], predicted: bool = False) -> Callable:
        """The compiled network of these branches, created once."""
        key = (*branches, *["predicted maps"] * predicted)
        if key not in self._programs:
            self._programs[key] = make_embed(
                self.config, self._model, self._mesh, branches, self.flip, predicted
            )
        return self._programs[key]


def _combined(embedded: dict[str, jax.Array]) -> jax.Array:
    """The combination, or the only branch, among what `make_embed` computes."""
    return embedded[ALL] if ALL in embedded else next(iter(embedded.values()))
