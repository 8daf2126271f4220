"""Evaluation: embeddings, protocols, and their values as a table."""
