"""Eight fake CPU devices, so that sharding is tested on any machine.

The flags must be in the environment before jax is first imported.
"""

import os

os.environ["JAX_PLATFORMS"] = "cpu"
os.environ["XLA_FLAGS"] = (
    os.environ.get("XLA_FLAGS", "") + " --xla_force_host_platform_device_count=8"
)
