"""Whether each module earns its place: `python -m benchmarks.ablation`."""
