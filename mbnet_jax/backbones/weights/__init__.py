"""Public weights: files that hold them, their names, what makes them fit."""
