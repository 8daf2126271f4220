"""The documentation site: pages of the repository, built by Sphinx."""
