"""What all commands with a config share: flags, and errors in one clear line."""

import itertools
import signal
import sys
from collections.abc import Callable, Sequence

import jax
from absl import app, flags, logging

from mbnet_jax.api import run_folder
from mbnet_jax.config import read_config
from mbnet_jax.devices import cluster, compilation_cache
from mbnet_jax.overrides import is_flag
from mbnet_jax.refusals import shown
from mbnet_jax.training.interruption import InterruptedTraining

# For the help alone: `split` takes these arguments away before absl parses the others.
flags.DEFINE_string(
    "config",
    None,
    "Config file, or the name of one that comes with the package (synthetic, prcc); "
    "override a field by --config.train.batch_size=128.",
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; runs/<config name> unless given."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0, if several processes are one run."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many there are.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Number of this one, from 0.")
_LONGEST_NAME = 100  # characters; absl compares longer ones recursively, without end
# Those of absl that wait for a pipe, read a device without end, or fail at the exit.
_REFUSED = ("flagfile", "profile_file")


def run(main: Callable[..., None], *, needs_config: bool = True) -> None:
    """Calls `main(config, workdir)`; bad input ends in a message, not a traceback.

    Unless `needs_config`, both are None if no config is given.
    """
    names: list[str] = []
    overrides: list[tuple[str, str]] = []

    def parse(argv: list[str]) -> list[str]:
        try:
            rest = split(argv, names, overrides)
            _check_names(rest)
            return flags.FLAGS(rest)
        except (flags.Error, ValueError, OSError) as error:
            text = str(error)
            if len(text) > 800:  # absl repeats a value whole
                text = f"{text[:200]} ... {text[-200:]}"
            if isinstance(error, flags.Error):  # says only what is wrong
                text += "; correct it, --helpfull lists the flags"
            sys.exit(f"error: {text}")

    def call(argv: list[str]) -> None:
        # Orbax logs every file at INFO, over the progress bar, and a failure, which it
        # raises too, in hundreds of lines at ERROR.
        logging.set_verbosity(logging.FATAL)
        try:
            if len(argv) > 1:
                raise ValueError(
                    f"unknown argument {shown(argv[1])}; fields are given as "
                    "--config.FIELD=VALUE: leave it out"
                )
            if not names and (needs_config or overrides):
                raise ValueError("give a config: --config=synthetic")
            config = read_config(names[0], overrides) if names else None
            compilation_cache.enable()
            workdir = run_folder(config, _WORKDIR.value) if config else None
            with cluster.joined(
                _COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value
            ):
                main(config, workdir)
        except (ValueError, OSError, FloatingPointError) as error:
            sys.exit(f"error: {error}")
        except (jax.errors.JaxRuntimeError, MemoryError) as error:
            reason = str(error).partition("\n")[0][:300]
            if isinstance(error, RuntimeError) and "RESOURCE_EXHAUSTED" not in reason:
                raise
            sys.exit(
                f"error: out of memory ({reason}); make train.batch_size or "
                "eval.batch_size smaller, or train.accumulate larger"
            )
        except InterruptedTraining as interruption:
            print(interruption, file=sys.stderr)
            sys.exit(interruption.exit_code)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)

    app.run(call, flags_parser=parse)


def _check_names(arguments: Sequence[str]) -> None:
    """Refuses what absl would not end in a message.

    Raises:
      ValueError: naming the flag.
    """
    for argument in itertools.takewhile(lambda each: each != "--", arguments):
        name = argument.partition("=")[0]
        if not name.startswith("-"):
            continue
        if len(name) > _LONGEST_NAME or name.lstrip("-") in _REFUSED:
            raise ValueError(
                f"{shown(name)} is no flag of this command; leave it out, --helpfull "
                "lists the flags"
            )


def split(
    argv: Sequence[str], names: list[str], overrides: list[tuple[str, str]]
) -> list[str]:
    """Takes `--config NAME` and `--config.FIELD=VALUE` out of the arguments.

    As absl's flags, each may have one dash or two, and its value behind "=" or in the
    next argument; of a field that is True or False, `--config.FIELD` alone means True
    and `--noconfig.FIELD` means False.

    Args:
      argv: the command and its arguments.
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
        negated = name.startswith("noconfig.") and not equals
        field = name.removeprefix("no" * negated).removeprefix("config.")
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
