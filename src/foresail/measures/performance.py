"""Performance of a return series and of a list of trades, each figure defined once (ATTR-03, REP-01, MET-26).

A figure that is not defined (no volatility, no losing trade) is NaN, never 0. Annualisation always takes the number
of bars in a year from the caller: 252 for daily stocks, 365 for daily crypto.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.errors import DataError
from foresail.measures._checks import finite_series, same_length
from foresail.measures.returns import annualised_return, compounded_equity, total_return

__all__ = [
    "Drawdown",
    "PerformanceFigures",
    "TradeStatistics",
    "adjusted_sharpe_ratio",
    "annualised_volatility",
    "calmar_ratio",
    "drawdown_series",
    "hit_rate",
    "max_drawdown",
    "no_skill_win_rate",
    "performance_figures",
    "sharpe_ratio",
    "sortino_ratio",
    "trade_statistics",
]

_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class Drawdown:
    """The deepest fall of compounded equity from a peak.

    Attributes
    ----------
    depth : fraction of the peak, >= 0
    peak_at, trough_at, recovered_at : ns UTC where times were given, else bar position (0 = before the first bar);
        ``recovered_at`` is None while equity is below the peak
    """

    depth: float
    peak_at: int
    trough_at: int
    recovered_at: int | None


@dataclass(frozen=True, slots=True)
class PerformanceFigures:
    """The figures of one return series; fractions, annualised where the name says so.

    Attributes
    ----------
    sharpe_ratio : annualised, excess over the risk-free series given
    adjusted_sharpe_ratio : the same with the long-run volatility, which autocorrelation widens or narrows
    hit_rate : share of bars with a return above 0 among bars with a return
    """

    bars: int
    total_return: float
    annualised_return: float
    annualised_volatility: float
    sharpe_ratio: float
    adjusted_sharpe_ratio: float
    sortino_ratio: float
    calmar_ratio: float
    max_drawdown: Drawdown
    hit_rate: float


@dataclass(frozen=True, slots=True)
class TradeStatistics:
    """REP-01 figures of closed trades, in the unit of the profits given.

    Attributes
    ----------
    win_rate : winners / all
    average_loss, gross_loss : positive numbers
    payoff_ratio : average win / average loss
    profit_factor : gross win / gross loss
    average_holding : unit of the holding times given; NaN without them
    """

    trades: int
    winners: int
    losers: int
    win_rate: float
    average_profit: float
    average_win: float
    average_loss: float
    gross_win: float
    gross_loss: float
    payoff_ratio: float
    profit_factor: float
    average_holding: float


def _spread(series: FloatArray) -> float:
    """Return the sample standard deviation, exactly 0 where the series differs from its mean by rounding only."""
    if len(series) < 2:
        return 0.0
    value = float(series.std(ddof=1))
    return 0.0 if value <= 1e-14 * float(np.abs(series).max()) else value


def annualised_volatility(returns: ArrayLike, *, bars_per_year: float) -> float:
    """Return the sample standard deviation of returns times ``sqrt(bars_per_year)``; NaN for a single bar."""
    series = finite_series(returns, name="returns")
    return _spread(series) * math.sqrt(bars_per_year) if len(series) > 1 else _NAN


def sharpe_ratio(excess_returns: ArrayLike, *, bars_per_year: float) -> float:
    """Return mean over standard deviation of excess returns, times ``sqrt(bars_per_year)``.

    Parameters
    ----------
    excess_returns : (T,), simple return per bar less the risk-free return of that bar, fraction
    bars_per_year : annualisation factor

    Returns
    -------
    NaN when the series does not vary

    Raises
    ------
    DataError
        If a return is not finite.
    """
    series = finite_series(excess_returns, name="excess returns")
    spread = _spread(series)
    return float(series.mean()) / spread * math.sqrt(bars_per_year) if spread > 0 else _NAN


def adjusted_sharpe_ratio(excess_returns: ArrayLike, *, bars_per_year: float, lags: int | None = None) -> float:
    """Return the annualised Sharpe ratio with the long-run standard deviation in place of the plain one.

    Parameters
    ----------
    excess_returns : (T,), simple excess return per bar, fraction
    lags : autocovariances that enter, Bartlett-weighted; None = ``4 (T / 100)^(2/9)`` (Newey and West 1994)

    Returns
    -------
    Lower than the plain ratio where returns trend (smoothed or stale prices), higher where they revert.

    References
    ----------
    [Lo2002], [NeweyWest1994] in docs/REFERENCES.md.
    """
    series = finite_series(excess_returns, name="excess returns")
    if _spread(series) == 0.0:
        return _NAN
    n = len(series)
    last = min(int(4.0 * (n / 100.0) ** (2.0 / 9.0)) if lags is None else lags, n - 1)
    deviation = series - series.mean()
    variance = float(deviation @ deviation) / (n - 1)
    for lag in range(1, last + 1):
        variance += 2.0 * (1.0 - lag / (last + 1.0)) * float(deviation[lag:] @ deviation[:-lag]) / (n - 1)
    # Bartlett weights keep the sum non-negative; zero is left only by an exactly alternating series.
    return float(series.mean()) / math.sqrt(variance) * math.sqrt(bars_per_year) if variance > 0 else _NAN


def sortino_ratio(excess_returns: ArrayLike, *, bars_per_year: float) -> float:
    """Return mean over the root mean square of the returns below 0 (over all bars), annualised; NaN without losses."""
    series = finite_series(excess_returns, name="excess returns")
    downside = math.sqrt(float(np.mean(np.minimum(series, 0.0) ** 2)))
    return float(series.mean()) / downside * math.sqrt(bars_per_year) if downside > 0 else _NAN


def calmar_ratio(returns: ArrayLike, *, bars_per_year: float) -> float:
    """Return the annualised compounded return over the deepest drawdown; NaN without a drawdown."""
    depth = max_drawdown(returns).depth
    return annualised_return(returns, bars_per_year=bars_per_year) / depth if depth > 0 else _NAN


def hit_rate(returns: ArrayLike) -> float:
    """Return the share of bars above 0 among bars that are not exactly 0; NaN when all are."""
    series = finite_series(returns, name="returns")
    moved = series[series != 0.0]
    return float(np.mean(moved > 0.0)) if len(moved) else _NAN


def drawdown_series(returns: ArrayLike) -> FloatArray:
    """Return how far compounded equity stands below its highest value so far, (T,) fraction >= 0, at every bar."""
    equity = compounded_equity(returns)
    peak = np.maximum.accumulate(equity)
    result: FloatArray = (1.0 - equity / peak)[1:]
    return result


def max_drawdown(returns: ArrayLike, *, end: TimeArray | None = None) -> Drawdown:
    """Return the deepest fall of equity, compounded and marked at every bar, with its dates.

    Parameters
    ----------
    returns : (T,), simple return per bar, fraction
    end : (T,) ns UTC, end of each bar; a peak before the first bar is dated by the first bar

    Raises
    ------
    DataError
        If a return is not finite or the lengths differ.
    """
    equity = compounded_equity(returns)
    if end is not None and len(end) != len(equity) - 1:
        raise DataError(f"expected {len(equity) - 1} bar ends, received {len(end)}")
    if len(equity) == 1:
        return Drawdown(0.0, 0, 0, 0)
    below = 1.0 - equity / np.maximum.accumulate(equity)
    trough = int(below.argmax())
    peak = int(equity[: trough + 1].argmax())
    back = np.flatnonzero(equity[trough:] >= equity[peak])
    recovered = trough + int(back[0]) if len(back) else None

    def at(position: int) -> int:
        return position if end is None else int(end[max(position - 1, 0)])

    return Drawdown(float(below[trough]), at(peak), at(trough), None if recovered is None else at(recovered))


def performance_figures(
    returns: ArrayLike,
    *,
    bars_per_year: float,
    risk_free: ArrayLike | None = None,
    end: TimeArray | None = None,
) -> PerformanceFigures:
    """Return every figure of one return series.

    Parameters
    ----------
    returns : (T,), simple return per bar, fraction, after whatever costs the caller wants included
    bars_per_year : annualisation factor
    risk_free : (T,), simple return per bar of the risk-free asset; None = 0
    end : (T,) ns UTC, dates the drawdown

    Raises
    ------
    DataError
        If a value is not finite or the lengths differ.
    """
    series = finite_series(returns, name="returns")
    excess = series
    if risk_free is not None:
        rate = finite_series(risk_free, name="risk-free returns")
        same_length(series, rate, names=("returns", "risk-free returns"))
        excess = series - rate
    return PerformanceFigures(
        bars=len(series),
        total_return=total_return(series),
        annualised_return=annualised_return(series, bars_per_year=bars_per_year),
        annualised_volatility=annualised_volatility(series, bars_per_year=bars_per_year),
        sharpe_ratio=sharpe_ratio(excess, bars_per_year=bars_per_year),
        adjusted_sharpe_ratio=adjusted_sharpe_ratio(excess, bars_per_year=bars_per_year),
        sortino_ratio=sortino_ratio(excess, bars_per_year=bars_per_year),
        calmar_ratio=calmar_ratio(series, bars_per_year=bars_per_year),
        max_drawdown=max_drawdown(series, end=end),
        hit_rate=hit_rate(series),
    )


def trade_statistics(profits: ArrayLike, *, holding: ArrayLike | None = None) -> TradeStatistics:
    """Return win rate, average win and loss, profit factor and holding time of closed trades.

    Parameters
    ----------
    profits : (M,), profit of each trade after its costs, money or fraction; 0 is neither a win nor a loss
    holding : (M,), how long each was held, any unit

    Raises
    ------
    DataError
        If a value is not finite or the lengths differ.
    """
    profit = finite_series(profits, name="profits", minimum=0)
    held = None if holding is None else finite_series(holding, name="holding times", minimum=0)
    if held is not None:
        same_length(profit, held, names=("profits", "holding times"))
    wins, losses = profit[profit > 0.0], -profit[profit < 0.0]
    average_win = float(wins.mean()) if len(wins) else _NAN
    average_loss = float(losses.mean()) if len(losses) else _NAN
    return TradeStatistics(
        trades=len(profit),
        winners=len(wins),
        losers=len(losses),
        win_rate=len(wins) / len(profit) if len(profit) else _NAN,
        average_profit=float(profit.mean()) if len(profit) else _NAN,
        average_win=average_win,
        average_loss=average_loss,
        gross_win=float(wins.sum()),
        gross_loss=float(losses.sum()),
        payoff_ratio=average_win / average_loss,
        profit_factor=float(wins.sum() / losses.sum()) if len(losses) else _NAN,
        average_holding=float(held.mean()) if held is not None and len(held) else _NAN,
    )


def no_skill_win_rate(*, stop_distance: float, target_distance: float) -> float:
    """Return the share of trades that reach the target before the stop on a driftless walk.

    Parameters
    ----------
    stop_distance, target_distance : from the entry price, same unit, > 0

    Raises
    ------
    DataError
        If a distance is not above 0.
    """
    if not (stop_distance > 0.0 and target_distance > 0.0):
        raise DataError(f"expected distances above 0, received stop {stop_distance} and target {target_distance}")
    return stop_distance / (stop_distance + target_distance)
