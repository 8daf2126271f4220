"""Serves the page to this machine's browsers, and to nobody else unless asked to."""

import contextlib
import os
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

from mbnet_jax.demo.app import import_gradio
from mbnet_jax.demo.html import TEMPLATES
from mbnet_jax.files import MAX_BYTES

LOCAL = "127.0.0.1"


@contextlib.contextmanager
def served(
    make: Callable[[], Any], host: str = LOCAL, port: int = 7860
) -> Iterator[Any]:
    """Serves the page in a thread until the block ends.

    No tunnel, no telemetry, no font or script from elsewhere. What is dropped lies in a
    temporary folder that is deleted at the end.

    Args:
      make: makes the page, `make_app`'s.
      host: the address to listen at; 0.0.0.0: all of this machine's.
      port: of the address; 0: any free one.

    Yields:
      The page; `local_url` is its address.

    Raises:
      ValueError: if Gradio is not installed.
      OSError: if the port is taken.
    """
    gr = import_gradio()
    with tempfile.TemporaryDirectory(prefix="mbnet-demo-") as folder:
        os.environ["GRADIO_TEMP_DIR"] = folder
        os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
        app = make()
        app.launch(
            server_name=host,
            server_port=port or None,
            share=False,
            inbrowser=False,
            quiet=True,
            ssr_mode=False,
            pwa=False,
            mcp_server=False,
            enable_monitoring=False,
            run_history=False,
            footer_links=[],
            max_file_size=MAX_BYTES,
            theme=gr.themes.Default(
                font=["system-ui", "sans-serif"],
                font_mono=["ui-monospace", "monospace"],
            ),
            css_paths=[TEMPLATES / "demo.css"],
            prevent_thread_lock=True,
        )
        try:
            yield app
        finally:
            app.close()
