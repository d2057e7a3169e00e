"""Sessions: flags of the hour, and prices and volumes against their session (section 8.8, FEAT-182, 183, 188)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import NO_FOREX, FeatureSpec, declare
from foresail.features.expressions import VOLUME, VOLUME_CLOCK
from foresail.features.formulas import session
from foresail.features.formulas.cross import calendar

__all__ = ["declared"]

_STOCK, _CRYPTO, _FOREX = (AssetClass.STOCK,), (AssetClass.CRYPTO,), (AssetClass.FOREX,)
_NO_STOCK = (AssetClass.CRYPTO, AssetClass.FOREX)
_FLAGS = (
    ("FEAT-231", _FOREX, (
        ("is_asian", "the Asian session is open (22:00 to 09:00 UTC)"),
        ("is_london", "London is open (08:00 to 17:00 there)"),
        ("is_newyork", "New York is open (08:00 to 17:00 there)"),
        ("is_london_ny_overlap", "London and New York are open"),
        ("is_asian_london_overlap", "the Asian session and London are open"),
        ("is_asian_utc", "Asian session by fixed hours, 22 to 9 UTC"),
        ("is_london_utc", "London by fixed hours, 7 to 16 UTC"),
        ("is_newyork_utc", "New York by fixed hours, 12 to 21 UTC"),
        ("is_london_ny_overlap_utc", "London and New York by fixed hours, 12 to 16 UTC"),
        ("is_asian_london_overlap_utc", "Asia and London by fixed hours, 7 to 9 UTC"),
    )),
    ("FEAT-232", _STOCK, (
        ("is_premarket", "04:00 to 09:30 New York on a session's date"),
        ("is_regular_hours", "within the session of the real calendar"),
        ("is_afterhours", "after the close (13:00 on a half day) until 20:00 New York"),
        ("is_market_open_first_hour", "first hour of the session"),
        ("is_power_hour", "15:00 to 16:00 New York within the session"),
        ("is_best_liquidity", "09:30 to 11:00 New York within the session"),
        ("is_lunch_lull", "11:00 to 14:00 New York within the session"),
        ("is_market_closed", "not in the regular session: nights, holidays, afternoons of half days"),
        ("is_half_day", "the session closes early"),
    )),
    ("FEAT-233", _CRYPTO, (
        ("is_us_trading_hours", "13:00 to 21:00 UTC"),
        ("is_asian_hours", "00:00 to 08:00 UTC"),
        ("is_european_hours", "08:00 to 16:00 UTC"),
        ("is_weekend", "Saturday or Sunday UTC"),
        ("us_market_closed", "New York stocks are closed by their calendar"),
    )),
)  # fmt: skip


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    for source, classes, flags in _FLAGS:
        for name, what in flags:
            yield declare(name, calendar(name), what, source, group="session", type_="flag", classes=classes)
    yield from _history()
    yield from _anchored()
    yield from _ranges()


def _history() -> Iterable[FeatureSpec]:
    yield declare("avg_volatility_this_hour", session.hour_volatility(60),
                   "root mean squared log return of a bar in this hour of the last 60 sessions", "FEAT-234",
                   group="session", type_="percentage", parameters=(60,))  # fmt: skip
    yield declare("avg_volume_this_hour", session.hour_average(VOLUME, 60, VOLUME_CLOCK),
                   "mean volume of a bar in this hour of the last 60 sessions", "FEAT-234",
                   group="session", type_="volume", parameters=(60,), scale="volume")  # fmt: skip
    yield declare("rvol", session.relative_volume(20),
                   "volume of the session so far over its mean to this five-minute mark of 20 sessions", "FEAT-188",
                   group="volume", type_="volume", aliases=("relative_volume",), parameters=(20,),
                   classes=NO_FOREX)  # fmt: skip


def _anchored() -> Iterable[FeatureSpec]:
    proxy = "anchored to the session (UTC day of crypto; forex: proxy from tick volume)"
    yield declare("vwap", session.session_vwap(), f"volume-weighted price, {proxy}", "FEAT-182",
                   group="volume", type_="price", scale="price")  # fmt: skip
    yield declare("vwap_deviation", session.vwap_deviation(), f"close over the vwap minus 1, {proxy}", "FEAT-183",
                   group="volume")  # fmt: skip
    yield declare("vwap_zscore", session.vwap_zscore(),
                   f"distance from the vwap in deviations of that distance in the session so far, {proxy}",
                   "FEAT-183", group="volume", aliases=("vwap_session_deviation",))  # fmt: skip


def _ranges() -> Iterable[FeatureSpec]:
    for sign, side in ((1.0, "high"), (-1.0, "low")):
        yield declare(f"asian_{side}", session.asian_extreme(sign),
                       f"{side} from 22:00 UTC to the London open, so far while it lasts", "FEAT-235",
                       group="session", type_="price", classes=_NO_STOCK, scale="price")  # fmt: skip
    yield declare("asian_range", session.asian_range(), "Asian high minus Asian low, price units", "FEAT-235",
                   group="session", type_="price", classes=_NO_STOCK, scale="price_change")  # fmt: skip
    yield declare("asian_range_pips", session.in_pips(session.asian_range()), "Asian range in pips", "FEAT-235",
                   group="session", type_="price", classes=_FOREX, scale="price_change")  # fmt: skip
    yield declare("london_gain_pips", session.in_pips(session.london_gain()),
                   "close since the London open in pips, held after its close", "FEAT-236",
                   group="session", type_="price", classes=_FOREX, scale="price_change")  # fmt: skip
    yield declare("weekend_low_distance", session.weekend_low_distance(),
                   "close over the low of the last Saturday and Sunday minus 1", "FEAT-237",
                   group="session", classes=_CRYPTO)  # fmt: skip
    for name, word in (("es", "S&P 500"), ("nq", "Nasdaq 100")):
        yield declare(f"overnight_futures_change_{name}", session.overnight_change(name),
                       f"change of the {word} future since the last regular session", "FEAT-238",
                       group="session", type_="index", classes=_STOCK,
                       aliases=("overnight_futures_change",) if name == "es" else ())  # fmt: skip
    yield declare("bb_place_session_20", session.band_place(20),
                   "place in bands of 1.8 deviations in Asian hours, 2.2 else, 2 on bars of a day", "IND-04",
                   group="volatility", parameters=(20, 1.8, 2.2), classes=_FOREX)  # fmt: skip
