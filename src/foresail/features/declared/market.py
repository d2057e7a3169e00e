"""Reference series of the market (section 8.10) and the weekday."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.expressions import CLOSE, given
from foresail.features.formulas.cross import reference
from foresail.features.formulas.days import (
    numbered_change,
    numbered_growth,
    published_change,
    published_growth,
    published_move,
)
from foresail.features.formulas.given import known
from foresail.features.formulas.market import (
    correlation_with,
    relative_strength,
    relative_strength_ratio,
    sector_strength,
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
    yield declare("vix_change", published_change("vix"), "VIX of its newest day minus that of the day before, points",
                   "FEAT-272", group="market", type_="index")  # fmt: skip
    yield declare("market_correlation", correlation_with("sp500", 60),
                   "correlation of log returns with the S&P 500, 60 bars", "FEAT-274", group="market",
                   type_="percentage", aliases=("market_correlation_60",), parameters=(60,))  # fmt: skip
    yield declare("spy_return", published_move("sp500"), "return of the S&P 500 over a bar, or over a day where it is "
                   "published daily", "FEAT-275", group="market", type_="percentage")  # fmt: skip
    yield declare("market_trend", published_growth("sp500", 20), "20-day return of the S&P 500", "FEAT-278",
                   group="market", type_="percentage", parameters=(20,), classes=_STOCK)  # fmt: skip


def _strength() -> Iterable[FeatureSpec]:
    yield declare("sector_performance", numbered_growth(given("sector_close"), "day_of_sector", 1),
                   "return of the sector's fund over its newest day", "FEAT-273", group="market",
                   type_="percentage", display_factor=100.0, classes=_STOCK)  # fmt: skip
    yield declare("relative_strength_spy", relative_strength("sp500", 20), "20-bar return minus that of the S&P 500",
                   "FEAT-276", group="market", type_="percentage", parameters=(20,), classes=_STOCK)  # fmt: skip
    yield declare("relative_strength_spy_ratio", relative_strength_ratio("sp500", 20),
                   "20-bar return over that of the S&P 500; explodes near zero (FC-10)", "FEAT-276", group="market",
                   parameters=(20,), classes=_STOCK)  # fmt: skip
    yield declare("relative_strength_sector", sector_strength(20), "20-bar return minus that of the sector's fund",
                   "FEAT-277", group="market", type_="percentage", parameters=(20,), classes=_STOCK)  # fmt: skip
    yield declare("sector_rank", known("sector_rank"), "rank of the sector's 20-day return among the sectors, 0 to 1",
                   "FEAT-278", group="market", type_="percentage", parameters=(20,), classes=_STOCK)  # fmt: skip
    yield declare("sector_rotation", numbered_change(given("sector_rank"), "day_of_sector", 20),
                   "change of the sector's rank in 20 days",
                   "FEAT-278", group="market", type_="percentage", parameters=(20, 20), classes=_STOCK)  # fmt: skip
