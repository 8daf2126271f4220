"""Shortcut learning by camera and background: `python -m benchmarks.shortcuts`."""
