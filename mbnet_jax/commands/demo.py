"""Serves a page to try a network on: drop a photograph, see who looks alike and why.

    mbnet-demo [--model runs/prcc] [--gallery PHOTOS [PHOTOS ...]] [--query FILE ...]

Without a gallery, it draws made-up people to search among. Only this machine's browsers
reach the page. Needs requirements-demo.txt; docs/demo.md describes the page.
"""

import argparse
import functools
import sys
import warnings
from collections.abc import Sequence

from mbnet_jax import schema
from mbnet_jax.commands import embedding_flags, flags
from mbnet_jax.files import printable
from mbnet_jax.sources import check_folder_or_hub

_LOCAL = "127.0.0.1"
_NUMBERS = {
    "port": schema.whole(7860, 0, 65535),
    "batch-size": embedding_flags.BATCH_SIZE,
}
_EXAMPLES = (
    "",
    "--model runs/prcc --gallery photos more_photos",
    "--model runs/prcc --gallery photos --parser segformer",
)


def demo(arguments: argparse.Namespace) -> None:
    """Serves the page until Ctrl-C.

    Raises:
      ValueError, OSError: naming what cannot be used.
    """
    _check_flags(arguments)
    if arguments.model is not None:
        check_folder_or_hub(arguments.model)
    # Not before: jax takes seconds, wrong arguments are refused at once.
    from PIL import Image

    from mbnet_jax.demo.app import import_gradio, make_app
    from mbnet_jax.demo.explainer import Explainer
    from mbnet_jax.demo.finder import Finder
    from mbnet_jax.demo.made_up import people
    from mbnet_jax.demo.serve import served
    from mbnet_jax.synthetic.workers import sigterm_exits

    import_gradio()
    # Such an image is refused, and named.
    warnings.simplefilter("ignore", Image.DecompressionBombWarning)
    flags.prepare()
    finder = Finder.load(
        arguments.model,
        arguments.cache or embedding_flags.default_cache(),
        parser=embedding_flags.load_parser(arguments),
        batch_size=arguments.batch_size,
    )
    galleries, queries = arguments.gallery, arguments.query
    if galleries is None:
        made = people()
        galleries, queries = [made.gallery], queries or made.queries
    explainer = Explainer(finder)
    for folder in galleries:
        count = explainer.warm_up(folder)
        print(f"{printable(folder)}: {count:,} photographs", flush=True)
    if arguments.host != _LOCAL:
        print(
            f"warning: whoever reaches {printable(arguments.host)} can search these "
            "folders and see their photographs; nothing asks for a password",
            file=sys.stderr,
        )
    network = arguments.model or "of mbnet_jax, trained on synthetic people only"
    described = f"Network {network}, step {finder.network.step}."
    make = functools.partial(make_app, explainer, galleries, queries or (), described)
    with (
        sigterm_exits("stopped"),
        served(make, arguments.host, arguments.port) as app,
    ):
        print(f"open {app.local_url} in a browser; Ctrl-C ends it", flush=True)
        app.block_thread()


def _check_flags(arguments: argparse.Namespace) -> None:
    """Refuses values that can be known to be wrong before anything is loaded."""
    numbers = {"port": arguments.port, "batch-size": arguments.batch_size}
    schema.check(numbers, _NUMBERS, "", prefix="--")
    embedding_flags.check(arguments)
    for folder in arguments.gallery or ():
        if not folder.is_dir():
            raise FileNotFoundError(
                f"no such folder of photographs: --gallery={folder}"
            )
    for file in arguments.query or ():
        if not file.is_file():
            raise FileNotFoundError(f"no such photograph: --query={file}")


def main(argv: Sequence[str] | None = None) -> None:
    """Parses the flags and serves the page; exits with one line for bad input."""
    parser = flags.Parser(
        "demo",
        "Serves a page to try a network on: drop a photograph, see who looks alike.",
        "[--model DIR] [--gallery DIR [DIR ...]] [--query FILE ...] [--port N]",
        _EXAMPLES,
    )
    add, path = parser.add, flags.path
    embedding_flags.add_model(parser)
    add(
        "--gallery",
        type=path,
        nargs="+",
        metavar="DIR",
        help="folders to choose from on the page; by default one of made-up people",
    )
    add(
        "--query",
        type=path,
        nargs="+",
        metavar="FILE",
        help="photographs that the page offers to search with",
    )
    embedding_flags.add(parser)
    add(
        "--host",
        default=_LOCAL,
        metavar="ADDRESS",
        help=f"the address to listen at; {_LOCAL}, this machine alone, unless given",
    )
    add(
        "--port",
        type=flags.whole,
        default=7860,
        metavar="N",
        help="of the address; 7860 unless given, 0: any free one",
    )
    with flags.ending_in_one_line(
        "give a smaller --batch-size", "finished embeddings are cached"
    ):
        demo(parser.arguments(argv))


if __name__ == "__main__":
    main()
