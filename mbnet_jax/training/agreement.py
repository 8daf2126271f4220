"""What one process wishes, all do after the same step.

Signals and bad images meet one process, but only together can they stop and save. The
wishes travel with the batches, and the step tells whether there was any: a program of
its own would meet the step's in another order in each process.
"""

import jax
import numpy as np
from jax.sharding import Mesh

from mbnet_jax.devices.mesh import batch_sharding

# In a batch: the wishes, bool [devices]. In the step's scalars: was there any, bool [].
QUESTION = "question"


class Agreement:
    """Asks with each step whether any process wishes something."""

    def __init__(self, mesh: Mesh):
        """Takes the mesh that the step runs on."""
        self._mesh = mesh
        self._wish = False
        self._answer: jax.Array | None = None

    def question(self) -> dict[str, jax.Array]:
        """What to add to the batch; nothing if this is the only process."""
        if jax.process_count() == 1:
            return {}
        wishes = np.full(len(self._mesh.local_devices), self._wish)
        sharding = batch_sharding(self._mesh)
        return {
            QUESTION: jax.make_array_from_process_local_data(
                sharding, wishes, (self._mesh.size,)
            )
        }

    def reached(self, wish: bool, scalars: dict[str, jax.Array]) -> bool:
        """Whether to do it now, after a step; its answer is taken out of `scalars`.

        Of several processes this is what any wished two steps ago: the last answer
        is looked at when the devices have the next step to work on.
        """
        self._wish = wish
        if jax.process_count() == 1:
            return wish
        answer, self._answer = self._answer, scalars.pop(QUESTION)
        return answer is not None and bool(answer)
