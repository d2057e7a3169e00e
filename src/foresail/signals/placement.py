"""Placing stops and targets for the positions that a decision wants (SIG-08, EXIT-02 to EXIT-05).

Longs: P10 of the close as stop, P50 as expected level; shorts: P90 as stop. Where the forecast knows the path's high
and low, the stop moves out to the P10 of the low (the path touches more than it ends at) and the level to the P50 of
the high; mirrored for shorts. A trailing stop never loosens a stop; a close at or below it ends the position
(``trailed``).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.ids import InstrumentId
from foresail.domain.instruments import PriceBasis
from foresail.domain.tiers import DEFAULT_TIERS
from foresail.signals.observation import Observation
from foresail.signals.rules.exits import ExitRules, class_stop, stop_distance, target_distance, trailing_stop

__all__ = ["ExitLevels", "place_exits", "trailed"]

_OWN = "the forecast's own level"
_FLOOR = "the least distance that a position held for several horizons needs"
_TABLE = "the widest that tier, class or 2 ATR allow"
_TRAILING = "trailing the highest close since entry"


@dataclass(frozen=True, slots=True, eq=False)
class ExitLevels:
    """Where positions end; NaN where none is wanted.

    Attributes
    ----------
    stops, targets : (N,) price in the set's basis
    origin : (N,) words that say where each stop comes from
    """

    stops: FloatArray
    targets: FloatArray
    origin: tuple[str, ...]


def place_exits(
    seen: Observation, side: IntArray, rules: ExitRules, *, basis: PriceBasis, highest: Mapping[InstrumentId, float]
) -> ExitLevels:
    """Return stop and target levels.

    Parameters
    ----------
    side : (N,) 1 long, -1 short, 0 nothing wanted
    basis : price tiers count on raw prices only
    highest : highest close since entry of held names, for the trailing stop
    """
    sign = np.where(side < 0, -1.0, 1.0)
    stop_curve, level_curve = _curves(seen, side)
    own = -sign * np.expm1(stop_curve)
    tier, by_class = _table_stops(seen, basis)
    distance = stop_distance(own, tier, by_class, seen.atr, rules)
    reach = target_distance(sign * np.expm1(level_curve), distance, rules)
    wanted = side != 0
    stops = np.where(wanted, seen.close * (1.0 - sign * distance), np.nan)
    targets = np.where(wanted, seen.close * (1.0 + sign * reach), np.nan)
    with np.errstate(invalid="ignore"):
        is_own = np.isfinite(own) & (own > 0.0) & (distance >= own * (1.0 - 1e-12))
        is_floor = (rules.floor_multiple > 0.0) & (distance > np.fmax(own, 0.0) * (1.0 + 1e-12))
    origin = [_FLOOR if floor else (_OWN if mine else _TABLE) for mine, floor in zip(is_own, is_floor, strict=True)]
    if rules.trailing:
        trail = _trail(seen, rules, highest)
        with np.errstate(invalid="ignore"):
            raised = (side > 0) & (trail > stops) & (trail < seen.close)
        stops = np.where(raised, trail, stops)
        origin = [_TRAILING if up else words for up, words in zip(raised, origin, strict=True)]
    return ExitLevels(stops, targets, tuple(origin))


def trailed(seen: Observation, rules: ExitRules, highest: Mapping[InstrumentId, float]) -> BoolArray:
    """Return which held longs closed at or below their trailing stop (EXIT-05), (N,)."""
    with np.errstate(invalid="ignore"):
        under: BoolArray = seen.close <= _trail(seen, rules, highest)
    return under if rules.trailing else np.zeros(len(seen.ids), dtype=np.bool_)


def _trail(seen: Observation, rules: ExitRules, highest: Mapping[InstrumentId, float]) -> FloatArray:
    """Return trailing stop levels of held longs, NaN elsewhere."""
    known = np.array([highest.get(name, np.nan) for name in seen.ids])
    level: FloatArray = trailing_stop(np.fmax(known, seen.close), seen.atr * seen.close, rules)
    return np.where((seen.held > 0.0) & np.isfinite(known), level, np.nan)


def _curves(seen: Observation, side: IntArray) -> tuple[FloatArray, FloatArray]:
    """Return log returns at which each position stops, and that it is expected to reach."""
    short = side < 0
    stop = np.where(short, seen.level(seen.curve, 0.90), seen.level(seen.curve, 0.10))
    level = seen.level(seen.curve, 0.50)
    if seen.low is not None and seen.high is not None:
        above, below = seen.level(seen.high, 0.90), seen.level(seen.low, 0.10)
        stop = np.where(short, np.fmax(stop, above), np.fmin(stop, below))
        above, below = seen.level(seen.high, 0.50), seen.level(seen.low, 0.50)
        level = np.where(short, np.fmin(level, below), np.fmax(level, above))
    return stop, level


def _table_stops(seen: Observation, basis: PriceBasis) -> tuple[FloatArray, FloatArray]:
    """Return the stop distances of tier (raw stock prices only) and class, fraction of price."""
    tier = np.full(len(seen.ids), np.nan)
    if basis is PriceBasis.RAW:
        bounds = np.array([row.high for row in DEFAULT_TIERS[:-1]])
        widths = np.array([row.stop for row in DEFAULT_TIERS])
        stocks = np.array([name.startswith("stock.") for name in seen.ids])
        known = np.isfinite(seen.close)
        row = np.searchsorted(bounds, np.where(known, seen.close, 0.0))
        tier = np.where(stocks & known, widths[row], np.nan)
    by_class = np.array([class_stop(name, float(price)) for name, price in zip(seen.ids, seen.close, strict=True)])
    return tier, by_class
