"""Backbones that do not fit their branches are refused, by field and remedy."""

import pytest
import tiny

from mbnet_jax.models.check import check_network
from mbnet_jax.training.check import _cells as uneven_cells

pytestmark = pytest.mark.usefixtures("one_block")
GLOBAL, UNRELATED, MASK = (
    f"model.backbones.{branch}" for branch in ("global", "clothing_unrelated", "mask")
)
ON_RESNETS = {
    f"{GLOBAL}.name": "resnet10",
    f"{UNRELATED}.name": "resnet10",
    "model.pooling": "max_avg",
}
NO_MODULES = {"model.ktm": False, "model.fam": False, "model.cfm": False}


def config_with(changes):
    config = tiny.tiny_config("data")
    tiny.use_transformers(config)
    with config.unlocked():
        config.update_from_flattened_dict(changes)
    return config


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {f"{UNRELATED}.share": "global"},
        # What a branch that shares does not read may be anything.
        {f"{UNRELATED}.share": "global", f"{UNRELATED}.name": "resnet50"},
        NO_MODULES | {f"{GLOBAL}.pooling": "token", f"{UNRELATED}.pooling": "avg"},
        {"model.ktm": False, f"{GLOBAL}.pooling": "token"},
        {"model.ktm_zoom": 0.5, f"{GLOBAL}.pooling": "token"},
        # A ResNet's map and a fused one have no negative values.
        {f"{MASK}.pooling": "gem"},
        NO_MODULES | {f"{MASK}.pooling": "gem"},
        {"model.branches": ("clothing_unrelated",)},
        # Of ResNets, as their maps have no grid of their own.
        {
            f"{GLOBAL}.name": "resnet10",
            "model.pooling": "max_avg",
            f"{UNRELATED}.share": "global",
            "views.crops": (32, 64),
        },
        {"data.height": 72, "views.crops": (80, 24)},
        {"model.ktm": False, "model.ktm_stage": 2},
        ON_RESNETS | {"model.ktm_stage": 4, "model.clothes_rank": 63},
        ON_RESNETS | {"model.ktm_stage": 1, f"{MASK}.name": tiny.TWO_BLOCKS},
    ],
    ids=str,
)
def test_what_goes_together_passes(changes):
    config = config_with(changes)
    check_network(config)
    assert not [*uneven_cells(config)]


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        (
            {f"{UNRELATED}.share": "globl"},
            f"{UNRELATED}.share='globl' must be another branch of model.branches=('glo",
        ),
        (
            {f"{GLOBAL}.share": "global"},
            f"{GLOBAL}.share='global' must be another branch of model.branches=('glob",
        ),
        (
            {f"{UNRELATED}.share": "global", "model.branches": ("clothing_unrelated",)},
            f"{UNRELATED}.share='global' must be another branch of model.branches=('cl",
        ),
        (
            {f"{UNRELATED}.share": "global", f"{GLOBAL}.share": "clothing_unrelated"},
            f"{UNRELATED}.share='global' names a branch that has no backbone of its ow",
        ),
        (
            {f"{MASK}.share": "global"},
            f"{MASK}.share='global': the view of mask has 1 channels, that of global 3",
        ),
        (
            {f"{UNRELATED}.share": "global", "views.crops": (64, 64)},
            f"{UNRELATED}.share='global': the position embedding of two blocks is of o",
        ),
        (
            {"views.crops": (66, 32)},
            "views.crops=(66, 32) must be multiples of 8, the patch of model.backbones",
        ),
        (
            {"data.width": 44},
            "data.height, data.width=(64, 44) must be multiples of 8, the patch of mod",
        ),
        (
            {f"{MASK}.pooling": "token"},
            f"{MASK}.pooling='token' reads a class token, and CFM gives the branch mas",
        ),
        (
            {f"{MASK}.pooling": ""},
            "model.pooling='token_avg' reads a class token, and CFM gives the branch m",
        ),
        (
            {f"{MASK}.pooling": "token_avg", "model.cfm": False},
            f"{MASK}.pooling='token_avg' reads a class token, which resnet10, of the b",
        ),
        (
            {f"{GLOBAL}.pooling": "token"},
            f"{GLOBAL}.pooling='token' leaves out the map that model.ktm refines in th",
        ),
        (
            {f"{UNRELATED}.pooling": "token"},
            f"{UNRELATED}.pooling='token' leaves out the map that model.fam refines in",
        ),
        (
            {"model.pooling": "gem"},
            "model.pooling='gem' takes a map without negative values, and that of two ",
        ),
        (
            {"model.ktm_stage": 1},
            "model.ktm_stage=1 needs a backbone of so many stages, and two blocks, of ",
        ),
        (
            ON_RESNETS | {f"{UNRELATED}.share": "global", "model.ktm_stage": 1},
            "model.ktm_stage=1 changes the maps within the backbone of global alone, a",
        ),
        (
            ON_RESNETS | {"model.clothes_rank": 64},
            "model.clothes_rank=64 must be below the size of the embedding of the bran",
        ),
        (
            ON_RESNETS | {"model.ktm_zoom": 0.5, "model.ktm_stage": 1},
            "model.ktm_zoom=0.5 has KTM's gate on the image, and model.ktm_stage=1 on ",
        ),
        (
            {"model.ktm_zoom": 0.5, "model.ktm_residual": False, "model.parser": True},
            "model.ktm_residual=False hides clothes from the global branch, from which",
        ),
    ],
)
def test_what_does_not_is_refused(changes, message):
    with pytest.raises(ValueError) as error:
        check_network(config_with(changes))
    lines = str(error.value).split("\n  ")
    assert any(line.startswith(message) for line in lines), error.value
    # Each says what to do.
    assert all(
        any(word in line for word in ("set ", "name ", "nearest: "))
        for line in lines
        if "model.backbones" in line
    )


def test_the_map_of_the_gate_is_what_divides_the_image():
    changes = ON_RESNETS | {"data.height": 72}  # maps of 18 rows, then 9 and 5
    (line,) = uneven_cells(config_with(changes))
    assert line.startswith("data.height, data.width=(72, 32) must be multiples of the")
    assert "which is 5x2" in line
    assert not [*uneven_cells(config_with(changes | {"model.ktm_stage": 1}))]
    # The gate of the zoom is on the image, and has cells of 4 pixels.
    assert not [*uneven_cells(config_with(changes | {"model.ktm_zoom": 0.5}))]
    changes |= {"data.height": 70, "model.ktm_zoom": 0.5}
    (line,) = uneven_cells(config_with(changes))
    assert "which is 18x8" in line


def test_the_nearest_sizes_are_named():
    with pytest.raises(ValueError, match=r"nearest: height 64 or 72$"):
        check_network(config_with({"views.crops": (66, 32)}))
