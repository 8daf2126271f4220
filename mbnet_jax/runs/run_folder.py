"""A run's folder: its config, classes, labels, checkpoints and metrics.

| file | what it holds |
|---|---|
| `config.json` | the config, the numbers of classes, a digest of the training labels |
| `checkpoints/<step>`, `best/<step>` | the newest training states, and the best |
| `metrics.jsonl`, `events/` | what training logged |
| `calibration.json` | probabilities of pairs, fitted by an evaluation |
| `eval/` | what the last evaluation wrote; in `eval/<name>/`, of another dataset |
"""

import hashlib
import json
import os
import re
from pathlib import Path

from jax.sharding import Mesh
from ml_collections import ConfigDict

from mbnet_jax.config import flat
from mbnet_jax.data import Dataset, Split
from mbnet_jax.data.parts import parts_of
from mbnet_jax.json_files import write_json
from mbnet_jax.models import MBNet
from mbnet_jax.runs.calibration_file import Calibration, read_calibrations
from mbnet_jax.runs.checkpoints import BEST, Checkpoints, check_which
from mbnet_jax.runs.config_file import FILE, VERSION, config_of, read_config_file
from mbnet_jax.runs.network import INITIAL, Network, described, make_model
from mbnet_jax.runs.results_folder import ResultsFolder

# A checkpoint fits no other network.
ARCHITECTURE = ("model", "views")
# A resumed run has to meet the batches that it would have met: a checkpoint's step is
# a position in them, and the people it was validated on have to stay unseen.
DATA = ("seed", "data", "train.batch_size", "train.images_per_identity")
# Fields among them that say where the data is and how it is read. Its labels are
# compared instead.
_FREE = "root parsing_dir threads prefetch cache_gb max_bad_images"
FREE = tuple(f"data.{field}" for field in _FREE.split())
_FREE_PART = re.compile(r"data\.parts\.[^.]+\.(root|parsing_dir)")


class RunFolder(ResultsFolder):
    """A run on disk, read once.

    Attributes:
      config: the config that the run was started or last resumed with.
      num_classes: identities that its classifiers distinguish.
      num_clothes: classes of its clothes classifier; 0 without one.
      labels: a digest of the images and labels that it is trained and validated on.
    """

    def __init__(self, path: str | Path):
        """Reads `config.json` in the folder `path`.

        Raises:
          FileNotFoundError: if the folder holds no run.
          ValueError: if the file is damaged, of an earlier version of the project, or
            `path` is no path.
        """
        if not isinstance(path, str | os.PathLike):
            raise ValueError(
                f"path={str(path)[:60]} must be the path of a run's folder, not "
                f"{type(path).__name__}"
            )
        super().__init__(path)
        content = read_config_file(self.path)
        self.config = config_of(content)
        self.num_classes: int = content["num_classes"]
        self.num_clothes: int = content["num_clothes"]
        self.labels: str | None = content.get("labels")

    @classmethod
    def create(cls, path: Path, config: ConfigDict, dataset: Dataset) -> "RunFolder":
        """Writes `config.json`, for a new run or one that is resumed."""
        path.mkdir(parents=True, exist_ok=True)
        content = {
            "version": VERSION,
            "config": config.to_dict(),
            "num_classes": num_classes(dataset.train),
            "num_clothes": num_clothes(config, dataset.train),
            "labels": digest_labels(dataset),
        }
        write_json(path / FILE, content)
        return cls(path)

    @property
    def log(self) -> Path:
        """The lines that training logged, one JSON object each."""
        return self.path / "metrics.jsonl"

    @property
    def origin(self) -> str:
        """Where the network comes from, for people to read."""
        return f"the run in {self.path}"

    @property
    def entries(self) -> dict[str, str]:
        """What `metrics.json` says of the network, besides its step."""
        return {}

    def step_of(self, which: str | int) -> int | None:
        """The step of checkpoint `which`, "best" or a step; None if there is none."""
        check_which(which)
        with Checkpoints(self.path, create=False) as checkpoints:
            return checkpoints.best_step() if which == BEST else which

    def calibrations(self, step: int) -> list[Calibration]:
        """Those of the checkpoint of `step`; [] if there are none.

        Raises:
          ValueError: if their file is damaged.
        """
        return read_calibrations(self.path, step)

    def make_model(self) -> MBNet:
        """The network that the run trains."""
        return make_model(self.config.model, self.num_classes, self.num_clothes)

    def load(self, mesh: Mesh, which: str | int = BEST) -> Network:
        """Reads the weights of checkpoint `which`, "best" or a step.

        Raises:
          FileNotFoundError: if there is no such checkpoint.
          ValueError: if it cannot be read.
        """
        check_which(which)
        model, shapes = described(
            self.path / FILE, self.config, self.num_classes, self.num_clothes
        )
        with Checkpoints(self.path, create=False) as checkpoints:
            restored = checkpoints.restore(which, {"weights": shapes}, mesh)
        weights = restored.parts["weights"]
        return Network(self.config, model, weights, restored.step)

    def differences(
        self, config: ConfigDict, refused: tuple[str, ...] = ARCHITECTURE
    ) -> list[str]:
        """Lines `field: saved -> given` for each field that differs.

        Raises:
          ValueError: listing those that differ in the parts `refused`.
        """
        saved, given = _comparable(self.config), _comparable(config)
        lines, clashes = [], []
        for key in sorted({*saved, *given}):
            if saved.get(key) == given.get(key):
                continue
            line = f"{key}: {saved.get(key)} -> {given.get(key)}"
            only_new = _is_weights_source(key)
            lines.append(line + (" (no effect: a new run reads it)" * only_new))
            if not only_new and not _is_free(key) and _is_in(key, refused):
                clashes.append(line)
        if clashes:
            raise ValueError(
                f"the run in {self.path} has another architecture or other data "
                "(saved -> given):\n  "
                + "\n  ".join(clashes)
                + "\nGive the saved values, or another --workdir."
            )
        return lines

    def check_resume(self, config: ConfigDict, dataset: Dataset) -> list[str]:
        """`differences` for a run that is to be resumed on `dataset`.

        Raises:
          ValueError: if a field of network or data differs, or the images' labels.
        """
        lines = self.differences(config, ARCHITECTURE + DATA)
        if self.labels != digest_labels(dataset):
            parts = parts_of(config.data).values()
            roots = " and ".join(dict.fromkeys(part.root for part in parts))
            raise ValueError(
                f"the images in {roots}, or their labels, are not those "
                f"that the run in {self.path} started with; restore them, or give "
                "another --workdir"
            )
        if self.num_classes != num_classes(dataset.train):
            raise ValueError(
                f"{self.path / FILE} says num_classes={self.num_classes}, and the "
                f"images are of {num_classes(dataset.train)} identities; restore a "
                "copy of it, or give another --workdir"
            )
        # A weight of 0 and another one are two networks.
        if self.num_clothes != num_clothes(config, dataset.train):
            raise ValueError(
                f"loss.cal={config.loss.cal} switches the clothes classifier on or "
                f"off, unlike in the run in {self.path}; give the saved loss.cal, or "
                "another --workdir"
            )
        saved, given = _states(self.config), _states(config)
        for field, value in given.items():
            if saved[field] != value:
                raise ValueError(
                    f"the checkpoints in {self.path} hold the state of training with "
                    f"{saved[field]}, not with {value}; give the saved {field}, or "
                    "another --workdir"
                )
        return lines


def num_classes(train: Split) -> int:
    """Identities of the training split."""
    return int(train.pid.max()) + 1


def num_clothes(config: ConfigDict, train: Split) -> int:
    """Classes of the clothes classifier; 0 where `loss.cal` is off."""
    return int(train.clothes.max()) + 1 if config.loss.cal else 0


def digest_labels(dataset: Dataset) -> str:
    """Digest of the names and labels of all images for training and validation."""
    digest = hashlib.sha256()
    validations = (each.images for each in dataset.validations.values())
    for split in (dataset.train, *validations):
        split = split.frames.images if split.frames else split
        digest.update(json.dumps(split.names).encode())
        for labels in split.labels:
            digest.update(labels.tobytes())
    return digest.hexdigest()[:16]


def _states(config: ConfigDict) -> dict[str, str]:
    """Field -> what of a checkpoint's content it decides on."""
    train = config.train
    return {
        "train.optimizer": f"train.optimizer={train.get('optimizer', 'adam')!r}",
        "train.ema": f"{'an' if train.get('ema', 0) else 'no'} average (train.ema)",
    }


def _comparable(config: ConfigDict) -> dict:
    """Field -> value, through JSON: tuples equal the lists that they are saved as."""
    return flat(json.loads(json.dumps(config.to_dict())))


def _is_free(key: str) -> bool:
    return key in FREE or _FREE_PART.fullmatch(key) is not None


def _is_weights_source(key: str) -> bool:
    backbones = key.startswith("model.backbones.") and key.endswith(".weights")
    return backbones or key in {f"model.{field}" for field in INITIAL}


def _is_in(key: str, parts: tuple[str, ...]) -> bool:
    return any(f"{key}.".startswith(f"{part}.") for part in parts)
