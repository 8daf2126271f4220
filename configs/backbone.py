"""The fields of a branch's backbone, `model.backbones.<branch>`.

They are a part of `base`, and nothing to train with by themselves.
"""

from ml_collections import ConfigDict

from mbnet_jax import schema
from mbnet_jax.schema import choice, flag, real, text, whole

# Of maps, and of the class tokens of transformers, into embeddings
POOLINGS = ("max_avg", "gem", "avg", "token", "token_avg")


def backbone(name: str) -> ConfigDict:
    """The fields of `model.backbones.<branch>`."""
    c = ConfigDict()
    c.name = text(name, low=1)  # a key of mbnet_jax.backbones.BACKBONES
    # Initial weights of a new run: a .safetensors, .npz or .pth file, or a Hugging
    # Face hub id such as "timm/resnet50.tv_in1k"; "": random.
    c.weights = text("")
    # Of ResNets: channels of the first stage; 64 is the standard network
    c.width = whole(64, low=1, high=256)
    # Of ResNets; the others for small images
    c.stem = choice("imagenet", "small", "patch")
    # Of ResNets: stride of the last stage; 1 doubles the final map
    c.last_stride = whole(1, low=1, high=2)
    # Of ResNets, and of FAM and CFM in the branch: consecutive images that share batch
    # norm's statistics while training; 0: the whole batch. Groups that lie on one
    # device need no exchange. The neck before the classifier takes the whole batch.
    c.norm_images = schema.optional(whole(0, high=65_536))
    # Transformers: rate of drop path in the last block; it grows from 0 in the first
    c.drop_path = schema.optional(real(0.0, high=0.999))
    # The backward pass computes the inside of every block again; this takes less memory
    # and more time.
    c.remat = schema.optional(flag(False))
    # Transformers: what is kept of a block all the same. "products": those with
    # weights, so that less is computed again.
    c.remat_keeps = schema.optional(choice("nothing", "products"))
    # Another branch, whose backbone this one uses: its weights, and its fields in place
    # of the others here, except `pooling`; "": none.
    c.share = schema.optional(text(""))
    # Of the branch; "": that of `model.pooling`
    c.pooling = schema.optional(choice("", *POOLINGS))
    return c
