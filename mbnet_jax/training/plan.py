"""What a run does at which step: checked against the data before it starts."""

from dataclasses import dataclass

import numpy as np
import optax
from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.data import Dataset
from mbnet_jax.data.sampler import IdentityBalancedSampler
from mbnet_jax.training.accumulation import order_on_devices
from mbnet_jax.training.check import check_steps
from mbnet_jax.training.clothes import ClothesClasses, clothes_classes
from mbnet_jax.training.optimizer import make_schedule


@dataclass(frozen=True)
class Plan:
    """The schedule of a run, a function of its config, data and devices.

    Attributes:
      sampler: the images of each batch.
      order: int [B]: row r of the sharded batch is row `order[r]` of the sampler's.
      classes: the classes of clothes, for CAL's losses; or None.
      schedule: learning rate by step.
      total: steps of the run.
      log_every, checkpoint_every, eval_every: in steps.
    """

    sampler: IdentityBalancedSampler
    order: np.ndarray
    classes: ClothesClasses | None
    schedule: optax.Schedule
    total: int
    log_every: int
    checkpoint_every: int
    eval_every: int

    def logs(self, step: int) -> bool:
        """Whether a line of metrics ends at `step`."""
        return step % self.log_every == 0

    def evaluates(self, step: int) -> bool:
        """Whether the state at `step` is validated."""
        return step > 0 and (step % self.eval_every == 0 or step == self.total)

    def saves(self, step: int) -> bool:
        """Whether the state at `step` is saved."""
        return self.evaluates(step) or step % self.checkpoint_every == 0


def make_plan(config: ConfigDict, dataset: Dataset, mesh: Mesh) -> Plan:
    """Derives the schedule.

    Raises:
      ValueError: if a field does not fit the data.
    """
    train = config.train
    sizes = [len(part.train) for part in dataset.parts.values()]
    sampler = IdentityBalancedSampler(
        dataset.train.pid,
        dataset.train.clothes,
        batch_size=train.batch_size,
        images_per_identity=train.images_per_identity,
        seed=config.seed,
        tracklet=dataset.train.tracklet,
        dataset=np.repeat(np.arange(len(sizes)), sizes),
        shares=config.data.get("shares", ()),
    )
    steps_per_epoch = train.steps_per_epoch or max(
        len(dataset.train) // train.batch_size, 1
    )
    check_steps(train.epochs, steps_per_epoch)
    return Plan(
        sampler,
        order_on_devices(train.batch_size, train.accumulate, mesh.size),
        clothes_classes(config, dataset.train, steps_per_epoch),
        make_schedule(train, steps_per_epoch),
        total=train.epochs * steps_per_epoch,
        log_every=train.log_every,
        checkpoint_every=train.checkpoint_every,
        eval_every=config.eval.every_epochs * steps_per_epoch,
    )
