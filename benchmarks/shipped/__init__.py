"""Rebuilds the network in the package: `python -m benchmarks.shipped`."""
