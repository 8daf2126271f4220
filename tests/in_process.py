"""A command's `main` in the process of the tests."""

import sys
from types import ModuleType


def called(monkeypatch, command: ModuleType, *arguments) -> str | int | None:
    """Calls its `main` with the arguments; the exit code or message, None if none."""
    monkeypatch.setattr(sys, "argv", [command.__name__, *map(str, arguments)])
    try:
        command.main()
    except SystemExit as end:
        return end.code
