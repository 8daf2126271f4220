"""The project's programs, traced for devices that need not be there.

Each is traced as the project itself compiles it: the step by `training.step.compiled`,
which alone decides how state and batch are split over the devices, the embedding by
`evaluation.embed.make_embed`, and retrieval by `retrieval.counting.programs`.
"""

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh, NamedSharding
from ml_collections import ConfigDict

from mbnet_jax.devices.mesh import batch_sharding
from mbnet_jax.evaluation.embed import make_embed
from mbnet_jax.retrieval import counting
from mbnet_jax.retrieval.blocks import (
    SHARDED,
    WHOLE,
    all_devices,
    gallery_rows,
    query_rows,
)
from mbnet_jax.retrieval.similarity import GalleryBlock, QueryBlock
from mbnet_jax.runs.network import abstract_variables, make_model
from mbnet_jax.training.optimizer import make_optimizer, make_schedule
from mbnet_jax.training.step import compiled, init_state, make_train_step

CLASSES = 150  # identities to train on, as PRCC has
# Queries, gallery images and matches of a query, about as PRCC's test has.
QUERIES, GALLERY, MATCHES = 3543, 3384, 64


def step(config: ConfigDict, mesh: Mesh, batch: int) -> jax.stages.Traced:
    """The training step, for `batch` images on each device."""
    config = config.copy_and_resolve_references()
    config.train.batch_size = rows = batch * mesh.size
    model = make_model(config.model, CLASSES)
    optimizer = make_optimizer(config.train, make_schedule(config.train, 100))
    state = jax.eval_shape(lambda: init_state(config, model, optimizer))
    program = compiled(make_train_step(config, model, optimizer, mesh), mesh)
    split = batch_sharding(mesh)
    images = {
        "image": _image(config, rows, split),
        "parsing": _parsing(config, rows, split),
        "pid": jax.ShapeDtypeStruct((rows,), np.int32, sharding=split),
    }
    return program.trace(state, images)


def embedding(config: ConfigDict, mesh: Mesh, batch: int) -> jax.stages.Traced:
    """The embedding of `batch` images on each device."""
    model = make_model(config.model, CLASSES)
    split, rows = batch_sharding(mesh), batch * mesh.size
    program = make_embed(config, model, mesh)
    arguments = (
        abstract_variables(config, model),
        _image(config, rows, split),
        _parsing(config, rows, split),
    )
    return program.trace(*arguments)


def retrieval(
    config: ConfigDict, mesh: Mesh, *, gallery: int = GALLERY
) -> dict[str, jax.stages.Traced]:
    """The programs that rank `gallery` images for each block of queries, by name.

    "product and count" meets every gallery block; the others run less often.
    """
    model = make_model(config.model, CLASSES)
    embed = make_embed(config, model, mesh)
    images = (_image(config, mesh.size, None), _parsing(config, mesh.size, None))
    kinds = embed.trace(abstract_variables(config, model), *images).out_info
    width = max(kind.shape[-1] for kind in kinds.values())
    mesh = all_devices(mesh)
    programs = counting.programs(mesh, "cosine")
    n, b, g = mesh.size, query_rows(QUERIES, None), gallery_rows(gallery, width, None)

    def array(spec, dtype, *shape):
        sharding = NamedSharding(mesh, spec)
        return jax.ShapeDtypeStruct(shape, dtype, sharding=sharding)

    query = QueryBlock(
        array(WHOLE, jnp.float32, b, width), array(WHOLE, jnp.float32, b)
    )
    block = GalleryBlock(
        array(SHARDED, jnp.float32, n * g, width),
        array(SHARDED, jnp.float32, n * g),
        array(SHARDED, jnp.int32, n, 3),
    )
    no_rows = block._replace(rows_nGxD=None)
    keys = array(SHARDED, jnp.int32, n * b, g)
    found, count = (array(SHARDED, jnp.int32, n, b, MATCHES) for _ in range(2))
    merged, match = (array(WHOLE, jnp.int32, b, MATCHES) for _ in range(2))
    entries = array(SHARDED, jnp.int32, n, 3, counting.power_of_two(MATCHES * b))
    groups = counting.group_maxima(np.zeros(b, int), b).shape
    most = array(WHOLE, jnp.int32, *groups)
    arguments = {
        "product and find": (query, block, None, None, entries, found, count),
        "product and count": (query, block, None, None, merged, match, most, count),
        "count": (keys, no_rows, merged, match, most, count),
        "merge": (found,),
        "ranks": (count, merged, match, match, np.int32(1)),
    }
    return {
        name: getattr(programs, name.replace(" ", "_")).trace(*given)
        for name, given in arguments.items()
    }


def _image(config: ConfigDict, rows: int, sharding) -> jax.ShapeDtypeStruct:
    shape = (rows, config.data.height, config.data.width, 3)
    return jax.ShapeDtypeStruct(shape, np.uint8, sharding=sharding)


def _parsing(config: ConfigDict, rows: int, sharding) -> jax.ShapeDtypeStruct:
    shape = (rows, config.data.height, config.data.width)
    return jax.ShapeDtypeStruct(shape, np.uint8, sharding=sharding)
