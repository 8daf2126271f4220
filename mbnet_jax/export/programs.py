"""What an export computes: functions of images, with the weights inside."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import export

from mbnet_jax.evaluation.embed import ALL, embed_function, evaluated_branches
from mbnet_jax.runs.load import Trained


class Program(NamedTuple):
    """A function to be written in forms that need no other file.

    name: of its files, without their endings.
    embedding: what it returns, "all" or a branch.
    branches: those that take part.
    embed: (image, and parsing if it is in `inputs`) -> float32 [b, width], rows of
      length 1. Normalising, views and mirrored images are part of it.
    inputs: "image", and unless the global branch alone takes part "parsing" -> the
      shape of one, uint8.
    width: of the embedding.
    """

    name: str
    embedding: str
    branches: tuple[str, ...]
    embed: Callable[..., jax.Array]
    inputs: dict[str, tuple[int, ...]]
    width: int

    def described(self) -> dict:
        """What it takes and returns, for a JSON file."""
        return {
            "embedding": self.embedding,
            "branches": list(self.branches),
            "inputs": {name: ["b", *shape] for name, shape in self.inputs.items()},
            "output": ["b", self.width],
        }

    def arguments(self) -> list[jax.ShapeDtypeStruct]:
        """What `embed` takes, of a free batch size b."""
        (batch,) = export.symbolic_shape("b")
        return [
            jax.ShapeDtypeStruct((batch, *shape), np.uint8)
            for shape in self.inputs.values()
        ]


def make_programs(trained: Trained) -> list[Program]:
    """The main embedding of `eval.branches`; then, if it is another, the global one.

    The global branch alone needs no parsing maps.

    Raises:
      ValueError: if `eval.branches` names a branch that the network does not have.
    """
    branches = evaluated_branches(trained.config.eval.branches, trained.model)
    made = [_program("embed", branches, trained)]
    if "global" in branches and len(branches) > 1:
        made.append(_program("embed_global", ("global",), trained))
    return made


def _program(name: str, branches: tuple[str, ...], trained: Trained) -> Program:
    config = trained.config.copy_and_resolve_references()
    config.eval.branches = branches
    function = embed_function(config, trained.model)
    embedding = ALL if len(branches) > 1 else branches[0]
    size = (config.data.height, config.data.width)
    inputs = {"image": (*size, 3)}
    if branches != ("global",):
        inputs["parsing"] = size

    def embed(image, parsing=None):
        # Without the barrier XLA computes what depends on weights alone while it
        # compiles, slowly: the compilation took twice as long.
        variables = jax.tree.map(jax.lax.optimization_barrier, trained.variables)
        return function(variables, image, parsing)[embedding]

    one = [jnp.zeros((1, *shape), jnp.uint8) for shape in inputs.values()]
    width = jax.eval_shape(embed, *one).shape[-1]
    return Program(name, embedding, branches, embed, inputs, width)
