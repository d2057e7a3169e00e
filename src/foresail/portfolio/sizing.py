"""Position sizing rules (SIZE-01 to 07, 09, 12, 14): how many units a loss at the stop allows.

The lots of currency pairs (SIZE-08) are the planner's: weights that lose a hundredth at the stop, rounded down to the
pair's lot. The smallest of all limits and the share of the daily volume (SIZE-13) are the allocator's ceilings,
``risk.rules.liquidity`` and the planner's whole lots.

Quantities are exact decimals and are rounded down, never up. A stop on the wrong side of the entry is an error of the
caller, not a size of zero.
"""

from __future__ import annotations

import decimal
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal

from foresail.core.errors import ConfigError
from foresail.core.numbers import round_quantity
from foresail.domain.instruments import AssetClass, PriceBasis
from foresail.domain.tiers import tier_of, tier_unavailable

__all__ = [
    "SIZING_METHODS",
    "WorstCase",
    "atr_units",
    "fixed_percentage",
    "kelly_fraction",
    "pip_size",
    "small_account_units",
    "stop_based_shares",
    "tier_cap",
    "volatility_adjusted",
    "volatility_distance",
    "worst_case_units",
]

# SIZE-14: method by class; SIZE-07 is applied on top
SIZING_METHODS: Mapping[AssetClass, str] = {
    AssetClass.STOCK: "SIZE-02",
    AssetClass.CRYPTO: "SIZE-02",
    AssetClass.FOREX: "SIZE-08",
}

_CONTEXT = decimal.Context(prec=28, traps=[decimal.InvalidOperation, decimal.DivisionByZero, decimal.Overflow])
_ONE = Decimal(1)


def _loss_per_unit(entry: Decimal, stop: Decimal, *, is_short: bool = False) -> Decimal:
    for name, value in (("entry", entry), ("stop", stop)):
        if not (value.is_finite() and value > 0):
            raise ConfigError(f"sizing needs a positive {name}, received {value}")
    distance = stop - entry if is_short else entry - stop
    if distance <= 0:
        side = "short" if is_short else "long"
        right = "above" if is_short else "below"
        raise ConfigError(f"the stop of a {side} must lie {right} its entry, received entry {entry} and stop {stop}")
    return distance


def stop_based_shares(
    capital: Decimal, entry: Decimal, stop: Decimal, *, risk: Decimal = Decimal("0.02"), cap: Decimal = Decimal("0.10")
) -> Decimal:
    """Return whole shares of a long: floor(capital x risk / (entry - stop)), at most floor(cap x capital / entry).

    SIZE-01.

    Parameters
    ----------
    capital : account currency
    entry, stop : price
    risk, cap : fraction of capital lost at the stop, and held

    Raises
    ------
    ConfigError
        If the stop is not below the entry.

    Examples
    --------
    >>> stop_based_shares(Decimal(100_000), Decimal(100), Decimal(95))
    Decimal('100')
    """
    distance = _loss_per_unit(entry, stop)
    by_risk = round_quantity(_CONTEXT.divide(capital * risk, distance), _ONE)
    return min(by_risk, round_quantity(_CONTEXT.divide(capital * cap, entry), _ONE))


def fixed_percentage(
    capital: Decimal, entry: Decimal, stop: Decimal, *, risk: Decimal = Decimal("0.01"), is_short: bool = False
) -> Decimal:
    """Return units: capital x risk / distance to the stop, not yet on the lot grid (SIZE-02).

    Parameters
    ----------
    capital : account currency
    entry, stop : price
    risk : fraction of capital lost at the stop

    Raises
    ------
    ConfigError
        If the stop is on the wrong side of the entry.
    """
    return _CONTEXT.divide(capital * risk, _loss_per_unit(entry, stop, is_short=is_short))


def small_account_units(equity: Decimal, risk: Decimal, distance: Decimal, unit_value: Decimal = _ONE) -> Decimal:
    """Return units: equity x risk / (distance x unit_value) (SIZE-03).

    Parameters
    ----------
    equity : account currency
    risk : fraction of equity lost at the stop
    distance : from entry to stop, price
    unit_value : money per unit of price and contract

    Raises
    ------
    ConfigError
        If distance or unit value is not positive.
    """
    if not (distance > 0 and unit_value > 0):
        raise ConfigError(f"stop distance and unit value must be positive, received {distance} and {unit_value}")
    return _CONTEXT.divide(equity * risk, distance * unit_value)


def volatility_distance(atr: Decimal, *, multiple: Decimal = Decimal(2)) -> Decimal:
    """Return a stop distance of so many average true ranges, price; it goes into SIZE-03 (SIZE-04).

    Raises
    ------
    ConfigError
        If one of them is not positive.
    """
    if not (atr.is_finite() and atr > 0 and multiple > 0):
        raise ConfigError(f"average true range and multiple must be positive, received {atr} and {multiple}")
    return atr * multiple


def kelly_fraction(
    win_rate: Decimal, average_win: Decimal, average_loss: Decimal, *, share: Decimal = Decimal("0.25")
) -> Decimal:
    """Return the part of the portfolio to hold: share x (W - (1 - W) / R), R = average win / average loss (SIZE-05).

    A negative fraction means no trade: 0 is returned. The full fraction is never used.

    Parameters
    ----------
    win_rate : W, 0 to 1
    average_win, average_loss : money or R, both positive
    share : of the full fraction, 0.25 to 0.5

    Raises
    ------
    ConfigError
        If a number is out of its range.

    Examples
    --------
    >>> kelly_fraction(Decimal("0.55"), Decimal(200), Decimal(100))
    Decimal('0.08125')
    """
    if not Decimal("0.25") <= share <= Decimal("0.5"):
        raise ConfigError(f"expected between a quarter and half of Kelly, received {share}")
    if not (0 <= win_rate <= 1 and average_win > 0 and average_loss > 0):
        raise ConfigError(
            f"Kelly needs a win rate in [0, 1] and positive averages, received {win_rate}, {average_win} and "
            f"{average_loss}"
        )
    full = win_rate - _CONTEXT.divide((1 - win_rate) * average_loss, average_win)
    return max(Decimal(0), full * share)


def atr_units(
    capital: Decimal, atr: Decimal, *, risk: Decimal = Decimal("0.02"), multiple: Decimal = Decimal(2)
) -> Decimal:
    """Return units: capital x risk / (ATR x multiple), not yet on the lot grid (SIZE-06).

    Raises
    ------
    ConfigError
        If ATR or multiple is not positive.
    """
    return _CONTEXT.divide(capital * risk, volatility_distance(atr, multiple=multiple))


@dataclass(frozen=True, slots=True)
class WorstCase:
    """What a stop may cost beyond its distance (SIZE-12).

    Attributes
    ----------
    slippage : a side, fraction of price
    fee : a side, fraction of price
    gap : fraction of price by which the stop may be jumped over
    """

    slippage: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)
    gap: Decimal = Decimal(0)

    def __post_init__(self) -> None:
        for name in ("slippage", "fee", "gap"):
            value: Decimal = getattr(self, name)
            if not (value.is_finite() and value >= 0):
                raise ConfigError(f"{name} must be finite and not negative, received {value}")

    def loss(self, entry: Decimal, stop: Decimal, *, is_short: bool = False) -> Decimal:
        """Return money lost a unit if the stop is met at its worst: both sides cost, and the exit gaps."""
        distance = _loss_per_unit(entry, stop, is_short=is_short)
        return distance + entry * (self.slippage + self.fee) + stop * (self.slippage + self.fee + self.gap)


def worst_case_units(
    money: Decimal, entry: Decimal, stop: Decimal, costs: WorstCase, *, is_short: bool = False
) -> Decimal:
    """Return units whose worst loss is ``money``, not yet on the lot grid (SIZE-12).

    Parameters
    ----------
    money : what may be lost, account currency

    Raises
    ------
    ConfigError
        If the stop is on the wrong side of the entry.
    """
    return _CONTEXT.divide(money, costs.loss(entry, stop, is_short=is_short))


def volatility_adjusted(
    base: Decimal, volatility: Decimal, *, target: Decimal = Decimal("0.15"), may_lever: bool = False
) -> Decimal:
    """Return base x target / volatility, never above base unless levering is switched on (SIZE-07).

    Parameters
    ----------
    base : units or money
    volatility, target : annualised, fraction

    Raises
    ------
    ConfigError
        If volatility or target is not positive.
    """
    if not (volatility > 0 and target > 0):
        raise ConfigError(f"volatility and its target must be positive, received {volatility} and {target}")
    adjusted = _CONTEXT.divide(base * target, volatility)
    return adjusted if may_lever else min(base, adjusted)


def pip_size(quote_currency: str) -> Decimal:
    """Return the price step called a pip: 0.01 for yen pairs, else 0.0001 (SIZE-08)."""
    return Decimal("0.01") if quote_currency == "JPY" else Decimal("0.0001")


def tier_cap(price: float, basis: PriceBasis) -> tuple[float | None, str]:
    """Return (largest fraction of portfolio for a stock at this price, sentence) (SIZE-09).

    None means that no tier cap exists and the sentence says why; an untradable price has cap 0.
    """
    reason = tier_unavailable(basis)
    if reason is not None:
        return None, f"SIZE-09 tier cap {reason}"
    tier = tier_of(price, basis=basis)
    if tier is None:
        return 0.0, f"SIZE-09: {price:g} lies below the lowest price tier: untradable"
    return tier.maximum_size, f"SIZE-09: tier {tier.name} allows {tier.maximum_size:.0%} of the portfolio"
