"""Two runs in one folder or on one data folder, two searches, one of two hosts gone."""

import signal
import socket
import sys
import time
from collections.abc import Iterator

from tests.faults.kills import _last_step
from tests.faults.place import Ended, Place, Process, content, difference, short
from tests.faults.rows import Row, Setting

_HOST_LIMIT = 120  # seconds in which the survivor has to end


def two_runs(setting: Setting) -> Iterator[Row]:
    """A second training in the folder of one that is under way."""
    place = setting.place(data=True)
    first = place.begin()
    first.wait_until(lambda: _last_step(place) > 0)
    first.signal(signal.SIGSTOP)  # or it might end before the second comes to it
    second = place.begin().end()
    first.signal(signal.SIGCONT)
    ended = first.end()
    kept = second.code == 1 and f"process {first.popen.pid} on" in second.error
    kept = kept and second.clean and ended.code == 0
    promised = "the second is refused, and says who holds it"
    row = setting.row("two runs in a folder", "training", promised, ended, kept, place)
    yield row._replace(seen=f"second: exit {second.code}; {second.error}")


def two_first_runs(setting: Setting) -> Iterator[Row]:
    """Two runs that both have to generate and prepare the data."""
    place = setting.place()
    other = Place(place.folder / "other")
    other.data = place.data
    processes = [p.begin() for p in (place, other)]
    ends = [process.end() for process in processes]
    kept = all(end.code == 0 and end.clean for end in ends)
    kept = kept and not difference(setting.content, other.run)
    promised = "the second waits; both end as ever"
    row = setting.row("one data folder", "first start", promised, ends[0], kept, place)
    codes = ", ".join(f"exit {end.code}" for end in ends)
    yield row._replace(seen=f"{codes}; {row.seen}")


def two_searches(setting: Setting) -> Iterator[Row]:
    """Two searches at once that fill the same cache."""
    place = setting.place()
    (folder,) = setting.whole.data.glob("synthetic/*")
    query = sorted(folder.glob("query/*.jpg"))[0]

    def command(cache: str, out: str) -> list[str]:
        return [
            *(sys.executable, "-m", "mbnet_jax.commands.search", "--query", str(query)),
            *("--gallery", str(folder / "train"), "--k", "5"),
            *("--cache", str(place.folder / cache), "--out", str(place.folder / out)),
        ]

    alone = place.begin(command("alone", "alone.html")).end()
    names = ["first.html", "second.html"]
    processes = [place.begin(command("both", name)) for name in names]
    ends = [process.end() for process in processes]
    again = place.begin(command("both", "again.html")).end()
    pages = [
        (place.folder / name).read_bytes() if (place.folder / name).exists() else b""
        for name in ("alone.html", *names, "again.html")
    ]
    kept = all(end.code == 0 and end.clean for end in (alone, *ends, again))
    equal = pages[0] and all(page == pages[0] for page in pages)
    codes = ", ".join(f"exit {end.code}" for end in ends)
    errors = "".join(f"; {end.error}" for end in ends if end.code)
    yield Row(
        "two searches on a cache",
        "first search",
        "both end as ever",
        codes + errors,
        bool(kept and equal),
        "yes" if equal else "**no**",
    )


def one_host_gone(setting: Setting) -> Iterator[Row]:
    """Two processes are one run; one is killed; both are started again."""
    whole = setting.place(data=True)
    ends = [process.end() for process in _pair(whole)]
    if any(end.code for end in ends):
        seen = f"the undisturbed pair failed: {ends[0].error}"
        yield Row("one of two hosts gone", "", "", seen, False)
        return
    expected = content(whole.run)
    for gone in (1, 0):
        place = setting.place(data=True)
        pair = _pair(place)
        pair[0].wait_until(lambda p=place: _last_step(p) > 2)
        pair[gone].end(signal.SIGKILL)
        began = time.monotonic()
        ended: Ended = pair[1 - gone].end()
        seconds = time.monotonic() - began
        last = short(ended.error, 120)
        again = [process.end() for process in _pair(place)]
        differs = difference(expected, place.run)
        equal = not differs and not any(end.code for end in again)
        yield Row(
            "one of two hosts gone",
            f"training, process {gone}",
            f"the other ends within {_HOST_LIMIT} s, in the words of jax",
            f"exit {ended.code} after {seconds:.0f} s; {last}",
            ended.code not in (0, None) and seconds < _HOST_LIMIT and equal,
            "yes" if equal else f"**no**: {short(differs)}",
        )


def _pair(place: Place) -> list[Process]:
    with socket.socket() as free:
        free.bind(("localhost", 0))
        port = free.getsockname()[1]
    flags = [f"--coordinator=localhost:{port}", "--num-processes=2"]
    return [
        place.begin([*place.command(), *flags, f"--process-id={number}"])
        for number in range(2)
    ]
