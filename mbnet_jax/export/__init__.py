"""A trained network as files that are used without its run, and without this code."""
