"""MBNet: clothes-changing person re-identification in JAX and Flax."""
