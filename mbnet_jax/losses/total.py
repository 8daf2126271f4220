"""The training loss: the weighted sum of all terms."""

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from mbnet_jax.losses.attention import background_constraint
from mbnet_jax.losses.clothes import (
    Clothes,
    clothes_adversarial,
    clothes_classification,
    clothes_subspace,
)
from mbnet_jax.losses.identity import (
    batch_hard_triplet,
    cross_entropy,
    supervised_contrastive,
)
from mbnet_jax.losses.parsing import (
    parsing_cross_entropy,
    part_edges,
    part_extents,
)
from mbnet_jax.losses.transfer import (
    distillation,
    feature_distillation,
    gate_area,
    similarity_distillation,
)
from mbnet_jax.models import BRANCHES, Outputs
from mbnet_jax.views import Targets


def total(
    outputs: Outputs,
    targets: Targets,
    pid: jax.Array,
    config: ConfigDict,
    clothes: Clothes | None = None,
) -> tuple[jax.Array, dict[str, jax.Array]]:
    """The training loss: every term whose branch and module are on, times its weight.

    Args:
      outputs: the network's, of a batch of B.
      targets: the batch's, from its parsing maps.
      pid: int32 [B], the class of each person.
      config: `config.loss`; a weight of 0 leaves its term out.
      clothes: the batch's, for CAL's terms and the directions of clothes; None leaves
        them out.

    Returns:
      The loss, and scalars to log: "loss", each term without its weight, and each
      branch's accuracy, if `identity` trains its classifier.
    """
    margin, combined = config.margin or None, outputs.combined
    contrast = config.get("contrastive_temperature", 0.1)
    terms = []  # (name, weight, loss, its arguments)
    for branch, logits in outputs.logits.items():
        smoothed = (logits, pid, config.label_smoothing)
        hard = (outputs.features[branch], pid, margin)
        terms += [
            (f"identity/{branch}", config.identity, cross_entropy, smoothed),
            (f"triplet/{branch}", config.triplet, batch_hard_triplet, hard),
            (
                f"contrastive/{branch}",
                config.get("contrastive", 0.0),
                supervised_contrastive,
                (outputs.embeddings[branch], pid, contrast),
            ),
        ]
    if outputs.gate_logits is not None:
        gated = (outputs.gate_logits, targets.area)
        terms.append(("ktm_area", config.ktm_area, gate_area, gated))
        for student, logits in outputs.logits.items():
            teacher = BRANCHES[student].partner
            if BRANCHES[student].module == "ktm" and teacher in outputs.logits:
                taught = (logits, outputs.logits[teacher], config.ktm_temperature)
                pair = (outputs.embeddings[student], outputs.embeddings[teacher])
                copied, similar = (
                    config.get(f"ktm_{kind}", 0.0)
                    for kind in ("features", "similarity")
                )
                terms += [
                    ("ktm_distill", config.ktm_distill, distillation, taught),
                    ("ktm_features", copied, feature_distillation, pair),
                    ("ktm_similarity", similar, similarity_distillation, pair),
                ]
    if outputs.attention is not None:
        form = config.get("background_form", "share")
        seen = (outputs.attention, targets.foreground, form)
        terms.append(("background", config.background, background_constraint, seen))
    if outputs.parsing_logits is not None:
        labelled = (outputs.parsing_logits, targets.parsing)
        ends = config.get("parser_extents", 0.0)
        terms += [
            ("parser", config.get("parser", 1.0), parsing_cross_entropy, labelled),
            ("parser_extents", ends, part_extents, labelled),
        ]
    if outputs.part_edges is not None:
        ends, weight = outputs.part_edges, config.get("parser_edges", 0.3)
        terms.append(("parser_edges", weight, part_edges, (ends, targets.parsing)))
    if outputs.balance is not None:
        terms.append(
            ("balance", config.balance, batch_hard_triplet, (combined, pid, None))
        )
    if outputs.projection is not None:
        pulled = (outputs.projection, pid, contrast)
        weight = config.get("projection", 1.0)
        terms.append(("projection", weight, supervised_contrastive, pulled))
    if clothes is not None and outputs.clothes_directions is not None:
        found = (outputs.unprojected, outputs.clothes_directions, pid, clothes.label)
        weight = config.get("clothes_subspace", 1.0)
        terms.append(("clothes_subspace", weight, clothes_subspace, found))
    if clothes is not None and outputs.clothes is not None:
        temperature = config.cal_temperature
        # No field for the weight of "clothes": it alone trains the clothes classifier,
        # and Adam is invariant to the scale of a gradient.
        worn = (outputs.clothes, clothes.label, temperature)
        confused = (outputs.adversarial, *clothes[:2], temperature, config.cal_epsilon)
        terms += [
            ("clothes", 1.0, clothes_classification, worn),
            ("cal", config.cal, clothes_adversarial, confused),
        ]

    terms = [term for term in terms if term[1]]
    values = {name: loss(*arguments) for name, _, loss, arguments in terms}
    weights = {name: weight for name, weight, *_ in terms}
    if "cal" in weights:
        weights["cal"] *= clothes.started
    loss = sum(weights[name] * value for name, value in values.items())
    accuracy = {
        f"accuracy/{branch}": jnp.mean(logits.argmax(-1) == pid)
        for branch, logits in outputs.logits.items()
        if config.identity
    }
    return loss, {"loss": loss, **values, **accuracy}
