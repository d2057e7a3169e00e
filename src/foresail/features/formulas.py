"""The formulas of the catalogue, as graphs of steps: each function returns an expression, none computes anything.

All are free of scale: a price enters only as a ratio to another price of the same instrument.
"""

from __future__ import annotations

import math

from foresail.features.expressions import (
    CLOSE,
    FLOW,
    FULL,
    HIGH,
    LOW,
    OPEN,
    PRICE,
    RANGE,
    TRADED,
    VOLUME,
    VOLUME_CLOCK,
    Clock,
    Cross,
    Node,
    Ref,
    Series,
    clock_where,
    node,
    rolling,
)

__all__ = [
    "amihud_ratio",
    "atr_share",
    "average",
    "beta",
    "bollinger_place",
    "broadcast",
    "calendar",
    "close_place",
    "divide",
    "downside_volatility",
    "ema_ratio",
    "extreme",
    "gap",
    "high_distance",
    "log_return",
    "log_volume_zscore",
    "macd",
    "macd_histogram",
    "macd_line",
    "market",
    "max_drawdown",
    "mean",
    "mean_and_deviation",
    "minus_one",
    "momentum",
    "money_flow",
    "obv_ratio",
    "price_to_sma",
    "range_place",
    "range_share",
    "rank",
    "reference",
    "rolling_pair",
    "rsi",
    "sector_residual",
    "series_row",
    "share_of_sum",
    "skew",
    "stochastic",
    "subtract",
    "volatility",
    "volatility_ratio",
    "volume_ratio",
    "williams",
    "zscore",
]


def log_return(lag: int, skip: int = -1) -> Ref:
    """ln(close[skip bars ago] / close[lag bars ago]); skip -1 = the present close."""
    return node("log_change", CLOSE, window=lag, needs=lag + 1, history=lag, extra=skip).out


def momentum() -> Ref:
    """Twelve months without the last one: 252 to 21 bars ago."""
    return log_return(252, 21)


def mean(value: Ref, window: int, clock: Clock = PRICE) -> Ref:
    """Rolling mean."""
    return rolling("rolling_mean", value, window, clock=clock, states=2).out


def mean_and_deviation(value: Ref, window: int, *, sample: bool, clock: Clock = PRICE) -> tuple[Ref, Ref]:
    """Rolling mean and standard deviation (sample or population form)."""
    n = rolling("rolling_std", value, window, clock=clock, states=3, outputs=2, real=1.0 if sample else 0.0)
    return Ref(n, 0), Ref(n, 1)


def divide(a: Ref, b: Ref, at_zero: float = math.nan) -> Ref:
    """A / b, ``at_zero`` where b is 0."""
    return node("divide", a, b, real=at_zero).out


def minus_one(value: Ref) -> Ref:
    """Value - 1."""
    return node("add", value, real=-1.0).out


def subtract(a: Ref, b: Ref) -> Ref:
    """A - b."""
    return node("combine", a, b, real=-1.0).out


def average(value: Ref, window: int, kind: str, clock: Clock = PRICE) -> Ref:
    """Recursive mean: kind "ema" or "wilder"."""
    return node(kind, value, clock=clock, window=window, needs=window, states=1).out


def price_to_sma(window: int) -> Ref:
    """Close / SMA - 1."""
    return minus_one(divide(CLOSE, mean(CLOSE, window)))


def ema_ratio(fast: int, slow: int) -> Ref:
    """EMA(fast) / EMA(slow) - 1."""
    return minus_one(divide(average(CLOSE, fast, "ema"), average(CLOSE, slow, "ema")))


def macd_line(fast: int, slow: int) -> Ref:
    """EMA(fast) - EMA(slow), price units: a step on the way, no feature."""
    return subtract(average(CLOSE, fast, "ema"), average(CLOSE, slow, "ema"))


def macd(fast: int, slow: int) -> Ref:
    """(EMA(fast) - EMA(slow)) / close."""
    return divide(macd_line(fast, slow), CLOSE)


def macd_histogram(fast: int, slow: int, signal: int) -> Ref:
    """(MACD - EMA(signal) of MACD) / close."""
    line = macd_line(fast, slow)
    return divide(subtract(line, average(line, signal, "ema")), CLOSE)


def share_of_sum(part: Ref, rest: Ref, at_zero: float) -> Ref:
    """Part / (part + rest)."""
    return divide(part, node("combine", part, rest, real=1.0).out, at_zero)


def rsi(window: int) -> Ref:
    """Relative strength index, 0 to 1; 0.5 where the price never moved."""
    moves = node("up_down", CLOSE, needs=2, states=1, outputs=2)
    return share_of_sum(average(Ref(moves, 0), window, "wilder"), average(Ref(moves, 1), window, "wilder"), at_zero=0.5)


def bollinger_place(window: int, width: float) -> Ref:
    """%b: where the close stands between mean -/+ width population deviations; 0.5 where nothing moved."""
    middle, deviation = mean_and_deviation(CLOSE, window, sample=False)
    low = node("combine", middle, deviation, real=-width).out
    high = node("combine", middle, deviation, real=width).out
    return node("place", CLOSE, low, high, real=0.5).out


def zscore(window: int) -> Ref:
    """(close - mean) / sample deviation; 0 where nothing moved."""
    middle, deviation = mean_and_deviation(CLOSE, window, sample=True)
    return divide(subtract(CLOSE, middle), deviation, 0.0)


def extreme(value: Ref, window: int, sign: float, clock: Clock) -> Ref:
    """Rolling largest (sign 1) or smallest (-1)."""
    return rolling("rolling_extreme", value, window, clock=clock, states=2, real=sign).out


def range_place(window: int) -> Ref:
    """Place of the close between the lowest low and the highest high, 0 to 1."""
    low, high = extreme(LOW, window, -1.0, RANGE), extreme(HIGH, window, 1.0, RANGE)
    return node("place", CLOSE, low, high, clock=RANGE, real=0.5).out


def stochastic(window: int, smooth: int) -> Ref:
    """Slow %K: mean of the place of the close in its range, 0 to 1."""
    return mean(range_place(window), smooth, RANGE)


def williams(window: int) -> Ref:
    """Williams %R, -1 to 0."""
    return minus_one(range_place(window))


def atr_share(window: int) -> Ref:
    """Average true range (Wilder) / close."""
    true_range = node("true_range", HIGH, LOW, CLOSE, clock=RANGE, needs=2, states=1).out
    return divide(average(true_range, window, "wilder", RANGE), CLOSE)


def volatility(window: int) -> Ref:
    """Sample standard deviation of the one-bar log return."""
    return mean_and_deviation(log_return(1), window, sample=True)[1]


def volatility_ratio(fast: int, slow: int) -> Ref:
    """Ln of fast over slow volatility."""
    return node("log_of", volatility(fast), volatility(slow)).out


def downside_volatility(window: int) -> Ref:
    """Root of the mean squared negative log return."""
    return node("root", mean(node("fall_squared", log_return(1)).out, window)).out


def skew(window: int) -> Ref:
    """Sample skewness of the one-bar log return."""
    return rolling("rolling_skew", log_return(1), window, states=3).out


def max_drawdown(window: int) -> Ref:
    """Deepest fall from a peak of closes within the window, <= 0."""
    return rolling("rolling_drawdown", CLOSE, window, outputs=4).out


def high_distance(window: int) -> Ref:
    """ln(close / highest close of the window), <= 0."""
    return node("log_of", CLOSE, extreme(CLOSE, window, 1.0, PRICE)).out


def gap() -> Ref:
    """ln(open / close of the bar before)."""
    return node("log_of", OPEN, node("lag", CLOSE, window=1, needs=2, history=1).out, clock=FULL).out


def range_share() -> Ref:
    """ln(high / low)."""
    return node("log_of", HIGH, LOW, clock=RANGE).out


def close_place() -> Ref:
    """(close - low) / (high - low), 0.5 where they meet (FEAT-39)."""
    return node("place", CLOSE, LOW, HIGH, clock=RANGE, real=0.5).out


def volume_ratio(window: int) -> Ref:
    """Volume / mean volume; absent where the mean is 0 (FEAT-39)."""
    return divide(VOLUME, mean(VOLUME, window, VOLUME_CLOCK))


def log_volume_zscore(window: int) -> Ref:
    """(ln volume - mean) / sample deviation over bars with trades; 0 where nothing varies."""
    log_volume = node("logarithm", VOLUME, clock=TRADED).out
    middle, deviation = mean_and_deviation(log_volume, window, sample=True, clock=TRADED)
    return divide(subtract(log_volume, middle), deviation, 0.0)


def obv_ratio(window: int) -> Ref:
    """Change of on-balance volume over the window / volume of the window, -1 to 1."""
    signed = node("signed_volume", CLOSE, VOLUME, clock=VOLUME_CLOCK, needs=2, states=1).out
    return divide(mean(signed, window, VOLUME_CLOCK), mean(VOLUME, window, VOLUME_CLOCK))


def money_flow(window: int) -> Ref:
    """Money flow index, 0 to 1; 0.5 where no money flowed."""
    sides = node("combine", HIGH, LOW, clock=FLOW, real=1.0).out
    three = node("combine", sides, CLOSE, clock=FLOW, real=1.0).out  # three times the typical price: the 3 cancels
    flows = node("flow_up_down", three, VOLUME, clock=FLOW, needs=2, states=1, outputs=2)
    return share_of_sum(mean(Ref(flows, 0), window, FLOW), mean(Ref(flows, 1), window, FLOW), at_zero=0.5)


def amihud_ratio(window: int) -> Ref:
    """|log return| / traded value, over its own mean of the window (bars with trades)."""
    change = log_return(1)
    clock = clock_where(TRADED, change)
    value = node("multiply", CLOSE, VOLUME, clock=clock).out
    illiquidity = node("divide", node("magnitude", change, clock=clock).out, value, clock=clock, real=math.nan).out
    return divide(illiquidity, mean(illiquidity, window, clock))


def rank(value: Ref | Cross) -> Cross:
    """Mean rank among all instruments of the instant, 0 to 1."""
    return Cross("rank", value)


def sector_residual(value: Ref) -> Cross:
    """Value minus the mean of the instrument's sector."""
    return Cross("sector_residual", value)


def market(value: Ref, kind: str = "market_mean") -> Series:
    """Mean or deviation of a value over all instruments."""
    return Series(kind, value)


def broadcast(series: Series) -> Cross:
    """A number of the instant, given to every instrument that has a bar."""
    return Cross("broadcast", series)


def series_row(series: Series) -> Ref:
    """A series as an input of a lane step."""
    ready = max(series.source.node.ready, 1) if series.source is not None else 1
    return Node("series", series=series, ready=ready).out


def beta(window: int) -> Ref:
    """Slope of the one-bar log return on the mean of all instruments."""
    own, all_of_them = log_return(1), series_row(market(log_return(1)))
    clock = clock_where(PRICE, own, all_of_them)
    return rolling_pair("rolling_beta", own, all_of_them, window, clock)


def rolling_pair(op: str, a: Ref, b: Ref, window: int, clock: Clock) -> Ref:
    """Return a rolling step over two inputs."""
    return node(op, a, b, clock=clock, window=window, needs=window, history=window, history_b=window, states=4).out


def reference(name: str, value: Ref) -> Cross:
    """A lane formula computed on a reference series, given to every instrument."""
    return broadcast(Series("reference", value, name))


def calendar(name: str) -> Cross:
    """A number known in advance from the calendar."""
    return broadcast(Series("calendar", None, name))
