"""Whether a config describes a network: the rules across fields, and names in tables.

`schema` checks each field by itself.
"""

from collections.abc import Iterator

from ml_collections import ConfigDict

from mbnet_jax.backbones import BACKBONES
from mbnet_jax.models.branches import BRANCHES
from mbnet_jax.models.check_backbones import backbone_problems
from mbnet_jax.refusals import instead, refuse, unknown
from mbnet_jax.views import VIEWS


def check_network(config: ConfigDict, what: str = "") -> None:
    """Refuses a config, checked by `check_config`, that describes no network.

    Args:
      config: the whole config.
      what: what has it, for the message.

    Raises:
      ValueError: with a line for each field.
    """
    refuse(network_problems(config), what)


def network_problems(config: ConfigDict) -> Iterator[str]:
    """What keeps `config` from describing a network, one line each."""
    named = [*_names(config)]
    yield from named
    model, views = config.model, config.views
    for name in model.branches:
        if name not in BRANCHES:
            continue
        if name not in model.backbones:
            yield (
                f"model.branches={(*model.branches,)} has {name!r}, which has no "
                f"backbone; add the section model.backbones.{name}"
            )
        view = BRANCHES[name].view
        if view != "image" and view not in views:
            yield (
                f"model.branches={(*model.branches,)} has {name!r}, which takes the "
                f"view {view!r}; add its size, views.{view}"
            )
    if views.get("crops", (0,))[0] % 2:
        yield (
            f"views.crops={(*views.crops,)} must have an even height: one half is of "
            "the head, the other of the legs"
        )
    width = model.fusion_width
    if model.cfm and (width % 4 or width % model.fusion_heads):
        yield (
            f"model.fusion_width={width} must be a multiple of 4, and of "
            f"model.fusion_heads={model.fusion_heads}"
        )
    zoom, stage = (model.get(f"ktm_{field}", 0) for field in ("zoom", "stage"))
    if model.ktm and zoom and stage:
        yield (
            f"model.ktm_zoom={zoom} has KTM's gate on the image, and model.ktm_stage="
            f"{stage} on a map; set one of them to 0"
        )
    image = model.get("parser_image", False)
    if image and not model.get("parser", False):
        yield (
            "model.parser_image=True says how model.parser=True predicts the parsing "
            "map, which is off; set both, or none"
        )
    defaults = {"parser_size": "small", "parser_initial": "", "parser_masks": False}
    for field, off in defaults.items():
        if model.get(field, off) != off and not image:
            yield (
                f"model.{field}={model[field]!r} is of model.parser_image=True, which "
                f"is off; set both, or model.{field}={off!r}"
            )
    reads_branch = model.get("parser", False) and not image
    if model.ktm and zoom and reads_branch and not model.get("ktm_residual", 1):
        yield (
            "model.ktm_residual=False hides clothes from the global branch, from which "
            "model.parser=True predicts the parsing map; set one of them to the other "
            "value, model.ktm_zoom=0, or model.parser_image=True"
        )
    if model.get("parser", False) and not any(
        name in BRANCHES and BRANCHES[name].parses for name in model.branches
    ):
        parsing = " or ".join(name for name, b in BRANCHES.items() if b.parses)
        yield (
            f"model.parser=True needs the branch {parsing}, which is not in "
            f"model.branches={(*model.branches,)}; add it, or set model.parser=False"
        )
    if not named:
        yield from backbone_problems(config)


def _names(config: ConfigDict) -> Iterator[str]:
    """The names that the tables of branches, views and backbones do not have."""
    model = config.model
    for name in model.branches:
        if name not in BRANCHES:
            yield f"model.branches={(*model.branches,)}: " + unknown(name, BRANCHES)
    for name in model.backbones:
        if name not in BRANCHES:
            known = [f"model.backbones.{branch}" for branch in BRANCHES]
            yield unknown(f"model.backbones.{name}", known)
    fields = [name for name in (*VIEWS, "background") if name != "image"]
    for name in config.views:
        if name not in fields:
            yield unknown(f"views.{name}", [f"views.{field}" for field in fields])
    for branch, backbone in model.backbones.items():
        if backbone.name not in BACKBONES:
            yield (
                f"model.backbones.{branch}.name={backbone.name!r} is an unknown "
                f"backbone; {instead(backbone.name, BACKBONES)}"
            )
