"""Evaluation: embeddings, protocols, results and their table."""
