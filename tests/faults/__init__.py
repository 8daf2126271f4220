"""Faults of the process: real commands that are killed, starved, or started twice.

    python -m tests.faults [--kills 100] [--only NAME ...] [--out FILE.md]

prints a Markdown table: what was done and when, what is promised, what was seen, and
whether the same command, started again, ended bit-equal to an undisturbed run. Exits
with 1 if a promise was broken.
"""
