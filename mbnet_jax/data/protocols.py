"""Evaluation protocols as data: which queries meet which gallery, under which rule."""

from typing import NamedTuple


class Protocol(NamedTuple):
    """One group of columns in the results table.

    Attributes:
      name: its title, words joined by underscores.
      query: the test split of the queries.
      gallery: the test split of the gallery.
      rule: a key of `retrieval.RULES`.
      cameras: the only cameras that take part, counted from 0; empty: all.
      draws: 0 ranks the whole gallery (multi-shot). A positive number draws that
        many galleries of one random image per person (single-shot) and reports
        means and standard deviations over them.
      paper: Rank-1 and mAP in MBNet's paper, in 0..1; None where it has none.
    """

    name: str
    query: str
    gallery: str
    rule: str
    cameras: tuple[int, ...] = ()
    draws: int = 0
    paper: tuple[float, float] | None = None

    @property
    def title(self) -> str:
        """The name as it is printed."""
        return self.name.replace("_", "-")


def three_rules(paper: tuple[float, float] | None = None) -> tuple[Protocol, ...]:
    """The usual protocols: general, same-clothes, clothes-changing.

    All match the split "query" against the whole split "gallery". `paper` belongs
    to the last.
    """
    return (
        Protocol("general", "query", "gallery", "general"),
        Protocol("same_clothes", "query", "gallery", "same_clothes"),
        Protocol(
            "clothes_changing", "query", "gallery", "clothes_changing", paper=paper
        ),
    )
