"""A trained network at work on photographs: embeddings of lists of them."""
