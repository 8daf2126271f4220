"""Which config field was meant by a name that is none."""

import difflib
from collections.abc import Iterable

# What other programs call a field -> the fields, or a field with the value to give it.
_WORDS = {
    "train.learning_rate": "lr rate base_lr learningrate",
    "train.weight_decay": "wd decay weightdecay l2",
    "train.batch_size": "bs batchsize batch ims_per_batch",
    "train.images_per_identity": "num_instances num_instance instances k",
    "train.epochs": "num_epochs epoch max_epochs max_epoch n_epochs nepochs",
    "train.steps_per_epoch": "steps iterations iters num_steps",
    "train.warmup_epochs": "warmup warmup_epoch",
    "train.schedule": "scheduler lr_scheduler lr_schedule",
    "train.decay_epochs": "milestones milestone stepsize step_size lr_steps",
    "train.decay_rate": "gamma lr_decay",
    "train.optimizer": "optim optimiser opt",
    "train.layer_decay": "layerwise_decay layer_wise_decay llrd lr_layer_decay",
    "train.bias_rate": "bias_lr_factor bias_lr",
    "train.clip_norm": "grad_clip clip_grad clip_grad_norm max_grad_norm gradient_clip",
    "train.ema": "ema_decay model_ema model_ema_decay",
    "train.warmup_start": "warmup_lr warmup_factor warmup_lr_init",
    "train.cosine_end": "min_lr lr_min eta_min",
    "train.accumulate": "accumulation grad_accum accumulation_steps",
    "train.log_every": "log_interval log_freq print_freq log_period",
    "train.checkpoint_every": "save_every save_freq save_interval checkpoint_period",
    "eval.every_epochs": "eval_every eval_freq eval_interval eval_period val_every",
    "eval.batch_size": "test_batch test_batch_size eval_batch_size",
    "eval.rerank": "reranking re_ranking re_rank",
    "data.name": "dataset dataset_name",
    "data.root": "data_dir data_root data_path dataset_dir root_dir path folder",
    "data.parsing_dir": "masks mask_dir maps maps_dir parsing parsing_maps",
    "data.threads": "workers num_workers n_workers nworkers num_threads",
    "data.height data.width": "resolution img_size image_size input_size size",
    "augment.flip": "hflip random_flip horizontal_flip flip_prob mirror",
    "augment.erase": "erasing random_erasing random_erase reprob re_prob",
    "augment.crop": "random_crop crop_prob",
    "loss.margin": "triplet_margin",
    "loss.label_smoothing": "smoothing label_smooth smooth",
    "loss.identity": "id_loss id_weight ce_weight",
    "model.backbones.global.name": "backbone arch architecture",
    "model.backbones.global.weights=timm/resnet50.tv_in1k": "pretrained "
    "pretrain pretrain_path init imagenet",
    "model.dtype=bfloat16": "amp fp16 bf16 half precision mixed_precision",
    "model.branches": "branch streams",
    "seed": "random_seed manual_seed rng_seed",
}
_FIELDS = {word: field for field, words in _WORDS.items() for word in words.split()}
# What is no field.
_ELSEWHERE = {
    "the folder of the run is --workdir DIR": "output out output_dir out_dir save_dir "
    "log_dir logdir work_dir workdir run_dir run_name exp_name",
    "all devices that jax sees are used; CUDA_VISIBLE_DEVICES=0 before the command "
    "leaves one GPU, JAX_PLATFORMS=cpu none": "gpus gpu gpu_id gpu_ids num_gpus cuda "
    "device devices device_id device_ids",
    "the same command, with the same --workdir, resumes a run": "resume resume_from "
    "restart auto_resume",
    "the checkpoint to evaluate is --checkpoint STEP, the run --workdir DIR": "ckpt "
    "checkpoint load_from model_path weights_path",
}
_SENTENCES = {
    word: text for text, words in _ELSEWHERE.items() for word in words.split()
}


def meant(name: str, known: Iterable[str]) -> list[str]:
    """The fields, of `known`, that somebody who writes `name` most likely means.

    Args:
      name: an unknown name, "train.lr" or without a section, "lr".
      known: full names of all fields.

    Returns:
      At most three, the likeliest first; [] if none is near. One may have the value
      to set behind "=". Several for one word are to be set together.
    """
    known = [*known]
    plain = name[:100].lower().replace("-", "_")
    section, _, last = plain.rpartition(".")
    ends = {field: field.rpartition(".")[2] for field in known}
    ratios = {f: difflib.SequenceMatcher(None, f, plain).ratio() for f in known}
    # The right field in the wrong section, or without one.
    if found := [field for field, end in ends.items() if end == last]:
        best = max(found, key=ratios.get)
        found.sort(key=lambda field: not field.startswith("train."))
        return [best] if ratios[best] > 0.9 else found[:3]
    word = last if last in _FIELDS else last.replace("_", "")
    if word in _FIELDS:
        fields = _FIELDS[word].split()
        own = f"{section}.{fields[0].rpartition('.')[2]}"  # as in "eval.bs"
        if len(fields) == 1 and own in known:
            return [own]
        if all(field.partition("=")[0] in known for field in fields):
            return fields
    best = max(ratios.values(), default=0)
    if best > 0.75:  # another one only if it is as near
        return [field for field in known if ratios[field] > best - 0.02][:3]
    wanted = difflib.get_close_matches(last, {*ends.values()}, n=2, cutoff=0.75)
    return [field for end in wanted for field in known if ends[field] == end][:3]


def elsewhere(name: str) -> str:
    """What to do in place of setting a field of this name; "" if that is not known."""
    last = name[:100].lower().replace("-", "_").rpartition(".")[2]
    return _SENTENCES.get(last, "")
