"""What a command shows on stderr while it works.

On a terminal this is one line at the bottom, which changes and is gone at the end;
what is printed meanwhile goes above it. Elsewhere (a pipe, a file, a notebook) it is a
plain line now and then, without control characters. Process 0 alone shows anything.

    with progress(total, "parsing", unit="map") as bar:
        bar.update(8)
"""

from mbnet_jax.progress.bar import Bar, announced, progress, status
from mbnet_jax.progress.screen import write
from mbnet_jax.progress.stream import PLAIN_WIDTH, shows_bold, width_of

__all__ = [
    "PLAIN_WIDTH",
    "Bar",
    "announced",
    "progress",
    "shows_bold",
    "status",
    "width_of",
    "write",
]
