"""Boxes of persons in photographs and videos: by a detector, or from a file."""
