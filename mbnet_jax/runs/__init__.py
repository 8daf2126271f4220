"""Trained networks on disk: runs, checkpoints, exports."""
