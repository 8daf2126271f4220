"""Exporting a trained network to files that need neither its run nor this code."""
