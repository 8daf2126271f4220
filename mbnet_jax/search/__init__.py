"""Embedding photographs, and searching a folder for those similar to a query."""
