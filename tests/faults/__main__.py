"""Runs the faults and prints the table."""

import argparse
import inspect
import os
import shutil
import signal
import sys
import tempfile
import time
from pathlib import Path

from absl import logging

from tests.faults import data, disk, kills, limits, together
from tests.faults.place import end_all
from tests.faults.rows import Row, Setting

FAULTS = {
    "sigkill": kills.sigkill,
    "signals": kills.signals,
    "full_disk": disk.full_disk,
    "read_only": disk.read_only,
    "descriptors": limits.descriptors,
    "memory": limits.memory,
    "worker": limits.killed_worker,
    "thread": limits.failing_thread,
    "vanished": data.vanished,
    "changed": data.changed,
    "two_runs": together.two_runs,
    "two_first_runs": together.two_first_runs,
    "two_searches": together.two_searches,
    "host": together.one_host_gone,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--kills", type=int, default=100, help="of `sigkill`")
    parser.add_argument("--only", nargs="+", choices=FAULTS, default=[*FAULTS])
    parser.add_argument("--out", type=Path, help="file to write the table to")
    parser.add_argument("--keep", action="store_true", help="keep the folders")
    arguments = parser.parse_args()
    # A shell ignores Ctrl-C for what it starts in the background, and so for children.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    folder = Path(tempfile.mkdtemp(prefix="mbnet-faults-"))
    # Of compiled programs; one that is kept makes the next table sooner.
    os.environ.setdefault("MBNET_FAULTS_CACHE", str(folder / "xla"))
    print(f"in {folder}", file=sys.stderr)
    began = time.monotonic()
    rows: list[Row] = []
    logging.set_verbosity(logging.ERROR)  # Orbax warns of files that nobody needs
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        setting = Setting(folder)
        for name in arguments.only:
            fault = FAULTS[name]
            known = inspect.signature(fault).parameters
            more = {"kills": arguments.kills} if "kills" in known else {}
            for row in fault(setting, **more):
                rows.append(row)
                print(f"{time.monotonic() - began:6.0f} s {row}", file=sys.stderr)
    finally:
        end_all()
    text = table(rows)
    print(text)
    if arguments.out:
        arguments.out.write_text(text)
    broken = sum(not row.kept for row in rows)
    if broken == 0 and not arguments.keep:
        shutil.rmtree(folder)
    sys.exit(f"{broken} promises broken, see {folder}" if broken else 0)


def table(rows: list[Row]) -> str:
    head = (
        "| fault | moment | promised | seen | end bit-equal |\n|---|---|---|---|---|\n"
    )
    return head + "".join(f"{row}\n" for row in rows)


if __name__ == "__main__":
    main()
