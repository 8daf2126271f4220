"""A page to try a network on: drop a photograph, see who looks alike and why."""
