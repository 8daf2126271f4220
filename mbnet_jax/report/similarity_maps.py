"""What two images have in common to a branch: the parts of their similarity by cell."""

from collections.abc import Callable
from typing import NamedTuple

import flax.linen as nn
import jax
import jax.numpy as jnp
import numpy as np
from ml_collections import ConfigDict

from mbnet_jax.data.needed_maps import predicts_maps
from mbnet_jax.evaluation.branches import chosen_branches, sub_network
from mbnet_jax.evaluation.predicted import parsing_function
from mbnet_jax.models import BRANCHES, MBNet
from mbnet_jax.models.branches import views_of_branches
from mbnet_jax.models.heads import OF_TOKENS, IdentityHead
from mbnet_jax.report.attention import over_views, to_rgb
from mbnet_jax.runs.network import Network
from mbnet_jax.views import make_views, normalise

NECK = "bnneck"  # the module that `IdentityHead` normalises features with
_MOST_PAIRS = 8  # computed at a time


class SimilarityMaps(NamedTuple):
    """The similarity of n pairs of images, by cell of either image.

    Branches whose pooling reads a class token have no entry: their cells are not all
    that the embedding is made of.

    Attributes:
      views: view -> two arrays uint8 [n, H, W, 3], of the first and the second images.
      maps: branch -> two arrays float32 [n, h, w] over its view. The mean over the
        cells of either is the cosine.
      cosines: branch -> float32 [n].
    """

    views: dict[str, tuple[np.ndarray, np.ndarray]]
    maps: dict[str, tuple[np.ndarray, np.ndarray]]
    cosines: dict[str, np.ndarray]


def similarity_maps(
    network: Network,
    first: tuple[np.ndarray, np.ndarray],
    second: tuple[np.ndarray, np.ndarray],
) -> SimilarityMaps:
    """Computes the maps of pairs of images, for the branches in `eval.branches`.

    They are those of the images as they are, without the mirrored ones. All batches
    have one shape: the last repeats a pair.

    Args:
      network: its config names the branches and the batch size.
      first, second: image uint8 [n, H, W, 3], RGB, and parsing map uint8 [n, H, W],
        canonical labels. The maps are not read if `eval.maps` are predicted.
    """
    if not _heads(network.config, network.model):
        return SimilarityMaps({}, {}, {})
    count = len(first[0])
    size = max(min(network.config.eval.batch_size // 2, count, _MOST_PAIRS), 1)
    run = similarity_function(network.config, network.model)
    variables = jax.device_get(network.variables)  # this process runs alone
    batches = []
    for start in range(0, count, size):
        rows = np.minimum(np.arange(start, start + size), count - 1)
        pairs = [
            np.concatenate([a[rows], b[rows]])
            for a, b in zip(first, second, strict=True)
        ]
        batches.append(run(variables, *pairs))
    found = jax.tree.map(lambda *xs: np.concatenate(xs)[:count], *batches)
    in_order = [name for name in BRANCHES if name in found.maps]  # tree.map sorts them
    maps, cosines = (
        {name: of[name] for name in in_order} for of in (found.maps, found.cosines)
    )
    return SimilarityMaps(found.views, maps, cosines)


def similarity_function(
    config: ConfigDict, model: MBNet
) -> Callable[[dict, np.ndarray, np.ndarray], SimilarityMaps]:
    """Compiles (variables, image [2 n, H, W, 3], parsing [2 n, H, W]) -> maps.

    Image i is compared with image n + i. The pooling of a branch, with its neck,
    makes a vector v(M) of the map M, whose cosine with the other image's unit vector u
    is s = v·u / |v|. Each cell's part of it is its gradient times itself, the
    length |v| held fixed:

      part(cell) = sum over channels of M ∂(v·u)/∂M / |v|

    This is Grad-CAM (Selvaraju et al., ICCV 2017) without its averaging of
    gradients over the cells and without its ReLU (HiResCAM, Draelos and Carin, 2020).
    A pooling doubles when the map does, so the parts add up to s, but for what the
    neck subtracts from every image. That is taken from all cells alike, so that they
    do add up; and they are scaled to a mean of s.

    Raises:
      ValueError: if `eval.branches` names a branch that the network does not have, or
        `eval.maps` are predicted and it has no head for that.
    """
    chosen = chosen_branches(config.eval.branches, model)
    part = sub_network(model, chosen)
    predict = parsing_function(config, model) if predicts_maps(config) else None
    drawn = _heads(config, model)
    view_names = views_of_branches(part.branches)

    def heads_of(variables, views, changes):
        """Necks and pooled features of the heads; and their maps, and KTM's zoom.

        Changes: to each cell, a factor and an addend; to the features, an addend.
        """
        maps, features, necks = {}, {}, {}

        def changed(call, args, kwargs, context):
            *_, outer, own = ("", "", *context.module.path)
            if isinstance(context.module, IdentityHead) and own in drawn:
                (given,), refine, name = args, kwargs["refine"], drawn[own]

                def kept(neck):
                    necks[name] = neck if refine is None else refine(neck)
                    return necks[name]

                maps[name] = x = given.map.astype(jnp.float32)
                if changes:
                    x = x * changes["factor"][name] + changes["cell"][name]
                args = (given._replace(map=x),)
                kwargs = kwargs | {"refine": kept}
            elif own == NECK and outer in drawn:
                name, (x,) = drawn[outer], args
                features[name] = x + changes["feature"][name] if changes else x
                args = (features[name],)
            return call(*args, **kwargs)

        with nn.intercept_methods(changed):
            outputs = part.apply(variables, views, train=False)
        return (necks, features), (maps, outputs.zoom)

    @jax.jit
    def run(variables, image, parsing):
        image = normalise(image)
        if predict is not None:
            parsing = predict(variables, image)
        views = make_views(image, parsing, config.views, view_names)
        (_, features), (maps, _) = jax.eval_shape(heads_of, variables, views, None)
        none = {
            "factor": {name: jnp.ones((*x.shape[:3], 1)) for name, x in maps.items()},
            "cell": {name: jnp.zeros((*x.shape[:3], 1)) for name, x in maps.items()},
            "feature": {name: jnp.zeros(x.shape) for name, x in features.items()},
        }
        (necks, features), gradients, (_, zoom) = jax.vjp(
            lambda changes: heads_of(variables, views, changes), none, has_aux=True
        )
        means = {
            name: variables["batch_stats"][head][NECK]["mean"]
            for head, name in drawn.items()
        }
        cosines, of_necks = {}, {}
        for name, neck in necks.items():
            length = jnp.linalg.norm(neck, axis=1, keepdims=True)
            other = jnp.roll(neck / length, len(neck) // 2, axis=0)
            cosines[name] = (neck / length * other).sum(1)
            of_necks[name] = other / length
        nothing = jax.tree.map(jnp.zeros_like, features)
        (found,) = gradients((of_necks, nothing))
        of_means = {name: found["feature"][name] * means[name] for name in means}
        (of_means,) = gradients((jax.tree.map(jnp.zeros_like, necks), of_means))
        maps = {
            name: _with_mean((x - of_means["cell"][name])[..., 0], cosines[name])
            for name, x in found["factor"].items()
        }
        return views, over_views(maps, zoom), cosines

    def fetched(variables, image, parsing) -> SimilarityMaps:
        views, maps, cosines = jax.device_get(run(variables, image, parsing))
        views = {name: to_rgb(name, view) for name, view in views.items()}
        return SimilarityMaps(
            {name: _halves(x) for name, x in (views | {"image": image}).items()},
            {name: _halves(x) for name, x in maps.items()},
            {name: _halves(x)[0] for name, x in cosines.items()},
        )

    return fetched


def _heads(config: ConfigDict, model: MBNet) -> dict[str, str]:
    """The heads to draw maps of: module -> branch; those that read no class token."""
    return {
        f"{name}_head": name
        for name in chosen_branches(config.eval.branches, model)
        if (model.backbones[name].get("pooling") or model.pooling) not in OF_TOKENS
    }


def _with_mean(parts_BxHxW: jax.Array, mean_B: jax.Array) -> jax.Array:
    """The parts times the number of cells, shifted to this mean."""
    scaled = parts_BxHxW * (parts_BxHxW.shape[1] * parts_BxHxW.shape[2])
    shift = mean_B - scaled.mean((1, 2))
    return scaled + shift[:, None, None]


def _halves(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    first, second = np.split(rows, 2)
    return first, second
