"""Which branches of a network are embedded with, and the part that computes them."""

from collections.abc import Sequence

from mbnet_jax.models import BRANCHES, MBNet
from mbnet_jax.models.branches import ordered


def chosen_branches(
    requested: Sequence[str], model: MBNet, field: str = "eval.branches"
) -> tuple[str, ...]:
    """Returns the requested branches, or all of the model's, in table order.

    Raises:
      ValueError: if the model does not have one of them; the message names `field`.
    """
    missing = [branch for branch in requested if branch not in model.branches]
    if missing:
        raise ValueError(
            f"{field}={tuple(requested)} names branches that the network does not "
            f"have: {', '.join(map(repr, missing))}; it has {tuple(model.branches)}"
        )
    return ordered(requested or model.branches)


def sub_network(model: MBNet, branches: Sequence[str]) -> MBNet:
    """Returns the part of the network that computes these branches' embeddings.

    What predicts parsing maps is not part of it, unless it masks a branch's view.

    A branch that CFM fuses with another one was trained on the fused map, so the other
    branch is part of it too. Only the whole network has its balance or projection,
    whose parameters take the embeddings of all branches.
    """
    if model.parser and not model.parser_masks:
        model = model.clone(parser=False)
    if len(branches) == len(model.branches):
        return model
    fused = [
        BRANCHES[name].partner
        for name in branches
        if BRANCHES[name].module == "cfm" and model.cfm
    ]
    needed = {*branches, *fused} & {*model.branches}
    return model.clone(branches=ordered(needed), balance=False, projection=0)
