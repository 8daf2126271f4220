"""Backbones: from an image to a map."""
