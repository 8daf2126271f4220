"""What each branch looks at: its view of an image, and its maps of weights."""

from collections.abc import Callable
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.evaluation.embed import evaluated_part
from mbnet_jax.models import MBNet
from mbnet_jax.views import denormalise, normalise, views_of

# CFM's two directions: the backbone whose map each asks.
_ASKED = {
    "mask_asks": "clothing_unrelated_backbone",
    "unrelated_asks": "mask_backbone",
}


class Looks(NamedTuple):
    """Of n images; None where a branch or module is off.

    crops: uint8 [n, Hc, Wc, 3], head over legs.
    silhouette: uint8 [n, Hm, Wm, 3], white on black.
    gate: float32 [n, h, w] in 0..1, KTM's, over the image.
    attention: float32 [n, h', w'] in 0..1, FAM's, over the crops.
    asked: float32 [n, h', w'], CFM's: how much the silhouette asks each cell of the
      crops, as a multiple of an even share; the mean over heads and asking cells.
    asked_back: float32 [n, h'', w''], the other way: how much the crops ask each cell
      of the silhouette.
    balance: branch -> float32 [n], its weight.
    """

    crops: np.ndarray | None
    silhouette: np.ndarray | None
    gate: np.ndarray | None
    attention: np.ndarray | None
    asked: np.ndarray | None
    asked_back: np.ndarray | None
    balance: dict[str, np.ndarray] | None


def looks(
    config: ConfigDict, model: MBNet
) -> Callable[[dict, np.ndarray, np.ndarray], Looks]:
    """Compiles (variables, image uint8 [n, H, W, 3], parsing [n, H, W]) -> `Looks`.

    Of the branches in `eval.branches`, on images as they are, not mirrored. The
    parsing has canonical labels.
    """
    model, shown, whole = evaluated_part(config, model)

    @jax.jit
    def run(variables, image, parsing):
        views = views_of(normalise(image), parsing, **config.views)
        outputs, state = model.apply(
            variables,
            views.inputs(),
            train=False,
            capture_intermediates=lambda module, _: module.name in _ASKED.values(),
            mutable=["intermediates"],
        )
        maps = (
            outputs.gate,
            outputs.attention,
            *(asked_cells(state.get("intermediates", {}), who) for who in _ASKED),
        )
        return views.crops, views.silhouette, outputs.balance, maps

    def fetched(variables, image, parsing) -> Looks:
        crops, silhouette, balance, maps = jax.device_get(
            run(variables, image, parsing)
        )
        gate, attention, asked, asked_back = (
            None if m is None else m.reshape(m.shape[:3]) for m in maps
        )
        fuses = asked is not None and "mask" in shown
        crops_are_seen = "clothing_unrelated" in shown or fuses
        return Looks(
            crops=denormalise(crops) if crops_are_seen else None,
            silhouette=_white(silhouette) if "mask" in shown else None,
            gate=gate if "global" in shown else None,
            attention=attention if "clothing_unrelated" in shown else None,
            asked=asked if fuses else None,
            asked_back=asked_back if fuses else None,
            balance=dict(zip(shown, balance.T, strict=True))
            if whole and balance is not None
            else None,
        )

    return fetched


def asked_cells(intermediates: dict, who: str = "mask_asks") -> jax.Array | None:
    """`Looks.asked`, or `asked_back`, from what the network left behind.

    None without CFM.
    """
    if "cross_fusion" not in intermediates:
        return None
    attention = intermediates["cross_fusion"][who]["attention"]
    weights_BxHxQxK = attention["attention_weights"][0]
    (asked_map,) = intermediates[_ASKED[who]]["__call__"]
    batch, height, width, _ = asked_map.shape
    asked_BxK = weights_BxHxQxK.astype(jnp.float32).mean((1, 2)) * (height * width)
    return asked_BxK.reshape(batch, height, width)


def _white(silhouette: np.ndarray) -> np.ndarray:
    return (silhouette * 255).round().astype(np.uint8).repeat(3, axis=-1)
