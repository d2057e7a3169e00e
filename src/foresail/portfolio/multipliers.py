"""What conditions take off a position's size (SIZE-10): multiplied in a fixed order, each named.

A condition whose input is not known takes nothing off and is told as unknown, so that silence cannot pass for calm.
"""

from __future__ import annotations

import math
from collections.abc import Container
from dataclasses import dataclass, replace
from decimal import Decimal

from foresail.core.ids import InstrumentId
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import MarketLimits
from foresail.domain.signals import TargetWeights

__all__ = ["Conditions", "SizeFactor", "condition_factor", "under_conditions"]

_ONE = Decimal(1)
_BITCOIN_FACTOR = Decimal("0.5")
_ASIA_FACTOR = Decimal("0.5")
_LIMITS = MarketLimits()


@dataclass(frozen=True, slots=True)
class Conditions:
    """What is known at a decision; NaN or None = not known.

    Attributes
    ----------
    beta : of a stock against its market
    vix : index points
    bitcoin_volatility : 30 days, annualised, fraction
    is_asian_session : of forex
    """

    beta: float = math.nan
    vix: float = math.nan
    bitcoin_volatility: float = math.nan
    is_asian_session: bool | None = None


@dataclass(frozen=True, slots=True)
class SizeFactor:
    """What is left of a size.

    Attributes
    ----------
    size : factor of the position
    leverage : factor of the leverage allowed
    opens : whether new positions may be opened
    acted : sentences on what acted, in order
    unknown : conditions whose input is not known
    """

    size: Decimal
    leverage: Decimal
    opens: bool
    acted: tuple[str, ...]
    unknown: tuple[str, ...]


def condition_factor(asset_class: AssetClass, now: Conditions, limits: MarketLimits = _LIMITS) -> SizeFactor:
    """Return what the conditions leave of a position's size: beta, VIX, Bitcoin volatility, session, in this order.

    Parameters
    ----------
    limits : from where on they act, and how much they take off; None = such a condition does not act
    """
    size = leverage = _ONE
    opens = True
    acted: list[str] = []
    unknown: list[str] = []
    if asset_class is AssetClass.STOCK and _above(now.beta, limits.high_beta, "beta", unknown):
        size *= Decimal(repr(limits.beta_factor))
        acted.append(f"SIZE-10: beta {now.beta:.2f} above {limits.high_beta:g}: times {limits.beta_factor:g}")
    if _above(now.vix, limits.vix_cut_above, "VIX", unknown):
        left = 1 - Decimal(repr(limits.vix_cut))
        size *= left
        acted.append(f"SIZE-10: VIX {now.vix:.1f} above {limits.vix_cut_above:g}: times {left.normalize():f}")
    wild = limits.crypto_volatility
    if asset_class is AssetClass.CRYPTO and _above(now.bitcoin_volatility, wild, "Bitcoin volatility", unknown):
        size *= _BITCOIN_FACTOR
        opens = False
        acted.append(
            f"SIZE-10: Bitcoin volatility {now.bitcoin_volatility:.0%} above {wild:.0%}: "
            f"times {_BITCOIN_FACTOR}, no new positions"
        )
    if asset_class is AssetClass.FOREX:
        if now.is_asian_session is None:
            unknown.append("session")
        elif now.is_asian_session:
            leverage *= _ASIA_FACTOR
            acted.append(f"SIZE-10: Asian session: leverage times {_ASIA_FACTOR}")
    return SizeFactor(size, leverage, opens, tuple(acted), tuple(unknown))


def under_conditions(targets: TargetWeights, factor: SizeFactor, held: Container[InstrumentId]) -> TargetWeights:
    """Return target weights of one class with a factor applied; what acted is noted for every name that it changed.

    Parameters
    ----------
    held : instruments with a position; where nothing may be opened, the others get weight 0
    """
    text = "; ".join(factor.acted)
    weights, notes = [], list(targets.notes)
    for name, weight in zip(targets.instruments, targets.weights, strict=True):
        stays = factor.opens or name in held
        weights.append(weight * float(factor.size) if stays else 0.0)
        if weights[-1] != weight:
            notes.append((name, text))
    return replace(targets, weights=tuple(weights), notes=tuple(sorted(notes)))


def _above(value: float, limit: float | None, name: str, unknown: list[str]) -> bool:
    if limit is None:
        return False
    if not math.isfinite(value):
        unknown.append(name)
        return False
    return value > limit
