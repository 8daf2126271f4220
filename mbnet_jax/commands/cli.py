"""What `train.py` and `eval.py` share: flags, and errors in one clear line."""

import difflib
import runpy
import signal
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from mbnet_jax.devices import cluster, compilation_cache
from mbnet_jax.training.interruption import InterruptedTraining

_CONFIG = config_flags.DEFINE_config_file(
    "config", None, "Config file; override a field by --config.train.batch_size=128."
)
_WORKDIR = flags.DEFINE_string(
    "workdir", None, "Folder of the run; runs/<config name> unless given."
)
_COORDINATOR = flags.DEFINE_string(
    "coordinator", None, "HOST:PORT of process 0, where several processes are one run."
)
_NUM_PROCESSES = flags.DEFINE_integer("num_processes", None, "How many there are.")
_PROCESS_ID = flags.DEFINE_integer("process_id", None, "Which of them this is, from 0.")


def run(main: Callable[[ConfigDict, Path], None]) -> None:
    """Calls `main(config, workdir)`; bad input ends in a message, not a traceback."""

    def call(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unknown argument {argv[1]!r}")
        if _CONFIG.value is None:
            raise app.UsageError("give a config: --config configs/synthetic.py")
        # Orbax tells of every file at INFO, over the progress bar, and of a failure,
        # which it raises too, in hundreds of lines at ERROR.
        logging.set_verbosity(logging.FATAL)
        try:
            config = _CONFIG.value.copy_and_resolve_references()
        except OSError as error:  # a file that cannot be loaded fails only now
            sys.exit(f"error: {_cause(sys.argv) or error}")
        workdir = Path(_WORKDIR.value or f"runs/{config.name}")
        compilation_cache.enable()
        try:
            with cluster.joined(
                _COORDINATOR.value, _NUM_PROCESSES.value, _PROCESS_ID.value
            ):
                main(config, workdir)
        except (ValueError, OSError, FloatingPointError) as error:
            sys.exit(f"error: {error}")
        except InterruptedTraining as interruption:
            print(interruption, file=sys.stderr)
            sys.exit(interruption.exit_code)
        except KeyboardInterrupt:
            print("interrupted", file=sys.stderr)
            sys.exit(128 + signal.SIGINT)

    app.run(call, flags_parser=_parse)


def read_config(file: str, overrides: Sequence[str]) -> ConfigDict:
    """The config that `--config FILE` and `--config.FIELD=VALUE`s give a command.

    `overrides` are texts "FIELD=VALUE", of which the last of a field counts.

    Raises:
      ValueError: if there is no such file or field, or a value does not fit.
    """
    argv = ["", f"--config={file}", *(f"--config.{text}" for text in overrides)]
    values = flags.FlagValues()
    config_flags.DEFINE_config_file("config", flag_values=values)
    # Which fields are overridden is read from there, whatever is parsed.
    kept, sys.argv = sys.argv, argv
    try:
        values(argv)
        return values.config.copy_and_resolve_references()
    except (flags.Error, AttributeError, KeyError, OSError, TypeError) as error:
        raise ValueError(_cause(argv) or str(error)) from error
    finally:
        sys.argv = kept


def _parse(argv: list[str]) -> list[str]:
    try:
        return flags.FLAGS(argv)
    except (flags.Error, AttributeError, KeyError, OSError) as error:
        sys.exit(f"error: {_cause(argv) or error}")


def _cause(argv: list[str]) -> str | None:
    """Which file is missing, or which override names no field and what is near."""
    arguments = [argument.lstrip("-").partition("=") for argument in argv]
    names = [name for name, _, _ in arguments]
    if "config" not in names:
        return None
    place = len(names) - 1 - names[::-1].index("config")  # the last one counts
    file = arguments[place][2] or argv[place + 1]
    if not Path(file).is_file():
        return f"there is no config file {file}"
    # The flag has no value yet: it failed while it took in the overrides.
    known = _paths(runpy.run_path(file)["get_config"]())
    for name in names:
        path = name.removeprefix("config.")
        if path != name and path not in known:
            near = difflib.get_close_matches(path, known, n=3, cutoff=0.5)
            return f"unknown key {name}; nearest known: " + ", ".join(
                f"config.{path}" for path in near or known
            )
    return None


def _paths(config: ConfigDict, prefix: str = "") -> list[str]:
    paths = []
    for key, value in config.items():
        paths.append(prefix + key)
        if isinstance(value, ConfigDict):
            paths += _paths(value, f"{prefix}{key}.")
    return paths
