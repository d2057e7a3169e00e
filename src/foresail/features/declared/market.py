"""Reference series of the market (section 8.10) and the weekday."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.expressions import CLOSE, given
from foresail.features.formulas.cross import reference
from foresail.features.formulas.cross_asset import level_change
from foresail.features.formulas.given import change, growth, known
from foresail.features.formulas.market import (
    correlation_with,
    relative_strength,
    relative_strength_ratio,
    sector_strength,
    simple_return,
)
from foresail.features.formulas.price import log_return
from foresail.features.formulas.statistical import zscore

__all__ = ["declared"]

_STOCK = (AssetClass.STOCK,)


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield declare("vix_zscore_250", reference("vix", zscore(250)), "VIX in deviations from its 250-bar mean",
                   "FEAT-271", group="market", type_="index", parameters=(250,))  # fmt: skip
    for name, lags in (("vix", (1, 5)), ("sp500", (5, 20)), ("nasdaq", (5, 20)), ("oil", (20,))):
        for lag in lags:
            yield declare(f"{name}_change_{lag}", reference(name, log_return(lag)),
                           f"log change of {name} over {lag} bars", "FEAT-272" if name == "vix" else "FEAT-275",
                           group="market", type_="index", parameters=(lag,))  # fmt: skip
    yield from _levels()
    yield from _strength()


def _levels() -> Iterable[FeatureSpec]:
    yield declare("vix_level", reference("vix", CLOSE), "VIX, low = calm", "FEAT-271", group="market", type_="index",
                   aliases=("VIX", "vix"), model=reference("vix", zscore(250)))  # fmt: skip
    yield declare("vix_change", reference("vix", level_change(1)), "VIX today minus yesterday, points", "FEAT-272",
                   group="market", type_="index")  # fmt: skip
    yield declare("market_correlation", correlation_with("sp500", 60),
                   "correlation of log returns with the S&P 500, 60 bars", "FEAT-274", group="market",
                   type_="percentage", aliases=("market_correlation_60",), parameters=(60,))  # fmt: skip
    yield declare("spy_return", reference("sp500", simple_return(1)), "one-bar return of the S&P 500", "FEAT-275",
                   group="market", type_="percentage")  # fmt: skip
    yield declare("market_trend", reference("sp500", simple_return(20)), "20-bar return of the S&P 500", "FEAT-278",
                   group="market", type_="percentage", parameters=(20,), classes=_STOCK)  # fmt: skip


def _strength() -> Iterable[FeatureSpec]:
    yield declare("sector_performance", growth(given("sector_close"), 1), "one-bar return of the sector's fund",
                   "FEAT-273", group="market", type_="percentage", display_factor=100.0, classes=_STOCK)  # fmt: skip
    yield declare("relative_strength_spy", relative_strength("sp500", 20), "20-bar return minus that of the S&P 500",
                   "FEAT-276", group="market", type_="percentage", parameters=(20,), classes=_STOCK)  # fmt: skip
    yield declare("relative_strength_spy_ratio", relative_strength_ratio("sp500", 20),
                   "20-bar return over that of the S&P 500; explodes near zero (FC-10)", "FEAT-276", group="market",
                   parameters=(20,), classes=_STOCK)  # fmt: skip
    yield declare("relative_strength_sector", sector_strength(20), "20-bar return minus that of the sector's fund",
                   "FEAT-277", group="market", type_="percentage", parameters=(20,), classes=_STOCK)  # fmt: skip
    yield declare("sector_rank", known("sector_rank"), "rank of the sector's 20-bar return among the sectors, 0 to 1",
                   "FEAT-278", group="market", type_="percentage", parameters=(20,), classes=_STOCK)  # fmt: skip
    yield declare("sector_rotation", change(given("sector_rank"), 20), "change of the sector's rank in 20 bars",
                   "FEAT-278", group="market", type_="percentage", parameters=(20, 20), classes=_STOCK)  # fmt: skip
