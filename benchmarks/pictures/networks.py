"""Two trained networks, evaluated on the same test split."""

from pathlib import Path
from typing import NamedTuple

from jax.sharding import Mesh
from ml_collections import ConfigDict

from benchmarks.ablation.lines import fingerprint
from mbnet_jax.data import Split, load_dataset
from mbnet_jax.devices.mesh import make_mesh
from mbnet_jax.evaluation.embed import Embedded, embed_test
from mbnet_jax.evaluation.embed_function import ALL
from mbnet_jax.evaluation.protocols import Protocol, drawn_protocol, usable_protocols
from mbnet_jax.evaluation.results import query_and_galleries, rank
from mbnet_jax.retrieval import RetrievalMetrics
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.run_folder import FILE, RunFolder, digest_labels


class Evaluated(NamedTuple):
    """A trained network and its results on the test split.

    title: its name in texts.
    network: the network; its config has the current root of the data.
    embedding: name of the embedding that is evaluated.
    query, gallery: the images with their embeddings.
    metrics: the results, also of every query.
    """

    title: str
    network: Network
    embedding: str
    query: Embedded
    gallery: Embedded
    metrics: RetrievalMetrics


class Comparison(NamedTuple):
    """Both networks under one protocol."""

    whole: Evaluated
    baseline: Evaluated
    protocol: Protocol

    @property
    def splits(self) -> tuple[Split, Split]:
        """The splits of queries and gallery."""
        return self.whole.query.split, self.whole.gallery.split


def compare(whole: Path, baseline: Path, data_root: Path | None) -> Comparison:
    """Loads both runs, and evaluates them under the clothes-changing rule.

    Args:
      whole: folder of a run with KTM and the clothing-unrelated branch.
      baseline: folder of a run with the global branch.
      data_root: current root of the data; None for the runs' own.

    Raises:
      FileNotFoundError: if images are missing.
      ValueError: if a folder holds no suitable run, the runs are on different data, or
        the data has no clothes labels.
    """
    runs = {
        "--whole": _run(whole, "--whole"),
        "--baseline": _run(baseline, "--baseline"),
    }
    configs = {flag: run.config for flag, run in runs.items()}
    if data_root is not None:
        for config in configs.values():
            config.data.root = str(data_root)
    _check_parts(configs["--whole"], f"--whole={whole}")
    if "global" not in configs["--baseline"].model.branches:
        raise ValueError(
            f"--baseline={baseline} has no global branch; give a run with it"
        )
    configs["--whole"].eval.branches = ()
    configs["--baseline"].eval.branches = ("global",)
    digests = {flag: fingerprint(config) for flag, config in configs.items()}
    if len(set(digests.values())) > 1:
        raise ValueError(
            f"the two runs are on different data: --whole={whole} on "
            f"{digests['--whole']}, --baseline={baseline} on {digests['--baseline']}"
        )
    mesh = make_mesh()
    results = [
        _evaluate(runs[flag], flag, title, embedding, mesh)
        for flag, title, embedding in (
            ("--whole", "whole network", ALL),
            ("--baseline", "baseline", "global"),
        )
    ]
    (first, protocol), (second, _) = results
    return Comparison(first, second, protocol)


def _run(folder: Path, flag: str) -> RunFolder:
    if not (folder / FILE).is_file():
        raise ValueError(
            f"{flag}={folder} holds no run (no {FILE}); give the folder of one"
        )
    return RunFolder(folder)


def _check_parts(config: ConfigDict, given: str) -> None:
    """Checks that the network has the modules that the pictures show."""
    model = config.model
    missing = [b for b in ("global", "clothing_unrelated") if b not in model.branches]
    if missing:
        raise ValueError(
            f"{given} has no branch {' or '.join(missing)}; give a run with both"
        )
    if not model.ktm:
        raise ValueError(f"{given} has model.ktm=False; give a run with KTM")
    if not (model.fam or (model.cfm and "mask" in model.branches)):
        raise ValueError(f"{given} has neither FAM nor CFM; give a run with one")


def _evaluate(
    run: RunFolder, flag: str, title: str, embedding: str, mesh: Mesh
) -> tuple[Evaluated, Protocol]:
    config = run.config
    dataset = load_dataset(config, training=False)
    if run.labels != digest_labels(dataset):
        raise ValueError(
            f"the images in {config.data.root}, or their labels, are not those of the "
            f"run {flag}={run.path}; give their --data-root"
        )
    protocols, _ = usable_protocols(dataset.protocols, dataset.test)
    protocol = drawn_protocol(protocols)
    if not protocol.name.startswith("clothes_changing"):
        raise ValueError(
            f"the test split of {config.data.name} has no clothes labels or no camera "
            "labels, so no change of clothes can be shown"
        )
    # The same shape on every device.
    config.eval.batch_size += -config.eval.batch_size % mesh.size
    network = run.load(mesh)
    embedded = embed_test(config, network, dataset, [protocol], mesh)
    query, (gallery,) = query_and_galleries(embedded, protocol, config.eval.draw_seed)
    metrics = rank(query, gallery, embedding, protocol.rule, config.eval.ranks)
    return Evaluated(title, network, embedding, query, gallery, metrics), protocol
