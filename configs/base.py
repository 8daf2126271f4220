"""Every field there is, with the field's usual setting; other configs override.

The training recipe is CAL's (Gu et al., CVPR 2022), which most clothes-changing
work follows; MBNet's own was not at hand. Run no training from this file: it
names no dataset.
"""

from ml_collections import ConfigDict


def backbone(name: str) -> ConfigDict:
    """The fields of `model.backbones.<branch>`."""
    c = ConfigDict()
    c.name = name  # a name in mbnet_jax.backbones.BACKBONES
    # Weights that a new run starts with: a .safetensors, .npz or .pth file, or a
    # Hugging Face hub id such as "timm/resnet50.tv_in1k"; "": random.
    c.weights = ""
    c.width = 64  # ResNets: channels of the first stage; 64 is the standard network
    c.stem = "imagenet"  # ResNets: or, for small images, "small" or "patch"
    c.last_stride = 1  # ResNets: of the last stage; 1 doubles the final map
    return c


def start_from_imagenet(c: ConfigDict) -> None:
    """Lets every backbone start with torchvision's weights, trained on ImageNet."""
    for fields in c.model.backbones.values():
        fields.weights = f"timm/{fields.name}.tv_in1k"


def get_config() -> ConfigDict:
    """Returns the default config; a config file overrides fields of it."""
    c = ConfigDict()
    c.name = ""  # the config's name; a run's folder is runs/<name>
    c.seed = 0  # of initial weights, batches, augmentation and dropped identities

    c.data = ConfigDict()
    c.data.name = ""  # a dataset that mbnet_jax.data knows
    c.data.root = "data"  # folder that holds (or, if synthetic, will hold) it
    c.data.parsing_dir = ""  # parsing maps: mirrors root, a .png an image; "": none
    c.data.parsing_labels = "canonical"  # of the maps, or "lip", "atr", "pascal"
    c.data.height = 384  # pixels, of the image that every view is made from
    c.data.width = 192  # likewise
    # What selects the best checkpoint: "held_out" training identities, the dataset's
    # "own" validation split, or "none": train on all images, keep the last checkpoint.
    # "default": whichever of these is usual for the dataset.
    c.data.validation = "default"
    c.data.validation_fraction = 0.1  # of training identities, if held out
    c.data.threads = 8  # of the host, to read and decode images
    c.data.prefetch = 4  # batches that are ready before they are asked for
    # Images that cannot be read in training before it stops; others stand in for them.
    c.data.max_bad_images = 10

    c.augment = ConfigDict()
    c.augment.flip = 0.5  # probability of the mirror image
    c.augment.crop = 0.5  # probability: enlarge by 9/8, cut the original size
    c.augment.erase = 0.5  # probability of random erasing (Zhong et al., AAAI 2020)

    c.views = ConfigDict()  # sizes are height and width in pixels
    c.views.crops = (384, 192)  # head over legs, of the clothing-unrelated branch
    c.views.silhouette = (256, 128)  # of the mask branch

    c.model = ConfigDict()
    c.model.branches = ("global", "clothing_unrelated", "mask")  # any of them
    c.model.backbones = ConfigDict()  # of each branch
    for branch, name in (
        ("global", "resnet50"),
        ("clothing_unrelated", "resnet50"),
        ("mask", "resnet18"),
    ):
        c.model.backbones[branch] = backbone(name)
    c.model.pooling = "max_avg"  # or "gem", "avg"
    c.model.ktm = True  # knowledge transfer module
    c.model.fam = True  # feature attention module
    c.model.cfm = True  # cross fusion module
    c.model.fusion_width = 512  # channels of CFM's tokens, a multiple of its heads
    c.model.fusion_heads = 8  # of its attention
    c.model.balance = True  # a learned weight per image and branch
    c.model.balance_floor = 0.5  # the least weight, of a mean of 1; 1: all equal
    c.model.dtype = "float32"  # of the computation, or "bfloat16"

    c.loss = ConfigDict()
    c.loss.label_smoothing = 0.1  # of the cross-entropy, 0: none
    c.loss.identity = 1.0  # weight of the cross-entropy, per branch
    c.loss.triplet = 1.0  # weight of batch-hard triplet, per branch
    c.loss.margin = 0.3  # of the triplet loss, Euclidean; 0: soft margin
    c.loss.ktm_distill = 1.0  # weight of KL, clothing-unrelated to global branch
    c.loss.ktm_temperature = 4.0  # of that KL divergence
    c.loss.ktm_area = 1.0  # weight of KTM's gate against clothing-unrelated areas
    c.loss.background = 0.1  # weight of the background constraint on FAM's attention
    # Weight of the triplet on the weighted embedding; it trains branch weights only.
    c.loss.balance = 1.0

    # Weight of the clothes-based adversarial loss on the global branch (CAL, Gu et al.,
    # CVPR 2022), which needs clothes labels; 0: none, and no clothes classifier.
    c.loss.cal = 0.0
    # From which on it counts; the clothes classifier learns from the first.
    c.loss.cal_start_epoch = 25
    c.loss.cal_temperature = 0.0625  # of the clothes classifier's cosines
    c.loss.cal_epsilon = 0.1  # share of CAL's target spread over a person's clothes

    c.train = ConfigDict()
    c.train.batch_size = 64  # over all devices; a multiple of images_per_identity
    c.train.images_per_identity = 4  # in a batch
    # Micro-batches a step, for batches that do not fit; each has whole identities,
    # and batch norm and losses of its own.
    c.train.accumulate = 1
    c.train.epochs = 60  # of steps_per_epoch steps each
    c.train.steps_per_epoch = 0  # 0: once through the images, images // batch_size
    c.train.learning_rate = 3.5e-4  # of Adam
    c.train.warmup_epochs = 0.0  # in which the rate rises from 0
    c.train.schedule = "step"  # or "cosine", to 0
    c.train.decay_epochs = (20, 40)  # after which the step schedule lowers the rate
    c.train.decay_rate = 0.1  # by this factor
    c.train.weight_decay = 5e-4  # not on biases, norms
    c.train.log_every = 20  # steps between lines of metrics.jsonl
    c.train.checkpoint_every = 200  # steps; and after each evaluation
    c.train.keep = 2  # newest checkpoints kept, beside the best
    # Steps in a row whose loss or gradient is not finite (none is applied) before
    # training stops; 1 stops at the first.
    c.train.max_bad_steps = 10

    c.eval = ConfigDict()
    c.eval.every_epochs = 5  # validation in training; after the last epoch always
    c.eval.batch_size = 64  # over all devices
    c.eval.branches = ()  # to test; (): the model's. "global" needs no parsing maps
    c.eval.flip = True  # add the mirrored image's embedding
    c.eval.ranks = (1, 5, 10)  # of the table's CMC columns
    c.eval.draw_seed = 0  # of single-shot galleries
    c.eval.rerank = False  # add each embedding's k-reciprocally re-ranked values
    c.eval.figure_queries = 8  # rows of the picture of ranked lists
    c.eval.report = True  # write report.html
    c.eval.report_lists = 4  # queries of each kind there: random, best, worst; most 6
    c.eval.report_queries = ()  # file names of more queries to show there; most 10
    return c
