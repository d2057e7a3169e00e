"""Ranks and comparisons with the other instruments of the panel (section 8.10)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.cross import beta, broadcast, market, rank, sector_residual
from foresail.features.formulas.momentum import rsi
from foresail.features.formulas.price import log_return
from foresail.features.formulas.volatility import volatility
from foresail.features.formulas.volume import volume_ratio

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    ranked = [(f"log_return_{k}", log_return(k)) for k in (1, 5, 20, 120)]
    ranked += [("volatility_20", volatility(20)), ("rsi_14", rsi(14)), ("volume_ratio_20", volume_ratio(20))]
    for name, value in ranked:
        yield declare(f"rank_{name}", rank(value), f"rank of {name} among all instruments, 0 to 1", "FEAT-276",
                       group="cross_section")  # fmt: skip
    for k in (5, 20):
        yield declare(f"sector_relative_{k}", sector_residual(log_return(k)),
                       f"log return over {k} bars minus the mean of the sector", "FEAT-277",
                       group="cross_section", type_="percentage", parameters=(k,))  # fmt: skip
    for k in (5, 20):
        yield declare(f"market_return_{k}", broadcast(market(log_return(k))),
                       f"mean log return of all instruments over {k} bars", "FEAT-275",
                       group="market", type_="percentage", parameters=(k,))  # fmt: skip
    yield declare("market_dispersion_5", broadcast(market(log_return(5), "market_deviation")),
                   "deviation of 5-bar log returns across instruments", "FEAT-278", group="market",
                   parameters=(5,))  # fmt: skip
    yield declare("beta_60", beta(60), "slope of the log return on the mean of all instruments, 60 bars",
                   "FEAT-274", group="market", parameters=(60,))  # fmt: skip
