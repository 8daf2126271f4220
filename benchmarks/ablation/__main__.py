"""Trains the rows of an ablation with several seeds, and compares them in a table.

python -m benchmarks.ablation --config configs/synthetic.py [--seeds 3]
    [--rows benchmarks/ablation/rows.toml] [--out runs/ablation] [--only NAME ...]
    [--table] [--config.FIELD=VALUE ...]

Each run is a process of train.py in OUT/ROW/SEED; its output is in log.txt there. A
finished run becomes a line of OUT/lines.jsonl and is not repeated; an interrupted one
resumes from its checkpoint. Fields given here are set in every row. The table is
OUT/table.md; --table rewrites it without training. The exit code is 1 if a run failed.
"""

import argparse
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks.ablation.lines import (
    LINES,
    append_line,
    exclusive,
    fingerprint,
    read_lines,
)
from benchmarks.ablation.rows import (
    Row,
    check_embeddings,
    config_of,
    read_rows,
    selected,
)
from benchmarks.ablation.table import markdown
from benchmarks.ablation.train import Run, check_same, digest_of, train
from benchmarks.devices import run_alone
from benchmarks.overrides import overrides_of
from mbnet_jax.files import check_writable, write_whole
from mbnet_jax.models.check import check_network
from mbnet_jax.progress import progress

ROWS = Path(__file__).with_name("rows.toml")
TABLE = "table.md"


def main() -> None:
    """Parses the command line; bad input ends in a one-line message."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--config", required=True)
    parser.add_argument("--rows", type=Path, default=ROWS, help="a TOML file")
    parser.add_argument("--seeds", type=int, default=3, help="number of seeds per row")
    parser.add_argument("--out", type=Path, default=Path("runs/ablation"))
    parser.add_argument("--only", nargs="+", default=(), metavar="NAME")
    parser.add_argument("--table", action="store_true", help="only rewrite the table")
    arguments, rest = parser.parse_known_args()
    given = overrides_of(parser, rest)
    try:
        rows = read_rows(arguments.rows)
        if arguments.table:
            print(write_table(arguments.out, rows))
            return
        sys.exit(ablate(arguments, rows, given))
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit(128 + signal.SIGINT)


def ablate(arguments, rows: list[Row], given: Sequence[str]) -> int:
    """Trains the missing runs, and writes the table; returns the exit code.

    Raises:
      ValueError: before anything is trained, if a row or an override is invalid, or
        `out` holds runs of another config or other data.
    """
    if arguments.seeds < 1:
        raise ValueError(f"--seeds={arguments.seeds} must be at least 1")
    out = arguments.out
    runs = planned(arguments, rows, given)
    check_writable(out, "give another --out, or make room")
    with exclusive(out) as lock:
        lines = read_lines(out)
        config = runs[0].config
        data = fingerprint(config)
        for line in lines:
            if line["fingerprint"] != data:
                raise ValueError(
                    f"{out} holds runs on other data ({line['fingerprint']}, now "
                    f"{data}); give another --out"
                )
        done = {(line["row"], line["seed"], line["digest"]) for line in lines}
        missing = [
            run for run in runs if (run.row.name, run.seed, run.digest) not in done
        ]
        device = run_alone("benchmarks.devices") if missing else ""
        failed = []
        done = len(runs) - len(missing)
        with progress(len(runs), "training", unit="run", initial=done) as bar:
            for run in missing:
                bar.show(f"{run.row.name}, seed {run.seed}")
                try:
                    line = train(run, arguments.config, lock)
                except RuntimeError as error:
                    failed.append(str(error))
                    bar.write(f"failed: {error}", file=sys.stderr)
                else:
                    data_fields = {"dataset": config.data.name, "fingerprint": data}
                    append_line(out, line | data_fields | {"device": device})
                    write_table(out, rows)
                    bar.update()
    if len(failed) < len(runs):
        print(write_table(out, rows))
    if failed:
        print(f"{len(failed)} of {len(runs)} runs failed:", *failed, sep="\n  ")
    return 1 if failed else 0


def planned(arguments, rows: Sequence[Row], given: Sequence[str]) -> list[Run]:
    """Returns the runs of the selected rows, seed by seed, after checking all configs.

    Raises:
      ValueError: see `ablate`.
    """
    branches = {}
    for row in rows:  # All of them, so that a mistake shows before hours of training.
        if row.trained:
            config, _ = config_of(arguments.config, row, 0, given)
            branches[row.name] = tuple(config.model.branches)
            check_network(config, f"row {row.name}")
    check_embeddings(rows, branches)
    chosen = selected(rows, arguments.only)
    runs = []
    for seed in range(arguments.seeds):  # the first seed of every row first
        for row in filter(lambda row: row.trained, rows):
            config, overrides = config_of(arguments.config, row, seed, given)
            folder = arguments.out / row.name / str(seed)
            check_same(config, folder)  # of other rows too: the table compares them
            if row in chosen:
                digest = digest_of(config)
                runs.append(Run(row, seed, folder, config, overrides, digest))
    return runs


def write_table(out: Path, rows: Sequence[Row]) -> str:
    """Writes the table of all finished runs, and returns it.

    Raises:
      ValueError: if no run has finished.
    """
    lines = read_lines(out)
    if not lines:
        raise ValueError(f"{out} holds no finished run (no {LINES}); train some first")
    text = markdown(rows, lines)
    write_whole(out / TABLE, text)
    return text


if __name__ == "__main__":
    main()
