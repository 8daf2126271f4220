"""Parsing maps: which part of a person each pixel shows."""
