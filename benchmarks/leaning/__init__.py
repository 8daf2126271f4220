"""How far a network leans on camera and background: `python -m benchmarks.leaning`."""
