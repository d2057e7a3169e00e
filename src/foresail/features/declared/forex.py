"""Rates, macro figures, events and commodities (section 8.15)."""

from __future__ import annotations

import math
from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import ALL, FeatureSpec, declare
from foresail.features.expressions import CLOSE, Ref, node
from foresail.features.formulas.common import divide
from foresail.features.formulas.cross import reference
from foresail.features.formulas.given import difference, known
from foresail.features.formulas.price import log_return
from foresail.features.formulas.volatility import volatility

__all__ = ["MACRO_AREAS", "declared"]

_FOREX = (AssetClass.FOREX,)
_RATES = (AssetClass.STOCK, AssetClass.FOREX)
# Prefix of a currency area -> its central bank's rate. The same four figures exist for each (FEAT-333).
MACRO_AREAS = (("us", "fed_funds_rate"), ("eu", "ecb_rate"), ("uk", "boe_rate"), ("jp", "boj_rate"),
               ("ca", "boc_rate"), ("au", "rba_rate"), ("nz", "rbnz_rate"), ("ch", "snb_rate"))  # fmt: skip
_FIGURES = (
    ("gdp_growth", "real growth of output on the year"),
    ("inflation_yoy", "consumer prices on the year"),
    ("unemployment", "unemployed over the labour force"),
)
_RISK_FREE_FLOOR = 0.005  # FEAT-337
_TRADING_DAYS = 252.0  # FEAT-27


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    gap = difference("base_policy_rate", "quote_policy_rate")
    yield _macro("interest_rate_diff", gap, "policy rate of the base currency minus that of the quote currency",
                 "FEAT-331")  # fmt: skip
    for area, rate in MACRO_AREAS:
        source = "FEAT-332" if area == "us" else "FEAT-333"
        yield _macro(rate, known(rate), f"policy rate of {area}, a fraction a year", source)
        for figure, text in _FIGURES:
            yield _macro(f"{area}_{figure}", known(f"{area}_{figure}"), f"{area}: {text}, a fraction", source)
    yield _macro("us_retail_sales_mom", known("us_retail_sales_mom"), "us: retail sales on the month", "FEAT-332")
    for area in ("us", "eu"):
        name = f"{area}_economic_surprise"
        yield _macro(name, known(name), f"{area}: actual minus expected figures in deviations, own index", "FEAT-334")
    yield _macro("gdp_growth_diff", difference("base_gdp_growth", "quote_gdp_growth"),
                 "growth of the base currency's area minus that of the quote currency's", "FEAT-335")  # fmt: skip
    for name in ("days_to_fed_meeting", "days_to_ecb_meeting", "days_since_last_rate_change"):
        yield declare(name, known(name), name.replace("_", " "), "FEAT-336", group="event", type_="macro",
                       classes=_FOREX)  # fmt: skip
    yearly = node("scaled", volatility(20), real=math.sqrt(_TRADING_DAYS)).out
    risk_free = node("at_least", known("fed_funds_rate"), real=_RISK_FREE_FLOOR).out
    yield _macro("carry_trade_score", divide(divide(gap, yearly), risk_free),
                 "rate difference over yearly volatility (20 bars) over the risk-free rate, which is at least 0.005",
                 "FEAT-337")  # fmt: skip
    yield _macro("ppp_deviation", known("ppp_deviation"), "(rate - theoretical) / theoretical", "FEAT-338")
    for name in ("gold", "oil", "copper"):
        yield declare(f"{name}_price", reference(name, CLOSE), f"price of {name}", "FEAT-339", group="commodity",
                       type_="macro", classes=_FOREX, model=reference(name, log_return(20)))  # fmt: skip
    yield declare("us_2y_10y_spread", difference("us_10y_yield", "us_2y_yield"), "10-year minus 2-year yield",
                   "FEAT-340", group="rates", type_="macro", classes=_RATES)  # fmt: skip
    yield declare("ted_spread", difference("libor_3m", "us_3m_bill"), "3-month LIBOR minus bill; LIBOR ended in 2024",
                   "FEAT-341", group="rates", type_="macro", classes=_RATES)  # fmt: skip
    yield declare("sofr_spread", difference("sofr_3m", "us_3m_bill"), "3-month SOFR minus bill", "FEAT-341",
                   group="rates", type_="macro", classes=_RATES)  # fmt: skip
    yield declare("bid_ask_spread", known("bid_ask_spread"), "(ask - bid) / close at the close of the bar", "FEAT-342",
                   group="liquidity", type_="percentage", classes=ALL)  # fmt: skip


def _macro(name: str, value: Ref, text: str, source: str) -> FeatureSpec:
    return declare(name, value, text, source, group="macro", type_="macro", classes=_FOREX)
