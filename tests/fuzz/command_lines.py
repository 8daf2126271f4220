"""Arguments of the commands, and what is odd for each."""

from typing import NamedTuple

from . import mutate

_LONG = "9" * 5000
# No whole number from 1; those of `PERHAPS` may be read as one.
NO_COUNT = ("", "x", "-1", "0", "1.5", "1e3", _LONG, "nan", "+", "\udcff", "1,2", "½")
PERHAPS = ("٣", " 3", "1_0", "0x2", "+2", "02")
_TEXTS = ("", " ", "x", "\udcff", "a\nb", "\x1b[2J", "x" * 5000, "../up", "ü١", "-")
_NO_NUMBERS = ("", ",", "1,1", "a,b,c", "1,1,1,1", "nan,1,1", "1e300,1,1", "\udcff")
# Paths of the wrong kind: nothing can be read from or written to any of them.
_NO_PATHS = ("/dev/null/x", "/proc/no/x", "x" * 300, "/dev/zero", "", "a/" * 3000)
SURPLUS = (
    "--odd", "--odd=1", "-z", "--confg=prcc", "stray", "--=", "-", "--\udcff=1",
    "--config.nope=1", "--config.train=1", "--config.=1", "--config.seed=x", "\udcff",
    "--config.train.epochs=" + _LONG, "--noconfig.seed", "--gallary=x", "\x1b[2J",
    "--x" * 2000, "=", "--config.data.name=mars", "--config.eval.flip=maybe",
    "--flagfile={pipe}", "--flagfile=/dev/zero", "--profile_file=/no/such/x",
)  # fmt: skip


class Command(NamedTuple):
    """One command: its arguments, what is odd for each, and what is missing at the end.

    Attributes:
      arguments: flag -> value, in which braces stand for places of the case.
      odd: flag -> values that must be refused.
      paths: flags of files or folders that are read.
      lacks: what unchanged arguments are refused for; () if they work.
    """

    arguments: dict
    odd: dict
    paths: tuple = ()
    lacks: tuple[str, ...] = ()


_CLUSTER = {
    "coordinator": ("", "x", ":1", "x:", "x:0", "x:65536", "x:٣", "\udcff:1", _LONG),
    "num_processes": (*NO_COUNT, "2", "65537"),
    "process_id": (*NO_COUNT, "2"),
}
_CONFIG = {"config": (*mutate.NAMES, "prc", "base ", "/dev/zero", "/dev/null", ".")}
_RUN = _CLUSTER | _CONFIG | {"workdir": ("",)}
_NO_DATA = {"config": "manifest", "config.data.root": "{folder}/gone"}
_DATA = {
    "config": "manifest",
    "config.data.root": "{data}",
    "config.data.threads": "1",
    "config.views.crops": "64,32",
    "config.views.silhouette": "64,32",
    "config.data.height": "64",
    "config.data.width": "32",
}
COMMANDS = {
    "train": Command(
        _NO_DATA | {"workdir": "{out}/run"},
        _RUN | {"workdir": ("", *_NO_PATHS[:4])},
        ("workdir",),
        ("manifest.csv",),
    ),
    "eval": Command(
        _NO_DATA | {"workdir": "{run}", "checkpoint": "1"},
        _RUN | {"checkpoint": (*NO_COUNT, "newest", "Best", "٣"), "workdir": _NO_PATHS},
        ("workdir",),
        ("architecture",),
    ),
    "parse": Command(
        _DATA
        | {"out": "{out}/maps", "model": "{onnx}", "labels": "atr", "size": "64,32"}
        | {"batch": "2", "mean": "0.5,0.5,0.5", "std": "1,1,1", "layout": "nchw"},
        _RUN
        | {"model": (*_NO_PATHS, "gone", "a\nb"), "labels": (*_TEXTS, "lips", "ATR")}
        | {"out": _NO_PATHS[:4], "size": (*_NO_NUMBERS, "0,1", "1,2,3", "1.5,2", _LONG)}
        | {"mean": _NO_NUMBERS, "std": (*_NO_NUMBERS, "0,1,1"), "batch": NO_COUNT}
        | {"layout": (*_TEXTS, "NCHW")},
        ("model", "config.data.root"),
    ),
    "preview": Command(
        _DATA | {"out": "{out}/sheet.png", "images": "2"}
        | {"config.data.parsing_labels": "canonical"}
        | {"config.data.parsing_dir": "{maps}"},
        _RUN | {"out": (*_NO_PATHS, *_TEXTS, "x.jpg", "/no/x.png"), "images": NO_COUNT},
        ("config.data.root", "config.data.parsing_dir"),
    ),
    "search": Command(
        {"model": "{export}", "gallery": "{photos}", "query": "{photos}/a.jpg"}
        | {"out": "{out}/page.html", "k": "2", "cache": "{out}/cache"}
        | {"batch_size": "4", "branches": "global"},
        {"k": (*NO_COUNT, "100001"), "batch_size": NO_COUNT, "gallery": _NO_PATHS}
        | {"query": _NO_PATHS, "out": (*_NO_PATHS, "/dev/full"), "cache": _NO_PATHS[:4]}
        | {"model": (*_NO_PATHS, "gone"), "parsing": _NO_PATHS}
        | {"query_parsing": ("/", "/gone"), "parsing_labels": (*_TEXTS, "LIP")}
        | {"branches": (*_TEXTS, "mask", "Global", "global,mask")},
        ("model", "gallery", "query"),
    ),
}  # fmt: skip
