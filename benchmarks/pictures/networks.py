"""Two trained networks on the same test split, each with its ranking of it."""

from pathlib import Path
from typing import NamedTuple

from jax.sharding import Mesh
from ml_collections import ConfigDict

from benchmarks.ablation.lines import fingerprint
from mbnet_jax.data import Split, load_dataset
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import ALL
from mbnet_jax.evaluation.measure import Embedded, rank, sides
from mbnet_jax.evaluation.protocols import Protocol, drawn_protocol, usable_protocols
from mbnet_jax.evaluation.run import embed_test
from mbnet_jax.retrieval import RetrievalMetrics
from mbnet_jax.runs.load import Trained, load_trained
from mbnet_jax.runs.run_folder import FILE, is_of, load_saved


class Network(NamedTuple):
    """A trained network and what it makes of the test split.

    title: as it is printed.
    trained: it; its config has the data's root of today.
    embedding: the name of the one that it is judged by.
    query, gallery: with their embeddings.
    metrics: of every query.
    """

    title: str
    trained: Trained
    embedding: str
    query: Embedded
    gallery: Embedded
    metrics: RetrievalMetrics


class Compared(NamedTuple):
    """Both networks under one protocol."""

    whole: Network
    baseline: Network
    protocol: Protocol

    @property
    def splits(self) -> tuple[Split, Split]:
        """The images of both sides."""
        return self.whole.query.split, self.whole.gallery.split


def compare(whole: Path, baseline: Path, data_root: Path | None) -> Compared:
    """Reads both runs, and tests them under the clothes-changing rule.

    Args:
      whole: the folder of a run with KTM and the clothing-unrelated branch.
      baseline: that of one with the global branch.
      data_root: where the data is now; None: where the runs' configs say.

    Raises:
      FileNotFoundError: if images are missing.
      ValueError: if a folder holds no run or one that does not fit, the runs are of
        different data, or no clothes are known.
    """
    configs = {
        "--whole": _config(whole, "--whole", data_root),
        "--baseline": _config(baseline, "--baseline", data_root),
    }
    _check_parts(configs["--whole"], f"--whole={whole}")
    if "global" not in configs["--baseline"].model.branches:
        raise ValueError(f"--baseline={baseline} has no global branch; give a run with")
    configs["--whole"].eval.branches = ()
    configs["--baseline"].eval.branches = ("global",)
    digests = {flag: fingerprint(config) for flag, config in configs.items()}
    if len(set(digests.values())) > 1:
        raise ValueError(
            f"the two runs are of different data: --whole={whole} of "
            f"{digests['--whole']}, --baseline={baseline} of {digests['--baseline']}"
        )
    mesh = make_mesh()
    networks = [
        _network(folder, flag, configs[flag], title, embedding, mesh)
        for folder, flag, title, embedding in (
            (whole, "--whole", "whole network", ALL),
            (baseline, "--baseline", "baseline", "global"),
        )
    ]
    protocol = networks[0][1]
    return Compared(networks[0][0], networks[1][0], protocol)


def _config(folder: Path, flag: str, data_root: Path | None) -> ConfigDict:
    if not (folder / FILE).is_file():
        raise ValueError(
            f"{flag}={folder} holds no run (no {FILE}); give the folder of one"
        )
    config = load_saved(folder)
    if data_root is not None:
        config.data.root = str(data_root)
    return config


def _check_parts(config: ConfigDict, given: str) -> None:
    """Refuses a network without what there are pictures of."""
    model = config.model
    lacking = [b for b in ("global", "clothing_unrelated") if b not in model.branches]
    if lacking:
        raise ValueError(
            f"{given} has no branch {' or '.join(lacking)}; give a run with both"
        )
    if not model.ktm:
        raise ValueError(f"{given} has model.ktm=False; give a run with KTM")
    if not (model.fam or _fuses(config)):
        raise ValueError(f"{given} has neither FAM nor CFM; give a run with one")


def _fuses(config: ConfigDict) -> bool:
    return config.model.cfm and "mask" in config.model.branches


def _network(
    folder: Path,
    flag: str,
    config: ConfigDict,
    title: str,
    embedding: str,
    mesh: Mesh,
) -> tuple[Network, Protocol]:
    dataset = load_dataset(config, training=False)
    if not is_of(dataset, folder):
        raise ValueError(
            f"the images in {config.data.root}, or their labels, are not those that "
            f"the run {flag}={folder} began with; give their --data-root"
        )
    protocols, _ = usable_protocols(dataset.protocols, dataset.test)
    protocol = drawn_protocol(protocols)
    if not protocol.name.startswith("clothes_changing"):
        raise ValueError(
            f"the test split of {config.data.name} does not tell clothes, or no "
            "cameras: there is no change of clothes to show"
        )
    # Of one shape on every device.
    config.eval.batch_size += -config.eval.batch_size % mesh.size
    trained = load_trained(folder, mesh, config=config)
    embedded = embed_test(config, trained, dataset, [protocol], mesh)
    query, (gallery,) = sides(embedded, protocol, config.eval.draw_seed)
    metrics = rank(query, gallery, embedding, protocol.rule, config.eval.ranks)
    return Network(title, trained, embedding, query, gallery, metrics), protocol
