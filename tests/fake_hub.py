"""A server on this machine that answers as the Hugging Face hub does for one file."""

import contextlib
import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from mbnet_jax.parsing.presets import Source

REVISION = "1" * 40


class FakeHub:
    """What the server has, and what it was asked.

    Attributes:
      data: the file's bytes.
      sha256: what it states as the file's SHA-256.
      size: what it states as the file's size.
      cut: after how many bytes of an answer the connection breaks; None: never.
      requests: of each request, the method, path and range.
    """

    def __init__(self, data: bytes):
        self.data, self.size = data, len(data)
        self.sha256 = hashlib.sha256(data).hexdigest()
        self.cut: int | None = None
        self.ranges = True
        self.requests: list[tuple[str, str, str | None]] = []

    def source(self, **changes) -> Source:
        """The file as the table of presets would have it."""
        values = {
            "repository": "people/parser",
            "kind": "model",
            "file": "onnx/model.onnx",
            "revision": REVISION,
            "sha256": self.sha256,
            "size": len(self.data),
            "licence": "free for tests",
        }
        return Source(**values | changes)


@contextlib.contextmanager
def serving(hub: FakeHub) -> Iterator[str]:
    """Yields the address at which `hub` answers."""

    class Handler(BaseHTTPRequestHandler):
        def answer(self, body: bool) -> None:
            asked = self.headers.get("Range")
            hub.requests.append((self.command, self.path, asked))
            parts = self.path.split("/")
            if parts[-2:] != ["onnx", "model.onnx"] or "resolve" not in parts:
                self.send_error(404)
                return
            data = hub.data
            partial = asked is not None and hub.ranges
            if partial:
                start = int(asked.removeprefix("bytes=").split("-")[0])
                data = data[start:]
            self.send_response(206 if partial else 200)
            self.send_header("X-Repo-Commit", parts[parts.index("resolve") + 1])
            self.send_header("X-Linked-Etag", f'"{hub.sha256}"')
            self.send_header("X-Linked-Size", str(hub.size))
            self.send_header("ETag", f'"{hub.sha256}"')
            self.send_header("Content-Length", str(len(data)))
            if partial:
                whole = len(hub.data)
                self.send_header("Content-Range", f"bytes {start}-{whole - 1}/{whole}")
            self.end_headers()
            if not body:
                return
            self.wfile.write(data if hub.cut is None else data[: hub.cut])
            if hub.cut is not None:
                self.wfile.flush()
                self.connection.close()

        def do_HEAD(self) -> None:
            self.answer(body=False)

        def do_GET(self) -> None:
            self.answer(body=True)

        def log_message(self, *args) -> None:
            """Prints nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.02,), daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
