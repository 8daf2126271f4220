"""The report of an evaluated run: one HTML page that works offline."""

import datetime
import platform
import shlex
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

import jax

from mbnet_jax.config import flat
from mbnet_jax.data import Split
from mbnet_jax.data.parts import title_of as title_of_data
from mbnet_jax.evaluation.embed import Embedded
from mbnet_jax.evaluation.protocols import Protocol, drawn_protocol
from mbnet_jax.evaluation.results import ProtocolResult
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.evaluation.verification import Verified
from mbnet_jax.report import heat
from mbnet_jax.report.attention_pictures import draw_attention
from mbnet_jax.report.camera_pairs import camera_pairs
from mbnet_jax.report.cases import KINDS, groups_of, main_protocol
from mbnet_jax.report.embedding_map import embedding_map
from mbnet_jax.report.page import Images, picture, render
from mbnet_jax.report.queries import query_cards
from mbnet_jax.report.scores import cmc_figure, headline, results_table
from mbnet_jax.report.similarities import similarity_figures
from mbnet_jax.report.similarity_pictures import draw_pairs
from mbnet_jax.report.training import training_figures
from mbnet_jax.report.verification import pairs_of
from mbnet_jax.runs.network import Network
from mbnet_jax.runs.run_folder import RunFolder
from mbnet_jax.runs.tested import Tested

_LIVE = set('"$`\\!')  # characters that a shell expands inside double quotes


def write_report(
    run: RunFolder,
    test: Tested,
    network: Network,
    protocols: Sequence[Protocol],
    results: Mapping[str, ProtocolResult],
    embedded: Mapping[str, Embedded],
    notes: Sequence[str],
    verified: Mapping[str, Verified] | None = None,
) -> str:
    """Returns the report of an evaluation.

    It is called by one process alone and waits for no other.

    Args:
      run: the run, for its training curves and saved config.
      test: what was tested.
      network: the evaluated network, with the config of the evaluation.
      protocols: the evaluated protocols, in the order of the table.
      results: protocol name -> its result.
      embedded: split name -> its images and embeddings.
      notes: to print below the table.
      verified: protocol name -> its results on pairs, if they were asked for.
    """
    config = network.config
    seed = config.eval.draw_seed
    groups = groups_of(protocols)
    images = Images()
    cards = [
        card
        for group in groups
        for card in query_cards(config, group, results, embedded, images)
    ]
    targets = [target for card in cards for target in card["targets"]]
    drawn, scales = draw_attention(network, targets, images)
    for card in cards:
        count = len(card["targets"])
        card["attention"], drawn = drawn[:count], drawn[count:]
    pairs = [pair for card in cards for pair in card["pairs"]]
    similar, similar_scales = draw_pairs(network, pairs, images)
    for card in cards:
        count = len(card["pairs"])
        card["similar"], similar = similar[:count], similar[count:]
    first = drawn_protocol(protocols)
    names = results[first.name].embeddings
    columns, rows = results_table(protocols, results)
    charts, chart_notes = training_figures(run.log)
    return render(
        "report.html",
        title=_title(test, network.step),
        provenance=_provenance(test, network, run, embedded),
        config=[(name, repr(value)) for name, value in flat(config).items()],
        headline=headline(first, results[first.name]),
        cameras=camera_pairs(first, embedded, seed),
        columns=columns,
        rows=rows,
        draws=any(protocol.draws for protocol in protocols),
        unit=results[first.name].query.unit,
        notes=notes,
        cmcs=[cmc_figure(p, results[p.name], embedded, seed) for p in protocols],
        similarities=[similarity_figures(p, embedded, seed) for p in protocols],
        pairs=pairs_of(verified or {}),
        charts=charts,
        chart_notes=chart_notes,
        kinds=[(kind, kind) for kind in KINDS],
        main_protocols=list(dict.fromkeys(main_protocol(g).title for g in groups)),
        protocols=[(p.name, p.title) for p in protocols],
        embeddings=[(name, title_of(name)) for name in names],
        first=(first.name, names[-1]),
        cards=cards,
        scales=scales,
        similar_scales=similar_scales,
        bar=picture(heat.scale_bar(), 16),
        images=images.encoded(),
        map=embedding_map(config, protocols, embedded),
    )


def _title(test: Tested, step: int) -> str:
    headline = test.headline(step)
    return (
        f"Evaluation of {headline}"
        if test.own
        else headline.replace("trained", "Trained", 1)
    )


def _provenance(
    test: Tested, network: Network, run: RunFolder, embedded: Mapping[str, Embedded]
) -> list[tuple[str, str]]:
    """Returns what a reader needs to repeat the evaluation."""
    config = network.config
    device = jax.devices()[0]
    now = datetime.datetime.now().astimezone()
    return [
        ("Config", f"{config.name}, checkpoint of step {network.step}"),
        *([("Trained on", _trained_on(test, run))] if _says_more(test) else []),
        ("Dataset", f"{_dataset(test)}: {_counted(embedded)}"),
        ("Image size", f"{config.data.height}x{config.data.width} pixels"),
        ("Command", _command(sys.argv)),
        ("Differs from the run's config", "; ".join(run.differences(config)) or "-"),
        ("Date", now.isoformat(" ", "seconds")),
        (
            "Platform",
            f"jax {jax.__version__} on {jax.device_count()} x {device.device_kind} "
            f"({device.platform}), Python {platform.python_version()}",
        ),
    ]


def _dataset(test: Tested) -> str:
    return title_of_data(test.config.data) if test.own else test.dataset


def _says_more(test: Tested) -> bool:
    """Whether it is not plain what the run was trained on."""
    return not test.own or test.trained_on != test.dataset


def _trained_on(test: Tested, run: RunFolder) -> str:
    other = ", and not on the dataset below" if test.foreign else ""
    return f"{test.trained_on} ({run.origin}){other}"


def _command(argv: Sequence[str]) -> str:
    """Returns a command for a shell, with double quotes where they are enough."""

    def quoted(word: str) -> str:
        if shlex.quote(word) == word or set(word) & _LIVE:
            return shlex.quote(word)
        return f'"{word}"'

    program = Path(argv[0]).name
    start = ["python"] if program.endswith(".py") else []  # not if it is installed
    return " ".join([*start, program, *map(quoted, argv[1:])])


def _counted(embedded: Mapping[str, Embedded]) -> str:
    def counts(split: Split) -> str:
        split = split.of_people()
        persons = f"{len(set(split.pid.tolist()))} persons"
        if split.frames:
            images = f"{split.number_of_images} images"
            return f"{len(split)} tracklets of {persons} ({images})"
        return f"{len(split)} images of {persons}"

    return "; ".join(f"{name}: {counts(of.split)}" for name, of in embedded.items())
