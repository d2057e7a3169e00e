"""Every number that a feature takes from outside: what it is, who makes it, how long it stays valid, why it is absent.

A given number is known per instrument ("instrument"), once for all ("market"), or per currency and taken for one leg of
a pair ("base", "quote"; facts of the euro stand under ``fx.EUR``). It is joined by when it became available, and is
carried no longer than its limit (FEAT-37); nothing is ever filled backwards.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from foresail.core.clock import NS_PER_DAY
from foresail.domain.instruments import AssetClass

__all__ = [
    "GIVENS",
    "REFERENCES",
    "SECTOR_FUND",
    "VIX_LIMIT_NS",
    "GivenSeries",
    "ReferenceSeries",
    "absence",
    "telling",
]

SECTOR_FUND = "sector_"  # the close of a sector's fund is the reference series of this name and that of the sector
_HOUR = NS_PER_DAY // 24
# One session of a daily series: over a weekend with a holiday four days pass between two closes.
VIX_LIMIT_NS = 4 * NS_PER_DAY + 12 * _HOUR
_BOOK_LIMIT_NS = NS_PER_DAY // 288  # five minutes, the longest book bar that FEAT-355 names
_QUARTER, _MONTH, _SESSION = 120, 45, 5  # days
_FUND_ROWS = frozenset({"sector_close", "sector_rank"})
_MODEL = "its producer, a model, has not handed it over"
_S, _C, _F = (AssetClass.STOCK,), (AssetClass.CRYPTO,), (AssetClass.FOREX,)
_ALL = _S + _C + _F


@dataclass(frozen=True, slots=True)
class GivenSeries:
    """One number from outside.

    Attributes
    ----------
    scope : "instrument", "market", "base" or "quote"
    source : requirement id of the producer
    limit_ns : how long after its publication a value still counts, ns; None = until replaced
    reason : why it is absent while nobody gave it
    field : column of the facts that holds it
    form : "value"; "days_until" or "days_since" of a day given in days since 1970; "yield" and "price_multiple" of a
        figure per share, and "price_gap", made with the traded price; "lagged", the value 24 hours before;
        "panel", made from bars and instruments; "pair", the close of the second leg among the bars, else the value;
        "funds", from the funds of sectors; "book", from order books, joined by ``features.books.join``
    """

    name: str
    unit: str
    scope: str
    classes: tuple[AssetClass, ...]
    source: str
    limit_ns: int | None
    reason: str
    field: str
    form: str = "value"


@dataclass(frozen=True, slots=True)
class ReferenceSeries:
    """One price or index that features read beside the bars, positive.

    Attributes
    ----------
    limit_ns : how long a value counts; None = the rule of ``asof_series``
    """

    name: str
    text: str
    source: str
    limit_ns: int | None = None


def _rows() -> Iterable[GivenSeries]:
    yield from _stock()
    yield from _crypto()
    yield from _macro()
    yield from _static()
    yield from _models()
    yield from _books()


@dataclass(frozen=True, slots=True)
class _Kind:
    """What several given series share."""

    unit: str
    scope: str
    classes: tuple[AssetClass, ...]
    source: str
    days: float | None
    reason: str

    def limit_ns(self) -> int | None:
        return None if self.days is None else round(self.days * NS_PER_DAY)


def _make(names: str, kind: _Kind) -> Iterable[GivenSeries]:
    for name in names.split():
        yield _derived(name, name, "value", kind)


def _derived(name: str, field: str, form: str, kind: _Kind) -> GivenSeries:
    limit = kind.limit_ns()
    return GivenSeries(name, kind.unit, kind.scope, kind.classes, kind.source, limit, kind.reason, field, form)


def _stock() -> Iterable[GivenSeries]:
    reported = "no facts of published reports hold it"
    share = _Kind("ratio", "instrument", _S, "FUND-01", _QUARTER, reported)
    yield _derived("pe_ratio", "eps_ttm", "price_multiple", share)
    yield _derived("pb_ratio", "book_value_per_share", "price_multiple", share)
    yield _derived("dividend_yield", "dividend_per_share_ttm", "yield", share)
    yield _derived("earnings_yield", "eps_ttm", "yield", share)
    yield from _make("market_cap", _Kind("currency", "instrument", _S, "FUND-01", _QUARTER, reported))
    yield from _make("beta", _Kind("slope", "instrument", _S, "FUND-01", _QUARTER, reported))
    yield from _make(
        "roe debt_to_equity earnings_stability", _Kind("ratio", "instrument", _S, "FUND-02", _QUARTER, reported)
    )
    event = _Kind("days", "instrument", _S, "FUND-03", None, "no facts of announced report days hold it")
    yield _derived("days_to_earnings", "next_earnings_day", "days_until", event)
    yield from _make("earnings_surprise_last", _Kind("fraction", "instrument", _S, "FUND-03", _QUARTER, reported))
    yield from _make(
        "analyst_rating_change",
        _Kind("ratings", "instrument", _S, "FUND-03", 31, "no facts of analyst ratings hold it"),
    )
    options = "no facts of an options market hold it"
    yield from _make("put_volume call_volume", _Kind("contracts", "instrument", _S, "FUND-05", _SESSION, options))
    yield from _make("implied_volatility", _Kind("fraction a year", "instrument", _S, "FUND-05", _SESSION, options))
    yield from _make(
        "revenue_nowcast revenue_consensus", _Kind("currency", "instrument", _S, "ALT-04", _QUARTER, _MODEL)
    )
    yield from _make(
        "offexchange_share block_print_balance",
        _Kind("fraction", "instrument", _S, "FLOW-02", _SESSION, "no facts of off-exchange prints hold it"),
    )
    fund = _Kind("price", "instrument", _S, "SRC-41", _SESSION, "no fund of the sector is among the series")
    yield _derived("sector_close", "sector_close", "funds", fund)
    yield _derived("day_of_sector", "day_of_sector", "funds", fund)
    ranked = _Kind("fraction", "instrument", _S, "SRC-41", _SESSION, "it compares funds of at least two sectors")
    yield _derived("sector_rank", "sector_rank", "funds", ranked)


def _crypto() -> Iterable[GivenSeries]:
    chain = "no facts of the chain hold it"
    yield from _make("active_addresses transaction_volume", _Kind("a day", "instrument", _C, "CHAIN-01", 3, chain))
    yield from _make(
        "hash_rate mining_difficulty miners_revenue", _Kind("level", "instrument", _C, "CHAIN-01", 3, chain)
    )
    yield from _make(
        "exchange_inflow exchange_outflow exchange_supply total_supply",
        _Kind("coins", "instrument", _C, "CHAIN-02", 3, chain),
    )
    yield from _make("mvrv whale_movements", _Kind("ratio or count", "instrument", _C, "CHAIN-02", 3, chain))
    yield from _make("addresses_in_profit all_addresses", _Kind("addresses", "instrument", _C, "CHAIN-03", 3, chain))
    yield from _make(
        "btc_dominance eth_dominance",
        _Kind("fraction", "market", _C, "CHAIN-05", 3, "no facts of market values hold it"),
    )
    social = "no facts of social networks hold it"
    yield from _make("twitter_mentions reddit_posts", _Kind("posts a day", "instrument", _C, "SRC-31", 1, social))
    yield from _make("google_trends", _Kind("fraction", "instrument", _C, "SRC-35", 8, social))
    yield from _make("crypto_fear_greed", _Kind("fraction", "market", _C, "SRC-36", 3, social))
    venue = "no facts of derivative exchanges hold it"
    yield from _make(
        "funding_rate_binance funding_rate_bybit", _Kind("fraction a period", "instrument", _C, "CHAIN-04", 1, venue)
    )
    held = _Kind("coins", "instrument", _C, "CHAIN-04", 1, venue)
    yield from _make("open_interest", held)
    yield _derived("open_interest_24h_ago", "open_interest", "lagged", held)
    yield from _make("long_short_ratio", _Kind("ratio", "instrument", _C, "CHAIN-04", 1, venue))
    yield from _make(
        "binance_price coinbase_price",
        _Kind("USD", "instrument", _C, "CHAIN-04", 1 / 24, "prices of two exchanges were not given"),
    )
    yield from _make("tvl", _Kind("USD", "instrument", _C, "CHAIN-06", 3, "no facts of locked value hold it"))


def _macro() -> Iterable[GivenSeries]:
    figures = "no facts of macro figures hold it"
    for area, rate in (
        ("us", "fed_funds_rate"),
        ("eu", "ecb_rate"),
        ("uk", "boe_rate"),
        ("jp", "boj_rate"),
        ("ca", "boc_rate"),
        ("au", "rba_rate"),
        ("nz", "rbnz_rate"),
        ("ch", "snb_rate"),
    ):
        yield from _make(rate, _Kind("fraction a year", "market", _F, "MACRO-07", 70, figures))
        yield from _make(f"{area}_gdp_growth", _Kind("fraction", "market", _F, "MACRO-01", 100, figures))
        yield from _make(
            f"{area}_inflation_yoy {area}_unemployment", _Kind("fraction", "market", _F, "MACRO-01", _MONTH, figures)
        )
    yield from _make("us_retail_sales_mom", _Kind("fraction", "market", _F, "MACRO-01", _MONTH, figures))
    yield from _make(
        "us_economic_surprise eu_economic_surprise", _Kind("deviations", "market", _F, "MACRO-06", _MONTH, figures)
    )
    for leg in ("base", "quote"):
        for field, source, days in (("policy_rate", "MACRO-07", 70), ("gdp_growth", "MACRO-01", 100)):
            like = _Kind("fraction", leg, _F, source, days, f"no facts of both currencies hold {field}")
            yield _derived(f"{leg}_{field}", field, "value", like)
    event = _Kind("days", "market", _F, "MACRO-05", None, "no facts of central bank meetings hold it")
    for bank in ("fed", "ecb"):
        yield _derived(f"days_to_{bank}_meeting", f"next_{bank}_meeting_day", "days_until", event)
    yield _derived("days_since_last_rate_change", "last_rate_change_day", "days_since", event)
    parity = _Kind("fraction", "instrument", _F, "MACRO-01", 400, "no facts of conversion rates hold it")
    yield _derived("ppp_deviation", "ppp_rate", "price_gap", parity)
    yield from _make(
        "us_2y_yield us_10y_yield us_3m_bill libor_3m sofr_3m",
        _Kind("fraction a year", "market", _S + _F, "MACRO-03", _SESSION, "no facts of yields hold it"),
    )


def _static() -> Iterable[GivenSeries]:
    stock = "the instruments of this set are no stocks with raw prices"
    for name, unit, classes, reason in (
        ("ticker", "code", _ALL, "the instruments were not given"),
        ("asset_class", "code", _ALL, "the instruments were not given"),
        ("price_tier", "code", _S, stock),
        ("sector", "code", _S, "no sectors of the instruments are known"),
        ("sector_avg_volatility", "fraction", _S, "no sectors of the instruments are known"),
        ("sector_beta", "slope", _S, "no sectors of the instruments are known"),
        ("sector_typical_rsi", "fraction", _S, "no sectors of the instruments are known"),
        ("sector_news_per_week", "articles", _S, "no sectors of the instruments are known"),
        ("sector_avg_volume", "units a day", _S, "no sectors of the instruments are known"),
        ("bid_ask_spread", "fraction", _ALL, "the bars hold no spread"),
        ("pip_size", "quote currency", _F, "the instruments of this set are no currency pairs"),
    ):
        yield GivenSeries(name, unit, "instrument", classes, "UNI-05", None, reason, name, "panel")
    other = _Kind("price", "instrument", _ALL, "STRAT-21", _SESSION, "no second leg of a pair was named")
    yield _derived("pair_close", "pair_close", "pair", other)
    frames = _Kind("sign", "instrument", _ALL, "MTF-01", 1, "bars of three frames were not given")
    yield from _make("mtf_direction_1 mtf_direction_2 mtf_direction_3", frames)
    window = "it belongs to a forecast, whose window counts it (session_flags.future_numbers), not to a bar"
    yield from _make("relative_time_idx", _Kind("bars", "instrument", _ALL, "FEAT-225", 1, window))
    yield from _make("industry", _Kind("code", "instrument", _S, "FUND-01", None, "no facts of industries hold it"))


def _models() -> Iterable[GivenSeries]:
    text = "no texts were scored"
    yield from _make(
        "sentiment_score sentiment_momentum sentiment_volatility",
        _Kind("-1 to 1", "instrument", _ALL, "SENT-01", 1, text),
    )
    yield from _make("news_volume", _Kind("articles", "instrument", _ALL, "SENT-01", 1, text))
    yield from _make("news_sentiment_24h", _Kind("-1 to 1", "instrument", _ALL, "SENT-01", 1, text))
    yield from _make(
        "bullish_pct bearish_pct neutral_pct", _Kind("fraction", "instrument", _S + _C, "SENT-24", 1, text)
    )
    yield from _make(
        "reddit_sentiment twitter_sentiment stocktwits_sentiment",
        _Kind("-1 to 1", "instrument", _S + _C, "SENT-24", 1, text),
    )
    yield from _make(
        "momentum_score percent_change scanner_rsi scanner_rvol scanner_trend",
        _Kind("score", "instrument", _S, "SCAN-03", 1, "no scanner has run"),
    )
    for frame, days in (("1m", 1 / 24), ("5m", 1 / 24), ("30m", 0.25), ("1h", 0.25), ("6h", 1), ("1d", _SESSION)):
        yield from _make(f"pred_{frame}", _Kind("log return", "instrument", _S, "FCST-10", days, _MODEL))
    yield from _make(
        "forecast_volatility var_95 cvar_95 risk_beta tail_dependence volatility_percentile",
        _Kind("fraction", "instrument", _ALL, "FCST-30", _SESSION, _MODEL),
    )
    names = " ".join(f"tft_p{level}_{horizon}" for horizon in (1, 5, 20) for level in (10, 50, 90))
    yield from _make(names, _Kind("log return", "instrument", _S, "FCST-10", _SESSION, _MODEL))
    yield from _make(
        " ".join(f"gnn_embedding_{i}" for i in range(1, 9)),
        _Kind("number", "instrument", _S, "MODEL-42", _SESSION, _MODEL),
    )
    yield from _make("anomaly_score", _Kind("score", "instrument", _ALL, "MODEL-48", _SESSION, _MODEL))
    yield from _make(
        "num_regimes cyclical_strength topology_change",
        _Kind("number", "instrument", _ALL, "MODEL-46", _SESSION, _MODEL),
    )
    yield from _make(
        "hmm_state hmm_probability", _Kind("code or share", "instrument", _ALL, "MODEL-47", _SESSION, _MODEL)
    )


def _books() -> Iterable[GivenSeries]:
    shares = "imbalance_1 imbalance_10 imbalance_20 microprice_gap hidden_liquidity spoof_hint"
    flows = " ".join(f"multi_level_flow_{level}" for level in range(1, 11))
    for names, unit in (
        (shares, "fraction"),
        ("depth_10 order_flow_imbalance", "units"),
        ("spread_bps", "basis points"),
        ("trade_velocity", "prints a second"),
        (f"{flows} integrated_flow", "average depths"),
        ("whale_trade layer_hint iceberg_hint", "flag"),
    ):
        for name in names.split():
            reason = "its weights were not fitted" if name == "integrated_flow" else "no order book was given"
            yield GivenSeries(name, unit, "instrument", _S + _C, "BOOK-01", _BOOK_LIMIT_NS, reason, name, "book")


def _table() -> Mapping[str, GivenSeries]:
    found: dict[str, GivenSeries] = {}
    for row in _rows():
        if row.name in found:
            raise ValueError(f"given series {row.name!r} is registered twice")
        found[row.name] = row
    return MappingProxyType(found)


GIVENS: Mapping[str, GivenSeries] = _table()
REFERENCES: Mapping[str, ReferenceSeries] = MappingProxyType(
    {
        name: ReferenceSeries(name, text, source, VIX_LIMIT_NS if name in {"vix", "day_of_vix"} else None)
        for name, text, source in (
            ("vix", "implied volatility index of the S&P 500", "SRC-41"),
            ("sp500", "the S&P 500, or a fund on it (SPY)", "SRC-41"),
            ("nasdaq", "the Nasdaq 100, or a fund on it (QQQ)", "SRC-41"),
            ("es", "future on the S&P 500 (ES)", "DATA-23"),
            ("nq", "future on the Nasdaq 100 (NQ)", "DATA-23"),
            ("btc", "bitcoin in USD", "DATA-23"),
            ("eth", "ether in USD", "DATA-23"),
            ("gold", "gold in USD an ounce", "DATA-23"),
            ("gold_miners", "fund of gold miners (GDX)", "DATA-23"),
            ("oil", "crude oil in USD a barrel", "DATA-23"),
            ("copper", "copper in USD", "DATA-23"),
            ("aud_usd", "USD for one AUD", "DATA-23"),
            ("usd_cad", "CAD for one USD", "DATA-23"),
            ("usd_jpy", "JPY for one USD", "DATA-23"),
            ("usd_chf", "CHF for one USD", "DATA-23"),
            # Made from the series itself (``published``): which publication a row sees.
            ("day_of_vix", "day since 1970 on which the VIX was last published", "SRC-41"),
            ("day_of_sp500", "day since 1970 on which the S&P 500 was last published", "SRC-41"),
            ("time_of_sp500", "instant at which the S&P 500 was last published, days since 1970", "SRC-41"),
        )
    }
)


def telling(lacking: Sequence[str]) -> list[str]:
    """Return, of inputs that a set lacks, those worth naming: not the day of a series that is itself lacking."""
    bare = [name.partition(":")[2] for name in lacking]
    made = {f"{kind}{name}" for kind in ("day_of_", "time_of_") for name in bare}
    made |= {"day_of_sector"} if _FUND_ROWS.intersection(bare) else set()
    return [name for name, short in zip(lacking, bare, strict=True) if short not in made]


def absence(name: str) -> str:
    """Return why a given series is absent, in a few words."""
    row = GIVENS.get(name)
    return "which was not given" if row is None else f"which is absent: {row.reason} (made by {row.source})"
