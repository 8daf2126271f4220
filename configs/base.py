"""All config fields with their defaults; the other configs override some of them.

The training recipe is CAL's (Gu et al., CVPR 2022), which most clothes-changing work
follows, because MBNet's own was not available. This file names no dataset, so it cannot
be trained with.
"""

from ml_collections import ConfigDict


def backbone(name: str) -> ConfigDict:
    """The fields of `model.backbones.<branch>`."""
    c = ConfigDict()
    c.name = name  # a key of mbnet_jax.backbones.BACKBONES
    # Initial weights of a new run: a .safetensors, .npz or .pth file, or a Hugging
    # Face hub id such as "timm/resnet50.tv_in1k"; "": random.
    c.weights = ""
    c.width = 64  # of ResNets: channels of the first stage; 64 is the standard network
    c.stem = "imagenet"  # of ResNets; "small" or "patch" for small images
    c.last_stride = 1  # of ResNets: stride of the last stage; 1 doubles the final map
    return c


def start_from_imagenet(c: ConfigDict) -> None:
    """Initialises every backbone with torchvision's ImageNet weights."""
    for fields in c.model.backbones.values():
        fields.weights = f"timm/{fields.name}.tv_in1k"


def get_config() -> ConfigDict:
    """Returns the default config; a config file overrides fields of it."""
    c = ConfigDict()
    c.name = ""  # the config's name; a run's folder is runs/<name>
    c.seed = 0  # of initial weights, batches, augmentation and held-out identities

    c.data = ConfigDict()
    c.data.name = ""  # a key of mbnet_jax.data.DATASETS
    c.data.root = "data"  # folder of the dataset; a synthetic one is written there
    # Folder of parsing maps, which mirrors root, with one .png per image; "": none.
    c.data.parsing_dir = ""
    c.data.parsing_labels = "canonical"  # label set: or "lip", "atr", "pascal"
    c.data.height = 384  # pixels, of the image that all views are made from
    c.data.width = 192  # pixels
    # What selects the best checkpoint: "held_out" training identities, the dataset's
    # "own" validation split, or "none": train on all images, keep the last checkpoint.
    # "default": whichever of these is usual for the dataset.
    c.data.validation = "default"
    c.data.validation_fraction = 0.1  # of training identities, if held out
    c.data.threads = 8  # that read and decode images
    c.data.prefetch = 4  # batches prepared ahead of time
    # Unreadable images that training tolerates, replacing each by another of the same
    # person, before it stops.
    c.data.max_bad_images = 10

    c.augment = ConfigDict()
    c.augment.flip = 0.5  # probability of the mirror image
    c.augment.crop = 0.5  # probability of enlarging by 9/8 and cropping to size
    c.augment.erase = 0.5  # probability of random erasing (Zhong et al., AAAI 2020)

    c.views = ConfigDict()  # sizes are height and width in pixels
    c.views.crops = (384, 192)  # head over legs, of the clothing-unrelated branch
    c.views.silhouette = (256, 128)  # of the mask branch

    c.model = ConfigDict()
    c.model.branches = ("global", "clothing_unrelated", "mask")  # or some of them
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
    c.model.fusion_heads = 8  # attention heads of CFM
    c.model.balance = True  # a learned weight per image and branch
    c.model.balance_floor = 0.5  # minimum weight, the mean being 1; 1: all equal
    c.model.dtype = "float32"  # of the computation, or "bfloat16"

    c.loss = ConfigDict()
    c.loss.label_smoothing = 0.1  # of the cross-entropy; 0: none
    c.loss.identity = 1.0  # weight of the cross-entropy of each branch
    c.loss.triplet = 1.0  # weight of the batch-hard triplet loss of each branch
    c.loss.margin = 0.3  # of the triplet loss, Euclidean distance; 0: soft margin
    c.loss.ktm_distill = 1.0  # weight of KTM's distillation
    c.loss.ktm_temperature = 4.0  # of KTM's distillation
    c.loss.ktm_area = 1.0  # weight of KTM's area term
    c.loss.background = 0.1  # weight of the background constraint on FAM's attention
    # Weight of the triplet loss on the combined embedding, which trains the balance.
    c.loss.balance = 1.0

    # Weight of the clothes-based adversarial loss on the global branch (CAL, Gu et al.,
    # CVPR 2022), which needs clothes labels; 0: neither loss nor clothes classifier.
    c.loss.cal = 0.0
    # Epochs before that loss sets in; the clothes classifier learns from the start.
    c.loss.cal_start_epoch = 25
    c.loss.cal_temperature = 0.0625  # divides the clothes classifier's cosines
    c.loss.cal_epsilon = 0.1  # share of CAL's target spread over a person's clothes

    c.train = ConfigDict()
    c.train.batch_size = 64  # over all devices; a multiple of images_per_identity
    c.train.images_per_identity = 4  # in a batch
    # Micro-batches per step, for batches that do not fit into memory. Each has whole
    # identities, and its own batch norm statistics and losses.
    c.train.accumulate = 1
    c.train.epochs = 60  # of steps_per_epoch steps each
    c.train.steps_per_epoch = 0  # 0: images // batch_size
    c.train.learning_rate = 3.5e-4  # of Adam
    c.train.warmup_epochs = 0.0  # of linear warm-up
    c.train.schedule = "step"  # or "cosine", which ends at 0
    c.train.decay_epochs = (20, 40)  # at which the step schedule lowers the rate
    c.train.decay_rate = 0.1  # factor of each such decay
    c.train.weight_decay = 5e-4  # of kernels; biases and norms have none
    c.train.log_every = 20  # steps per line of metrics.jsonl
    c.train.checkpoint_every = 200  # steps; also after each evaluation
    c.train.keep = 2  # newest checkpoints to keep, besides the best
    # Consecutive steps with a loss or gradient that is not finite, none of which is
    # applied, before training stops; 1: stops at the first.
    c.train.max_bad_steps = 10

    c.eval = ConfigDict()
    c.eval.every_epochs = 5  # between validations; the last epoch is always validated
    c.eval.batch_size = 64  # over all devices
    c.eval.branches = ()  # to evaluate; (): all. "global" needs no parsing maps
    c.eval.flip = True  # adds the mirrored image's embedding
    c.eval.ranks = (1, 5, 10)  # of the table's CMC columns
    c.eval.draw_seed = 0  # of single-shot galleries
    c.eval.rerank = False  # adds a row per embedding with k-reciprocal re-ranking
    c.eval.figure_queries = 8  # rows of ranked_lists.png; 0: no picture
    c.eval.report = True  # writes report.html
    c.eval.report_lists = 4  # its queries of each kind (random, best, worst), up to 6
    c.eval.report_queries = ()  # file names of further queries in it, up to 10
    return c
