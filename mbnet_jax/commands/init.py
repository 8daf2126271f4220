"""Makes a manifest and a config of a folder of photographs, to train on them.

    mbnet-init PHOTOS [--pattern "{person}/{camera}_*"]

Person, camera and clothes are read from the names of files and folders, by a pattern
that is guessed and shown. docs/own_photographs.md leads from there to a report.
"""

import sys
from dataclasses import fields

from mbnet_jax.commands import flags
from mbnet_jax.parsing.label_sets import LABEL_SETS


def main(argv: list[str] | None = None) -> None:
    """Reads the flags, looks at the folder and writes the two files."""
    parser = flags.Parser(
        "init",
        "Guesses person, camera and clothes of photographs from names of files and\n"
        "folders, and writes a manifest and a config to train with.",
        "PHOTOS [--pattern PATTERN] [--out DIR] [--maps DIR]",
        [
            "photos --dry-run",
            "photos",
            'photos --pattern "{person}/{clothes}/{camera}_*"',
            "photos --maps photos_maps",
        ],
    )
    parser.flags.add_argument(
        "folder", metavar="PHOTOS", type=flags.path, help="folder of the photographs"
    )
    parser.add(
        "--pattern",
        metavar="PATTERN",
        help="where {person}, {camera} and {clothes} are in the names, as in "
        '"{person}/{camera}_*"; guessed unless given. * is any text in a name, # a '
        "number, **/ any folders",
    )
    parser.add(
        "--out",
        type=flags.path,
        metavar="DIR",
        help="folder for manifest.csv and the config; unless given, PHOTOS",
    )
    parser.add(
        "--maps",
        type=flags.path,
        metavar="DIR",
        help="parsing maps, which mirror the folder of the manifest: trains the "
        "whole network, by a config of its own",
    )
    parser.add(
        "--labels",
        choices=sorted(LABEL_SETS),
        help="label set of the maps; known of those that mbnet-parse made",
    )
    parser.add(
        "--test-fraction",
        type=flags.number,
        default=1 / 3,
        metavar="SHARE",
        help="of the persons to test on, in 0..1; a third unless given",
    )
    parser.add(
        "--seed",
        type=flags.whole,
        default=0,
        metavar="N",
        help="of the draw of test persons",
    )
    parser.add_switch(
        "--imagenet",
        True,
        "start from ImageNet's weights, which are downloaded at the first training; "
        "without, a small network starts at random on a CPU",
    )
    parser.add(
        "--dry-run", action="store_true", help="show the guess, and write nothing"
    )
    with flags.ending_in_one_line("give fewer photographs"):
        arguments = parser.arguments(argv)
        # Not before: jax takes seconds, wrong arguments are refused at once.
        from mbnet_jax.own_images.make import Request, make

        flags.prepare()
        given = {f.name: getattr(arguments, f.name) for f in fields(Request)}
        for line in make(Request(**given)):
            _say(line)


def _say(line: str) -> None:
    """Prints a line, whatever the encoding of the terminal."""
    encoding = sys.stdout.encoding or "utf-8"
    print(line.encode(encoding, "backslashreplace").decode(encoding), flush=True)


if __name__ == "__main__":
    main()
