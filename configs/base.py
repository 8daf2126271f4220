"""All config fields: defaults, what else they may be, what they mean.

The other configs override some of the defaults. Every value is checked against its
field here, wherever it comes from: a command line, a config file, a saved run.

The training recipe is CAL's (Gu et al., CVPR 2022), which most clothes-changing work
follows, because MBNet's own was not available. This file names no dataset, so it cannot
be trained with.
"""

from mbnet_jax.configs.backbone import POOLINGS, backbone
from mbnet_jax.configs.people import people
from ml_collections import ConfigDict

from mbnet_jax import schema
from mbnet_jax.schema import choice, flag, real, several, text, text_or_several, whole


def part() -> ConfigDict:
    """The fields of `data.parts.<name>`."""
    c = ConfigDict()
    c.name = text(None, low=1)
    c.root = text(None, low=1)
    c.parsing_dir = text("")
    c.parsing_labels = choice("canonical", "lip", "atr", "pascal")
    c.variant = text("")
    c = schema.optional_section(c)
    c.synthetic = schema.optional_section(people())
    return c


def start_from_imagenet(c: ConfigDict) -> None:
    """Initialises every backbone with torchvision's ImageNet weights."""
    for own in c.model.backbones.values():
        own.weights = f"timm/{own.name}.tv_in1k"


def fields() -> ConfigDict:
    """Every field, in its section."""
    c = ConfigDict()
    c.name = text("")  # the config's name; a run's folder is runs/<name>
    # Of initial weights, batches, augmentation and held-out identities
    c.seed = whole(0)

    c.data = ConfigDict()
    # A key of mbnet_jax.data.DATASETS; several are trained on together
    c.data.name = text_or_several("")
    # Of a dataset that comes in several variants (docs/datasets.md); "": the one that
    # is there
    c.data.variant = schema.optional(text(""))
    # Folder of the dataset; a synthetic one is written there
    c.data.root = text("data", low=1)
    # Folder of parsing maps, which mirrors root, with one .png per image; "": none
    c.data.parsing_dir = text("")
    c.data.parsing_labels = choice("canonical", "lip", "atr", "pascal")  # label set
    # Pixels, of the image that all views are made from
    c.data.height = schema.pixels(384)
    c.data.width = schema.pixels(192)  # pixels
    # What selects the best checkpoint: "held_out" training identities, the dataset's
    # "own" validation split, or "none": train on all images, keep the last checkpoint.
    # "default": whichever of these is usual for the dataset.
    c.data.validation = choice("default", "held_out", "own", "none")
    # Of training identities, if held out
    c.data.validation_fraction = real(0.1, high=1.0)
    c.data.threads = whole(8, low=1, high=256)  # that read and decode images
    c.data.prefetch = whole(4, low=1, high=256)  # batches prepared ahead of time
    # Gigabytes of memory in which each process keeps decoded training images, so that
    # later epochs need not decode them: at 384x192, 3,390 images each; 0: none
    c.data.cache_gb = schema.optional(real(0.0))
    # Unreadable images that training tolerates, replacing each by another of the same
    # person, before it stops.
    c.data.max_bad_images = whole(10)
    # Trains on the images of the split val too, where they show training persons
    c.data.train_with_val = schema.optional(flag(False))

    # With several datasets: the share of each in a batch's persons, in the order of
    # data.name; (): all persons are drawn equally often.
    c.data.shares = schema.optional(several((), real(None, above=True), repeated=True))
    # With several datasets: by one's name, its fields that differ from the above. With
    # `name`, that dataset may go by another name.
    c.data.parts = ConfigDict({schema.ANY: part()})

    # Only of configs whose dataset is generated: configs/synthetic.py
    c.data.synthetic = schema.optional_section(people())

    c.augment = ConfigDict()
    c.augment.flip = real(0.5, high=1.0)  # probability of the mirror image
    # Probability of enlarging by 9/8 and cropping to size
    c.augment.crop = real(0.5, high=1.0)
    # Probability of random erasing (Zhong et al., AAAI 2020)
    c.augment.erase = real(0.5, high=1.0)

    # Probability of changing brightness, contrast, saturation and hue (as in SimCLR;
    # Chen et al., ICML 2020)
    c.augment.jitter = schema.optional(real(0.0, high=1.0))
    # Probability of removing the colours
    c.augment.grey = schema.optional(real(0.0, high=1.0))
    # Probability of blurring the image
    c.augment.blur = schema.optional(real(0.0, high=1.0))
    # Probability of recolouring each garment, found by the parsing map: ours, after
    # semantic-guided pixel sampling (Shu et al., IEEE SPL 2021)
    c.augment.clothes = schema.optional(real(0.0, high=1.0))

    c.views = ConfigDict()  # sizes are height and width in pixels
    # Ours: contrast of the background of the crops; 0: the mean colour
    c.views.background = schema.optional(real(1.0, high=1.0))
    # Head over legs, of the clothing-unrelated branch; the height is even
    c.views.crops = schema.size(384, 192)
    c.views.silhouette = schema.size(256, 128)  # of the mask branch
    c.views[schema.ANY] = schema.size(256, 128)  # of a view of your own

    c.model = ConfigDict()
    # A network that a new run starts from, all but its classifiers: the folder of a run
    # or an export, or a Hugging Face hub id; "": none. In place of `weights`, below
    c.model.initial = schema.optional(text(""))
    # Or some of them
    c.model.branches = several(
        ("global", "clothing_unrelated", "mask"), text(None, 1), low=1
    )
    c.model.backbones = ConfigDict()  # of each branch
    for branch, name in (
        ("global", "resnet50"),
        ("clothing_unrelated", "resnet50"),
        ("mask", "resnet18"),
    ):
        c.model.backbones[branch] = backbone(name)
    c.model.backbones[schema.ANY] = backbone("resnet50")  # of a branch of your own
    c.model.pooling = choice(*POOLINGS)  # of maps and class tokens into embeddings
    c.model.ktm = flag(True)  # knowledge transfer module
    c.model.fam = flag(True)  # feature attention module
    c.model.cfm = flag(True)  # cross fusion module
    # Channels of CFM's tokens, a multiple of its heads and of 4
    c.model.fusion_width = whole(512, low=4, high=4096)
    c.model.fusion_heads = whole(8, low=1, high=1024)  # attention heads of CFM
    # Ours, of ResNets: the stage, 1 to 4, on whose map KTM's gate works; 0: on the
    # final map
    c.model.ktm_stage = schema.optional(whole(0, high=4))
    # Whether KTM adds the gated map to its input; False, ours: replaces the input (with
    # ktm_zoom: whether the image keeps what the gate does not pass)
    c.model.ktm_residual = schema.optional(flag(True))
    # Ours, in place of the gate on a map: how much KTM enlarges clothing-unrelated
    # parts of the image for the global branch; 0: not at all
    c.model.ktm_zoom = schema.optional(real(0.0, high=0.95))
    # Ours: the same for FAM
    c.model.fam_stage = schema.optional(whole(0, high=4))
    # FAM's spatial attention: a 7x7 convolution of the mean and maximum over channels;
    # or, ours, 1x1 convolutions of all channels, which cannot depend on the position
    c.model.fam_spatial = schema.optional(choice("conv7", "pointwise"))
    # Whether FAM adds the attended map to its input; False, ours: replaces the input
    c.model.fam_residual = schema.optional(flag(True))
    # Ours, after Ortho-ReID (arXiv 2606.11661): number of directions of the global
    # branch's features that vary with clothes, which are projected out of its
    # embedding; needs clothes labels; 0: none
    c.model.clothes_rank = schema.optional(whole(0, high=4096))
    # Ours: a head on the global branch's maps that predicts the parsing map
    c.model.parser = schema.optional(flag(False))
    # In place of that head, a small network of the image, which also finds parts' ends
    c.model.parser_image = schema.optional(flag(False))
    # Ours: whether that network hides the background from the global branch
    c.model.parser_masks = schema.optional(flag(False))
    c.model.parser_size = schema.optional(choice("small", "large"))  # of that network
    # The run, export or hub id whose image parser a new run starts with; "": none
    c.model.parser_initial = schema.optional(text(""))
    c.model.balance = flag(True)  # a learned weight per image and branch
    # Minimum weight, the mean being 1; 1: all equal
    c.model.balance_floor = real(0.5, high=1.0)
    # Ours: dimensions of a projection of all branches' embeddings, in place of the
    # balance; 0: none
    c.model.projection = schema.optional(whole(0, high=65_536))
    c.model.dtype = choice("float32", "bfloat16")  # of the computation

    c.loss = ConfigDict()
    c.loss.label_smoothing = real(0.1, high=1.0)  # of the cross-entropy; 0: none
    c.loss.identity = real(1.0)  # weight of the cross-entropy of each branch
    c.loss.triplet = real(1.0)  # weight of the batch-hard triplet loss of each branch
    c.loss.margin = real(0.3)  # of the triplet loss, Euclidean distance; 0: soft margin
    # Ours: weight of the supervised contrastive loss of each branch's embedding
    c.loss.contrastive = schema.optional(real(0.0))
    # Divides the cosines of contrastive losses
    c.loss.contrastive_temperature = schema.optional(real(0.1, above=True))
    c.loss.ktm_distill = real(1.0)  # weight of KTM's distillation
    c.loss.ktm_temperature = real(4.0, above=True)  # of KTM's distillation
    # Ours: weight of distilling the embedding, of equal size in both branches (after
    # FitNets; Romero et al., ICLR 2015)
    c.loss.ktm_features = schema.optional(real(0.0))
    # Ours: weight of distilling the cosines of all pairs of a batch (after Tung and
    # Mori, ICCV 2019)
    c.loss.ktm_similarity = schema.optional(real(0.0))
    c.loss.ktm_area = real(1.0)  # weight of KTM's area term
    c.loss.background = real(0.1)  # weight of the background constraint, for FAM
    # The background constraint is the share of the attention that lies on the
    # background, or, ours, its binary cross-entropy against the person's area
    c.loss.background_form = schema.optional(choice("share", "foreground"))
    # Weight of the loss that finds the directions of clothes, `model.clothes_rank`
    c.loss.clothes_subspace = schema.optional(real(1.0))
    # Weight of the cross-entropy of the predicted parsing map, `model.parser`
    c.loss.parser = schema.optional(real(1.0))
    # Weight of the cross-entropy of the rows and columns that head and legs reach in it
    c.loss.parser_extents = schema.optional(real(0.0))
    # Weight of the cross-entropy of where head and legs end, `model.parser_image`
    c.loss.parser_edges = schema.optional(real(0.3))
    c.loss.balance = real(1.0)  # weight of the triplet loss that trains the balance
    # Weight of the contrastive loss that trains the projection, `model.projection`
    c.loss.projection = schema.optional(real(1.0))

    # Weight of the clothes-based adversarial loss on the global branch (CAL, Gu et al.,
    # CVPR 2022), which needs clothes labels; 0: neither loss nor clothes classifier.
    c.loss.cal = real(0.0)
    # Epochs before that loss sets in; the clothes classifier learns from the start
    c.loss.cal_start_epoch = whole(25, high=1_000_000)
    # Divides the clothes classifier's cosines
    c.loss.cal_temperature = real(0.0625, above=True)
    # Share of CAL's target spread over a person's clothes
    c.loss.cal_epsilon = real(0.1, high=1.0)

    c.train = ConfigDict()
    # Over all devices; a multiple of images_per_identity
    c.train.batch_size = whole(64, low=2, high=65_536)
    c.train.images_per_identity = whole(4, low=2, high=1024)  # in a batch
    # Micro-batches per step, for batches that do not fit into memory. Each has whole
    # identities, and its own batch norm statistics and losses.
    c.train.accumulate = whole(1, low=1, high=1024)
    # Parameters, gradients and the optimizer's state are split over the devices, and
    # parameters gathered where they are used: less memory, more exchanges.
    c.train.shard_parameters = schema.optional(flag(False))
    # Ours: probability that an image's views are of the parsing map that the network
    # predicts (`model.parser`) in place of the given one
    c.train.predicted_maps = schema.optional(real(0.0, high=1.0))
    # Modules to train, by the names in a run's `parameters.txt`; (): all
    c.train.only = schema.optional(several((), text(None, 1)))
    c.train.epochs = whole(60, low=1, high=1_000_000)  # of steps_per_epoch steps each
    c.train.steps_per_epoch = whole(0, high=10_000_000)  # 0: images // batch_size
    # "adam" has its weight decay in the gradient, as PyTorch's, "adamw" apart from it
    c.train.optimizer = schema.optional(choice("adam", "adamw", "sgd"))
    c.train.momentum = schema.optional(real(0.9, high=0.9999))  # of sgd
    c.train.learning_rate = real(3.5e-4, high=10.0)  # at the end of the warm-up
    # Factor of the learning rate of each layer of a backbone, for every layer above it;
    # 1: none
    c.train.layer_decay = schema.optional(real(1.0, above=True, high=1.0))
    # Factor of the learning rate of biases
    c.train.bias_rate = schema.optional(real(1.0, high=100.0))
    c.train.warmup_epochs = real(0.0)  # of linear warm-up
    # Share of the learning rate at the warm-up's first step; 0: 1 / (1 + its steps)
    c.train.warmup_start = schema.optional(real(0.0, high=1.0))
    # "cosine" begins after the warm-up, "cosine_under_warmup" with the first step: the
    # warm-up replaces its beginning
    c.train.schedule = choice("step", "cosine", "cosine_under_warmup")
    # Share of the learning rate at which a cosine ends
    c.train.cosine_end = schema.optional(real(0.0, high=1.0))
    # At which the step schedule lowers the rate
    c.train.decay_epochs = several((20, 40), whole(None, 1, 1_000_000))
    c.train.decay_rate = real(0.1, high=1.0)  # factor of each such decay
    # Of kernels; biases, norms and embeddings have none
    c.train.weight_decay = real(5e-4, high=10.0)
    c.train.decay_all = schema.optional(flag(False))  # weight decay of all parameters
    # The largest global norm of a gradient, which is scaled down to it; 0: no limit
    c.train.clip_norm = schema.optional(real(0.0))
    # Of an exponential moving average of the parameters, which is then what is
    # validated, saved as weights and tested: how much of it a step keeps; 0: none
    c.train.ema = schema.optional(real(0.0, high=0.999999))
    c.train.log_every = whole(20, low=1)  # steps per line of metrics.jsonl
    c.train.checkpoint_every = whole(200, low=1)  # steps; also after each evaluation
    c.train.keep = whole(2, low=1, high=1_000_000)  # newest checkpoints, and the best
    # Consecutive steps with a loss or gradient that is not finite, none of which is
    # applied, before training stops; 1: stops at the first.
    c.train.max_bad_steps = whole(10, low=1)

    c.eval = ConfigDict()
    # Between validations; the last epoch is always validated
    c.eval.every_epochs = whole(5, low=1)
    c.eval.batch_size = whole(64, low=1, high=65_536)  # over all devices
    # To evaluate; (): all. "global" needs no parsing maps
    c.eval.branches = several((), text(None, 1))
    # "predicted": maps that the network predicts (`model.parser`), and none are read
    c.eval.maps = schema.optional(choice("given", "predicted"))
    c.eval.flip = flag(True)  # adds the mirrored image's embedding
    # Of the table's CMC columns
    c.eval.ranks = several((1, 5, 10), whole(None, 1, 1_000_000), low=1, high=100)
    c.eval.draw_seed = whole(0)  # of single-shot galleries
    # The share of pairs of two persons that the threshold for "the same person" may
    # accept; it is set on validation persons. 0: no threshold, no ROC
    c.eval.false_accept_rate = schema.optional(real(1e-3, high=0.5))
    c.eval.rerank = flag(False)  # adds a row per embedding with k-reciprocal re-ranking
    c.eval.figure_queries = whole(8, high=1000)  # rows of ranked_lists.png; 0: none
    c.eval.report = flag(True)  # writes report.html
    # Its queries of each kind (random, best, worst); with 6, PRCC's has 4,000 images
    c.eval.report_lists = whole(4, high=6)
    # Images on its map of embeddings, of whole persons; 0: no map
    c.eval.report_points = schema.optional(whole(400, high=2000))
    # File names of further queries in it
    c.eval.report_queries = several((), text(None, 1), high=10)
    return c


FIELDS = fields()


def get_config() -> ConfigDict:
    """Returns the default config; a config file overrides fields of it."""
    return schema.defaults(FIELDS)
