"""Finds a person's photograph among many, without labels."""
