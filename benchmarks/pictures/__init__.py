"""Pictures that compare the whole network with a baseline."""
