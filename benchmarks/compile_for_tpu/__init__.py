"""Compiles the project's programs for TPUs that are not there, and reads the result."""
