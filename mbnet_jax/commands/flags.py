"""How every command takes its flags, and ends.

A flag's words are joined by dashes, or by underscores: `--batch-size`, `--batch_size`.
Lists are written with commas, `--branches global,mask`; switches are `--half` and
`--no-half`. What is wrong ends in one line, with exit code 1.
"""

import argparse
import contextlib
import difflib
import faulthandler
import shutil
import signal
import sys
import textwrap
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NoReturn

from mbnet_jax.files import printable
from mbnet_jax.refusals import plain, shown

_LONGEST = 500  # characters of a message about flags
_NARROW, _WIDEST = 78, 100  # columns of the help


class Parser(argparse.ArgumentParser):
    """The flags of one command."""

    def __init__(self, name: str, summary: str, usage: str, examples: Sequence[str]):
        """Has no flags yet but `--help` and `--version`.

        Args:
          name: of the command, without "mbnet-".
          summary: what it does, in a sentence or two.
          usage: its most important flags.
          examples: arguments to paste, each a line.
        """
        self.command = f"mbnet-{name}"
        script = Path(sys.argv[0])  # train.py and eval.py of a checkout
        if script.name == f"{name}.py" and script.parent.name != "commands":
            self.command = f"python {script}"
        lines = [f"  {self.command} {example}" for example in examples]
        super().__init__(
            prog=self.command,
            usage=f"{self.command} {usage}",
            description=textwrap.fill(summary, _NARROW),
            epilog="\n".join(["examples:", *lines]),
            formatter_class=_Help,
            allow_abbrev=False,
            add_help=False,
        )
        self.flags = self.add_argument_group("flags")
        self._help = self.add_argument_group("help")
        self._help.add_argument("--help", "-h", action="help", help="show this")
        self._help.add_argument("--version", action=_Version, help="show the versions")
        self._known = ["--help", "-h", "--version"]

    def add(self, name: str, *, hidden: bool = False, **options) -> None:
        """Adds a flag, as `add_argument` does, whose name begins with two dashes."""
        if hidden:
            options["help"] = argparse.SUPPRESS
        self._known += self.flags.add_argument(name, **options).option_strings

    def add_switch(self, name: str, default: bool, help: str) -> None:
        """Adds `--name` and `--no-name`."""
        self.add(
            name, default=default, help=help, action=argparse.BooleanOptionalAction
        )

    def add_list(
        self, name: str, *, kind: Callable[[str], Any] = str, **options
    ) -> None:
        """Adds a flag whose values, each read by `kind`, are a tuple.

        They are separated by commas; spaces work too.
        """
        options |= {"nargs": "+", "action": _Joined, "type": _separated(kind)}
        self.add(name, **options)

    def arguments(self, argv: Sequence[str] | None = None) -> argparse.Namespace:
        """Reads the command line.

        Args:
          argv: the arguments; by default the process's.

        Raises:
          ValueError: naming the flag that is unknown, lacks its value or is missing.
        """
        found, rest = self.parse_known_args([*self._spelt(given(argv))])
        for argument in rest:
            if argument != "--":
                self._refuse(argument)
        return found

    def _spelt(self, argv: Sequence[str]) -> Iterator[str]:
        """The arguments, their flags spelt as they were added."""
        for number, argument in enumerate(argv):
            if argument == "--":
                yield from argv[number:]
                return
            flag, equals, value = argument.partition("=")
            name = f"--{flag.lstrip('-').replace('_', '-')}"
            if flag.startswith("-") and name in self._known:
                argument = f"{name}{equals}{value}"
            elif flag.startswith("--"):
                # Before argparse says that another flag is missing.
                self._refuse(argument, [*argv[number + 1 :], ""][0])
            yield argument

    def _refuse(self, argument: str, following: str = "") -> NoReturn:
        """Raises a ValueError: there is no such flag, and which may have been meant."""
        flag, equals, value = argument.partition("=")
        if not flag.startswith("-"):
            meant = self.meant(flag, value) if equals else ""
            raise ValueError(
                f"unknown argument {shown(argument)}; {meant or 'leave it out'}"
            )
        if not equals and not following.startswith("-"):
            value = following
        meant = self.meant(flag, value)
        raise ValueError(
            f"{plain(flag)} is no flag of {self.command}; "
            + (f"{meant}, or " if meant else "leave it out, ")
            + "see --help"
        )

    def meant(self, flag: str, value: str) -> str:
        """What to write in place of an unknown flag; "" if nothing is near."""
        near = difflib.get_close_matches(flag[:100], self._known, n=2, cutoff=0.7)
        return f"write {' or '.join(near)}" if near else ""

    def error(self, message: str) -> NoReturn:
        """Raises a ValueError of what argparse found to be wrong."""
        if len(message) > _LONGEST:
            message = f"{message[:_LONGEST]}..."
        raise ValueError(f"{message.removeprefix('argument ')}; see --help")


class _Help(argparse.RawDescriptionHelpFormatter):
    """As wide as the terminal, within limits."""

    def __init__(self, prog: str):
        width = min(_WIDEST, shutil.get_terminal_size().columns - 2)
        super().__init__(prog, max_help_position=30, width=width)

    def _format_args(self, action, default_metavar):
        # Not "NAMES [NAMES ...]": a list is usually one word.
        if isinstance(action, _Joined):
            return action.metavar or default_metavar
        return super()._format_args(action, default_metavar)


class _Version(argparse.Action):
    """Prints the versions that a report of a fault needs."""

    def __init__(self, option_strings, dest, help=None):
        super().__init__(option_strings, dest, nargs=0, help=help)

    def __call__(self, parser, *_) -> NoReturn:
        from importlib import metadata

        packages = []
        for name in ("mbnet-jax", "jax", "flax"):
            with contextlib.suppress(metadata.PackageNotFoundError):
                packages.append(f"{name} {metadata.version(name)}")
        print(", ".join([*packages, f"Python {sys.version.split()[0]}"]))
        parser.exit()


class _Joined(argparse.Action):
    """Stores the values of all words of a list as one tuple."""

    def __call__(self, parser, namespace, values, option_string=None):
        setattr(namespace, self.dest, tuple(value for word in values for value in word))


def _separated(kind: Callable[[str], Any]) -> Callable[[str], tuple]:
    def read(text: str) -> tuple:
        words = [word.strip() for word in text.split(",")]
        return tuple(kind(word) for word in words if word)

    return read


def given(argv: Sequence[str] | None) -> list[str]:
    """The arguments; by default the process's."""
    return [*(sys.argv[1:] if argv is None else argv)]


def whole(text: str) -> int:
    """Reads a whole number, for `type=`."""
    with contextlib.suppress(ValueError):
        return int(text)
    raise argparse.ArgumentTypeError(f"{shown(text)} must be a whole number, as in 8")


def number(text: str) -> float:
    """Reads a number, for `type=`."""
    with contextlib.suppress(ValueError):
        return float(text)
    raise argparse.ArgumentTypeError(f"{shown(text)} must be a number, as in 0.5")


def path(text: str) -> Path:
    """Reads a path, for `type=`."""
    if text and "\0" not in text:
        return Path(text)
    raise argparse.ArgumentTypeError(f"{shown(text)} is not a file name; give another")


@contextlib.contextmanager
def ending_in_one_line(memory: str, kept: str = "") -> Iterator[None]:
    """Ends the process with a message, not a traceback, for what is expected to fail.

    Args:
      memory: the flags that help where memory does not suffice.
      kept: what remains of the work that Ctrl-C interrupts.
    """
    try:
        yield
    except (ValueError, OSError, FloatingPointError) as error:
        _end(str(error))
    except KeyboardInterrupt:
        print(f"interrupted{kept and f'; {kept}'}", file=sys.stderr)
        sys.exit(128 + signal.SIGINT)
    except Exception as error:
        # What failed has imported them.
        import jax

        from mbnet_jax.training.interruption import InterruptedTraining

        if isinstance(error, InterruptedTraining):
            print(error, file=sys.stderr)
            sys.exit(error.exit_code)
        reason = str(error).partition("\n")[0][:300]
        full = isinstance(error, jax.errors.JaxRuntimeError) and (
            "RESOURCE_EXHAUSTED" in reason
        )
        if not full and not isinstance(error, MemoryError):
            raise
        _end(f"out of memory ({reason}); {memory}")


def _end(message: str) -> NoReturn:
    lines = (printable(line) for line in message.split("\n"))
    sys.exit("\n".join(["error: " + next(lines), *lines]))


def prepare() -> None:
    """Sets up logging, memory and the cache of programs, before the work begins."""
    from absl import logging

    from mbnet_jax.devices import compilation_cache, memory

    # Orbax logs every file at INFO, over the progress bar, and a failure, which it
    # raises too, in hundreds of lines at ERROR.
    logging.use_absl_handler()
    logging.set_verbosity(logging.FATAL)
    with contextlib.suppress(OSError):  # of a stream without a file
        faulthandler.enable()  # says where a library crashed
    compilation_cache.enable()
    memory.keep_freed()
