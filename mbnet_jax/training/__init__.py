"""Training: objective, step, checkpoints and the loop around them."""
