"""How far prices move (sections 8.4 and 8.6)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.price import close_place, gap, range_share
from foresail.features.formulas.statistical import skew
from foresail.features.formulas.volatility import (
    atr_share,
    downside_volatility,
    max_drawdown,
    volatility,
    volatility_ratio,
)

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield declare("atr_pct_14", atr_share(14), "average true range over close", "FEAT-167",
                   group="volatility", aliases=("atr_pct",), parameters=(14,))  # fmt: skip
    for w in (5, 20, 60):
        yield declare(f"volatility_{w}", volatility(w), f"deviation of the log return over {w} bars", "FEAT-169",
                       group="volatility", parameters=(w,))  # fmt: skip
    yield declare("volatility_ratio_5_60", volatility_ratio(5, 60), "log of fast over slow volatility", "FEAT-281",
                   group="volatility", parameters=(5, 60))  # fmt: skip
    yield declare("downside_volatility_60", downside_volatility(60), "root mean square of falls over 60 bars",
                   "FEAT-169", group="volatility", parameters=(60,))  # fmt: skip
    yield declare("skew_60", skew(60), "skewness of the log return over 60 bars", "FEAT-203",
                   group="statistical", parameters=(60,))  # fmt: skip
    yield declare("max_drawdown_60", max_drawdown(60), "deepest fall from a peak within 60 bars", "FEAT-203",
                   group="volatility", parameters=(60,))  # fmt: skip
    yield declare("overnight_gap", gap(), "log of open over the close before", "FEAT-109", group="price",
                   type_="percentage", aliases=("gap_percent",),
                   classes=(AssetClass.STOCK, AssetClass.FOREX))  # fmt: skip
    yield declare("intraday_range", range_share(), "log of high over low", "FEAT-166", group="volatility")
    yield declare("relative_position", close_place(), "place of the close in the bar's range, 0 to 1", "FEAT-108",
                   group="price", aliases=("close_location",))  # fmt: skip
