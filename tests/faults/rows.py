"""Rows of the table, and the setting that all faults share."""

import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

from tests.faults.place import Ended, Place, content, difference, short


class Row(NamedTuple):
    """One line of the table."""

    fault: str
    moment: str
    promised: str
    seen: str
    kept: bool  # the promise
    equal: str = ""  # whether the end was bit-equal; "": no run ended

    def __str__(self) -> str:
        seen = self.seen if self.kept else f"**broken**: {self.seen}"
        cells = (self.fault, self.moment, self.promised, seen, self.equal)
        return "| " + " | ".join(c.replace("|", "/") for c in cells) + " |"


class Setting:
    """An undisturbed run, and places of which each fault has its own."""

    def __init__(self, folder: Path):
        self.folder = folder
        self.whole = Place(folder / "whole")
        ended = self.whole.complete()
        if ended.code != 0:
            raise RuntimeError(f"the undisturbed run failed:\n{ended.said}")
        self.content = content(self.whole.run)

    def place(self, *, data: bool = False, run: bool = False) -> Place:
        """A new place; with `data` or `run`, those of the undisturbed run."""
        place = Place(Path(tempfile.mkdtemp(dir=self.folder)))
        for wanted, name in ((data, "data"), (run, "run")):
            if wanted:  # with its times, which the prepared copy is named by
                shutil.copytree(self.whole.folder / name, place.folder / name)
        return place

    def row(
        self, fault: str, moment: str, promised: str, ended: Ended, kept, place: Place
    ) -> Row:
        """A row of a command that ended, completed by the same command.

        `kept` is whether its end was as promised, besides being clean.
        """
        code = "hangs" if ended.code is None else f"exit {ended.code}"
        said = f"; {ended.error}" if "error: " in ended.said else ""
        if "Traceback" in ended.said:
            said += "; a traceback"
        seen = f"{code} after {ended.seconds:.0f} s{said}"
        again = place.complete()
        differs = difference(self.content, place.run)
        equal = "yes" if again.code == 0 and not differs else "**no**"
        if equal != "yes":
            differs = differs if again.code == 0 else again.error
            seen += f"; completed: {short(differs)}"
        kept = bool(kept) and ended.clean and equal == "yes"
        # Logs of commands that broke a promise stay, to be looked at.
        if kept:
            shutil.rmtree(place.folder, ignore_errors=True)
        return Row(fault, moment, promised, seen, kept, equal)
