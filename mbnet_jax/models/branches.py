"""The branches of MBNet: one entry each, with everything that is particular to it.

The rest of the package loops over this table, so a further branch is one more entry
(docs/extending.md). `mbnet.py` shows how the branches are wired.
"""

from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax


class AttentionMap(NamedTuple):
    """A map that a branch's module computes, and how it is drawn.

    Attributes:
      title: its caption.
      unit: of its values.
      view: the view that it is drawn over, of `views.VIEWS`.
    """

    title: str
    unit: str
    view: str


class Branch(NamedTuple):
    """One branch.

    Attributes:
      title: what tables and charts call it.
      view: the view it takes, of `views.VIEWS`.
      needs_map: whether that view is made from a parsing map, which test images then
        need too.
      module: the module that refines its map: "ktm", "fam", "cfm", or none.
      partner: the branch that the module works with: KTM's teacher, or the branch
        whose map CFM fuses with this one's. It stands earlier in the table if its map
        is needed.
      attention: the module's map, as pictures show it.
      adversarial: whether CAL's loss (Gu et al., CVPR 2022) trains it.
      parses: whether the parsing head reads its backbone. Its view needs no map.
    """

    title: str
    view: str
    needs_map: bool
    module: str | None = None
    partner: str | None = None
    attention: AttentionMap | None = None
    adversarial: bool = False
    parses: bool = False


# In the order of tables, charts and balance weights.
BRANCHES: dict[str, Branch] = {
    "global": Branch(
        title="global branch",
        view="image",
        needs_map=False,
        module="ktm",
        partner="clothing_unrelated",
        attention=AttentionMap("KTM's gate", "0 to 1", "image"),
        adversarial=True,
        parses=True,
    ),
    "clothing_unrelated": Branch(
        title="clothing-unrelated branch",
        view="crops",
        needs_map=True,
        module="fam",
        attention=AttentionMap("FAM's attention", "0 to 1", "crops"),
    ),
    "mask": Branch(
        title="mask branch",
        view="silhouette",
        needs_map=True,
        module="cfm",
        partner="clothing_unrelated",
        attention=AttentionMap(
            "CFM: where the silhouette attends", "times the uniform weight", "crops"
        ),
    ),
}


def ordered(branches: Iterable[str]) -> tuple[str, ...]:
    """The named branches in the order of the table.

    Raises:
      ValueError: if a name is unknown, or there is none.
    """
    chosen = tuple(branches)
    unknown = [name for name in chosen if name not in BRANCHES]
    if unknown or not chosen:
        raise ValueError(f"branches are {chosen}; name one or more of {(*BRANCHES,)}")
    return tuple(name for name in BRANCHES if name in chosen)


def needing_maps(branches: Iterable[str]) -> list[str]:
    """Those of the branches whose view is made from a parsing map."""
    return [name for name in branches if BRANCHES[name].needs_map]


def views_of_branches(branches: Iterable[str]) -> tuple[str, ...]:
    """The views that the branches take, each once."""
    return tuple(dict.fromkeys(BRANCHES[name].view for name in branches))


def owner(branch: str, backbones: Mapping[str, Mapping[str, Any]]) -> str:
    """The branch whose backbone `branch` uses: by the field `share`, or itself.

    Args:
      branch: a name.
      backbones: `config.model.backbones`. If a branch shares a backbone, only `share`
        and `pooling` of its section are read.
    """
    return backbones.get(branch, {}).get("share") or branch


def backbone_module(branch: str, backbones: Mapping[str, Mapping[str, Any]]) -> str:
    """The name of a branch's backbone among the network's parameters.

    It is that of its owner, so `branch` finds its weights without the owner too.
    """
    return f"{owner(branch, backbones)}_backbone"


def owned_backbones(
    branches: Iterable[str], backbones: Mapping[str, Mapping[str, Any]]
) -> dict[str, str]:
    """Each owner of a backbone that the branches use -> `backbone_module` of it."""
    return {
        owner(branch, backbones): backbone_module(branch, backbones)
        for branch in branches
    }


def branch_keys(keys: jax.Array | None, branch: str) -> jax.Array | None:
    """Keys [B] for a branch's backbone, from those of the images, if there are any.

    A branch has the same ones whichever others are on.
    """
    if keys is None:
        return None
    return jax.vmap(jax.random.fold_in, (0, None))(keys, [*BRANCHES].index(branch))
