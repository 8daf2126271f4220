"""The report's part on pairs: ROC, thresholds, and how well probabilities hold."""

from collections.abc import Mapping

import numpy as np

from mbnet_jax.evaluation.table import title_of
from mbnet_jax.evaluation.verification import Verified, content_of
from mbnet_jax.evaluation.verification_table import groups_of
from mbnet_jax.report import curves

_LEAST = 1e-4  # share of false pairs at which the axis begins, or more of fewer pairs


def pairs_of(verified: Mapping[str, Verified]) -> dict | None:
    """Returns what the template shows; None without pairs.

    Args:
      verified: protocol -> its pairs. A protocol without pairs of both kinds is not
        drawn.
    """
    drawn = {
        name.replace("_", "-"): of
        for name, of in verified.items()
        if of.pairs.true and of.pairs.false
    }
    if not drawn:
        return None
    content = content_of(verified)
    groups = groups_of(content)
    rows = [
        [cell for cells in row for cell in cells]
        for row in zip(*(group.rows for group in groups), strict=True)
    ]
    first, drawn_first = (next(iter(x.values())) for x in (content, drawn))
    known = {title: of for title, of in drawn.items() if of.reliability}
    chosen = first["at_threshold"] is not None
    return {
        "embedding": title_of(first["embedding"]),
        "roc": _roc(drawn),
        "reliability": _reliability(known) if known else "",
        "rates": [*first["at_rates"]],
        "threshold": f"{first['calibration']['threshold']:.4f}" if chosen else "",
        "rows": [
            {
                "title": name.replace("_", "-"),
                "cells": [
                    *(f"{entry[kind]:,}" for kind in ("true_pairs", "false_pairs")),
                    *cells,
                ],
            }
            for (name, entry), cells in zip(content.items(), rows, strict=True)
        ],
        "calibration": drawn_first.calibration,
    }


def _roc(drawn: Mapping[str, Verified]) -> str:
    least = max(_LEAST, 1 / min(of.pairs.false for of in drawn.values()))
    lines = {title: _thinned(of, least) for title, of in drawn.items()}
    label = "Share of true pairs accepted by share of false pairs: " + "; ".join(
        f"{title}, {_at(of)}" for title, of in drawn.items()
    )
    return curves.roc("roc", lines, min(least, 0.1), label)


def _thinned(of: Verified, least: float) -> tuple[np.ndarray, np.ndarray]:
    """Shares of false and of true pairs, at points that a drawing tells apart."""
    false = of.pairs.curve.false / of.pairs.false
    true = of.pairs.curve.true / of.pairs.true
    cells = np.stack([np.log10(np.maximum(false, least)) * 80, true * 200]).round()
    kept = np.append(True, (np.diff(cells, axis=1) != 0).any(0))
    kept[-1] = True
    return false[kept], true[kept]


def _at(of: Verified) -> str:
    share = of.pairs.at_rates[0].true_accept
    return "too few pairs" if np.isnan(share) else f"{100 * share:.1f} % at 10 %"


def _reliability(known: Mapping[str, Verified]) -> str:
    lines = {
        title: (of.reliability.predicted, of.reliability.observed)
        for title, of in known.items()
    }
    label = "Share of true pairs by predicted probability: " + "; ".join(
        f"{title}, mean difference {of.reliability.error:.3f}"
        for title, of in known.items()
    )
    return curves.reliability("reliability", lines, label)
