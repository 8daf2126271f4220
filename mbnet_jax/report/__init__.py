"""A tested run as a page: curves, similarities, ranked lists, what branches look at."""

from mbnet_jax.report.cases import check_report
from mbnet_jax.report.lists import draw_lists
from mbnet_jax.report.write import write_report

__all__ = ["check_report", "draw_lists", "write_report"]
