"""A run's config on disk, and what may differ when the run goes on."""

import json
from pathlib import Path

from ml_collections import ConfigDict

from mbnet_jax.files import write_whole
from mbnet_jax.models import pretrained

FILE = "config.json"
# A checkpoint fits no other network; other fields may change between starts.
ARCHITECTURE = ("model", "views")
# Fields among them that only a new run reads.
_NEW_RUNS_ONLY = tuple(f"model.{field}" for field in pretrained.FIELDS)


def _flat(config: dict, prefix: str = "") -> dict:
    flat = {}
    for key, value in config.items():
        if isinstance(value, dict):
            flat |= _flat(value, f"{prefix}{key}.")
        else:
            flat[prefix + key] = value
    return flat


def save_config(config: ConfigDict, num_classes: int, workdir: Path) -> None:
    """Writes the config, and how many identities the classifiers tell apart."""
    workdir.mkdir(parents=True, exist_ok=True)
    content = {"config": config.to_dict(), "num_classes": num_classes}
    write_whole(workdir / FILE, json.dumps(content, indent=2) + "\n")


def load_num_classes(workdir: Path) -> int:
    """How many identities the run's classifiers tell apart.

    Raises:
      FileNotFoundError: if `workdir` holds no run.
    """
    return _load(workdir)["num_classes"]


def _load(workdir: Path) -> dict:
    path = workdir / FILE
    if not path.is_file():
        raise FileNotFoundError(
            f"{workdir} holds no run (no {FILE}); train one first, or give --workdir"
        )
    return json.loads(path.read_text())


def differences(config: ConfigDict, workdir: Path) -> list[str]:
    """Lines `field: saved -> given`, refusing those that change the network.

    Raises:
      FileNotFoundError: if `workdir` holds no run.
      ValueError: if the architecture differs, with the fields that do.
    """
    saved = _flat(_load(workdir)["config"])
    # Through JSON, so that tuples compare equal to the lists they are saved as.
    given = _flat(json.loads(json.dumps(config.to_dict())))
    changed = [
        key for key in sorted({*saved, *given}) if saved.get(key) != given.get(key)
    ]
    lines = [
        f"{key}: {saved.get(key)} -> {given.get(key)}"
        + (" (no effect: only a new run reads it)" if key in _NEW_RUNS_ONLY else "")
        for key in changed
    ]
    refused = [
        line
        for key, line in zip(changed, lines, strict=True)
        if key.split(".")[0] in ARCHITECTURE and key not in _NEW_RUNS_ONLY
    ]
    if refused:
        raise ValueError(
            f"the run in {workdir} has another architecture (saved -> given):\n  "
            + "\n  ".join(refused)
            + "\nGive the saved values, or another --workdir."
        )
    return lines
