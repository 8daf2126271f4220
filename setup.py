"""Adds the config files, which are beside the package, to what is installed.

Everything else is in pyproject.toml.
"""

from setuptools import find_packages, setup

setup(
    packages=[*find_packages(include=["mbnet_jax*"]), "mbnet_jax.config_files"],
    package_dir={"mbnet_jax.config_files": "configs"},
)
