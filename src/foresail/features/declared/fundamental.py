"""Fundamentals, events, options, flow and factors of stocks (section 8.9), each as it was published by the bar."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.expressions import given
from foresail.features.formulas.common import minus_one
from foresail.features.formulas.cross import rank
from foresail.features.formulas.given import history_place, known, ratio_to_mean, share_of
from foresail.features.formulas.market import factor_rank
from foresail.features.formulas.price import momentum

__all__ = ["declared"]

_STOCK = (AssetClass.STOCK,)


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield from _fundamentals()
    for name, text in (
        ("days_to_earnings", "days until the next announced report"),
        ("earnings_surprise_last", "last reported earnings over consensus, minus 1"),
        ("analyst_rating_change", "upgrades minus downgrades in 30 days"),
    ):
        yield declare(name, known(name), text, "FEAT-254", group="event", type_="macro", classes=_STOCK)
    yield declare("put_call_ratio", share_of("put_volume", "call_volume"), "put volume over call volume", "FEAT-255",
                   group="options", type_="macro", classes=_STOCK)  # fmt: skip
    yield declare("implied_volatility", history_place(given("implied_volatility"), 252),
                   "share of its own last 251 values that implied volatility exceeds", "FEAT-256", group="options",
                   type_="percentage", parameters=(252,), aliases=("implied_volatility_percentile",),
                   classes=_STOCK)  # fmt: skip
    yield declare("revenue_nowcast_gap", minus_one(share_of("revenue_nowcast", "revenue_consensus")),
                   "predicted over expected revenue, minus 1", "FEAT-257", group="alternative", type_="model",
                   classes=_STOCK)  # fmt: skip
    for name, text in (
        ("offexchange_share", "share of volume that traded off exchange"),
        ("block_print_balance", "bought minus sold blocks over all blocks, -1 to 1"),
    ):
        yield declare(name, known(name), text, "FEAT-258", group="flow", type_="percentage", classes=_STOCK)
    for name, value, text in (
        ("factor_momentum", rank(momentum()), "rank of momentum_12_1"),
        ("factor_value", factor_rank("earnings_yield"), "rank of earnings over price"),
        ("factor_quality", factor_rank("roe"), "rank of return on equity"),
    ):
        yield declare(name, value, f"{text} among all instruments, 0 to 1", "FEAT-259", group="factor",
                       type_="percentage", classes=_STOCK)  # fmt: skip


def _fundamentals() -> Iterable[FeatureSpec]:
    for name, text in (
        ("pe_ratio", "price over earnings per share of four quarters; absent where earnings are not positive"),
        ("pb_ratio", "price over book value per share"),
        ("dividend_yield", "dividends of twelve months over price"),
    ):
        yield declare(name, known(name), text, "FEAT-251", group="fundamental", type_="macro", classes=_STOCK)
    yield declare("market_cap", known("market_cap"), "market value, quote currency", "FEAT-251", group="fundamental",
                   type_="macro", classes=_STOCK, model=ratio_to_mean(given("market_cap"), 20))  # fmt: skip
    yield declare("beta", known("beta"), "beta as the data vendor publishes it; beta_60 is our own", "FEAT-251",
                   group="fundamental", type_="macro", classes=_STOCK)  # fmt: skip
    for name, text in (
        ("roe", "return on equity"),
        ("debt_to_equity", "debt over equity"),
        ("earnings_stability", "1 / (1 + variation of yearly earnings)"),
    ):
        yield declare(name, known(name), text, "FEAT-253", group="fundamental", type_="macro", classes=_STOCK)
