"""The picture of queries with a list by each of two networks."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from benchmarks.pictures.choice import Choice
from benchmarks.pictures.networks import Compared, Evaluated
from benchmarks.pictures.sheet import MARGIN, encoded, font, heading, stacked
from mbnet_jax.report.lists import NEAREST, item_of, nearest_images, short_names
from mbnet_jax.report.ranked_lists import (
    BACKGROUND,
    NEUTRAL,
    TEXT,
    RankedItem,
    draw_framed,
    draw_legend,
    shortened,
)

# Pixels.
IMAGE = (72, 144)  # width and height
FRAME, MARK = 4, 18
CELL = IMAGE[0] + 2 * FRAME
GAP, QUERY_GAP, BLOCK_GAP = 8, 24, 22
HEAD, CAPTION = 24, 22  # above a list, below it
ROW = HEAD + IMAGE[1] + 2 * FRAME + CAPTION
BLOCK = 2 * ROW + BLOCK_GAP
SMALL = 11  # of the text below an image
WIDTH = 2 * MARGIN + (NEAREST + 1) * CELL + NEAREST * GAP + QUERY_GAP

_LEFT_OUT = {
    "clothes_changing": (
        "The gallery is without the query's person in the query's camera or clothes."
    ),
    "general": "The gallery is without the query's person in the query's camera.",
}


class Ranked(NamedTuple):
    """A list: the words above it, and its images, the nearest first."""

    words: str
    items: list[RankedItem]


def corner(block: int, row: int, column: int) -> tuple[int, int]:
    """Left and top of a frame; column 0 is the query, 1 the nearest image."""
    left = MARGIN + column * (CELL + GAP) + (QUERY_GAP if column else 0)
    return left, block * BLOCK + row * ROW + HEAD


def draw_blocks(blocks: Sequence[tuple[RankedItem, Sequence[Ranked]]]) -> Image.Image:
    """Each query on the left, its two lists one below the other beside it."""
    height = max(len(blocks) * BLOCK - BLOCK_GAP, 0) + MARGIN
    picture = Image.new("RGB", (WIDTH, height), BACKGROUND)
    draw = ImageDraw.Draw(picture)
    for block, (query, lists) in enumerate(blocks):
        if block:
            line = block * BLOCK - BLOCK_GAP // 2
            draw.line((MARGIN, line, WIDTH - MARGIN, line), NEUTRAL)
        left, top = corner(block, 0, 0)
        below = draw_framed(picture, draw, (left, top), query, IMAGE, FRAME, MARK)
        for number, text in enumerate(("query", f"camera {query.camera}", query.name)):
            text = shortened(text, font(SMALL), CELL + QUERY_GAP)
            draw.text((left, below + 2 + 15 * number), text, TEXT, font(SMALL))
        for row, (words, items) in enumerate(lists):
            left, top = corner(block, row, 1)
            draw.text((left, top - HEAD + 4), words, TEXT, font())
            for column, item in enumerate(items, start=1):
                left, top = corner(block, row, column)
                at = (left, top)
                below = draw_framed(picture, draw, at, item, IMAGE, FRAME, MARK)
                text = f"camera {item.camera}, {item.similarity:.2f}"
                text = shortened(text, font(SMALL), CELL + GAP - 2)
                draw.text((left, below + 2), text, TEXT, font(SMALL))
    return picture


def _words(network: Evaluated, row: int) -> str:
    metrics = network.metrics
    return (
        f"{network.title}: average precision "
        f"{100 * metrics.average_precision[row]:.1f} %, first right image at rank "
        f"{metrics.first_match_rank[row]}"
    )


def of_queries(
    compared: Compared, choice: Choice
) -> list[tuple[RankedItem, list[Ranked]]]:
    """The chosen queries, each with the whole network's list, then the baseline's."""
    config = compared.whole.network.config
    query, gallery = compared.splits
    names = short_names(query), short_names(gallery)
    found = [
        nearest_images(
            network.query.subset(choice.rows),
            network.gallery,
            network.embedding,
            compared.protocol.rule,
        )
        if len(choice.rows)
        else []
        for network in (compared.whole, compared.baseline)
    ]
    return [
        (
            item_of(config, query, names[0], row),
            [
                Ranked(
                    _words(network, row),
                    [
                        item_of(config, gallery, names[1], *near)
                        for near in lists[place]
                    ],
                )
                for network, lists in zip(compared[:2], found, strict=True)
            ],
        )
        for place, row in enumerate(choice.rows.tolist())
    ]


def draw_choice(
    compared: Compared,
    choice: Choice,
    other: Choice,
    better: Evaluated,
    worse: Evaluated,
) -> bytes:
    """The JPEG of the queries that `better` gets right and `worse` wrong.

    `other` are those for which it is the other way round.
    """
    queries = compared.whole.metrics.num_queries
    notes = [
        f"The {better.title} ranks a right image first, the {worse.title} a wrong one, "
        f"for {choice.total} of {queries} queries; the other way round for "
        f"{other.total}.",
        f"Rule: {compared.protocol.title}. {_LEFT_OUT[compared.protocol.rule]} Whole "
        "network: all branches combined; baseline: global branch alone.",
        "Below each image: its camera, and its cosine similarity to the query.",
    ]
    if len(choice.rows):
        notes.insert(
            1,
            f"Shown: the {len(choice.rows)} with the largest difference in average "
            "precision, at most one of each person.",
        )
    title = f"Right by the {better.title}, wrong by the {worse.title}"
    legend = Image.new("RGB", (WIDTH, 26), BACKGROUND)
    draw_legend(ImageDraw.Draw(legend), MARGIN, 2)
    body = draw_blocks(of_queries(compared, choice))
    return encoded(stacked([heading(title, notes, WIDTH), legend, body]))
