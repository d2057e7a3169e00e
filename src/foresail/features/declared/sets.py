"""Named sets of features (FSET-01 to 12): versioned, ordered lists of catalogue names.

A model stores name and version of the set that it was trained with. What the spec calls ``rsi`` or ``price_momentum``
stands here under its catalogue name; where a class of instruments has a variant of its own (Bollinger bands of 2.5
deviations for crypto, of the session for forex), ``members_for`` puts it in the place of the usual one. A member
without a producer stays a member: it is computed as absent, with the reason.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.features.frame_syntax import FRAME_GROUPS

__all__ = [
    "DEFAULT_SETS",
    "FEATURE_SETS",
    "SETS",
    "FeatureSet",
    "default_sets",
    "feature_set",
    "members_for",
    "members_of",
]


@dataclass(frozen=True, slots=True)
class FeatureSet:
    """A named list of features (FSET-11).

    Attributes
    ----------
    version : raised whenever a member, its place or its meaning changes
    members : catalogue names in order
    fixed : used whole; selection only where it is asked for (SEL-10)
    """

    name: str
    version: int
    members: tuple[str, ...]
    description: str
    source: str
    fixed: bool = True

    @property
    def id(self) -> str:
        """Name and version as a model stores them, for example ``scan100/2``."""
        return f"{self.name}/{self.version}"


_SPINE = (
    "log_return_1",
    "log_return_2",
    "log_return_5",
    "log_return_10",
    "log_return_20",
    "log_return_60",
    "log_return_120",
    "log_return_250",
    "momentum_12_1",
    "price_to_sma_20",
    "price_to_sma_50",
    "price_to_sma_200",
    "ema_ratio_12_26",
    "macd_12_26",
    "macd_histogram_12_26_9",
    "high_distance_250",
    "rsi_14",
    "rsi_5",
    "stoch_k_14_3",
    "williams_r_14",
    "bb_place_20_2",
    "atr_pct_14",
    "volatility_5",
    "volatility_20",
    "volatility_60",
    "volatility_ratio_5_60",
    "downside_volatility_60",
    "skew_60",
    "max_drawdown_60",
    "overnight_gap",
    "intraday_range",
    "relative_position",
    "volume_ratio_20",
    "log_volume_zscore_20",
    "obv_ratio_20",
    "mfi_14",
    "amihud_ratio_60",
    "rank_log_return_1",
    "rank_log_return_5",
    "rank_log_return_20",
    "rank_log_return_120",
    "rank_volatility_20",
    "rank_rsi_14",
    "rank_volume_ratio_20",
    "sector_relative_5",
    "sector_relative_20",
    "market_return_5",
    "market_return_20",
    "market_dispersion_5",
    "beta_60",
    "vix_zscore_250",
    "vix_change_1",
    "vix_change_5",
    "sp500_change_5",
    "sp500_change_20",
    "nasdaq_change_5",
    "nasdaq_change_20",
    "oil_change_20",
    "day_sin",
    "day_cos",
    "hour_sin",
    "hour_cos",
)

_BARS = ("open", "high", "low", "close", "volume")
_SENTIMENT = ("sentiment_score", "sentiment_momentum", "sentiment_volatility", "news_volume")
_CYCLES = ("hour_sin", "hour_cos", "day_sin", "day_cos")


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


_CORE20 = (
    *_BARS,
    *_names("rsi_14 macd macd_signal bb_upper bb_lower sma_20 sma_50 atr_14"),
    *_SENTIMENT,
    *_names("vix_level sector_performance market_correlation"),
)

_TFT64 = (
    *_BARS,
    *_names("return_1 return_5 return_20 return_60 log_return_1 price_momentum price_velocity relative_position"),
    *_names("sma_20 sma_50 ema_12 ema_26 macd macd_signal macd_histogram adx_14 plus_di minus_di"),
    *_names("rsi_7 rsi_14 rsi_ema stoch_k_14_3 stoch_d roc_10 cci_20"),
    *_names("bb_upper bb_lower bb_width price_vs_bb atr_14 volatility_20"),
    *_names("volume_ratio_20 obv vwap_deviation mfi_14 cmf_20"),
    *_names("zscore_20 rolling_skew_20 rolling_kurt_20 autocorr_1_20 hurst_128"),
    *_CYCLES,
    *_names("minutes_from_open is_power_hour"),
    *_SENTIMENT,
    "reddit_sentiment",
    *_names("vix_level spy_return sector_performance market_correlation relative_strength_spy"),
    *_names("gap_percent days_to_earnings"),
)

_SWING32 = (
    *_BARS,
    *_names("rsi_9 rsi_14 macd_5_13_1 macd atr_14 bb10_upper bb10_lower bb10_width volume_ratio_20 obv"),
    *_names("adx_14 plus_di minus_di log_return_1 volatility_20 roc_12"),
    *_names("zscore_20 stoch_k_14_3 mfi_14 vwap_deviation sentiment_score sentiment_momentum_3d news_volume"),
    *_names("vix_level spy_return day_sin day_cos"),
)

# Unknown reals, the known real, the static category; the model adds the relative time index of its window itself.
_TFT_DAILY = _names("close volume rsi_14 macd time_of_day sector")

_TECHNICAL_50 = _names(
    """
    sma_10 sma_20 sma_50 sma_200 ema_9 ema_12 ema_26 ema_50 ema_200
    macd macd_signal macd_histogram macd_5_13_1 macd_momentum adx_14 plus_di minus_di
    rsi_7 rsi_9 rsi_14 rsi_ema stoch_k_14_3 stoch_d roc_10 roc_12 williams_r_14 cci_20
    bb_upper bb_middle bb_lower bb_width price_vs_bb bb10_upper bb10_lower bb10_width
    atr_14 atr_pct_14 std_dev_20 volatility_20 keltner_upper keltner_middle keltner_lower
    kalman_level kalman_slope price_to_sma_20 price_to_sma_50 price_to_sma_200 ema_stack
    vol_percentile_252 hurst_128
    """
)
_VOLUME_10 = _names("volume volume_ratio_20 rvol obv obv_ratio_20 vwap vwap_deviation mfi_14 cmf_20 volume_roc")
_PRICE_10 = _names(
    """
    return_1 return_5 return_20 price_momentum price_velocity price_acceleration relative_position trend_regime
    candle_pattern level_tests
    """
)
# What the scanner measured, under names of its own: its RSI and relative volume are not those of these bars.
_SCANNER_5 = _names("momentum_score scanner_rsi scanner_rvol percent_change scanner_trend")
_FURTHER_25 = (
    *_names("zscore_20 rolling_skew_20 rolling_kurt_20 autocorr_1_20 autocorr_5_20"),
    *_CYCLES,
    *_names("is_monday is_friday is_market_open_first_hour is_power_hour avg_volume_this_hour"),
    *_names("vix_level vix_change spy_return relative_strength_spy relative_strength_sector sector_performance"),
    *_SENTIMENT,
    "gap_percent",
)
_SCAN100 = (*_TECHNICAL_50, *_VOLUME_10, *_PRICE_10, *_SCANNER_5, *_FURTHER_25)

_PREDICTIONS_6 = _names("pred_1m pred_5m pred_30m pred_1h pred_6h pred_1d")
_RISK_8 = _names(
    "forecast_volatility var_95 cvar_95 risk_beta correlation_spy correlation_qqq tail_dependence volatility_percentile"
)

# All rows that the multi-asset brief names, with the windows that it prefers (FC-06, FC-09).
_MULTI = (
    *_names("return_1 return_5 return_20 return_60 log_return_1 price_momentum price_velocity price_acceleration"),
    *_names("relative_position gap_percent gap_direction momentum_12_1"),
    *_names("sma_10 sma_20 sma_50 sma_200 ema_10 ema_12 ema_26 ema_50 ema_200 macd macd_signal macd_histogram"),
    *_names("macd_5_13_1 macd_momentum adx_14 plus_di minus_di ema_stack price_to_sma_50 price_to_sma_200"),
    *_names("rsi_14 rsi_ema stoch_k_14_3 stoch_d roc_10 williams_r_14 cci_20 rsi_divergence"),
    *_names("bb_upper bb_middle bb_lower bb_width price_vs_bb atr_14 std_dev_20 keltner_upper keltner_middle"),
    *_names("keltner_lower atr_compression volatility_30d"),
    *_names("obv obv_ratio_20 vwap volume_roc cmf_20 mfi_14 volume_ratio_20 volume_price_divergence"),
    *_names("zscore_20 rolling_mean_20 rolling_std_20 rolling_skew_20 rolling_kurt_20 autocorr_1_20 autocorr_5_20"),
    *_names("rolling_corr_60 adf_pvalue_250_pair spread_zscore_60_pair hurst_128"),
    *_names("hour day_of_week day_of_month month quarter hour_sin hour_cos day_sin day_cos is_monday is_friday"),
    *_names("is_asian is_london is_newyork is_london_ny_overlap is_asian_london_overlap is_premarket"),
    *_names("is_regular_hours is_afterhours is_market_open_first_hour is_power_hour is_us_trading_hours"),
    *_names("is_asian_hours is_european_hours is_weekend us_market_closed avg_volatility_this_hour"),
    *_names("avg_volume_this_hour asian_high asian_low asian_range london_gain_pips weekend_low_distance"),
    *_names("overnight_futures_change_es overnight_futures_change_nq"),
    *_names("pe_ratio pb_ratio dividend_yield market_cap beta sector industry roe debt_to_equity earnings_stability"),
    *_names("days_to_earnings earnings_surprise_last analyst_rating_change put_call_ratio implied_volatility"),
    *_names("factor_momentum factor_value factor_quality"),
    *_names("vix_level vix_change spy_return relative_strength_spy relative_strength_sector"),
    *_names("volatility_regime vol_percentile_252 trend_regime liquidity_regime market_regime"),
    *_names("btc_spy_corr_30d btc_qqq_corr_30d gold_aud_corr oil_cad_corr gold_jpy_corr vix_spy_corr risk_on_score"),
    *_names("risk_off_score btc_leads_eth spy_leads_btc gold_leads_miners"),
    *_names("sentiment_score sentiment_momentum_3d sentiment_momentum_7d sentiment_volatility news_volume"),
    *_names("reddit_sentiment twitter_sentiment stocktwits_sentiment news_sentiment_24h"),
    *_names("active_addresses active_addresses_7d_ma exchange_inflow exchange_outflow exchange_net_flow"),
    *_names("supply_on_exchanges_percent supply_in_profit_percent hash_rate mining_difficulty miners_revenue mvrv"),
    *_names("transaction_volume whale_movements btc_dominance eth_dominance altcoin_season_index twitter_mentions"),
    *_names("reddit_posts google_trends crypto_fear_greed funding_rate_binance funding_rate_bybit funding_rate_avg"),
    *_names("open_interest open_interest_change_24h long_short_ratio binance_coinbase_spread arbitrage_opportunity"),
    *_names("tvl tvl_change_7d"),
    *_names("interest_rate_diff fed_funds_rate us_gdp_growth us_inflation_yoy us_unemployment us_retail_sales_mom"),
    *_names("ecb_rate eu_gdp_growth eu_inflation_yoy eu_unemployment us_economic_surprise eu_economic_surprise"),
    *_names("gdp_growth_diff days_to_fed_meeting days_to_ecb_meeting days_since_last_rate_change carry_trade_score"),
    *_names("ppp_deviation gold_price oil_price copper_price us_2y_10y_spread ted_spread bid_ask_spread"),
    *_names("imbalance_20 whale_trade support resistance level_tests pin_bar engulfing candle_pattern asset_class"),
)


def _rows() -> tuple[FeatureSet, ...]:
    return (
        FeatureSet("spine", 1, _SPINE, "62 features free of scale that runs use by default", "FSET-11"),
        FeatureSet("core20", 2, _CORE20, "price, eight indicators, sentiment and market of the hourly plan", "FSET-01"),
        FeatureSet("tft64", 2, _TFT64, "64 inputs of the minute transformer", "FSET-02"),
        FeatureSet("swing32", 2, _SWING32, "32 inputs of the swing models", "FSET-03"),
        FeatureSet("tft_daily", 1, _TFT_DAILY, "inputs of the small daily transformer", "FSET-04"),
        FeatureSet("scan100", 2, _SCAN100, "100 features of a scanned candidate", "FSET-05, FSET-08"),
        FeatureSet("frame50", 1, _TECHNICAL_50, "50 technical indicators of one time frame", "FSET-06"),
        FeatureSet(
            "ensemble", 2, (*_SCAN100, *_PREDICTIONS_6, *_RISK_8), "scan100, six predictions, eight risks", "FSET-07"
        ),
        FeatureSet(
            "multi", 2, _MULTI, "all groups of the multi-asset brief, to be selected from", "FSET-09", fixed=False
        ),
        FeatureSet(
            "book", 1, _names("imbalance_10 spread_bps hidden_liquidity trade_velocity"), "order book", "FSET-10"
        ),
    )


FEATURE_SETS: Mapping[str, FeatureSet] = MappingProxyType({row.name: row for row in _rows()})
SETS: Mapping[str, tuple[str, ...]] = MappingProxyType({name: row.members for name, row in FEATURE_SETS.items()})

# FSET-12: use -> sets, the second one reduced by selection first.
DEFAULT_SETS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"daily": ("swing32",), "hourly": ("core20", "multi"), "funnel": ("scan100",), "minute": ("tft64",)}
)

# FEAT-21: the same role, with the deviations of the class.
_VARIANTS: Mapping[AssetClass, Mapping[str, str]] = MappingProxyType(
    {
        AssetClass.CRYPTO: MappingProxyType(
            {
                "bb_upper": "bb25_upper",
                "bb_lower": "bb25_lower",
                "bb_width": "bb25_width",
                "price_vs_bb": "price_vs_bb25",
            }
        ),
        AssetClass.FOREX: MappingProxyType(
            {
                "bb_upper": "bb_session_upper",
                "bb_lower": "bb_session_lower",
                "bb_width": "bb_session_width",
                "price_vs_bb": "price_vs_bb_session",
            }
        ),
    }
)


def feature_set(name: str) -> FeatureSet:
    """Return a set by name.

    Raises
    ------
    UnknownNameError
        If there is no such set.
    """
    if name not in FEATURE_SETS:
        raise UnknownNameError("feature set", name, FEATURE_SETS)
    return FEATURE_SETS[name]


def members_for(name: str, asset_class: AssetClass | None) -> tuple[str, ...]:
    """Return the members of a set with the variants of a class in place (FEAT-21), in order.

    Raises
    ------
    UnknownNameError
        If there is no such set.
    """
    members = feature_set(name).members
    own = {} if asset_class is None else _VARIANTS.get(asset_class, {})
    return tuple(own.get(member, member) for member in members)


def members_of(names: Sequence[str] | str, asset_class: AssetClass | None) -> tuple[str, ...]:
    """Return the features of sets and names side by side, in order and without repeats.

    Parameters
    ----------
    names : the name of a set, or sets and features, each with or without a frame or group of frames behind ``@``; a set
        gives its members with the variants of the class (FEAT-21), a feature that is named stays as it is

    Raises
    ------
    UnknownNameError
        If ``names`` is one text and there is no such set.
    """
    if isinstance(names, str):
        return members_for(names, asset_class)
    found: list[str] = []
    for name in names:
        base, mark, frame = name.partition("@")
        members = members_for(base, asset_class) if base in FEATURE_SETS else (base,)
        for one in FRAME_GROUPS.get(frame, (frame,)):
            found += [f"{member}{mark}{one}" for member in members]
    return tuple(dict.fromkeys(found))


def default_sets(use: str) -> tuple[str, ...]:
    """Return the sets of a use: daily, hourly, funnel or minute (FSET-12).

    Raises
    ------
    UnknownNameError
        If the use is not known.
    """
    if use not in DEFAULT_SETS:
        raise UnknownNameError("use of features", use, DEFAULT_SETS)
    return DEFAULT_SETS[use]
