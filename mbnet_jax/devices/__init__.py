"""Devices, processes and the cache of compiled programs."""
