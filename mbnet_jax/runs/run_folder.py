"""A run's config on disk, and what may differ when the run goes on."""

import hashlib
import json
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.backbones import pretrained
from mbnet_jax.data import Dataset
from mbnet_jax.files import write_whole
from mbnet_jax.training.clothes import count_clothes

FILE = "config.json"
# A checkpoint fits no other network.
ARCHITECTURE = ("model", "views")
# A run that goes on must meet the batches that it would have met: a checkpoint's step
# is a place in them, and whom it was validated on must stay unseen.
DATA = ("seed", "data", "train.batch_size", "train.images_per_identity")
# Fields among them that only a new run reads.
_NEW_RUNS_ONLY = tuple(f"model.{field}" for field in pretrained.FIELDS)
# And those that say where the data is and how it is read. Its labels are compared.
FREE = tuple(
    f"data.{field}"
    for field in ("root", "parsing_dir", "threads", "prefetch", "max_bad_images")
)


def _flat(config: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def save_config(config: ConfigDict, dataset: Dataset, workdir: Path) -> None:
    """Writes the config, and what there was to train on.

    That is how many identities and clothes the classifiers tell apart, and a digest of
    labels.
    """
    workdir.mkdir(parents=True, exist_ok=True)
    content = {
        "config": config.to_dict(),
        "num_classes": int(dataset.train.pid.max()) + 1,
        "num_clothes": count_clothes(config, dataset.train),
        "labels": _digest(dataset),
    }
    write_whole(workdir / FILE, json.dumps(content, indent=2) + "\n")


def load_num_classes(workdir: Path) -> int:
    """How many identities the run's classifiers tell apart.

    Raises:
      FileNotFoundError: if `workdir` holds no run.
    """
    return _load(workdir)["num_classes"]


def load_num_clothes(workdir: Path) -> int:
    """How many classes the run's clothes classifier has; 0 where it has none.

    Raises:
      FileNotFoundError: if `workdir` holds no run.
    """
    return _load(workdir).get("num_clothes", 0)  # an older run has none


def load_saved(workdir: Path) -> ConfigDict:
    """The run's config; its sequences are tuples, as config files have them.

    Raises:
      FileNotFoundError: if `workdir` holds no run.
    """
    return ConfigDict(_with_tuples(_load(workdir)["config"]))


def _with_tuples(value):
    if isinstance(value, dict):
        return {key: _with_tuples(entry) for key, entry in value.items()}
    return tuple(map(_with_tuples, value)) if isinstance(value, list) else value


def _load(workdir: Path) -> dict:
    path = workdir / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{workdir} holds no run (no {FILE}); train one first, or give --workdir"
        )
    try:
        return json.loads(path.read_text())
    except json.JSONDecodeError as error:
        raise ValueError(
            f"{path} is damaged ({error}); put back a copy, or give another --workdir"
        ) from error


def is_of(dataset: Dataset, workdir: Path) -> bool:
    """Whether the run in `workdir` began with these images and labels.

    Of those for training and validation: others the run has not met.

    Raises:
      FileNotFoundError: if `workdir` holds no run.
    """
    return _load(workdir)["labels"] == _digest(dataset)


def _digest(dataset: Dataset) -> str:
    """Of names and labels of the images for training and validation, in their order."""
    digest = hashlib.sha256()
    for split in (dataset.train, dataset.validation and dataset.validation.images):
        if split is not None:
            digest.update(json.dumps(split.names).encode())
            for labels in split.labels:
                digest.update(labels.tobytes())
    return digest.hexdigest()[:16]


def differences(
    config: ConfigDict, workdir: Path, refused: tuple[str, ...] = ARCHITECTURE
) -> list[str]:
    """Lines `field: saved -> given`, refusing those in the parts `refused`.

    Raises:
      FileNotFoundError: if `workdir` holds no run.
      ValueError: if a refused field differs, with all that do.
    """
    saved = _flat(_load(workdir)["config"])
    # Through JSON, so that tuples compare equal to the lists they are saved as.
    given = _flat(json.loads(json.dumps(config.to_dict())))
    changed = [
        key for key in sorted({*saved, *given}) if saved.get(key) != given.get(key)
    ]
    lines = {
        key: f"{key}: {saved.get(key)} -> {given.get(key)}"
        + (" (no effect: only a new run reads it)" if key in _NEW_RUNS_ONLY else "")
        for key in changed
    }
    clashes = [
        lines[key]
        for key in changed
        if any(f"{key}.".startswith(f"{part}.") for part in refused)
        and key not in _NEW_RUNS_ONLY + FREE
    ]
    if clashes:
        raise ValueError(
            f"the run in {workdir} has another architecture or other data (saved -> "
            "given):\n  "
            + "\n  ".join(clashes)
            + "\nGive the saved values, or another --workdir."
        )
    return list(lines.values())


def differences_to_resume(
    config: ConfigDict, dataset: Dataset, workdir: Path
) -> list[str]:
    """The same for a run that is to go on, whose data must be what it was too.

    Raises:
      FileNotFoundError: if `workdir` holds no run.
      ValueError: if a field of network or data differs, or the images' labels.
    """
    lines = differences(config, workdir, ARCHITECTURE + DATA)
    if not is_of(dataset, workdir):
        raise ValueError(
            f"the images in {config.data.root}, or their labels, are no longer those "
            f"that the run in {workdir} began with; restore them, or give another "
            "--workdir"
        )
    # A weight of 0 and another one are two networks.
    if load_num_clothes(workdir) != count_clothes(config, dataset.train):
        raise ValueError(
            f"loss.cal={config.loss.cal} switches the clothes classifier on or off, "
            f"other than the run in {workdir} has it; give the saved loss.cal, or "
            "another --workdir"
        )
    return lines
