"""What identifies the embeddings of an `Embedder`, for caches and indexes."""

import functools
from collections.abc import Mapping
from typing import Any

from ml_collections import ConfigDict

from mbnet_jax.models import MBNet
from mbnet_jax.parsing.segmenter import Parser
from mbnet_jax.search import checks
from mbnet_jax.search.identity import origin_digest, settings_digest, weights_digest


class Identified:
    """The digests of an `Embedder`."""

    config: ConfigDict
    flip: bool
    parsing_labels: str
    parser: Parser | None
    _model: MBNet
    _variables: Mapping[str, Any]

    def digest(self, branches: tuple[str, ...], with_maps: bool = True) -> str:
        """Returns 32 letters that identify how photographs are embedded.

        They depend on the weights, network, branches, views, size and flip; and if a
        branch needs parsing maps on the parser, or the label set of maps, or that the
        network predicts them.

        Args:
          branches: what `choose` returned.
          with_maps: as in `choose`.
        """
        return settings_digest(
            self.config,
            self._weights_digest,
            checks.checked_branches(branches, self._model.branches),
            self.flip,
            self.parsing_labels,
            None if self.parser is None else self.parser.digest,
            self.predicts(branches, with_maps),
        )

    def origin(self, branches: tuple[str, ...]) -> str:
        """Returns 32 letters for network and branches; see `origin_digest`."""
        branches = checks.checked_branches(branches, self._model.branches)
        return origin_digest(self.config, self._variables, branches, self.flip)

    @functools.cached_property
    def _weights_digest(self) -> str:
        """A digest of the names, shapes and bits of weights and batch statistics."""
        return weights_digest(self._variables)
