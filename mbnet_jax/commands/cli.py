"""What all commands with a config share: flags, and errors in one clear line."""

import signal
import sys
from collections.abc import Callable
from pathlib import Path

from absl import app, flags, logging
from ml_collections import ConfigDict, config_flags

from mbnet_jax import configs
from mbnet_jax.config import FLAG_ERRORS, cause, check_config, parsable
from mbnet_jax.devices import cluster, compilation_cache
from mbnet_jax.training.interruption import InterruptedTraining

_CONFIG = config_flags.DEFINE_config_file(
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


def run(main: Callable[[ConfigDict, Path], None]) -> None:
    """Calls `main(config, workdir)`; bad input ends in a message, not a traceback."""

    def call(argv: list[str]) -> None:
        if len(argv) > 1:
            raise app.UsageError(f"unknown argument {argv[1]!r}")
        if _CONFIG.value is None:
            raise app.UsageError("give a config: --config configs/synthetic.py")
        # Orbax logs every file at INFO, over the progress bar, and a failure, which it
        # raises too, in hundreds of lines at ERROR.
        logging.set_verbosity(logging.FATAL)
        try:
            config = _CONFIG.value.copy_and_resolve_references()
        except OSError as error:  # a file that cannot be loaded fails only now
            sys.exit(f"error: {cause(sys.argv) or error}")
        workdir = Path(_WORKDIR.value or f"runs/{config.name}")
        compilation_cache.enable()
        try:
            check_config(config)
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


def _parse(argv: list[str]) -> list[str]:
    try:
        argv = _with_config_file(argv)
        # The flag reads the overridden fields from sys.argv, whatever is parsed.
        sys.argv = parsable(argv)
        return flags.FLAGS(sys.argv)
    except FLAG_ERRORS as error:
        sys.exit(f"error: {cause(argv) or error}")


def _with_config_file(argv: list[str]) -> list[str]:
    """The arguments, with the path of a config that is given by its name."""
    found = list(argv)
    for index, argument in enumerate(argv):
        flag, equals, value = argument.partition("=")
        if flag in ("--config", "-config") and equals:
            found[index] = f"{flag}={configs.find(value)}"
        elif flag in ("--config", "-config") and index + 1 < len(argv):
            found[index + 1] = str(configs.find(argv[index + 1]))
    return found
