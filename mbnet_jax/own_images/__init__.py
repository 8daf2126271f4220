"""From a folder of one's own photographs to a manifest and a config that fits it."""
