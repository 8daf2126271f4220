"""Same person or not: how one similarity threshold decides about all pairs.

Exact, with ties, in memory that does not grow with the pairs. A first pass counts the
pairs by the 21 highest bits of the similarity, a second one by the 11 lowest, in the
few bins where a threshold lies.
"""

from collections.abc import Sequence
from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jax.sharding import Mesh

from mbnet_jax.refusals import shown
from mbnet_jax.retrieval.arguments import Features, is_whole
from mbnet_jax.retrieval.binned_pairs import count_pairs
from mbnet_jax.retrieval.labels import Labels
from mbnet_jax.retrieval.similarity import order_key

_LOW = 11  # bits of a key that the first pass does not look at
_FINE = 1 << _LOW
_HALF = 1 << (30 - _LOW)  # bins of numbers below 0, above -2; and of those above
_BINS = 2 * _HALF
_MOST = 100  # rates, or thresholds
LEAST_ERRORS = 10  # false accepts below which their rate says nothing


class Point(NamedTuple):
    """What happens at a threshold: pairs at least as similar are accepted.

    Attributes:
      threshold: float32; NaN if there are too few false pairs to say.
      false_accept: share of the false pairs that are accepted (FPR), in 0..1, or NaN.
      true_accept: share of the true pairs that are accepted (TPR), in 0..1, or NaN.
    """

    threshold: float
    false_accept: float
    true_accept: float


class Curve(NamedTuple):
    """A ROC: numbers of the pairs that each threshold accepts, exact at each.

    Thresholds descend. The pairs between two neighbours have similarities within less
    than 1/8000.

    Attributes:
      thresholds: float32 [n].
      true, false: int64 [n].
    """

    thresholds: np.ndarray
    true: np.ndarray
    false: np.ndarray


class Verification(NamedTuple):
    """How thresholds separate true pairs from false ones.

    Attributes:
      true, false: numbers of pairs.
      curve: the ROC.
      at_rates: one point for each wished rate of false accepts: the lowest threshold
        at which the rate is not exceeded.
      at_thresholds: one point for each given threshold.
    """

    true: int
    false: int
    curve: Curve
    at_rates: tuple[Point, ...]
    at_thresholds: tuple[Point, ...]


def verification(
    query: Features,
    query_labels: Labels,
    gallery: Features,
    gallery_labels: Labels,
    *,
    rule: str = "general",
    rates: Sequence[float] = (1e-1, 1e-2, 1e-3, 1e-4),
    thresholds: Sequence[float] = (),
    least: int = LEAST_ERRORS,
    mesh: Mesh | None = None,
) -> Verification:
    """Decides about all pairs that the rule keeps, by their cosine similarity.

    A true pair is a query and one of its true matches, a false pair a query and an
    item of another person; queries without a true match have false pairs only.

    Args:
      query, query_labels, gallery, gallery_labels, rule, mesh: as in
        `retrieval_metrics`.
      rates: shares of false pairs to accept at most (FPR), above 0 and below 1.
      thresholds: similarities, within -1.5..1.5.
      least: a rate at which fewer false pairs would be accepted has a NaN point.

    Raises:
      ValueError: as `retrieval_metrics`; or a rate or threshold is out of range.
    """
    rates = _within("rates", rates, 0, 1)
    thresholds = _within("thresholds", thresholds, -1.5, 1.5)
    if not is_whole(least) or least < 1:
        raise ValueError(f"least must be a whole number from 1, got {shown(least)}")

    def counted(**binning) -> tuple[np.ndarray, np.ndarray]:
        return count_pairs(
            *(query, query_labels, gallery, gallery_labels),
            rule=rule,
            mesh=mesh,
            unmatched=True,
            **binning,
        )

    coarse = np.stack(counted(bins_of=_coarse, bins=_BINS))
    true, false = (int(count) for count in coarse.sum(1))
    # Pairs in each bin or above; and in none.
    above = np.append(np.cumsum(coarse[:, ::-1], axis=1)[:, ::-1], [[0], [0]], axis=1)
    allowed = [int(np.floor(rate * false + 1e-9)) for rate in rates]
    enough = [count >= least for count in allowed]
    # The bin with the most similar false pair that is not accepted any more.
    reached = [
        int(np.searchsorted(-above[1], -count, side="left")) - 1 for count in allowed
    ]
    keys = [int(_key(threshold)) for threshold in thresholds]
    chosen = sorted(
        {bin_ for bin_, known in zip(reached, enough, strict=True) if known}
        | {(key >> _LOW) + _HALF for key in keys}
    )
    fine = {}
    if chosen:
        slots = np.array(chosen, np.int32)
        # A power of two, so that there are few programs.
        width = 1 << (len(slots) - 1).bit_length()
        slots = np.pad(slots, (0, width - len(slots)), constant_values=_BINS)
        found = counted(bins_of=_fine, bins=width * _FINE, values=(slots,))
        found = np.stack(found).reshape(2, width, _FINE)
        fine = {bin_: found[:, slot] for slot, bin_ in enumerate(chosen)}

    def point(key: int) -> Point:
        bin_ = (key >> _LOW) + _HALF
        first = key & (_FINE - 1)
        rest = fine[bin_][:, first:].sum(1) if first else coarse[:, bin_]
        accepted = above[:, bin_ + 1] + rest
        return Point(float(_value(key)), *_shares(accepted[::-1], (false, true)))

    def at_rate(bin_: int, count: int) -> Point:
        left = count - above[1, bin_ + 1]  # false pairs of the bin to accept
        tail = np.cumsum(fine[bin_][1, ::-1])  # its false pairs, from the top
        last = _FINE - 1 - int(np.searchsorted(tail, left, side="right"))
        key = ((bin_ - _HALF) << _LOW) + last + 1  # just above that pair
        if key & (_FINE - 1) == 0:  # the first of the next bin
            accepted = above[:, bin_ + 1]
            return Point(float(_value(key)), *_shares(accepted[::-1], (false, true)))
        return point(key)

    nothing = Point(np.nan, np.nan, np.nan)
    return Verification(
        true,
        false,
        _curve(coarse, above),
        tuple(
            at_rate(bin_, count) if known else nothing
            for bin_, count, known in zip(reached, allowed, enough, strict=True)
        ),
        tuple(map(point, keys)),
    )


def _curve(coarse: np.ndarray, above: np.ndarray) -> Curve:
    """A point at the lower edge of each bin that has pairs, and one above all."""
    filled = np.flatnonzero(coarse.any(0))[::-1]
    bins = np.append(filled[:1] + 1, filled)
    return Curve(_value((bins - _HALF) << _LOW), above[0, bins], above[1, bins])


def _shares(accepted: np.ndarray, of: tuple[int, int]) -> tuple[float, float]:
    return tuple(
        float(count / total) if total else np.nan
        for count, total in zip(accepted, of, strict=True)
    )


def _within(name: str, values: Sequence[float], low: float, high: float) -> list[float]:
    def fits(value) -> bool:
        number = isinstance(value, int | float | np.integer | np.floating)
        return number and not isinstance(value, bool) and low < value < high

    several = isinstance(values, tuple | list) and len(values) <= _MOST
    if not several or not all(map(fits, values)):
        raise ValueError(
            f"{name} must be a tuple of up to {_MOST} numbers above {low} and below "
            f"{high}, got {shown(values)}"
        )
    return [*map(float, values)]


def _key(value: float) -> np.ndarray:
    """The key of the smallest float32 that is not below `value`; see `order_key`."""
    single = np.float32(value)
    if single < value:
        single = np.nextafter(single, np.float32(np.inf))
    bits = (single + np.float32(0)).view(np.int32)  # 0, not -0
    return np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)


def _value(key: np.ndarray | int) -> np.ndarray:
    """The float32 of a key."""
    bits = np.asarray(key, np.int32)
    bits = np.where(bits < 0, bits ^ np.int32(0x7FFFFFFF), bits)
    return bits.astype(np.int32).view(np.float32)


def _coarse(value: jax.Array) -> jax.Array:
    return (order_key(value) >> _LOW) + _HALF


def _fine(value: jax.Array, slots: jax.Array) -> jax.Array:
    """Bin `slot * _FINE + the lowest bits`; beyond all bins for a pair in no slot."""
    bin_ = _coarse(value)
    slot = jnp.searchsorted(slots, bin_, method="compare_all").astype(jnp.int32)
    is_in = jnp.take(slots, slot, mode="fill", fill_value=-1) == bin_
    fine = slot * _FINE + (order_key(value) & (_FINE - 1))
    return jnp.where(is_in, fine, len(slots) * _FINE)
