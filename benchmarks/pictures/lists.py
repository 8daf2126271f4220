"""The picture of queries with the ranked lists of two networks."""

from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, ImageDraw

from benchmarks.pictures.choice import Choice
from benchmarks.pictures.layout import FONT_SIZE, MARGIN, encoded, heading, stacked
from benchmarks.pictures.networks import Comparison, Evaluated
from mbnet_jax.report.fonts import Font
from mbnet_jax.report.lists import NEAREST, item_of, nearest_images, short_names
from mbnet_jax.report.ranked_lists import (
    BACKGROUND,
    NEUTRAL,
    TEXT,
    RankedItem,
    draw_framed,
    draw_legend,
)

# Pixels.
IMAGE = (72, 144)  # width and height
FRAME, MARK = 4, 18
CELL = IMAGE[0] + 2 * FRAME
GAP, QUERY_GAP, BLOCK_GAP = 8, 24, 22
HEAD, CAPTION = 24, 22  # above a list, below it
ROW = HEAD + IMAGE[1] + 2 * FRAME + CAPTION
BLOCK = 2 * ROW + BLOCK_GAP
SMALL = 10  # of the text below an image
WIDTH = 2 * MARGIN + (NEAREST + 1) * CELL + NEAREST * GAP + QUERY_GAP

_EXCLUDED = {
    "clothes_changing": (
        "The gallery excludes the query's person in the query's camera or clothes."
    ),
    "general": "The gallery excludes the query's person in the query's camera.",
}


class Ranked(NamedTuple):
    """A ranked list: the line above it, and its images, nearest first."""

    caption: str
    items: list[RankedItem]


def corner(block: int, row: int, column: int) -> tuple[int, int]:
    """Returns left and top of a frame; column 0 is the query, 1 the nearest image."""
    left = MARGIN + column * (CELL + GAP) + (QUERY_GAP if column else 0)
    return left, block * BLOCK + row * ROW + HEAD


def draw_blocks(blocks: Sequence[tuple[RankedItem, Sequence[Ranked]]]) -> Image.Image:
    """Draws each query on the left, and its two lists beside it."""
    height = max(len(blocks) * BLOCK - BLOCK_GAP, 0) + MARGIN
    picture = Image.new("RGB", (WIDTH, height), BACKGROUND)
    draw, small = ImageDraw.Draw(picture), Font(SMALL)
    for block, (query, lists) in enumerate(blocks):
        if block:
            line = block * BLOCK - BLOCK_GAP // 2
            draw.line((MARGIN, line, WIDTH - MARGIN, line), NEUTRAL)
        left, top = corner(block, 0, 0)
        below = draw_framed(picture, draw, (left, top), query, IMAGE, FRAME, MARK)
        for number, text in enumerate(("query", f"camera {query.camera}", query.name)):
            text = small.shortened(text, CELL + QUERY_GAP)
            small.draw(draw, (left, below + 2 + 15 * number), text, TEXT)
        for row, (caption, items) in enumerate(lists):
            left, top = corner(block, row, 1)
            Font(FONT_SIZE).draw(draw, (left, top - HEAD + 4), caption, TEXT)
            for column, item in enumerate(items, start=1):
                left, top = corner(block, row, column)
                at = (left, top)
                below = draw_framed(picture, draw, at, item, IMAGE, FRAME, MARK)
                text = f"camera {item.camera}, {item.similarity:.2f}"
                text = small.shortened(text, CELL + GAP - 2)
                small.draw(draw, (left, below + 2), text, TEXT)
    return picture


def _caption(network: Evaluated, row: int) -> str:
    metrics = network.metrics
    return (
        f"{network.title}: average precision "
        f"{100 * metrics.average_precision[row]:.1f} %, first right image at rank "
        f"{metrics.first_match_rank[row]}"
    )


def of_queries(
    comparison: Comparison, choice: Choice
) -> list[tuple[RankedItem, list[Ranked]]]:
    """Ranks the gallery for each chosen query: whole network first, then baseline."""
    config = comparison.whole.network.config
    query, gallery = comparison.splits
    names = short_names(query), short_names(gallery)
    found = [
        nearest_images(
            network.query.subset(choice.rows),
            network.gallery,
            network.embedding,
            comparison.protocol.rule,
        )
        if len(choice.rows)
        else []
        for network in (comparison.whole, comparison.baseline)
    ]
    return [
        (
            item_of(config, query, names[0], row),
            [
                Ranked(
                    _caption(network, row),
                    [
                        item_of(config, gallery, names[1], *near)
                        for near in lists[number]
                    ],
                )
                for network, lists in zip(comparison[:2], found, strict=True)
            ],
        )
        for number, row in enumerate(choice.rows.tolist())
    ]


def draw_choice(
    comparison: Comparison,
    choice: Choice,
    other: Choice,
    better: Evaluated,
    worse: Evaluated,
) -> bytes:
    """Draws the queries that `better` gets right and `worse` wrong; returns a JPEG.

    `other` is the opposite choice, for its number of queries.
    """
    queries = comparison.whole.metrics.num_queries
    protocol = comparison.protocol
    notes = [
        f"The {better.title} ranks a right image first, the {worse.title} a wrong one, "
        f"for {choice.total} of {queries} queries; the opposite for {other.total}.",
        f"Rule: {protocol.title}. {_EXCLUDED[protocol.rule]} Whole "
        "network: all branches combined; baseline: global branch alone.",
        "Below each image: its camera, and its cosine similarity to the query.",
    ]
    if len(choice.rows):
        notes.insert(
            1,
            f"Shown: the {len(choice.rows)} with the largest difference in average "
            "precision, at most one per person.",
        )
    title = f"Right by the {better.title}, wrong by the {worse.title}"
    legend = Image.new("RGB", (WIDTH, 26), BACKGROUND)
    draw_legend(ImageDraw.Draw(legend), MARGIN, 2)
    body = draw_blocks(of_queries(comparison, choice))
    return encoded(stacked([heading(title, notes, WIDTH), legend, body]))
