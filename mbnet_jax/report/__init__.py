"""The report of an evaluated run: curves, ranked lists and attention maps."""

from mbnet_jax.report.cases import check_report
from mbnet_jax.report.lists import draw_lists
from mbnet_jax.report.write import write_report

__all__ = ["check_report", "draw_lists", "write_report"]
