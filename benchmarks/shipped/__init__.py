"""The network in the package, made anew: `python -m benchmarks.shipped`."""
