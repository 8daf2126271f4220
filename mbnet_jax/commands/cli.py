"""What all commands with a config share: its flags, and how they run."""

import argparse
from collections.abc import Callable, Sequence

from ml_collections import ConfigDict

from mbnet_jax import configs
from mbnet_jax.commands import flags
from mbnet_jax.config import flat, read_config, run_folder
from mbnet_jax.configs import base
from mbnet_jax.overrides import FLAG, is_flag, suggestion
from mbnet_jax.schema import ANY

Main = Callable[[ConfigDict | None, argparse.Namespace], None]

# The commonest fields: what stands for the value, and a sentence.
_COMMON = {
    "data.root": ("DIR", "folder of the dataset"),
    "data.parsing_dir": ("DIR", "folder of its parsing maps"),
    "data.parsing_labels": ("SET", "their label set: canonical, lip, atr or pascal"),
    "data.height": ("PIXELS", "of the images that the network sees; also data.width"),
    "model.branches": ("NAMES", "global,clothing_unrelated,mask, or some of them"),
    "model.dtype": ("TYPE", "bfloat16: faster on a GPU or TPU; or float32"),
    "train.batch_size": ("N", "images per step; smaller, if memory does not suffice"),
    "train.images_per_identity": ("N", "images per person in a batch"),
    "train.accumulate": ("N", "parts of a batch, one after the other in memory"),
    "train.epochs": ("N", "how long to train"),
    "train.learning_rate": ("RATE", "of Adam, after the warm-up"),
    "loss.margin": ("DISTANCE", "of the triplet loss; 0: soft"),
    "seed": ("N", "of weights, batches and augmentation"),
    "eval.batch_size": ("N", "images embedded at a time"),
    "eval.branches": ("NAMES", "branches to evaluate; all unless given"),
    "eval.ranks": ("NUMBERS", "columns of the table, as in 1,5,10"),
    "eval.rerank": ("true", "adds k-reciprocal re-ranking"),
}


class ConfigParser(flags.Parser):
    """The flags of a command with a config."""

    def __init__(
        self,
        name: str,
        summary: str,
        usage: str,
        examples: Sequence[str],
        sections: Sequence[str],
        needs_config: bool = True,
    ):
        """Has the flags of the config, the run's folder and the cluster.

        Args:
          name, summary, usage, examples: as in `flags.Parser`.
          sections: of the config; the help lists their commonest fields.
          needs_config: whether a config must be given.
        """
        super().__init__(name, summary, usage, examples)
        self._needs_config = needs_config
        trained = "train" in sections or "eval" in sections
        self.add(
            "--config",
            metavar="NAME",
            help="a config file, or the name of one that comes with the package: "
            f"{', '.join(configs.names())}",
        )
        self.add(
            "--workdir",
            metavar="DIR",
            help="folder of the run; runs/<config name> unless given",
            # The arguments of a training suit the commands for its data too.
            hidden=not trained,
        )
        self.add(
            "--coordinator",
            metavar="HOST:PORT",
            help="of process 0, if several processes are one run (docs/running.md)",
            hidden=not trained,
        )
        self.add(
            "--num-processes",
            type=flags.whole,
            metavar="N",
            help="how many processes there are",
            hidden=not trained,
        )
        self.add(
            "--process-id",
            type=flags.whole,
            metavar="I",
            help="number of this process, from 0",
            hidden=not trained,
        )
        fields = self.add_argument_group(
            "config fields",
            "The commonest of docs/config.md. Lists are written with commas;\n"
            "switches are --config.FIELD and --no-config.FIELD.",
        )
        for field, (value, meaning) in _COMMON.items():
            if field.partition(".")[0] in sections:
                fields.add_argument(FLAG + field, metavar=value, help=meaning)

    def parse(
        self, argv: Sequence[str] | None = None
    ) -> tuple[ConfigDict | None, argparse.Namespace]:
        """Reads the command line: the config with its overrides, and the other flags.

        `workdir` of the flags is the run's folder. Unless a config is needed, it is
        None if none is given.

        Raises:
          ValueError: naming a flag, a field or a value that cannot be used.
        """
        names: list[str] = []
        overrides: list[tuple[str, str]] = []
        arguments = self.arguments(split(flags.given(argv), names, overrides))
        if not names and not overrides and not self._needs_config:
            return None, arguments
        if not names:
            raise ValueError(f"give a config: {self.command} --config=synthetic")
        config = read_config(names[0], overrides, FLAG)
        arguments.workdir = run_folder(config, arguments.workdir)
        return config, arguments

    def meant(self, flag: str, value: str) -> str:
        """Also knows the fields of the config: `--epochs 3`."""
        near = super().meant(flag, value)
        known = [name for name in flat(base.FIELDS) if ANY not in name]
        return near or suggestion(flag.lstrip("-"), value, known)


def run(
    parser: ConfigParser,
    main: Main,
    argv: Sequence[str] | None = None,
    check: Callable[[argparse.Namespace], object] = bool,
) -> None:
    """Calls `main(config, arguments)`; bad input ends in a message, not a traceback.

    Args:
      parser: reads the command line.
      main: what the command does, in a cluster if the flags say so.
      argv: the arguments; by default the process's.
      check: refuses arguments before jax is imported.
    """
    with flags.ending_in_one_line(
        "make train.batch_size or eval.batch_size smaller, or train.accumulate larger"
    ):
        config, arguments = parser.parse(argv)
        check(arguments)
        # Not before: jax takes seconds, wrong arguments are refused at once.
        from mbnet_jax.devices import cluster

        flags.prepare()
        with cluster.joined(
            arguments.coordinator, arguments.num_processes, arguments.process_id
        ):
            main(config, arguments)


def split(
    argv: Sequence[str], names: list[str], overrides: list[tuple[str, str]]
) -> list[str]:
    """Takes `--config NAME` and `--config.FIELD=VALUE` out of the arguments.

    Each may have one dash or two, and its value behind "=" or in the next argument; of
    a field that is True or False, `--config.FIELD` alone means True, and
    `--no-config.FIELD` or `--noconfig.FIELD` False.

    Args:
      argv: the arguments.
      names: receives the config's name.
      overrides: receives (FIELD, VALUE).

    Returns:
      The other arguments.

    Raises:
      ValueError: naming an argument without a value, or a second `--config`.
    """
    rest, following = [], iter(argv)
    for argument in following:
        flag, equals, value = argument.partition("=")
        name = flag.removeprefix("-").removeprefix("-")
        if argument == "--":
            return [*rest, argument, *following]
        positive = name.removeprefix("no").removeprefix("-")
        negated = (
            name.startswith("no") and positive.startswith("config.") and not equals
        )
        field = (positive if negated else name).removeprefix("config.")
        if not flag.startswith("-") or (name != "config" and field == name):
            rest.append(argument)
            continue
        if negated or (not equals and name != "config" and is_flag(field)):
            value = "False" if negated else "True"
        elif not equals:
            value = next(following, "")
            if not value or value.startswith("--"):
                raise ValueError(f"{flag} needs a value: {flag}=VALUE")
        if name != "config":
            overrides.append((field, value))
        elif names:
            raise ValueError(
                f"--config is given twice, as {names[0]!r} and {value!r}; give one"
            )
        else:
            names.append(value)
    return rest
