"""Condition multipliers of size (SIZE-10): volatile stocks, fear, wild Bitcoin; they multiply, in this order."""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.instruments import AssetClass
from foresail.domain.limits import MarketLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, asset_class_of, refuse, scale
from foresail.risk.projected import Projected

__all__ = ["Conditions", "condition_factors"]


def condition_factors(
    asset_class: AssetClass, limits: MarketLimits, *, beta: float, vix: float
) -> tuple[tuple[float, str], ...]:
    """Return (factor, reason) of each condition that holds; NaN = not known, which is no condition.

    Parameters
    ----------
    beta : of the instrument against its market
    vix : index points
    """
    found = []
    if asset_class is AssetClass.STOCK and limits.high_beta is not None and beta > limits.high_beta:
        found.append((limits.beta_factor, f"beta {beta:.2f} is above {limits.high_beta:g}"))
    if limits.vix_cut_above is not None and vix > limits.vix_cut_above:
        found.append((1.0 - limits.vix_cut, f"the VIX is {vix:g}, above {limits.vix_cut_above:g}"))
    return tuple(found)


@dataclass(frozen=True, slots=True)
class Conditions:
    """Cuts openings by the factors that hold; refuses new crypto while Bitcoin is wild.

    Facts: ``beta:ID``, ``vix`` and ``btc_volatility_30d`` (annual, fraction). Halving held crypto is asked
    for by ``risk.alerts``.
    """

    limits: MarketLimits
    name: str = "SIZE-10 condition multipliers"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return the units that the conditions leave."""
        own = asset_class_of(order.instrument)
        if own is AssetClass.CRYPTO and self.limits.crypto_volatility is not None:
            volatility = view.fact("btc_volatility_30d")
            if volatility > self.limits.crypto_volatility:
                return refuse(self.name, f"the 30-day volatility of Bitcoin is {volatility:.0%}: no new crypto trades")
        beta = view.fact(f"beta:{order.instrument}") if own is AssetClass.STOCK else float("nan")
        factors = condition_factors(own, self.limits, beta=beta, vix=view.fact("vix"))
        if not factors:
            return allow(self.name, order)
        product = 1.0
        for factor, _ in factors:
            product *= factor
        reasons = "; ".join(reason for _, reason in factors)
        return scale(self.name, order, product, f"{reasons}: size x {product:g}")
