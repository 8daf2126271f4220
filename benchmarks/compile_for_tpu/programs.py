"""The project's programs, traced for devices that need not be there.

Each is traced as the project itself compiles it: the step by `training.step.compiled`,
which alone decides how state and batch are split over the devices, the embedding by
`evaluation.embed_function.make_embed`, and retrieval by `retrieval.counting.programs`.
"""

import functools
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax import lax
from jax.sharding import Mesh, NamedSharding
from ml_collections import ConfigDict

from benchmarks import lean_step
from mbnet_jax.devices.mesh import batch_sharding, replicated
from mbnet_jax.devices.placement import shardings
from mbnet_jax.evaluation.embed_function import make_embed
from mbnet_jax.models import BRANCHES
from mbnet_jax.retrieval import counting, passes
from mbnet_jax.retrieval.blocks import (
    SHARDED,
    WHOLE,
    all_devices,
    gallery_rows,
    query_rows,
    sharded,
)
from mbnet_jax.retrieval.similarity import GalleryBlock, QueryBlock
from mbnet_jax.runs.network import abstract_variables, make_model
from mbnet_jax.training.optimizer import make_optimizer, make_schedule
from mbnet_jax.training.step import compiled, init_state, make_train_step
from mbnet_jax.views import VIEWS

CLASSES = 150  # identities to train on, as PRCC has
# Queries, gallery images, matches and junk of a query, about as PRCC's test has.
QUERIES, GALLERY, MATCHES, JUNK = 3543, 3384, 64, 64


def step(config: ConfigDict, mesh: Mesh, batch: int) -> jax.stages.Traced:
    """The training step, for `batch` images on each device."""
    config = config.copy_and_resolve_references()
    config.train.batch_size = rows = batch * mesh.size
    model = make_model(config.model, CLASSES)
    schedule = make_schedule(config.train, 100)
    optimizer = make_optimizer(config.train, schedule, config.model.backbones)
    state = jax.eval_shape(lambda: init_state(config, model, optimizer))
    kept = shardings(state, mesh, split=config.train.get("shard_parameters", False))
    program = compiled(make_train_step(config, model, optimizer, mesh), mesh, kept)
    split = batch_sharding(mesh)
    images = {
        "image": _image(config, rows, split),
        "parsing": _parsing(config, rows, split),
        "pid": jax.ShapeDtypeStruct((rows,), np.int32, sharding=split),
    }
    return program.trace(state, images)


def yardstick(config: ConfigDict, mesh: Mesh, batch: int) -> jax.stages.Traced:
    """A lean step of the config's backbones alone, for `batch` images on each device.

    Raises:
      ValueError: if the yardstick has no such backbone.
    """
    image = (config.data.height, config.data.width)
    parts = []
    for name in config.model.branches:
        own, view = config.model.backbones[name], BRANCHES[name].view
        if (own.name, own.width, own.stem, own.last_stride) not in lean_step.KNOWN:
            raise ValueError(
                f"the yardstick has no backbone like model.backbones.{name}, only "
                f"(name, width, stem, last_stride) of {lean_step.KNOWN}"
            )
        size = (*config.views.get(view, image), VIEWS[view].channels)
        parts.append(lean_step.Part(own.name, size))
    whole, split, rows = replicated(mesh), batch_sharding(mesh), batch * mesh.size
    program = jax.jit(
        functools.partial(lean_step.step, parts),
        in_shardings=(whole, split),
        out_shardings=(whole, whole),
        donate_argnums=0,
    )
    images = {
        "views": [jax.ShapeDtypeStruct((rows, *p.view), jnp.bfloat16) for p in parts],
        "pid": jax.ShapeDtypeStruct((rows,), jnp.int32),
    }
    return program.trace(jax.eval_shape(lambda: lean_step.init(parts)), images)


def embedding(config: ConfigDict, mesh: Mesh, batch: int) -> jax.stages.Traced:
    """The embedding of `batch` images on each device."""
    model = make_model(config.model, CLASSES)
    split, rows = batch_sharding(mesh), batch * mesh.size
    program = make_embed(config, model, mesh)
    variables = abstract_variables(config, model)
    kept = shardings(variables, mesh, split=config.train.get("shard_parameters", False))
    arguments = (
        jax.tree.map(lambda x, at: x.update(sharding=at), variables, kept),
        _image(config, rows, split),
        _parsing(config, rows, split),
    )
    return program.trace(*arguments)


class Blocks(NamedTuple):
    """Sizes of what the retrieval programs take.

    queries, gallery: rows of one block.
    width: of the features.
    matches, junk: slots of one query, multiples of 8.
    longest: of these, the most that are in one gallery block, a multiple of 8.
    dtype: in which features are multiplied.
    """

    queries: int
    gallery: int
    width: int
    matches: int
    junk: int
    longest: int
    dtype: str = "float32"


def retrieval(
    config: ConfigDict, mesh: Mesh, *, gallery: int = GALLERY
) -> dict[str, jax.stages.Traced]:
    """The programs that rank `gallery` images by the embeddings of a config's network.

    See `ranking`.
    """
    model = make_model(config.model, CLASSES)
    embed = make_embed(config, model, mesh)
    images = (_image(config, mesh.size, None), _parsing(config, mesh.size, None))
    kinds = embed.trace(abstract_variables(config, model), *images).out_info
    width = max(kind.shape[-1] for kind in kinds.values())
    rows = query_rows(QUERIES, None), gallery_rows(gallery, width, None)
    return ranking(all_devices(mesh), Blocks(*rows, width, MATCHES, JUNK, 8))


def ranking(mesh: Mesh, blocks: Blocks) -> dict[str, jax.stages.Traced]:
    """The programs that rank matches, by name.

    "product and find" meets every gallery block that has a match or junk. "count" then
    does if its keys were kept, "product and count" otherwise. "merge" and "ranks" run
    once for each block of queries.
    """
    programs = counting.programs(mesh, "cosine")
    n, (b, g, width, matches, junk, longest, dtype) = mesh.size, blocks

    def array(spec, dtype, *shape):
        sharding = NamedSharding(mesh, spec)
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    query = QueryBlock(array(WHOLE, dtype, b, width), array(WHOLE, jnp.float32, b))
    block = GalleryBlock(
        array(SHARDED, dtype, n * g, width),
        array(SHARDED, jnp.float32, n * g),
        array(SHARDED, jnp.int32, n, 3),
    )
    key = jax.eval_shape(passes.arranged, jax.ShapeDtypeStruct((b, g), jnp.int32))
    keys = array(SHARDED, jnp.int32, n * key.shape[0], *key.shape[1:])
    lists = array(SHARDED, jnp.int32, n, 2, b, longest)
    merged = array(WHOLE, jnp.int32, b, matches + junk)
    found = array(SHARDED, jnp.int32, n, b, matches + junk)
    count = array(SHARDED, jnp.int32, n, b, matches)
    match, thrown = (array(WHOLE, jnp.int32, b, x) for x in (matches, junk))
    groups = counting.group_maxima(np.zeros(b, int), b).shape
    most = array(WHOLE, jnp.int32, *groups)
    no_rows = block._replace(rows_nGxD=None)
    arguments = {
        "product and find": (query, block, None, None, lists, found, count),
        "product and count": (query, block, None, None, merged, match, most, count),
        "count": (keys, no_rows, merged, match, most, count),
        "merge": (found,),
        "ranks": (count, merged, match, thrown, np.int32(1)),
    }
    return {
        name: getattr(programs, name.replace(" ", "_")).trace(*given)
        for name, given in arguments.items()
    }


def products(mesh: Mesh, blocks: Blocks) -> jax.stages.Traced:
    """The product of a block alone, reduced to the maximum of each row."""

    def product(query_BxD, gallery_GxD):
        product_BxG = lax.dot_general(
            query_BxD,
            gallery_GxD,
            (((1,), (1,)), ((), ())),
            precision=lax.Precision.HIGHEST,
            preferred_element_type=jnp.float32,
        )
        return jnp.max(product_BxG, axis=1)[None]

    b, g, width, *_, dtype = blocks
    query, gallery = (
        jax.ShapeDtypeStruct((rows, width), dtype, sharding=NamedSharding(mesh, spec))
        for rows, spec in ((b, WHOLE), (mesh.size * g, SHARDED))
    )
    return sharded(mesh, product, (WHOLE, SHARDED)).trace(query, gallery)


def _image(config: ConfigDict, rows: int, sharding) -> jax.ShapeDtypeStruct:
    shape = (rows, config.data.height, config.data.width, 3)
    return jax.ShapeDtypeStruct(shape, np.uint8, sharding=sharding)


def _parsing(config: ConfigDict, rows: int, sharding) -> jax.ShapeDtypeStruct:
    shape = (rows, config.data.height, config.data.width)
    return jax.ShapeDtypeStruct(shape, np.uint8, sharding=sharding)
