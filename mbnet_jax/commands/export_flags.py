"""The flags of commands that write an export: network, folder, and its weights."""

from mbnet_jax.commands import flags


def add_folders(parser: flags.Parser) -> None:
    """Adds the flags of the network and the folder, which help lists first."""
    parser.add(
        "--model",
        required=True,
        metavar="DIR",
        help="a run's folder, an export's folder, or the Hugging Face hub id of one",
    )
    parser.add(
        "--out",
        type=flags.path,
        required=True,
        metavar="DIR",
        help="the folder to write",
    )


def add_weights(parser: flags.Parser) -> None:
    """Adds the flags of the weights' precision and licence."""
    parser.add_switch(
        "--half", False, "round the weights to half precision: half the size"
    )
    parser.add(
        "--license",
        default="",
        metavar="NAME",
        help="the weights' licence, as the hub names it: apache-2.0",
    )
