"""Every field there is, with the field's usual setting; other configs override.

The training recipe is CAL's (Gu et al., CVPR 2022), which most clothes-changing
work follows; MBNet's own was not at hand. Run no training from this file: it
names no dataset.
"""

from ml_collections import ConfigDict


def get_config() -> ConfigDict:
    """Returns the default config; a config file overrides fields of it."""
    c = ConfigDict()
    c.name = ""  # the config's name; a run's folder is runs/<name>
    c.seed = 0  # of initial weights, batches, augmentation and dropped identities

    c.data = ConfigDict()
    c.data.name = ""  # a dataset that mbnet_jax.data knows
    c.data.root = "data"  # folder that holds (or, if synthetic, will hold) it
    c.data.parsing_dir = ""  # maps: mirrors root, .png for each image; "": none
    c.data.parsing_labels = "canonical"  # or "lip", "atr", "pascal"; never guessed
    c.data.height = 384  # pixels, of the image that every view is made from
    c.data.width = 192
    # What chooses the best model: "held_out" training identities, the dataset's
    # "own" validation split, or "none": train on all, the last checkpoint is best.
    c.data.validation = "held_out"
    c.data.validation_fraction = 0.1  # of training identities, if held out
    c.data.threads = 8  # of the host, for reading and decoding images
    c.data.prefetch = 4  # batches that are ready before they are asked for
    # Images that cannot be read in training before it stops; others stand in for them.
    c.data.max_bad_images = 10

    c.augment = ConfigDict()
    c.augment.flip = 0.5  # probability, as the next two
    c.augment.crop = 0.5  # enlarge by 9/8 and cut the original size at random
    c.augment.erase = 0.5  # random erasing (Zhong et al., AAAI 2020)

    c.views = ConfigDict()  # all sizes: height, width
    c.views.crop_size = (384, 192)  # clothing-unrelated view: head over legs
    c.views.mask_size = (256, 128)  # silhouette view

    c.model = ConfigDict()  # of mbnet_jax.models.MBNet, but for pretrained
    c.model.branches = ("global", "clothing_unrelated", "mask")
    c.model.backbone = "resnet50"  # of the global and clothing-unrelated branches
    c.model.width = 64  # channels of the first stage; 64 is the standard network
    c.model.stem = "imagenet"  # or, for small images, "small" or "patch"
    c.model.mask_backbone = "resnet18"
    c.model.mask_width = 64
    c.model.mask_stem = "imagenet"
    # Weights that a new run's backbones start with: a .safetensors, .npz or .pth file,
    # or a Hugging Face hub id such as "timm/resnet50.tv_in1k"; "": random.
    c.model.pretrained = ""  # of the global and clothing-unrelated branches
    c.model.mask_pretrained = ""  # e.g. "timm/resnet18.tv_in1k"
    c.model.last_stride = 1  # of the last stage; 1 doubles the final map
    c.model.pooling = "max_avg"  # or "gem", "avg"
    c.model.ktm = True  # knowledge transfer module
    c.model.fam = True  # feature attention module
    c.model.cfm = True  # cross fusion module
    c.model.fusion_width = 512  # channels of CFM's tokens, a multiple of its heads
    c.model.fusion_heads = 8
    c.model.balance = True  # a learned weight per image and branch
    c.model.balance_floor = 0.5  # its least, of a mean of 1; 1 makes all equal
    c.model.dtype = "float32"  # of the computation, or "bfloat16"

    c.loss = ConfigDict()
    c.loss.label_smoothing = 0.1
    c.loss.identity = 1.0  # weight of the cross-entropy, per branch
    c.loss.triplet = 1.0  # weight of batch-hard triplet, per branch
    c.loss.margin = 0.3  # of the triplet loss, Euclidean; 0: soft margin
    c.loss.ktm_distill = 1.0  # KL from the clothing-unrelated to the global branch
    c.loss.ktm_temperature = 4.0
    c.loss.ktm_area = 1.0  # KTM's gate against the clothing-unrelated area
    c.loss.background = 0.1  # background constraint on FAM's attention
    c.loss.balance = 1.0  # triplet on the weighted embedding; trains the weights only

    c.train = ConfigDict()
    c.train.batch_size = 64  # over all devices; a multiple of images_per_identity
    c.train.images_per_identity = 4
    # Micro-batches a step, for batches that do not fit; each has whole identities,
    # and batch norm and losses of its own.
    c.train.accumulate = 1
    c.train.epochs = 60
    c.train.steps_per_epoch = 0  # 0: training images // batch_size
    c.train.learning_rate = 3.5e-4  # Adam
    c.train.warmup_epochs = 0.0  # linear, from 0
    c.train.schedule = "step"  # or "cosine", to 0
    c.train.decay_epochs = (20, 40)  # of the step schedule
    c.train.decay_rate = 0.1
    c.train.weight_decay = 5e-4  # not on biases, norms
    c.train.log_every = 20  # steps
    c.train.checkpoint_every = 200  # steps, beside the one after each evaluation
    c.train.keep = 2  # newest checkpoints kept, beside the best
    # Steps in a row whose loss or gradient is not finite (none is applied) before
    # training stops; 1 stops at the first.
    c.train.max_bad_steps = 10

    c.eval = ConfigDict()
    c.eval.every_epochs = 5  # on the validation identities; the last epoch always
    c.eval.batch_size = 64
    c.eval.branches = ()  # (): the model's; "global" alone needs no parsing maps
    c.eval.flip = True  # add the mirrored image's embedding
    c.eval.ranks = (1, 5, 10)
    c.eval.draw_seed = 0  # of single-shot galleries
    c.eval.rerank = False  # add each embedding's k-reciprocally re-ranked values
    c.eval.figure_queries = 8  # rows of the picture of ranked lists
    c.eval.report = True  # write report.html
    c.eval.report_lists = 4  # queries of each kind there: random, best, worst; most 6
    c.eval.report_queries = ()  # file names of more queries to show there; most 10
    return c
