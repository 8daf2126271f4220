"""The report of an evaluated run: curves, ranked lists and attention maps."""

from mbnet_jax.report.cases import check_report
from mbnet_jax.report.results import to_open, write_results

__all__ = ["check_report", "to_open", "write_results"]
