"""The contribution of each module: `python -m benchmarks.ablation`."""
