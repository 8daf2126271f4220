"""The report of a tested run: one HTML file that opens without a network."""

import datetime
import platform
import shlex
import sys
from collections.abc import Sequence
from pathlib import Path

import jax
from ml_collections import ConfigDict

from mbnet_jax.data import Split
from mbnet_jax.evaluation.measure import Embedded, Judged
from mbnet_jax.evaluation.protocols import Protocol, drawn_protocol
from mbnet_jax.evaluation.table import title_of
from mbnet_jax.files import write_whole
from mbnet_jax.report import content, heat
from mbnet_jax.report.branches import look_at
from mbnet_jax.report.cases import KINDS, groups_of, judging
from mbnet_jax.report.images import Images
from mbnet_jax.report.page import picture, render
from mbnet_jax.report.queries import cards_of
from mbnet_jax.runs.load import Trained
from mbnet_jax.runs.run_folder import differences

FILE = "report.html"
_LIVE = set('"$`\\!')  # what a shell reads inside double quotes too


def write_report(
    config: ConfigDict,
    trained: Trained,
    workdir: Path,
    protocols: Sequence[Protocol],
    judged: dict[str, Judged],
    embedded: dict[str, Embedded],
    notes: Sequence[str],
) -> None:
    """Writes `eval/report.html` into `workdir`, what was tested being given.

    One process does so alone: nothing here waits for another one.
    """
    seed = config.eval.draw_seed
    groups = groups_of(protocols)
    images = Images()
    cards = [
        card
        for group in groups
        for card in cards_of(config, group, judged, embedded, images)
    ]
    targets = [target for card in cards for target in card["targets"]]
    seen, scales = look_at(config, trained, targets, images)
    for card in cards:
        count = len(card["targets"])
        card["looks"], seen = seen[:count], seen[count:]
    first = drawn_protocol(protocols)
    names = content.embeddings_of(judged[first.name])
    columns, rows = content.results_table(protocols, judged)
    page = render(
        "report.html",
        title=f"Test of {config.name}, step {trained.step}",
        made=_made(config, trained, workdir, embedded),
        config=content.described(config),
        columns=columns,
        rows=rows,
        drawn=any(protocol.draws for protocol in protocols),
        notes=notes,
        cmcs=[content.cmc_of(p, judged[p.name], embedded, seed) for p in protocols],
        similarities=[content.similarities_of(p, embedded, seed) for p in protocols],
        charts=content.training_charts(workdir),
        kinds=[(kind, kind) for kind in KINDS],
        judging=list(dict.fromkeys(judging(group).title for group in groups)),
        protocols=[(p.name, p.title) for p in protocols],
        embeddings=[(name, title_of(name)) for name in names],
        first=(first.name, names[-1]),
        cards=cards,
        scales=scales,
        bar=picture(heat.scale_bar(), 16),
        images=images.encoded(),
    )
    write_whole(workdir / "eval" / FILE, page)


def _made(
    config: ConfigDict, trained: Trained, workdir: Path, embedded: dict[str, Embedded]
) -> list[tuple[str, str]]:
    """What a reader needs to make the same again."""
    device = jax.devices()[0]
    now = datetime.datetime.now().astimezone()
    return [
        ("Config", f"{config.name}, checkpoint of step {trained.step}"),
        ("Dataset", f"{config.data.name}: {_counted(embedded)}"),
        ("Image size", f"{config.data.height}x{config.data.width} pixels"),
        ("Command", _command(sys.argv)),
        ("Other than the run's config", "; ".join(differences(config, workdir)) or "-"),
        ("Made", now.isoformat(" ", "seconds")),
        (
            "By",
            f"jax {jax.__version__} on {jax.device_count()} x {device.device_kind} "
            f"({device.platform}), Python {platform.python_version()}",
        ),
    ]


def _command(argv: Sequence[str]) -> str:
    """The command as it can be given again, in double quotes where that is enough."""

    def quoted(word: str) -> str:
        if shlex.quote(word) == word or set(word) & _LIVE:
            return shlex.quote(word)
        return f'"{word}"'

    return " ".join(["python", Path(argv[0]).name, *map(quoted, argv[1:])])


def _counted(embedded: dict[str, Embedded]) -> str:
    def counts(split: Split) -> str:
        return f"{len(split)} images of {len(set(split.pid.tolist()))} persons"

    return "; ".join(f"{name}: {counts(of.split)}" for name, of in embedded.items())
