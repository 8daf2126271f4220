"""Whether backbones fit their branches: sharing, sizes of views, poolings."""

from collections.abc import Iterator, Mapping

import jax
import jax.numpy as jnp
from ml_collections import ConfigDict

from mbnet_jax.backbones import BACKBONES, Features, make_backbone
from mbnet_jax.models.branches import BRANCHES, Branch, owner
from mbnet_jax.models.heads import OF_TOKENS, pooled_size
from mbnet_jax.views import VIEWS


def backbone_problems(config: ConfigDict) -> Iterator[str]:
    """What does not go together, a line each; names are known, sections complete.

    Args:
      config: the whole config. Branches that lack a section are skipped.
    """
    backbones = config.model.backbones
    for name in config.model.branches:
        branch = BRANCHES[name]
        if name not in backbones or size_of_view(config, branch.view) is None:
            continue
        wrong = [*_sharing(config, name)] or [*_size(config, name)]
        wrong = wrong or [*_pooling(config, name), *_stage(config, name)]
        yield from wrong or _rank(config, name)


def size_of_view(config: ConfigDict, view: str) -> tuple[int, int] | None:
    """Height and width of a view in pixels; None if the config has none."""
    if view == "image":
        return config.data.height, config.data.width
    return (*config.views[view],) if view in config.views else None


def _sharing(config: ConfigDict, name: str) -> Iterator[str]:
    """Whether the branch can use the backbone of the one that it names."""
    backbones = config.model.backbones
    share = backbones[name].get("share", "")
    if not share:
        return
    field = f"model.backbones.{name}.share={share!r}"
    on = [other for other in config.model.branches if other != name]
    if share not in on:
        yield (
            f"{field} must be another branch of model.branches="
            f"{(*config.model.branches,)}; name one, or set it to ''"
        )
        return
    if share not in backbones:
        return
    if backbones[share].get("share", ""):
        yield (
            f"{field} names a branch that has no backbone of its own: "
            f"model.backbones.{share}.share={backbones[share].share!r}; name that "
            "branch, or set one of them to ''"
        )
        return
    views = {branch: BRANCHES[branch].view for branch in (name, share)}
    channels = {branch: VIEWS[view].channels for branch, view in views.items()}
    if channels[name] != channels[share]:
        yield (
            f"{field}: the view of {name} has {channels[name]} channels, that of "
            f"{share} {channels[share]}, so they cannot have one backbone; set it to ''"
        )
        return
    sizes = {branch: size_of_view(config, view) for branch, view in views.items()}
    if None in sizes.values() or sizes[name] == sizes[share]:
        return
    multiple = BACKBONES[backbones[share].name].multiple
    if any(side % multiple for side in sizes[share]):
        return  # refused in the other branch
    _, params = _shapes(config, backbones[share], BRANCHES[share])
    # A learned position embedding belongs to one grid.
    if "pos_embed" in params:
        yield (
            f"{field}: the position embedding of {backbones[share].name} is of one "
            f"size, but {_field(views[name])}={sizes[name]} and {_field(views[share])}"
            f"={sizes[share]}; make them equal, or set {field.split('=')[0]} to ''"
        )


def _size(config: ConfigDict, name: str) -> Iterator[str]:
    """Whether the backbone takes the view's size."""
    view = BRANCHES[name].view
    own = owner(name, config.model.backbones)
    backbone = config.model.backbones.get(own)
    multiple = BACKBONES[backbone.name].multiple if backbone else 1
    size = size_of_view(config, view)
    if any(side % multiple for side in size):
        near = ", ".join(
            f"{title} {' or '.join(map(str, _near(side, multiple)))}"
            for title, side in zip(("height", "width"), size, strict=True)
            if side % multiple
        )
        yield (
            f"{_field(view)}={size} must be multiples of {multiple}, the patch of "
            f"model.backbones.{own}.name={backbone.name!r}; nearest: {near}"
        )


def _near(side: int, multiple: int) -> list[int]:
    """The next smaller and the next larger multiple."""
    below = side // multiple * multiple
    return [size for size in (below, below + multiple) if size]


def _field(view: str) -> str:
    """The fields that set a view's size."""
    return "data.height, data.width" if view == "image" else f"views.{view}"


def _pooling(config: ConfigDict, name: str) -> Iterator[str]:
    """Whether the branch has what its pooling reads."""
    model, branch = config.model, BRANCHES[name]
    own = model.backbones[name].get("pooling", "")
    pooling = own or model.pooling
    field = f"model.backbones.{name}.pooling"
    given = f"{field}={own!r}" if own else f"model.pooling={pooling!r}"
    fused = branch.module == "cfm" and model.cfm and branch.partner in model.branches
    backbone = model.backbones.get(owner(name, model.backbones))
    if backbone is None or pooling not in ("gem", *OF_TOKENS):
        return
    if pooling == "gem":
        # A fused map ends in a ReLU, as those of residual networks do.
        if not fused and _has_token(config, backbone, branch):
            yield (
                f"{given} takes a map without negative values, and that of "
                f"{backbone.name}, of the branch {name}, has them: it would drop half "
                f"of it; set {field}='max_avg' or 'token_avg'"
            )
    elif fused:
        yield (
            f"{given} reads a class token, and CFM gives the branch {name} a map "
            f"alone; set {field}='max_avg'"
        )
    elif not _has_token(config, backbone, branch):
        yield (
            f"{given} reads a class token, which {backbone.name}, of the branch "
            f"{name}, does not have; set {field}='max_avg'"
        )
    elif pooling == "token" and _is_refined(model, branch):
        yield (
            f"{given} leaves out the map that model.{branch.module} refines in the "
            f"branch {name}; set {field}='token_avg', or model.{branch.module}=False"
        )


def _stage(config: ConfigDict, name: str) -> Iterator[str]:
    """Whether the branch's module can work after a stage of its backbone."""
    model, module = config.model, BRANCHES[name].module
    stage = model.get(f"{module}_stage", 0)
    own = owner(name, model.backbones)
    if own not in model.backbones or not stage or not model[module]:
        return
    given, backbone = f"model.{module}_stage={stage}", model.backbones[own].name
    most = BACKBONES[backbone].stages
    if stage > most:
        yield (
            f"{given} needs a backbone of so many stages, and {backbone}, of the "
            f"branch {name}, has {most or 'none'}; set model.{module}_stage=0"
        )
    others = [
        other
        for other in model.branches
        if other != name and owner(other, model.backbones) == own
    ]
    if others:
        yield (
            f"{given} changes the maps within the backbone of {name} alone, and "
            f"{', '.join(others)} shares it: the running statistics of its batch norms "
            f"would fit neither; set model.{module}_stage=0, or share to ''"
        )


def _rank(config: ConfigDict, name: str) -> Iterator[str]:
    """Whether something of the embedding is left beside the directions of clothes."""
    rank = config.model.get("clothes_rank", 0)
    if not rank or not BRANCHES[name].adversarial:
        return
    size = embedding_size(config, name)
    if rank >= size:
        yield (
            f"model.clothes_rank={rank} must be below the size of the embedding of "
            f"the branch {name}, {size}"
        )


def embedding_size(config: ConfigDict, name: str) -> int:
    """The size of a branch's embedding; computes nothing.

    Args:
      config: the whole config, whose backbones fit their branches.
      name: of the branch.
    """
    model, branch = config.model, BRANCHES[name]
    pooling = model.backbones[name].get("pooling", "") or model.pooling
    if branch.module == "cfm" and model.cfm and branch.partner in model.branches:
        return pooled_size(pooling, model.fusion_width)
    backbone = model.backbones[owner(name, model.backbones)]
    channels = features_of(config, backbone, branch).map.shape[-1]
    return pooled_size(pooling, channels)


def _is_refined(model: ConfigDict, branch: Branch) -> bool:
    """Whether a module other than CFM refines the branch's map."""
    if branch.module == "ktm" and model.get("ktm_zoom", 0):
        return False  # KTM then works on the image
    return branch.module in ("ktm", "fam") and model[branch.module]


def _has_token(config: ConfigDict, backbone: ConfigDict, branch: Branch) -> bool:
    """Whether the backbone gives a class token, as transformers do."""
    return features_of(config, backbone, branch).token is not None


def features_of(config: ConfigDict, backbone: ConfigDict, branch: Branch) -> Features:
    """The shapes of a backbone's features of one view; computes nothing.

    Args:
      config: the whole config.
      backbone: a section of `config.model.backbones`.
      branch: whose view it takes.
    """
    return _shapes(config, backbone, branch)[0]


def _shapes(
    config: ConfigDict, backbone: ConfigDict, branch: Branch
) -> tuple[Features, Mapping]:
    """Those of a backbone's features and of its parameters."""
    size = size_of_view(config, branch.view)
    view = jnp.zeros((1, *size, VIEWS[branch.view].channels))
    module = make_backbone(backbone.to_dict(), dtype=jnp.float32, name=None)
    features, variables = jax.eval_shape(
        lambda view: module.init_with_output(jax.random.key(0), view, train=False), view
    )
    return features, variables["params"]
