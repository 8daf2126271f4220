"""The training objective: every loss, its weight, and what is logged of it."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from mbnet_jax import losses
from mbnet_jax.models import Outputs
from mbnet_jax.training.clothes import Clothes
from mbnet_jax.views import Views


def objective(
    outputs: Outputs,
    views: Views,
    pid: jax.Array,
    config: ConfigDict,
    clothes: Clothes | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The weighted sum of the losses whose branches and modules are on.

    Args:
      outputs: the network's, of a batch of B.
      views: the batch's; `area` and `foreground` are the targets from parsing maps.
      pid: int32 [B], the class of each person.
      config: `config.loss`; a weight of 0 leaves its term out.
      clothes: the batch's, for CAL's terms; None leaves them out.

    Returns:
      The loss, and scalars to log: each term unweighted, each branch's accuracy.
    """
    margin = config.margin or None
    weights, terms = {}, {}

    def add(name: str, weight: float, loss, *args) -> None:
        if weight:
            weights[name] = weight
            terms[name] = loss(*args)

    for branch, logits in outputs.logits.items():
        add(
            f"identity/{branch}",
            config.identity,
            losses.cross_entropy,
            logits,
            pid,
            config.label_smoothing,
        )
        add(
            f"triplet/{branch}",
            config.triplet,
            losses.batch_hard_triplet,
            outputs.features[branch],
            pid,
            margin,
        )
    if outputs.gate_logits is not None:
        add(
            "ktm_area",
            config.ktm_area,
            losses.gate_area,
            outputs.gate_logits,
            views.area,
        )
        if "clothing_unrelated" in outputs.logits:
            add(
                "ktm_distill",
                config.ktm_distill,
                losses.distillation,
                outputs.logits["global"],
                outputs.logits["clothing_unrelated"],
                config.ktm_temperature,
            )
    if outputs.attention is not None:
        add(
            "background",
            config.background,
            losses.background_constraint,
            outputs.attention,
            views.foreground,
        )
    if outputs.balance is not None:
        add(
            "balance",
            config.balance,
            losses.batch_hard_triplet,
            outputs.combined,
            pid,
            None,
        )
    if clothes is not None:
        # No field for its weight: it alone trains the clothes classifier, and Adam
        # does not notice the size of a gradient.
        add(
            "clothes",
            1.0,
            losses.clothes_classification,
            outputs.clothes,
            clothes.label,
            config.cal_temperature,
        )
        add(
            "cal",
            config.cal,
            losses.clothes_adversarial,
            outputs.adversarial,
            clothes.label,
            clothes.same_person,
            config.cal_temperature,
            config.cal_epsilon,
        )
        weights["cal"] *= clothes.started
    total = sum(weights[name] * term for name, term in terms.items())
    accuracy = {
        f"accuracy/{branch}": jnp.mean(logits.argmax(-1) == pid)
        for branch, logits in outputs.logits.items()
    }
    return total, {"loss": total, **terms, **accuracy}
