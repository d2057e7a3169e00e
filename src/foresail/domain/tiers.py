"""Price tiers of stocks (TIER-01 to 05): what a price level says about volatility, liquidity, size and stop.

A tier is a display and sizing attribute. It exists on raw prices only, since an adjusted price of the past is not what
a trader saw; elsewhere the answer is the sentence of ``tier_unavailable``. Figures are fractions, not percent.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from foresail.core.errors import CapabilityError, ConfigError, UnknownNameError
from foresail.domain.instruments import PriceBasis
from foresail.domain.signals import Horizon

__all__ = [
    "DEFAULT_TIERS",
    "TIER_PRESETS",
    "UNTRADABLE",
    "Tier",
    "allowed_tickers",
    "max_value",
    "stop_price",
    "tier_of",
    "tier_unavailable",
]

UNTRADABLE = "untradable"


@dataclass(frozen=True, slots=True)
class Tier:
    """One row of TIER-01 and TIER-04.

    Attributes
    ----------
    low, high : price range (low, high], quote currency
    daily_volatility : typical, fraction
    minimum_volume : units a day
    maximum_size : fraction of portfolio value; ``size_range`` is the range of TIER-04
    stop : distance of the stop, fraction of price
    take_profit : (low, high) fraction of price, or None where reward to risk is 2:1
    """

    name: str
    low: float
    high: float
    daily_volatility: float
    sentiment_weight: float
    minimum_volume: int
    maximum_size: float
    stop: float
    horizon: Horizon
    risk_level: str
    holding_time: str
    size_range: tuple[float, float]
    take_profit: tuple[float, float] | None
    best_for: str


_DAY, _SWING, _POSITION = Horizon.DAY_TRADE, Horizon.SWING_TRADE, Horizon.POSITION

# fmt: off
DEFAULT_TIERS: tuple[Tier, ...] = (
    Tier("penny", 0.50, 5.0, 0.05, 2.0, 500_000, 0.05, 0.10, _DAY, "high", "1-4 hours", (0.03, 0.05), (0.15, 0.20),
         "quick day trades, high risk and reward"),
    Tier("low", 5.0, 25.0, 0.03, 1.5, 1_000_000, 0.08, 0.05, _DAY, "medium-high", "day or swing", (0.0, 0.08), None,
         "day and swing trades"),
    Tier("mid", 25.0, 100.0, 0.02, 1.2, 2_000_000, 0.10, 0.03, _SWING, "medium", "3-7 days", (0.08, 0.10),
         (0.05, 0.10), "balanced swing trades"),
    Tier("high", 100.0, 500.0, 0.015, 1.0, 3_000_000, 0.12, 0.02, _POSITION, "low", "1-4 weeks", (0.0, 0.12), None,
         "stable position trades"),
    Tier("mega", 500.0, math.inf, 0.01, 0.8, 5_000_000, 0.15, 0.02, _POSITION, "very low", "2-4 weeks", (0.12, 0.15),
         (0.08, 0.12), "long-term blue chips"),
)
# fmt: on

TIER_PRESETS: Mapping[str, tuple[str, ...]] = {
    "low_price_day_trading": ("penny", "low"),
    "balanced": ("low", "mid", "high"),
    "conservative": ("high", "mega"),
    "default": ("low", "mid", "high"),
}


def tier_unavailable(basis: PriceBasis) -> str | None:
    """Return the sentence that says why a price basis has no tiers, or None where it has."""
    return None if basis is PriceBasis.RAW else f"not available: price basis {basis.value}"


def _require_raw(basis: PriceBasis) -> None:
    reason = tier_unavailable(basis)
    if reason is not None:
        raise CapabilityError(f"price tier {reason}", hint="tiers need raw prices; import a raw price set to see them")


def tier_of(price: float, *, basis: PriceBasis, tiers: Sequence[Tier] = DEFAULT_TIERS) -> Tier | None:
    """Return the tier of a raw price; None below the lowest tier (untradable).

    Parameters
    ----------
    price : quote currency, > 0 and finite
    tiers : ascending, adjoining; the lowest bound itself belongs to the lowest tier

    Raises
    ------
    CapabilityError
        If the price basis is not raw.
    ConfigError
        If the price is missing or not positive.

    Examples
    --------
    >>> tier_of(458.20, basis=PriceBasis.RAW).name, tier_of(5.005, basis=PriceBasis.RAW).name
    ('high', 'low')
    """
    _require_raw(basis)
    if not (math.isfinite(price) and price > 0.0):
        raise ConfigError(f"a price tier needs a positive price, received {price}")
    if price == tiers[0].low:
        return tiers[0]
    return next((tier for tier in tiers if tier.low < price <= tier.high), None)


def stop_price(price: Decimal, tier: Tier) -> Decimal:
    """Return the stop level of a long position: price x (1 - stop), quote currency, not yet on the tick grid."""
    return price * (1 - Decimal(str(tier.stop)))


def max_value(portfolio: Decimal, tier: Tier) -> Decimal:
    """Return the largest value of one position: portfolio x maximum size, account currency."""
    return portfolio * Decimal(str(tier.maximum_size))


def allowed_tickers(
    prices: Mapping[str, float], preset: str, *, basis: PriceBasis, tiers: Sequence[Tier] = DEFAULT_TIERS
) -> tuple[str, ...]:
    """Return, ascending, the tickers whose tier a preset allows; those without a price are left out (TIER-03).

    Raises
    ------
    UnknownNameError
        If the preset is not known.
    """
    if preset not in TIER_PRESETS:
        raise UnknownNameError("tier preset", preset, TIER_PRESETS)
    _require_raw(basis)
    allowed = []
    for ticker, price in sorted(prices.items()):
        if not (math.isfinite(price) and price > 0.0):
            continue
        tier = tier_of(price, basis=basis, tiers=tiers)
        if tier is not None and tier.name in TIER_PRESETS[preset]:
            allowed.append(ticker)
    return tuple(allowed)
