"""The functions that an export writes: from images to embeddings, weights inside."""

import math
from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from mbnet_jax.evaluation.branches import chosen_branches, sub_network
from mbnet_jax.evaluation.embed_function import ALL, embed_function
from mbnet_jax.evaluation.predicted import can_predict
from mbnet_jax.models.branches import needing_maps
from mbnet_jax.runs.network import Network, abstract_variables

# Bytes of a program's weights: both kinds of file count theirs in 31 bits.
MOST_BYTES = (1 << 31) - (1 << 24)


class Program(NamedTuple):
    """A function, to be written in forms that need no other file.

    Attributes:
      name: of its files, without their endings.
      embedding: what it returns, "all" or a branch.
      branches: the branches that take part.
      embed: (image, and parsing if it is in `inputs`) -> float32 [b, width], rows of
        length 1. Includes normalising, views and mirrored images.
      inputs: "image" and, if a branch needs it, "parsing" -> the shape of one, uint8.
      width: of the embedding.
      predicts: whether the network predicts the parsing maps that the branches take.
    """

    name: str
    embedding: str
    branches: tuple[str, ...]
    embed: Callable[..., jax.Array]
    inputs: dict[str, tuple[int, ...]]
    width: int
    predicts: bool = False

    @property
    def title(self) -> str:
        """The embedding's name, which says if parsing maps are predicted."""
        return self.embedding + " without maps" * self.predicts

    def described(self) -> dict:
        """Returns inputs and output for a JSON file."""
        return {
            "embedding": self.title,
            "branches": list(self.branches),
            "inputs": {name: ["b", *shape] for name, shape in self.inputs.items()},
            "output": ["b", self.width],
        }

    def arguments(self) -> list[jax.ShapeDtypeStruct]:
        """Returns the shapes of the arguments of `embed`, with a free batch size b."""
        (batch,) = export.symbolic_shape("b")
        return [
            jax.ShapeDtypeStruct((batch, *shape), np.uint8)
            for shape in self.inputs.values()
        ]


def make_programs(network: Network, branches: tuple[str, ...]) -> list[Program]:
    """Returns the main program, then those that take no parsing maps.

    They are the main embedding with predicted maps, if the network can predict them,
    and the embedding of each branch that needs none.

    Args:
      network: the network.
      branches: those that the main embedding combines; empty: all.

    Raises:
      ValueError: if `branches` names a branch that the network does not have.
    """
    chosen = chosen_branches(branches, network.model)
    programs = [_program("embed", chosen, network)]
    if needing_maps(chosen) and can_predict(network.model):
        programs.append(_program("embed_without_maps", chosen, network, predicts=True))
    if len(chosen) > 1:
        programs += [
            _program(f"embed_{branch}", (branch,), network)
            for branch in chosen
            if not needing_maps([branch])
        ]
    return programs


def check_size(network: Network, branches: tuple[str, ...]) -> None:
    """Refuses programs that no file can hold.

    Args:
      network, branches: as in `make_programs`.

    Raises:
      ValueError: if the weights of the main program are too many.
    """
    part = sub_network(network.model, chosen_branches(branches, network.model))
    shapes = jax.tree.leaves(abstract_variables(network.config, part))
    size = sum(math.prod(x.shape) * x.dtype.itemsize for x in shapes)
    if size > MOST_BYTES:
        raise ValueError(
            f"the embedding of {', '.join(part.branches)} has {size / 1e9:.2f} GB of "
            "weights, and files of StableHLO and ONNX hold 2 GB at most; name fewer "
            "--branches, or write the weights alone: --no-stablehlo --no-onnx"
        )


def _program(
    name: str, branches: tuple[str, ...], network: Network, predicts: bool = False
) -> Program:
    data = network.config.data
    function = embed_function(
        network.config, network.model, branches, predicted=predicts
    )
    embedding = ALL if len(branches) > 1 else branches[0]
    inputs = {"image": (data.height, data.width, 3)}
    if needing_maps(branches) and not predicts:
        inputs["parsing"] = (data.height, data.width)

    def embed(image, parsing=None):
        # Without the barrier XLA computes what depends on weights alone while it
        # compiles, slowly: the compilation took twice as long.
        variables = jax.tree.map(jax.lax.optimization_barrier, network.variables)
        return function(variables, image, parsing)[embedding]

    one = [jnp.zeros((1, *shape), jnp.uint8) for shape in inputs.values()]
    width = jax.eval_shape(embed, *one).shape[-1]
    return Program(name, embedding, branches, embed, inputs, width, predicts)
