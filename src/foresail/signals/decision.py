"""Deciding: rank, choose with a hysteresis band, name the kind, filter the top list.

1. Rank by expected return, the best first; equal ones by instrument id.
2. What is held stays while its forecast is positive and it ranks within ``band`` times k: a name that slips from place
   20 to 22 and back would otherwise pay costs twice for nothing.
3. Free places go to the best names that pass every gate.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.domain.signals import Horizon, Signal, SignalKind

__all__ = [
    "NOT_EVALUATED",
    "TOP_CONFIDENCE",
    "Selection",
    "count_confident",
    "default_top_k",
    "horizon_of",
    "kind_of",
    "opportunities",
    "ranks",
    "select",
    "signal_score",
    "top_list",
]

TOP_CONFIDENCE = 0.70  # SIG-17, TC-08: filter of the top list; never a reason to rescale a confidence

# requirement, why it says nothing in this release; a report prints them
NOT_EVALUATED: tuple[tuple[str, str], ...] = (
    ("SIG-04 position hold", "not evaluated: no sentiment"),
    ("SIG-05 day trade", "not evaluated: no sentiment"),
    ("SIG-06 sell", "not evaluated: no sentiment"),
    ("SIG-07 no clear signal", "not evaluated: no sentiment"),
)

_LONG_KINDS = (SignalKind.BUY, SignalKind.STRONG_BUY)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What to do with each instrument.

    Attributes
    ----------
    enter : (N,) bool, hold a full position: new, or held and among the best k
    keep : (N,) bool, held and neither added to nor closed
    leave : (N,) bool, held and to be closed
    """

    enter: BoolArray
    keep: BoolArray
    leave: BoolArray


def default_top_k(count: int) -> int:
    """Return the number of names traded of ``count``: a fifth, at least 3, at most 20."""
    return max(3, min(20, math.ceil(count / 5)))


def ranks(expected: FloatArray) -> IntArray:
    """Return places, 1 = highest expected return; ties in the order given (ascending id); NaN last.

    Parameters
    ----------
    expected : (N,) log return
    """
    order = np.argsort(np.where(np.isfinite(expected), -expected, np.inf), kind="stable")
    places = np.empty(len(expected), dtype=np.int64)
    places[order] = np.arange(1, len(expected) + 1)
    return places


def select(
    expected: FloatArray, admitted: BoolArray, held: BoolArray, frozen: BoolArray, *, top_k: int, band: float = 2.0
) -> Selection:
    """Choose up to ``top_k`` names.

    Parameters
    ----------
    expected : (N,) log return in the direction of the trade (negated for shorts); NaN never enters
    admitted : (N,) whether every gate for a new position is passed
    held : (N,)
    frozen : (N,) held names that must be left as they are because an input is missing (SIG-21); they take a place
    band : a held name stays while it ranks within ``band * top_k``; 1 switches hysteresis off
    """
    place = ranks(expected)
    with np.errstate(invalid="ignore"):
        rising = expected > 0.0
    stays = held & (frozen | (rising & (place <= math.floor(band * top_k))))
    if int(stays.sum()) > top_k:  # the list became shorter, or more was held than is traded
        ordered = np.flatnonzero(stays)[np.argsort(place[stays], kind="stable")]
        stays[ordered[top_k:]] = False
    entrants = admitted & rising & ~held
    free = top_k - int(stays.sum())
    chosen = np.flatnonzero(entrants)[np.argsort(place[entrants], kind="stable")][: max(0, free)]
    enter = np.zeros(len(expected), dtype=np.bool_)
    enter[chosen] = True
    enter |= stays & ~frozen & admitted & (place <= top_k)
    return Selection(enter=enter, keep=stays & ~enter, leave=held & ~stays)


def horizon_of(bars: int, bars_per_day: float) -> Horizon:
    """Return the class of a horizon (SIG-02): 1 to 2 days, 3 to 7 days, longer."""
    days = bars / bars_per_day
    if days <= 2.0:
        return Horizon.DAY_TRADE
    return Horizon.SWING_TRADE if days <= 7.0 else Horizon.POSITION


def signal_score(opinions: Sequence[tuple[int, float]]) -> float:
    """Return the display score, -100 to +100 (SIG-16).

    Parameters
    ----------
    opinions : (direction -1, 0 or 1; confidence in [0, 1]) of every active strategy
    """
    if not opinions:
        return 0.0
    return 100.0 * sum(direction * sureness for direction, sureness in opinions) / len(opinions)


def kind_of(score: float) -> SignalKind:
    """Return the signal kind of a display score: bands at 80, 20, -20, -80 (SIG-16)."""
    if score >= 80.0:
        return SignalKind.STRONG_BUY
    if score >= 20.0:
        return SignalKind.BUY
    if score <= -80.0:
        return SignalKind.STRONG_SELL
    return SignalKind.SELL if score <= -20.0 else SignalKind.HOLD


def _by_confidence(signals: Sequence[Signal]) -> list[Signal]:
    return sorted(signals, key=lambda signal: (-signal.confidence, signal.instrument))


def opportunities(signals: Sequence[Signal], *, count: int = 10) -> tuple[Signal, ...]:
    """Return the ``count`` signals of highest confidence that ask for something (SIG-17)."""
    return tuple(_by_confidence([s for s in signals if s.kind is not SignalKind.HOLD])[:count])


def top_list(signals: Sequence[Signal], *, minimum: float = TOP_CONFIDENCE, count: int = 10) -> tuple[Signal, ...]:
    """Return the "top buy signals": buys whose confidence is at least ``minimum``, the surest first (SIG-17)."""
    return tuple(_by_confidence([s for s in signals if s.kind in _LONG_KINDS and s.confidence >= minimum])[:count])


def count_confident(signals: Sequence[Signal], *, minimum: float = TOP_CONFIDENCE) -> int:
    """Return how many buys would have passed the filter of the top list."""
    return sum(1 for s in signals if s.kind in _LONG_KINDS and s.confidence >= minimum)
