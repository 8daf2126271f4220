"""Compares two tested runs on the same queries, with intervals of the difference.

    mbnet-compare runs/a runs/b [--on NAME] [--out compare.html]

docs/across.md says what the intervals mean.
"""

import argparse
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from mbnet_jax.commands import flags

if TYPE_CHECKING:
    from mbnet_jax.evaluation.paired import Difference
    from mbnet_jax.report.comparison_tables import Pair

_EXAMPLES = (
    "runs/ltcc runs/ltcc_eva02",
    "runs/ltcc runs/ltcc_eva02 --on prcc",
    "runs/ltcc runs/ltcc_eva02 --out compare.html",
    "runs/seed0 runs/seed1 --resamples 100000 --seed 1",
)
_MOST = 1_000_000  # resamples
_INTERVALS = ("over persons", "over queries")
_WIDTHS = (6, 6, 10, 5, 16, 16)  # of the columns


def main(argv: Sequence[str] | None = None) -> None:
    """Reads the flags, and prints the table."""
    parser = flags.Parser(
        "compare",
        "Compares two tested runs on the same queries: the difference of mAP and "
        "Rank-1, second minus first, with 95 % intervals over queries and persons, and "
        "the ratio.",
        "RUN RUN [--on NAME] [--out FILE.html] [--resamples N] [--seed N]",
        _EXAMPLES,
    )
    parser.flags.add_argument(
        "runs",
        metavar="RUN",
        nargs=2,
        type=flags.path,
        help="folders of the two runs, or of exports' results",
    )
    parser.add(
        "--on",
        default="",
        metavar="NAME",
        help="compares their tests on the dataset of this name, in eval/NAME, or in "
        "eval where it is a run's own; unless given, those on their own datasets",
    )
    parser.add(
        "--out",
        type=flags.path,
        metavar="FILE.html",
        help="also writes a page: tables, and the persons and queries that changed "
        "most, with their ranked lists",
    )
    parser.add(
        "--images",
        type=flags.path,
        metavar="DIR",
        help="the dataset's folder, for the pictures of --out; unless given, where the "
        "tests read them",
    )
    parser.add(
        "--resamples",
        type=flags.whole,
        default=10_000,
        metavar="N",
        help="of the bootstrap; 10000 unless given",
    )
    parser.add(
        "--seed", type=flags.whole, default=0, metavar="N", help="of the resamples"
    )
    with flags.ending_in_one_line("give fewer --resamples"):
        arguments = parser.arguments(argv)
        if not 1 <= arguments.resamples <= _MOST or arguments.seed < 0:
            raise ValueError(
                f"--resamples={arguments.resamples} must be from 1 to {_MOST:,}, and "
                f"--seed={arguments.seed} at least 0"
            )
        if arguments.images and not arguments.out:
            raise ValueError("--images is for the page; give its --out")
        if arguments.images and not arguments.images.is_dir():
            raise ValueError(f"--images={arguments.images} is not a folder")
        flags.prepare()
        _compare(arguments)


def _compare(arguments: argparse.Namespace) -> None:
    """Prints the table, and writes the page if there is `--out`."""
    from mbnet_jax.evaluation.paired import compare, paired_scores
    from mbnet_jax.report.comparison_tables import Pair

    first, second = (_queries(folder, arguments.on) for folder in arguments.runs)
    if arguments.out:
        from mbnet_jax.files import write_whole
        from mbnet_jax.report.comparison import MARK, Side, comparison_page
        from mbnet_jax.report.replacing import check_out

        check_out(arguments.out, MARK, "a comparison")
        sides = tuple(
            Side.read(run, queries.parent)
            for run, queries in zip(arguments.runs, (first, second), strict=True)
        )
    resampled = f"{arguments.resamples:,} resamples, seed {arguments.seed}"
    print(f"first:  {first}\nsecond: {second}")
    pairs = {
        protocol: Pair(pair, compare(*pair, arguments.resamples, arguments.seed))
        for protocol, pair in paired_scores(first, second).items()
    }
    for line in _lines(pairs, resampled):
        print(line)
    if arguments.out:
        page = comparison_page(sides, pairs, resampled, arguments.images)
        write_whole(arguments.out, page)
        print(f"\nto open: {arguments.out}")


def _lines(pairs: Mapping[str, "Pair"], resampled: str) -> Iterator[str]:
    """The printed table."""
    yield (
        "Per cent; the difference is second minus first, with 95 % intervals; the ratio"
        "\nis second over first."
    )
    head = ("", "first", "second", "difference", "ratio", *_INTERVALS)
    for protocol, (scores, found) in pairs.items():
        persons = scores[0].person
        yield (
            f"\n{protocol.replace('_', '-')}: {len(persons):,} queries of "
            f"{len({*persons}):,} persons"
        )
        for row in (head, *(_row(measure, of) for measure, of in found.items())):
            cells = (f"{c:>{w}}" for c, w in zip(row[1:], _WIDTHS, strict=True))
            yield f"  {row[0]:<4}{'  '.join(cells)}"
    yield (
        "\nQueries of one person are alike, so judge by the interval over persons."
        f"\n{resampled}"
    )


def _row(measure: str, of: "Difference") -> tuple[str, ...]:
    """The cells of a measure."""
    return (
        measure.replace("rank", "R"),
        *(_per_cent(of.first), _per_cent(of.second), _per_cent(of.value, "+")),
        f"{of.second / of.first:.2f}" if of.first > 0 else "-",
        *(
            " to ".join(_per_cent(bound, "+") for bound in interval)
            for interval in (of.persons, of.queries)
        ),
    )


def _queries(folder: Path, on: str) -> Path:
    """The `queries.csv` of a run's test."""
    from mbnet_jax.runs.config_file import read_config_file
    from mbnet_jax.runs.results_folder import ResultsFolder

    run = ResultsFolder(folder)
    if not run.eval.is_dir():
        read_config_file(folder)  # refuses what is not a run
    path = run.eval_of(on) / "queries.csv"
    if on and not path.exists() and run.metrics().get("dataset") == on:
        path = run.eval / "queries.csv"  # the run's own dataset
    if not path.exists():
        how = f"--config {on or '...'}"
        raise FileNotFoundError(
            f"{path} is missing; test the run first: mbnet-eval {how} --workdir "
            f"{folder}"
        )
    return path


def _per_cent(value: float, sign: str = "") -> str:
    return "-" if math.isnan(value) else f"{100 * value:{sign}.1f}"


if __name__ == "__main__":
    main()
