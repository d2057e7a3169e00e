"""Every row of the catalogue names its oracle and agrees with it: the table, and the twins that stand nowhere else.

- ``TABLES``: modules whose ``ORACLES`` hold TA-Lib, pandas, SciPy and NumPy twins by name.
- ``NAMED``: rows whose oracle is a test of its own, for example a session walked in plain Python.
- ``given`` rows: the number from outside itself, present where the bar is.
- ``TWINS``: everything else, against pandas and NumPy on random bars, references and given numbers.

``python tests/accuracy/test_features_oracles.py`` prints the table: row, oracle, largest difference, tolerance.
"""

from __future__ import annotations

import ast
import importlib.util
import re
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pandas as pd
import pytest

from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE
from foresail.features.context import FeatureContext
from foresail.features.readable import formula_text

TESTS = Path(__file__).parents[1]
DAY = 86_400_000_000_000
HOUR = DAY // 24
N, T = 6, 420
FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
TABLES = ("accuracy/test_features_talib.py", "unit/features/test_feature_indicators.py")

_STATISTICAL = "unit/features/test_feature_statistical.py::test_"
_LEVELS = "unit/features/test_feature_levels.py::test_"
_SESSION = "unit/features/test_feature_session.py::test_"
_PAIRS = ("pair", "sp500", "btc")
_CLOCKED = (
    "day_of_month", "day_of_week", "hour", "is_afterhours", "is_asian", "is_asian_hours",
    "is_asian_london_overlap", "is_european_hours", "is_friday", "is_half_day", "is_london",
    "is_london_ny_overlap", "is_lunch_lull", "is_market_closed", "is_market_open_first_hour", "is_monday",
    "is_newyork", "is_power_hour", "is_premarket", "is_regular_hours", "is_us_trading_hours", "is_weekend",
    "minutes_from_open", "month", "quarter", "time_of_day", "us_market_closed",
)  # fmt: skip

# Row -> the test that holds it to something independent.
NAMED = {
    **dict.fromkeys(("rolling_skew_20", "rolling_kurt_20", "rolling_kurt_60"), _STATISTICAL + "moments_equal_scipy"),
    **dict.fromkeys(
        ("rolling_mean_20", "rolling_std_20", "zscore_20"), _STATISTICAL + "means_deviations_and_scores_equal_pandas"
    ),
    **{f"autocorr_{lag}_{w}": _STATISTICAL + "autocorrelations_equal_pandas" for lag in (1, 5) for w in (20, 60)},
    **dict.fromkeys(("rolling_corr_60", "rolling_corr_60_sp500"), _STATISTICAL + "correlations_equal_numpy"),
    **{
        f"{what}_60_{leg}": _STATISTICAL + "spread_is_the_last_residual_of_least_squares"
        for what in ("spread_zscore", "spread", "hedge_ratio")
        for leg in ("pair", "sp500")
    },
    "adf_pvalue_250": _STATISTICAL + "unit_root_p_value_equals_statsmodels",
    **{f"adf_pvalue_250_{leg}": _STATISTICAL + "cointegration_p_value_equals_statsmodels" for leg in _PAIRS},
    "hurst_128": _STATISTICAL + "hurst_equals_its_twin_and_is_a_half_for_a_random_walk",
    "kalman_level": _STATISTICAL + "filtered_trend_equals_ordinary_filters",
    "kalman_slope": _STATISTICAL + "filtered_trend_equals_ordinary_filters",
    **dict.fromkeys(
        ("volatility_regime", "vol_percentile_252", "liquidity_regime", "trend_regime", "market_regime"),
        _STATISTICAL + "regimes_equal_their_definitions",
    ),
    "support": _LEVELS + "levels_are_the_last_confirmed_swings",
    "resistance": _LEVELS + "levels_are_the_last_confirmed_swings",
    **dict.fromkeys(
        ("support_tests", "resistance_tests", "level_tests"), _LEVELS + "touches_are_counted_as_the_twin_counts_them"
    ),
    "engulfing": _LEVELS + "engulfing_equals_talib",
    "pin_bar": _LEVELS + "pin_bars_by_hand",
    "candle_pattern": _LEVELS + "engulfing_goes_before_the_pin_bar",
    **dict.fromkeys(
        ("opening_range_high", "opening_range_low"),
        _LEVELS + "opening_range_is_known_after_fifteen_minutes_of_each_session",
    ),
    **dict.fromkeys(_CLOCKED, _SESSION + "a_flag_follows_the_clocks_of_its_market"),
    **dict.fromkeys(("vwap", "vwap_deviation", "vwap_zscore"), _SESSION + "vwap_begins_anew_with_the_day"),
    **dict.fromkeys(
        ("avg_volume_this_hour", "avg_volatility_this_hour"), _SESSION + "the_same_hour_of_earlier_sessions"
    ),
    "rvol": _SESSION + "relative_volume_compares_with_the_same_time_of_earlier_days",
    **dict.fromkeys(
        ("asian_high", "asian_low", "asian_range_pips", "london_gain_pips", "weekend_low_distance"),
        _SESSION + "ranges_of_other_sessions_are_held_until_the_next",
    ),
    "overnight_futures_change_es": _SESSION + "overnight_change_starts_from_the_last_regular_value",
    "bb_place_session_20": _SESSION + "bands_are_tighter_in_asia",
}


def _panel() -> Panel:
    rng = np.random.default_rng(21)
    close = 60.0 * np.exp(np.cumsum(rng.standard_t(4, (N, T)) * 0.011, axis=1))
    opening = close * np.exp(rng.normal(0, 0.004, (N, T)))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0, 0.004, (N, T))))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0, 0.004, (N, T))))
    volume = np.round(np.exp(rng.normal(11, 0.7, (N, T))))
    empty, ones = np.full((N, T), np.nan), np.ones((N, T))
    values = np.stack([opening, high, low, close, volume, empty, ones, ones, empty], axis=2)
    start = np.datetime64("2023-01-02", "ns").astype(np.int64) + np.arange(T, dtype=np.int64) * DAY
    names = tuple(f"stock.US.S{i}" for i in range(N))
    return Panel(values, np.ones((N, T), bool), start, start + DAY, start + DAY, FIELDS, names, "1d", "24/7")


PANEL = _panel()
REFERENCES = tuple(sorted({i[10:] for s in CATALOGUE.values() for i in s.inputs if i.startswith("reference:")}))
GIVENS = tuple(sorted({i[6:] for s in CATALOGUE.values() for i in s.inputs if i.startswith("given:")}))
REFERENCE = 30.0 * np.exp(np.cumsum(np.random.default_rng(22).normal(0, 0.015, (len(REFERENCES), T)), axis=1))
GIVEN = np.exp(np.random.default_rng(23).normal(0.0, 0.3, (N, T, len(GIVENS))))
CONTEXT = replace(
    FeatureContext.of(PANEL, reference_names=REFERENCES, reference=REFERENCE), given_names=GIVENS, given=GIVEN
)
CLOSE = pd.DataFrame(PANEL.field("close").T)
OWN = np.log(CLOSE).diff()
MIDDLE, SPREAD = CLOSE.rolling(20).mean(), CLOSE.rolling(20).std(ddof=0)


def ref(name: str) -> pd.Series:
    return pd.Series(REFERENCE[REFERENCES.index(name)])


def given(name: str) -> pd.DataFrame:
    return pd.DataFrame(GIVEN[:, :, GIVENS.index(name)].T)


def log(name: str) -> pd.Series:
    return np.log(ref(name)).diff()


def all_of(series: pd.Series) -> pd.DataFrame:
    return pd.DataFrame(np.repeat(series.to_numpy()[:, None], N, axis=1))


def own_corr(other: pd.Series, window: int) -> pd.DataFrame:
    return OWN.apply(lambda column: column.rolling(window).corr(other))


def corr(a: pd.Series, b: pd.Series, window: int) -> pd.DataFrame:
    return all_of(a.rolling(window).corr(b))


def rank(frame: pd.DataFrame) -> pd.DataFrame:
    out = (frame.rank(axis=1) - 1.0) / (N - 1.0)
    return out.where(frame.notna())


def spread(leg: pd.DataFrame) -> np.ndarray:
    out = np.full((3, T, N), np.nan)
    for i in range(N):
        y, x = np.log(CLOSE[i].to_numpy()), np.log(leg[i].to_numpy())
        for t in range(60, T):
            slope, level = np.polyfit(x[t - 60 : t + 1], y[t - 60 : t + 1], 1)
            rest = y[t - 60 : t + 1] - slope * x[t - 60 : t + 1] - level
            out[:, t, i] = rest[-1] / rest.std(ddof=1), rest[-1], slope
    return out


def carry() -> pd.DataFrame:
    yearly = OWN.rolling(20).std() * np.sqrt(252.0)
    return (given("base_policy_rate") - given("quote_policy_rate")) / yearly / given("fed_funds_rate").clip(lower=0.005)


def share(frame: pd.DataFrame) -> pd.DataFrame:
    return (frame.rolling(252).rank() - 1.0) / 251.0


def gap_of_venues() -> pd.DataFrame:
    return (given("binance_price") - given("coinbase_price")) / given("coinbase_price")


def alarm(name: str) -> pd.DataFrame:
    mean = given(name).rolling(30).mean()
    return (given(name) > 2.0 * mean).astype(float).where(mean.notna())


def trend() -> pd.DataFrame:
    def ema(window: int) -> pd.DataFrame:
        first = CLOSE.rolling(window).mean().iloc[window - 1]
        tail = pd.concat([first.to_frame().T, CLOSE.iloc[window:]], ignore_index=True)
        smooth = tail.ewm(alpha=2.0 / (window + 1.0), adjust=False).mean()
        smooth.index = pd.RangeIndex(window - 1, T)
        return smooth.reindex(range(T))

    return np.sign(ema(10) - ema(50))


def minus(a: str, b: str) -> Callable[[], pd.DataFrame]:
    return lambda: given(a) - given(b)


def over(a: str, b: str, less: float = 0.0) -> Callable[[], pd.DataFrame]:
    return lambda: given(a) / given(b) - less


TWINS: dict[str, Callable[[], pd.DataFrame]] = {
    "vix_level": lambda: all_of(ref("vix")),
    "vix_change": lambda: all_of(ref("vix").diff()),
    "gold_price": lambda: all_of(ref("gold")),
    "oil_price": lambda: all_of(ref("oil")),
    "copper_price": lambda: all_of(ref("copper")),
    "market_correlation": lambda: own_corr(log("sp500"), 60),
    "rolling_corr_60_btc": lambda: own_corr(log("btc"), 60),
    "correlation_spy": lambda: own_corr(log("sp500"), 30),
    "correlation_qqq": lambda: own_corr(log("nasdaq"), 30),
    "spy_return": lambda: all_of(ref("sp500").pct_change(1)),
    "market_trend": lambda: all_of(ref("sp500").pct_change(20)),
    "sector_performance": lambda: given("sector_close").pct_change(1),
    "relative_strength_spy": lambda: CLOSE.pct_change(20) - all_of(ref("sp500").pct_change(20)),
    "relative_strength_spy_ratio": lambda: CLOSE.pct_change(20) / all_of(ref("sp500").pct_change(20)),
    "relative_strength_sector": lambda: CLOSE.pct_change(20) - given("sector_close").pct_change(20),
    "sector_rotation": lambda: given("sector_rank").diff(20),
    "btc_spy_corr_30d": lambda: corr(log("btc"), log("sp500"), 30),
    "btc_qqq_corr_30d": lambda: corr(log("btc"), log("nasdaq"), 30),
    "gold_aud_corr": lambda: corr(log("gold"), log("aud_usd"), 60),
    "oil_cad_corr": lambda: corr(log("oil"), log("usd_cad"), 60),
    "gold_jpy_corr": lambda: corr(log("gold"), -log("usd_jpy"), 30),
    "vix_spy_corr": lambda: corr(ref("vix").diff(), log("sp500"), 20),
    "risk_on_score": lambda: all_of(sum(ref(k).pct_change() for k in ("sp500", "btc", "aud_usd")) / 3.0),
    "risk_off_score": lambda: all_of(
        (ref("gold").pct_change() + sum((1.0 / ref(k)).pct_change() for k in ("usd_jpy", "usd_chf"))) / 3.0
    ),
    "btc_leads_eth": lambda: corr(log("eth"), log("btc").shift(1), 60),
    "spy_leads_btc": lambda: corr(log("btc"), log("sp500").shift(1), 60),
    "gold_leads_miners": lambda: corr(log("gold_miners"), log("gold").shift(1), 60),
    # Bars of a day take the usual two deviations; those of a session stand in ``test_bands_are_tighter_in_asia``.
    "bb_session_upper": lambda: MIDDLE + 2.0 * SPREAD,
    "bb_session_lower": lambda: MIDDLE - 2.0 * SPREAD,
    "bb_session_width": lambda: 4.0 * SPREAD / MIDDLE,
    "price_vs_bb_session": lambda: (CLOSE - MIDDLE) / (2.0 * SPREAD),
    "price_momentum": lambda: CLOSE / CLOSE.rolling(20).mean() - 1.0,
    "put_call_ratio": over("put_volume", "call_volume"),
    "implied_volatility": lambda: share(given("implied_volatility")),
    "revenue_nowcast_gap": over("revenue_nowcast", "revenue_consensus", 1.0),
    "factor_momentum": lambda: rank(np.log(CLOSE.shift(21) / CLOSE.shift(252))),
    "factor_value": lambda: rank(given("earnings_yield")),
    "factor_quality": lambda: rank(given("roe")),
    "active_addresses_7d_ma": lambda: given("active_addresses").rolling(7).mean(),
    "exchange_net_flow": minus("exchange_outflow", "exchange_inflow"),
    "exchange_inflow_alarm": lambda: alarm("exchange_inflow"),
    "exchange_outflow_alarm": lambda: alarm("exchange_outflow"),
    "supply_on_exchanges_percent": over("exchange_supply", "total_supply"),
    "supply_in_profit_percent": over("addresses_in_profit", "all_addresses"),
    "funding_rate_avg": lambda: (given("funding_rate_binance") + given("funding_rate_bybit")) / 2.0,
    "funding_rate_change": lambda: given("funding_rate_binance").diff(),
    "open_interest_change_24h": minus("open_interest", "open_interest_24h_ago"),
    "altcoin_season_index": lambda: 1.0 - given("btc_dominance"),
    "binance_coinbase_spread": gap_of_venues,
    "arbitrage_opportunity": lambda: (gap_of_venues().abs() > 0.002).astype(float),
    "tvl_change_7d": lambda: given("tvl").pct_change(7),
    "interest_rate_diff": minus("base_policy_rate", "quote_policy_rate"),
    "gdp_growth_diff": minus("base_gdp_growth", "quote_gdp_growth"),
    "carry_trade_score": carry,
    "us_2y_10y_spread": minus("us_10y_yield", "us_2y_yield"),
    "ted_spread": minus("libor_3m", "us_3m_bill"),
    "sofr_spread": minus("sofr_3m", "us_3m_bill"),
    "sentiment_momentum_3d": lambda: given("sentiment_score").diff(3),
    "sentiment_momentum_7d": lambda: given("sentiment_score").diff(7),
    "trend_direction": trend,
    "mtf_agreement": lambda: given("mtf_direction_1") + given("mtf_direction_2") + given("mtf_direction_3"),
    "spread_zscore_60_btc": lambda: spread(all_of(ref("btc")))[0],
    "spread_60_btc": lambda: spread(all_of(ref("btc")))[1],
    "hedge_ratio_60_btc": lambda: spread(all_of(ref("btc")))[2],
}
TOLERANCE = {"relative_strength_spy_ratio": 1e-7}  # a quotient of numbers near zero


def hourly(calendar: str) -> Panel:
    """Three weeks of July 2024 in hours, with its holiday; the values do not matter."""
    t = 24 * 21
    start = np.datetime64("2024-07-01T00:00", "ns").astype(np.int64) + np.arange(t, dtype=np.int64) * HOUR
    values = np.full((1, t, 5), 9.0) + np.arange(t)[None, :, None] * 0.01
    return Panel(values, np.ones((1, t), bool), start, start + HOUR, start + HOUR, FIELDS[:5], ("stock.US.A",), "1h",
                 calendar)  # fmt: skip


def _hours(first: int, last: int) -> Callable[[pd.DatetimeIndex], np.ndarray]:
    """Return whether an hour lies in [first, last), around midnight where first is later, while forex trades.

    The week of forex: Sunday to Friday, 17:00 in New York.
    """

    def flag(at: pd.DatetimeIndex) -> np.ndarray:
        inside = (at.hour >= first) & (at.hour < last) if first < last else (at.hour >= first) | (at.hour < last)
        there = at.tz_localize("UTC").tz_convert("America/New_York")
        into = there.day_of_week * 24 + there.hour  # hours since Monday
        return inside & ~((into >= 4 * 24 + 17) & (into < 6 * 24 + 17))

    return flag


FIXED_HOURS = {
    "is_asian_utc": _hours(22, 9),
    "is_london_utc": _hours(7, 16),
    "is_newyork_utc": _hours(12, 21),
    "is_london_ny_overlap_utc": _hours(12, 16),
    "is_asian_london_overlap_utc": _hours(7, 9),
}
HOURLY = (*FIXED_HOURS, "is_best_liquidity", "overnight_futures_change_nq", "asian_range")


def passed_through(name: str) -> str | None:
    """Return the given number that a row is, None where it computes something."""
    found = re.fullmatch(r"(?:on_bar\()?given\.(\w+?)\)?", formula_text(CATALOGUE[name].expression))
    return found[1] if found else None


@cache
def table(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location(f"oracles_of_{Path(path).stem}", TESTS / path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


@cache
def functions(path: str) -> set[str]:
    tree = ast.parse((TESTS / path).read_text(encoding="utf-8"))
    return {node.name for node in tree.body if isinstance(node, ast.FunctionDef)}


def oracle_of(name: str) -> str:
    """Return where a row's oracle is; empty where it has none."""
    for path in TABLES:
        if name in table(path).ORACLES:
            return f"{path}::ORACLES"
    if name in NAMED:
        return NAMED[name]
    if name in TWINS:
        return "twin in pandas"
    if name in HOURLY:
        return "twin on clocks"
    if CATALOGUE[name].scope == "book" or CATALOGUE[name].group == "book":
        return "unit/features/test_books_kernel.py"
    return "the number from outside" if passed_through(name) else ""


@pytest.fixture(scope="module")
def features() -> Panel:
    return compute(PANEL, [*TWINS, *(n for n in CATALOGUE if passed_through(n))], CONTEXT)


def difference(ours: np.ndarray, theirs: np.ndarray) -> float:
    """Return the largest difference on the scale of the values; presence must agree exactly."""
    assert np.array_equal(np.isfinite(ours), np.isfinite(theirs)), "warm-up or absence differs"
    assert np.isfinite(ours).any(), "nothing was compared"
    return float(np.nanmax(np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))))


def test_every_row_names_its_oracle():
    lacking = [name for name in CATALOGUE if not oracle_of(name)]
    assert not lacking, f"{len(lacking)} rows of the catalogue have no oracle: {', '.join(lacking)}"


def test_every_named_oracle_exists():
    for name, where in NAMED.items():
        path, _, function = where.partition("::")
        assert name in CATALOGUE, name
        assert function in functions(path), where
    for path in TABLES:
        assert set(table(path).ORACLES) <= set(CATALOGUE)


@pytest.mark.accuracy
@pytest.mark.parametrize("name", sorted(TWINS))
def test_row_equals_its_twin(features, name):
    theirs = np.asarray(TWINS[name](), dtype=float).T
    assert difference(features.field(name), theirs) < TOLERANCE.get(name, 1e-9)


@pytest.mark.accuracy
def test_numbers_from_outside_come_through_unchanged(features):
    rows = {name: passed_through(name) for name in CATALOGUE if passed_through(name)}
    assert len(rows) > 100
    for name, source in rows.items():
        assert np.array_equal(features.field(name), GIVEN[:, :, GIVENS.index(source)]), name


@pytest.mark.accuracy
@pytest.mark.parametrize("name", sorted(FIXED_HOURS))
def test_fixed_hours_are_those_of_utc(name):
    panel = hourly("24/7")
    ours = compute(panel, [name], FeatureContext.of(panel)).values[0, :, 0]
    theirs = FIXED_HOURS[name](pd.DatetimeIndex(panel.start.view("datetime64[ns]"))).astype(float)
    assert np.array_equal(ours, theirs)


@pytest.mark.accuracy
def test_the_best_hours_are_the_first_ninety_minutes_of_new_york():
    panel = hourly("XNYS")
    at = pd.DatetimeIndex(panel.start.view("datetime64[ns]"), tz="UTC").tz_convert("America/New_York")
    ours = compute(panel, ["is_best_liquidity"], FeatureContext.of(panel)).values[0, :, 0]
    session = (at.day_of_week < 5) & ~((at.month == 7) & (at.day == 4))
    assert np.array_equal(ours, (session & (at.hour == 10)).astype(float))  # hours begin at :00, the first one at 10:00


@pytest.mark.accuracy
def test_the_future_of_the_nasdaq_counts_from_the_last_regular_bar():
    panel = hourly("XNYS")
    future = 100.0 + np.arange(panel.shape[1], dtype=float)
    context = FeatureContext.of(panel, reference_names=("nq",), reference=future[None])
    ours = compute(panel, ["overnight_futures_change_nq", "is_regular_hours"], context)
    regular = ours.field("is_regular_hours")[0] == 1.0
    last, expected = np.nan, np.full(panel.shape[1], np.nan)
    for t in range(panel.shape[1]):
        last = future[t] if regular[t] else last
        expected[t] = future[t] / last - 1.0
    assert difference(ours.field("overnight_futures_change_nq")[0], expected) < 1e-12


@pytest.mark.accuracy
def test_the_asian_range_is_high_minus_low():
    panel = hourly("24/7")
    out = compute(panel, ["asian_range", "asian_high", "asian_low"], FeatureContext.of(panel))
    assert np.isfinite(out.field("asian_range")).any()
    assert np.array_equal(out.field("asian_range"), out.field("asian_high") - out.field("asian_low"), equal_nan=True)


def lines() -> Iterator[str]:
    out = compute(PANEL, list(TWINS), CONTEXT)
    for name in CATALOGUE:
        told = ""
        if name in TWINS:
            found = difference(out.field(name), np.asarray(TWINS[name](), dtype=float).T)
            told = f"  {found:.1e} < {TOLERANCE.get(name, 1e-9):.0e}"
        yield f"{name:<32} {oracle_of(name)}{told}"


if __name__ == "__main__":
    sys.stdout.write("\n".join(lines()) + "\n")
