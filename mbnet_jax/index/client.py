"""The client of the vector database: imported only when an index is used."""

import os
from types import ModuleType
from typing import Any

_INSTALL = "pip install -r requirements-index.txt"


def import_client() -> ModuleType:
    """Returns the module `lancedb`.

    Raises:
      ValueError: it is not installed.
    """
    # Not shown to users: it warns of its own future.
    os.environ.setdefault("LANCE_LOG", "error")
    os.environ.setdefault("RUST_LOG", "error")
    try:
        import lancedb
    except ImportError as error:
        raise ValueError(
            f"an index needs LanceDB, which cannot be imported ({error}): {_INSTALL}"
        ) from error
    return lancedb


def connect(uri: str) -> Any:
    """Connects to a database: a folder, `s3://`, `gs://`, `az://` or `db://`.

    A folder is created when the first table is.

    Raises:
      ValueError: naming the URI, if it cannot be used, or the client is not installed.
    """
    if not uri.strip() or "\0" in uri:
        raise ValueError(f"--index={uri!r} is no URI; give a folder or an address")
    client = import_client()
    try:
        return client.connect(uri)
    except Exception as error:  # the client has no class of its own
        raise refused(uri, error) from error


def refused(uri: str, error: Exception) -> ValueError:
    """The error for a database that does not do what is asked, in one line."""
    reason = " ".join(str(error).split())[:300] or type(error).__name__
    return ValueError(
        f"the index {uri} cannot be used: {reason}; check the address, the permissions "
        "and the space, or give another --index"
    )
