"""Long runs: `python -m tests.fuzz --seconds 1500`; exits with 1 if a case is bad."""

import argparse
import collections
import sys
import tempfile
import time
from pathlib import Path

from . import surfaces  # noqa: F401 (registers them)
from .case import SURFACES
from .harness import BAD, GOOD
from .worker import Worker

_SHOWN = 4  # examples of each surface and bad kind


def main() -> None:
    """Runs cases, surface by surface in turns, and prints a table of how they ended."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz")
    add = parser.add_argument
    add("--seconds", type=float, default=60, help="time for all cases")
    add("--cases", type=int, default=10**9, help="the most cases")
    add("--seed", type=int, default=0, help="another seed makes other cases")
    add("--surface", nargs="+", choices=SURFACES, help="only these; by default all")
    add("--only", help="SURFACE:SEED:NUMBER of one case")
    args = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        name, seed, number = (args.only or "::").split(":")
        names = [name] if args.only else args.surface or [*SURFACES]
        worker = Worker(Path(folder), names)
        try:
            worker.start()
            if args.only:
                print(*worker.run(name, int(seed), int(number)), sep="\n")
                return
            code = _campaign(args, names, worker)
        finally:
            worker.stop()
    sys.exit(code)


def _campaign(args: argparse.Namespace, names: list[str], worker: Worker) -> int:
    counts, seconds, numbers = (collections.Counter() for _ in range(3))
    examples = collections.defaultdict(list)
    end = time.monotonic() + args.seconds
    while time.monotonic() < end and numbers.total() < args.cases:
        # By their shares, every surface from the start.
        name = min(names, key=lambda n: (numbers[n] + 1) / SURFACES[n].share)
        before = time.monotonic()
        outcome = worker.run(name, args.seed, numbers[name])
        seconds[name] += time.monotonic() - before
        counts[name, outcome.kind] += 1
        if outcome.kind in BAD:
            examples[name, outcome.kind].append((numbers[name], outcome))
        numbers[name] += 1
    for (name, kind), found in sorted(examples.items()):
        print(f"\n{name}: {kind} {len(found)}")
        for number, outcome in found[:_SHOWN]:
            print(f"  --only {name}:{args.seed}:{number}  {outcome.what!a}")
            print(f"    {ascii(outcome.detail)[:400]}")
    print(f"\n{'surface':14}{'cases':>7}{'/s':>7}", *(f"{k:>9}" for k in GOOD + BAD))
    for name in names:
        rate = numbers[name] / (seconds[name] or 1)
        row = (f"{counts[name, kind]:9}" for kind in GOOD + BAD)
        print(f"{name:14}{numbers[name]:7}{rate:7.1f}", *row)
    total = (sum(counts[name, kind] for name in names) for kind in GOOD + BAD)
    print(f"{'all':14}{numbers.total():7}{'':7}", *(f"{n:9}" for n in total))
    return int(any(examples.values()))


if __name__ == "__main__":
    main()
