"""How far prices move (sections 8.4 and 8.6)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas import session
from foresail.features.formulas.days import annual_day_volatility
from foresail.features.formulas.price import close_place, gap, range_share
from foresail.features.formulas.statistical import skew
from foresail.features.formulas.volatility import (
    atr,
    atr_compression,
    atr_share,
    bollinger_band,
    bollinger_distance,
    bollinger_width,
    deviation,
    downside_volatility,
    keltner,
    max_drawdown,
    volatility,
    volatility_ratio,
)

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield declare("atr_pct_14", atr_share(14), "average true range over close", "FEAT-167",
                   group="volatility", aliases=("atr_pct",), parameters=(14,), display_factor=100.0)  # fmt: skip
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
                   type_="percentage",
                   classes=(AssetClass.STOCK, AssetClass.FOREX))  # fmt: skip
    yield declare("intraday_range", range_share(), "log of high over low", "FEAT-166", group="volatility")
    yield declare("relative_position", close_place(), "place of the close in the bar's range, 0 to 1", "FEAT-108",
                   group="price", aliases=("close_location",))  # fmt: skip
    yield from _bands()
    yield declare("atr_14", atr(14), "average true range of 14 bars", "FEAT-166", group="volatility",
                   aliases=("atr", "ATR"), scale="price_change", parameters=(14,))  # fmt: skip
    yield declare("std_dev_20", deviation(20), "standard deviation of the close over 20 bars", "FEAT-168",
                   group="volatility", scale="price_change", parameters=(20,))  # fmt: skip
    yield declare("atr_compression", atr_compression(14, 50), "average true range over its mean of 50 bars; "
                   "below 0.7 is compression", "FEAT-171", group="volatility", parameters=(14, 50))  # fmt: skip
    yield declare("volatility_30d", annual_day_volatility(30), "yearly volatility from the closes of 30 days, today's "
                   "up to the bar", "FEAT-172", group="volatility", parameters=(30,), display_factor=100.0)  # fmt: skip


def _session_bands() -> Iterable[FeatureSpec]:
    """Return the bands of forex, as wide as its sessions ask for (FEAT-21, IND-04)."""
    forex, width = (AssetClass.FOREX,), "1.8 deviations in Asian hours, 2.2 else, 2 on bars of a day"
    for side, sign in (("upper", 1.0), ("lower", -1.0)):
        yield declare(f"bb_session_{side}", session.session_band(20, sign), f"{side} Bollinger band, 20 bars, {width}",
                       "IND-04", group="volatility", scale="price", parameters=(20, 1.8, 2.2),
                       classes=forex)  # fmt: skip
    yield declare("bb_session_width", session.session_band_width(20), "distance of the session's bands over their "
                   "middle", "IND-04", group="volatility", parameters=(20, 1.8, 2.2), classes=forex)  # fmt: skip
    yield declare("price_vs_bb_session", session.session_band_distance(20), "close above the middle in half widths of "
                   "the session: 1 at the upper band", "IND-04", group="volatility", parameters=(20, 1.8, 2.2),
                   classes=forex)  # fmt: skip


def _bands() -> Iterable[FeatureSpec]:
    """Return Bollinger and Keltner bands; 20 and 2 by default, 2.5 for crypto (FEAT-21), 10 and 2 for swings."""
    sides = (("upper", 1.0), ("lower", -1.0))
    for prefix, w, k in (("bb", 20, 2.0), ("bb25", 20, 2.5), ("bb10", 10, 2.0)):
        others = {"upper": ("bollinger_upper", "bbands_upper"), "lower": ("bollinger_lower", "bbands_lower")}
        for side, sign in sides:
            yield declare(f"{prefix}_{side}", bollinger_band(w, sign * k), f"{side} Bollinger band, {w} bars, {k:g} "
                           "deviations", "FEAT-162" if w == 10 else "FEAT-161", group="volatility", scale="price",
                           aliases=(f"bb_{side}_{w}_{k:g}", *(others[side] if prefix == "bb" else ())),
                           parameters=(w, k))  # fmt: skip
        yield declare(f"{prefix}_width", bollinger_width(w, k), "distance of the bands over their middle",
                       "FEAT-164" if w == 10 else "FEAT-163", group="volatility", parameters=(w, k))  # fmt: skip
    yield from _session_bands()
    yield declare("bb_middle", bollinger_band(20, 0.0), "middle of the Bollinger bands: mean of 20 bars", "FEAT-161",
                   group="volatility", scale="price", aliases=("bollinger_middle", "bbands_mid"),
                   parameters=(20,))  # fmt: skip
    for prefix, k in (("price_vs_bb", 2.0), ("price_vs_bb25", 2.5)):
        yield declare(prefix, bollinger_distance(20, k), "close above the middle in half widths: 1 at the upper band",
                       "FEAT-165", group="volatility", parameters=(20, k))  # fmt: skip
    for side, k in (("upper", 2.0), ("middle", 0.0), ("lower", -2.0)):
        yield declare(f"keltner_{side}", keltner(20, 10, k), f"{side} Keltner line: EMA 20 and 2 average true ranges "
                       "of 10 bars", "FEAT-170", group="volatility", scale="price", parameters=(20, 10, 2))  # fmt: skip
