"""Mutated input for every public surface: `python -m tests.fuzz` for long runs.

Each case mutates a valid object, and must end handled or refused; see `harness.py`.
"""

import os
import sys
from pathlib import Path

_TESTS = Path(__file__).parent.parent
for _folder in (_TESTS, _TESTS.parent):  # for the tests' modules, and the package
    if str(_folder) not in sys.path:
        sys.path.insert(0, str(_folder))
os.environ.setdefault("JAX_PLATFORMS", "cpu")
