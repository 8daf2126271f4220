"""Evaluation: embeddings, protocols, the table and the pictures."""
