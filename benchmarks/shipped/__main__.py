"""Rebuilds the network in the package: trainings, what joins them, and tests, in order.

python -m benchmarks.shipped [--out runs/shipped] [--print] [--config.FIELD=VALUE ...]

steps.toml lists the steps, which take many hours; the network is OUT/network. Finished
steps are skipped, and an interrupted training resumes. Fields given here are set in
every training, and those of `data` in the fit and the tests too. --print prints the
commands and runs none.
"""

import argparse
import shlex
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.overrides import overrides_of
from benchmarks.shipped.steps import commands, read_steps
from benchmarks.stopping import stopping
from mbnet_jax.files import check_writable, write_whole

DONE = "done"  # the folder of one file for each command that has ended


def main() -> None:
    """Parses the command line; bad input ends in a one-line message."""
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--out", type=Path, default=Path("runs/shipped"))
    parser.add_argument("--print", action="store_true", help="only print the commands")
    arguments, rest = parser.parse_known_args()
    given = overrides_of(parser, rest)
    todo = list(commands(read_steps(), arguments.out, given))
    if arguments.print:
        print(*(shlex.join(command) for _, command in todo), sep="\n")
        return
    try:
        run_all(todo, arguments.out, run_process)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(error.returncode)


def run_all(
    todo: Sequence[tuple[str, Sequence[str]]],
    out: Path,
    run: Callable[[Sequence[str]], None],
) -> None:
    """Runs each command that has not ended yet, and notes in `out` that it has.

    Args:
      todo: the name and the command of each step, in order.
      out: the folder of all.
      run: runs a command, such as `run_process`.

    Raises:
      ValueError: before anything runs, if a step in `out` was made by another command.
      OSError: if `out` cannot be written.
      subprocess.CalledProcessError: if a command fails, which says why by itself.
    """
    check_writable(out, "give another --out, or make room")
    missing = []
    for name, command in todo:
        note, line = out / DONE / name, shlex.join(command) + "\n"
        if not note.exists():
            missing.append((note, line, command))
        elif note.read_text() != line:
            raise ValueError(
                f"{out / name} was made by another command (see {note}); give another "
                "--out"
            )
    for note, line, command in missing:
        print(f"\n$ {line}", end="", flush=True)
        run(command)
        note.parent.mkdir(parents=True, exist_ok=True)
        write_whole(note, line)


def run_process(command: Sequence[str]) -> None:
    """Runs a command of this project in a process of its own.

    Raises:
      subprocess.CalledProcessError: if it fails.
    """
    module = command[0].replace("mbnet-", "mbnet_jax.commands.")
    process = subprocess.Popen(
        [sys.executable, "-m", module, *command[1:]], start_new_session=True
    )
    with stopping(process):
        code = process.wait()
    if code:
        raise subprocess.CalledProcessError(code, command)


if __name__ == "__main__":
    main()
