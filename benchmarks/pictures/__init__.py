"""Pictures of what the whole network does and a baseline does not."""
