"""Stops every process after the same step once any process asks to.

A signal or bad images reach one process, but only all together can stop and save. The
votes travel with the batches through the step's program: a program of their own would
be ordered differently against the step's in each process.
"""

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from mbnet_jax.devices.mesh import batch_sharding, replicated
from mbnet_jax.training.step import compiled


class Votes:
    """Takes a vote of all processes with each training step.

    With a single process its own vote decides, and nothing is added to the step.
    """

    def __init__(self, mesh: Mesh):
        """Takes the mesh that the step runs on."""
        self._mesh = mesh
        self._vote = False
        self._newest: jax.Array | None = None
        self._outcome: jax.Array | None = None

    def compiled(self, step: Callable, state: Any = None) -> Callable:
        """Compiles a step (state, batch) -> (state, scalars), with the vote added.

        `state` is as in `step.compiled`.
        """
        if jax.process_count() == 1:
            return compiled(step, self._mesh, state)
        whole, split = replicated(self._mesh), batch_sharding(self._mesh)

        def with_vote(state, batch, votes):
            return *step(state, batch), jnp.any(votes)

        kept = whole if state is None else state
        program = jax.jit(
            with_vote,
            in_shardings=(kept, split, split),
            out_shardings=(kept, whole, whole),
            donate_argnums=0,
        )

        def run(state, batch):
            votes = np.full(len(self._mesh.local_devices), self._vote)
            votes = jax.make_array_from_process_local_data(
                split, votes, (self._mesh.size,)
            )
            state, scalars, self._newest = program(state, batch, votes)
            return state, scalars

        return run

    def decided(self, vote: bool) -> bool:
        """Whether to stop after the step that just ran; casts this process's vote.

        With several processes this is what any of them voted two steps ago: an outcome
        is fetched only when the devices have the next step to work on.
        """
        self._vote = vote
        if jax.process_count() == 1:
            return vote
        outcome, self._outcome = self._outcome, self._newest
        return outcome is not None and bool(outcome)
