"""The rules across fields of a run's config, before data or devices are touched.

`schema` checks each field by itself, `models.check` those of the network, and
`check_data` those of the data.
"""

from collections.abc import Iterator

from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.backbones import BACKBONES
from mbnet_jax.backbones.weights.pretrained import check_published
from mbnet_jax.config import check_config
from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.data.sampler import check_batch
from mbnet_jax.devices.mesh import check_divisible
from mbnet_jax.models import BRANCHES
from mbnet_jax.models.branches import owned_backbones, owner
from mbnet_jax.models.check import network_problems
from mbnet_jax.models.check_backbones import (
    embedding_size,
    features_of,
    size_of_view,
)
from mbnet_jax.models.modules import gate_size
from mbnet_jax.refusals import refuse
from mbnet_jax.training.accumulation import check_micro_batches
from mbnet_jax.training.check_data import check_people, data_problems, said
from mbnet_jax.views import VIEWS

_MOST_PIXELS = 1 << 30  # of a batch on one device
_MOST_STEPS = 2**31 - 1  # jax counts them in int32
_STRIDE = 32  # a map of this stride or a part of it has equal cells


def check_run(config: ConfigDict, mesh: Mesh, *, training: bool) -> None:
    """Refuses a config that no run can have: `train` and `evaluate` call this first.

    What only the data can tell is checked when the data is loaded.

    Args:
      config: of the run.
      mesh: the devices.
      training: whether it is trained, not only evaluated.

    Raises:
      ValueError: with a line for each problem.
    """
    check_config(config)
    if not isinstance(config, ConfigDict):
        raise ValueError("the config must be a ConfigDict, not a dict")
    refuse(
        [*network_problems(config), *data_problems(config), *_evaluation(config, mesh)]
    )
    if training:
        refuse(_training(config, mesh))


def _evaluation(config: ConfigDict, mesh: Mesh) -> Iterator[str]:
    own, branches = config.eval, (*config.model.branches,)
    missing = [name for name in own.branches if name not in branches]
    if missing:
        yield (
            f"eval.branches={(*own.branches,)} names branches that the network does "
            f"not have: {', '.join(map(repr, missing))}; it has {branches}"
        )
    yield from said(check_divisible, "eval.batch_size", own.batch_size, mesh)
    yield from _pixels(
        config, f"eval.batch_size={own.batch_size}", own.batch_size / mesh.size
    )


def _training(config: ConfigDict, mesh: Mesh) -> Iterator[str]:
    train, loss = config.train, config.loss
    wrong = [*said(check_batch, train.batch_size, train.images_per_identity)]
    yield from wrong or said(check_micro_batches, train, mesh)
    each = train.batch_size / train.accumulate / mesh.size
    yield from _pixels(config, f"train.batch_size={train.batch_size}", each)
    if not wrong:
        yield from said(check_people, config)
    if train.warmup_epochs > train.epochs:
        yield (
            f"train.warmup_epochs={train.warmup_epochs} must be at most "
            f"train.epochs={train.epochs}"
        )
    early = [epoch for epoch in train.decay_epochs if epoch < train.warmup_epochs]
    if train.schedule == "step" and early:
        yield (
            f"train.decay_epochs={(*train.decay_epochs,)} must not be before the end "
            f"of train.warmup_epochs={train.warmup_epochs}"
        )
    yield from said(check_steps, train.epochs, train.steps_per_epoch)
    layer_decay = train.get("layer_decay", 1.0)
    backbones = config.model.backbones
    owners = owned_backbones(config.model.branches, backbones)
    for branch in owners if layer_decay != 1 else ():
        name = backbones[branch].name
        if BACKBONES[name].depths is None:
            yield (
                f"train.layer_decay={layer_decay} needs backbones with an order of "
                f"layers, which model.backbones.{branch}.name={name!r} has not; set it "
                "to 1"
            )
    trained = [name for name, branch in BRANCHES.items() if branch.adversarial]
    if loss.cal and not {*trained} & {*config.model.branches}:
        yield (
            f"loss.cal={loss.cal} trains the branch {', '.join(trained)}, which is not "
            f"in model.branches={(*config.model.branches,)}; add it, or set loss.cal=0"
        )
    zoom = config.model.get("ktm_zoom", 0)
    if config.model.ktm and zoom and not loss.ktm_area:
        yield (
            f"model.ktm_zoom={zoom} enlarges what loss.ktm_area teaches KTM to find, "
            "and loss.ktm_area=0 teaches nothing; give it a weight, or set "
            "model.ktm_zoom=0"
        )
    yield from _distilled(config)
    share = train.get("predicted_maps", 0.0)
    if share and not config.model.get("parser", False):
        yield (
            f"train.predicted_maps={share} needs a network that predicts parsing maps; "
            "set model.parser=True, or train.predicted_maps=0"
        )
    rank = config.model.get("clothes_rank", 0)
    if rank and not loss.get("clothes_subspace", 1.0):
        yield (
            f"model.clothes_rank={rank} asks for directions of clothes, and "
            "loss.clothes_subspace=0 lets nothing find them; give it a weight, or set "
            "model.clothes_rank=0"
        )
    for branch in owners:
        own = backbones[branch]
        group, batch = own.get("norm_images", 0), train.batch_size // train.accumulate
        if group and batch % group:
            yield (
                f"model.backbones.{branch}.norm_images={group} must divide the batch, "
                f"train.batch_size/train.accumulate={batch}"
            )
        if own.weights:
            field = f"model.backbones.{branch}.weights={own.weights!r}: "
            for line in said(check_published, own, BACKBONES[own.name]):
                yield field + line
    if predicts_maps(config) and not config.model.get("parser", False):
        yield (
            "eval.maps='predicted' needs a network that predicts parsing maps; set "
            "model.parser=True, or eval.maps='given'"
        )
    yield from _cells(config)


def _distilled(config: ConfigDict) -> Iterator[str]:
    """Whether the embedding that KTM distils has the size of the one it learns."""
    weight, model = config.loss.get("ktm_features", 0.0), config.model
    for student in model.branches if weight and model.ktm else ():
        teacher = BRANCHES[student].partner
        if BRANCHES[student].module != "ktm" or teacher not in model.branches:
            continue
        sizes = [embedding_size(config, name) for name in (student, teacher)]
        if sizes[0] != sizes[1]:
            yield (
                f"loss.ktm_features={weight} compares the embeddings of {student} and "
                f"{teacher}, which have {sizes[0]} and {sizes[1]} numbers; give both "
                "the same backbone and pooling, or set loss.ktm_features=0 "
                "(loss.ktm_similarity takes any sizes)"
            )


def check_steps(epochs: int, steps_per_epoch: int) -> None:
    """Refuses more steps than can be counted.

    Raises:
      ValueError: naming the fields.
    """
    if epochs * steps_per_epoch > _MOST_STEPS:
        raise ValueError(
            f"train.epochs={epochs} of {steps_per_epoch} steps (train.steps_per_epoch) "
            f"are too many; at most {_MOST_STEPS:,} steps can be trained"
        )


def _pixels(config: ConfigDict, field: str, images: float) -> Iterator[str]:
    """Whether a device's share of a batch is absurdly large."""
    sizes = {"data.height x data.width": (config.data.height, config.data.width)}
    sizes |= {f"views.{n}": config.views[n] for n in VIEWS if n in config.views}
    for name, (height, width) in sizes.items():
        if images * height * width > _MOST_PIXELS:
            yield (
                f"{field} gives each device {images:,.0f} images of {height}x{width} "
                f"({name}), which are more than {_MOST_PIXELS:,} pixels; make one "
                "smaller"
            )


def _cells(config: ConfigDict) -> Iterator[str]:
    """Whether the maps of KTM and FAM divide the image or view evenly."""
    model, loss = config.model, config.loss
    wanted = {
        "ktm": (loss.ktm_area and model.ktm, "data.height, data.width"),
        "fam": (loss.background and model.fam, "views.crops"),
    }
    for name in model.branches:
        branch = BRANCHES[name]
        on, fields = wanted.get(branch.module, (False, ""))
        size = size_of_view(config, branch.view)
        if not on or not any(side % _STRIDE for side in size):
            continue
        backbone = model.backbones[owner(name, model.backbones)]
        found = features_of(config, backbone, branch)
        stage = model.get(f"{branch.module}_stage", 0)
        cells = (found.stages[stage - 1] if stage else found.map).shape[1:3]
        if branch.module == "ktm" and model.get("ktm_zoom", 0):
            cells = gate_size(*size)
        if any(side % cell for side, cell in zip(size, cells, strict=True)):
            yield (
                f"{fields}={size} must be multiples of the map of the {branch.title}, "
                f"which is {cells[0]}x{cells[1]}; multiples of {_STRIDE} always are"
            )
