"""How far a network relies on camera and background: `-m benchmarks.shortcuts`."""
