"""Training some modules of the network alone, `train.only`; ours.

All other modules keep their parameters and batch statistics bit for bit. Their batch
norm uses the batch's statistics all the same, as it does in any training.
"""

from collections.abc import Collection, Mapping
from typing import Any

import jax

from mbnet_jax.refusals import unknown

Tree = Mapping[str, Any]  # module -> its parameters or batch statistics


def check_only(only: Collection[str], params: Tree) -> None:
    """Refuses names that are not of the network's modules.

    Raises:
      ValueError: naming them and the modules.
    """
    for name in only:
        if name not in params:
            raise ValueError(f"train.only={(*only,)}: " + unknown(name, params))


def with_gradients_of(only: Collection[str], params: Tree) -> Tree:
    """The parameters, of which those of other modules get no gradient; (): all do."""
    if not only:
        return params
    return {
        name: own if name in only else jax.lax.stop_gradient(own)
        for name, own in params.items()
    }


def changed_in(only: Collection[str], new: Tree, old: Tree) -> Tree:
    """`new`, but `old` in other modules; (): `new`."""
    if not only:
        return new
    return {name: (new if name in only else old)[name] for name in new}
