"""Where a position ends: stops, targets, trailing stop (SIG-08, EXIT-01 to EXIT-05).

All distances are fractions of the entry price, so that scaling a price history changes no distance.

Order of preference of a stop (EXIT-02): the signal's own (forecast P10 for longs, P90 for shorts), the tier's, the
class's, two average true ranges. The one that is chosen may not be wider than the maximum of the tier (or, without
tiers, of the class) or two average true ranges, whichever is wider: "2 % below entry, or entry - 2 ATR".
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId

__all__ = ["ATR_BARS", "ExitRules", "atr_fraction", "class_stop", "stop_distance", "target_distance", "trailing_stop"]

ATR_BARS = 14
_MAJOR_CURRENCIES = frozenset({"USD", "EUR", "JPY", "GBP", "CHF", "AUD", "CAD", "NZD"})
_BTC_ETH = ("BTC", "ETH")


@dataclass(frozen=True, slots=True)
class ExitRules:
    """How exits are placed.

    Attributes
    ----------
    atr_multiple : average true ranges of the fallback stop, and of the maximum where that is wider (RISK-05)
    limit_distance : whether the tier or class maximum holds (EXIT-02)
    floor_multiple : average true ranges that a stop is at least away from the entry; 0 = no floor
    reward_ratio : target distance over stop distance where the forecast names no target (RC-13)
    trailing : whether the stop follows the highest close since entry (EXIT-05)
    trailing_multiple : average true ranges between that close and the stop
    """

    atr_multiple: float = 2.0
    limit_distance: bool = True
    floor_multiple: float = 0.0
    reward_ratio: float = 2.0
    trailing: bool = False
    trailing_multiple: float = 3.0


def atr_fraction(high: FloatArray, low: FloatArray, close: FloatArray) -> FloatArray:
    """Return the mean true range of the last bars as a fraction of the last close.

    Parameters
    ----------
    high, low, close : (N, T) quote currency, T >= 2; high and low NaN on close-only data, where the true range is
        the absolute change of the close

    Returns
    -------
    (N,) NaN where fewer than two closes are known
    """
    previous, last = close[:, :-1], close[:, 1:]
    top = np.fmax(np.fmax(high[:, 1:], last), previous)
    bottom = np.fmin(np.fmin(low[:, 1:], last), previous)
    ranges = np.where(np.isfinite(previous) & np.isfinite(last), (top - bottom) / last, np.nan)
    known = np.isfinite(ranges)
    count = known.sum(axis=1)
    total = np.where(known, ranges, 0.0).sum(axis=1)
    result: FloatArray = np.where(count > 0, total / np.maximum(count, 1), np.nan)
    return result


def class_stop(instrument: InstrumentId, price: float) -> float:
    """Return the stop distance that the class table names, fraction of price (RISK-05).

    Stocks 2 %; BTC and ETH 5 %, other crypto 8 %; forex majors 30 pips, crosses 40, exotics 60.
    """
    head, _, rest = instrument.partition(".")
    if head == "crypto":
        return 0.05 if any(f".{coin}" in f".{rest}" for coin in _BTC_ETH) else 0.08
    if head != "fx":
        return 0.02
    base, _, quote = rest.partition("~")[0].partition("-")
    if base in _MAJOR_CURRENCIES and quote in _MAJOR_CURRENCIES:
        pips = 30.0 if "USD" in (base, quote) else 40.0
    else:
        pips = 60.0
    return pips * (0.01 if quote == "JPY" else 0.0001) / price


def stop_distance(
    own: FloatArray, tier: FloatArray, by_class: FloatArray, atr: FloatArray, rules: ExitRules
) -> FloatArray:
    """Return the distance from entry to stop, fraction of price, by the order of preference EXIT-02.

    Parameters
    ----------
    own, tier, by_class, atr : (N,) fraction of price; not finite or not positive = not available
    """

    def usable(values: FloatArray) -> FloatArray:
        with np.errstate(invalid="ignore"):
            checked: FloatArray = np.where(np.isfinite(values) & (values > 0.0), values, np.nan)
        return checked

    fallback = rules.atr_multiple * usable(atr)
    chosen = usable(own)
    for candidate in (usable(tier), usable(by_class), fallback):
        chosen = np.where(np.isfinite(chosen), chosen, candidate)
    if rules.limit_distance:
        maximum = np.where(np.isfinite(usable(tier)), usable(tier), usable(by_class))
        chosen = np.fmin(chosen, np.fmax(maximum, fallback))
    if rules.floor_multiple > 0.0:
        chosen = np.fmax(chosen, rules.floor_multiple * usable(atr))
    result: FloatArray = chosen
    return result


def target_distance(own: FloatArray, stop: FloatArray, rules: ExitRules) -> FloatArray:
    """Return the distance from entry to target: the forecast's own, else ``reward_ratio`` times the stop (RC-13).

    Parameters
    ----------
    own, stop : (N,) fraction of price
    """
    with np.errstate(invalid="ignore"):
        result: FloatArray = np.where(np.isfinite(own) & (own > 0.0), own, rules.reward_ratio * stop)
    return result


def trailing_stop(highest: FloatArray, atr: FloatArray, rules: ExitRules) -> FloatArray:
    """Return the level ``trailing_multiple`` average true ranges below the highest price since entry (EXIT-05).

    Parameters
    ----------
    highest, atr : (N,) price units
    """
    level: FloatArray = highest - rules.trailing_multiple * atr
    return level
