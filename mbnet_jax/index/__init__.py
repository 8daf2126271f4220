"""Embeddings in a vector database, for galleries beyond one machine."""
