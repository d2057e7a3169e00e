"""Cross-asset correlations, gauges and lead-lag (section 8.12, RGM-07)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import ALL, FeatureSpec, declare
from foresail.features.formulas.cross_asset import basket_return, lead_correlation, pair_correlation
from foresail.features.formulas.given import known

__all__ = ["GNN_WIDTH", "declared"]

GNN_WIDTH = 8  # numbers of the graph network's vector that enter a model
_FOREX = (AssetClass.FOREX,)


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    for name, first, second, window, classes, source in (
        ("btc_spy_corr_30d", "btc", "sp500", 30, ALL, "FEAT-291"),
        ("btc_qqq_corr_30d", "btc", "nasdaq", 30, ALL, "FEAT-291"),
        ("gold_aud_corr", "gold", "aud_usd", 60, _FOREX, "FEAT-292"),
        ("oil_cad_corr", "oil", "usd_cad", 60, _FOREX, "FEAT-292"),
    ):
        yield declare(name, pair_correlation(first, second, window),
                       f"correlation of log returns of {first} and {second}, {window} bars", source, group="cross",
                       type_="percentage", parameters=(window,), classes=classes)  # fmt: skip
    yield declare("gold_jpy_corr", pair_correlation("gold", "usd_jpy", 30, sign=-1.0),
                   "correlation of log returns of gold and the yen (the inverse of usd_jpy), 30 bars", "FEAT-293",
                   group="cross", type_="percentage", parameters=(30,), classes=_FOREX)  # fmt: skip
    yield declare("vix_spy_corr", pair_correlation("vix", "sp500", 20, first_level=True),
                   "correlation of the change of the VIX and the log return of the S&P 500, 20 bars", "FEAT-294",
                   group="cross", type_="percentage", parameters=(20,))  # fmt: skip
    yield declare("risk_on_score", basket_return((("sp500", 1.0), ("btc", 1.0), ("aud_usd", 1.0))),
                   "mean one-bar return of S&P 500, bitcoin and AUD/USD", "FEAT-295", group="cross",
                   type_="percentage")  # fmt: skip
    yield declare("risk_off_score", basket_return((("gold", 1.0), ("usd_jpy", -1.0), ("usd_chf", -1.0))),
                   "mean one-bar return of yen and franc against the dollar, and gold", "FEAT-296", group="cross",
                   type_="percentage")  # fmt: skip
    for name, leader, follower in (
        ("btc_leads_eth", "btc", "eth"),
        ("spy_leads_btc", "sp500", "btc"),
        ("gold_leads_miners", "gold", "gold_miners"),
    ):
        yield declare(name, lead_correlation(leader, follower, 60),
                       f"correlation of the log return of {leader} one bar before with that of {follower}, 60 bars",
                       "FEAT-297", group="lead_lag", type_="percentage", parameters=(60,))  # fmt: skip
    for i in range(1, GNN_WIDTH + 1):
        yield declare(f"gnn_embedding_{i}", known(f"gnn_embedding_{i}"),
                       f"number {i} of the vector of the graph network (MODEL-42)", "FEAT-298", group="cross",
                       type_="model", classes=(AssetClass.STOCK,))  # fmt: skip
