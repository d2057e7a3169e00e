"""From a finished backtest to the inputs of the verdict: comparators, return series, intervals.

The comparator of the verdict is 1/N of the same names, decided at the same times, at the strategy's average gross
exposure and with the same costs (docs/decisions/0001). The fully invested 1/N, the index and a volatility-scaled trend
are shown.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.domain.runs import CanaryResult, Verdict
from foresail.engine.comparators import SweepSettings, equal_weights, index_curve, sweep, trend_weights
from foresail.engine.pipeline import PipelineResult
from foresail.engine.tradable import absurd_bars
from foresail.evaluation.registry import TrialCount
from foresail.evaluation.verdict import VerdictInputs, decide
from foresail.measures.performance import TradeStatistics, trade_statistics
from foresail.measures.returns import simple_returns

__all__ = ["Comparison", "assess", "compare"]

_TREND_BARS = 120  # look-back of the trend comparator


@dataclass(frozen=True, slots=True, eq=False)
class Comparison:
    """Equity curves from the first judged bar on, (T',) each, account currency.

    Attributes
    ----------
    first : time position of the first judged bar; every curve stands at the capital there
    one_over_n, one_over_n_2x : 1/N at the strategy's average exposure, at once and twice the cost
    one_over_n_full : 1/N fully invested
    exposure : the average gross exposure used
    absent : comparators that could not be made, (label, reason)
    """

    first: int
    net: FloatArray
    gross: FloatArray
    net_2x: FloatArray
    one_over_n: FloatArray
    one_over_n_2x: FloatArray
    one_over_n_full: FloatArray
    trend: FloatArray
    index: FloatArray | None
    exposure: float
    absent: tuple[tuple[str, str], ...]


def compare(result: PipelineResult, *, index: str = "") -> Comparison:
    """Return the strategy's equity and its comparators.

    Parameters
    ----------
    index : name of the reference series that is the market index; empty where there is none
    """
    data, book, block = result.data, result.backtest, result.walk.block
    first = book.first
    capital = float(result.settings.capital)
    decided = np.flatnonzero(block.position >= first)
    positions = block.position[decided]
    step = block.horizons.index(result.settings.decision_horizon)
    middle = block.levels.index(0.5)
    is_open = positions[:, None] < data.blocked_from  # money kept for a name that nobody may trade would lie idle
    tradable = np.isfinite(block.values[:, decided, 0, step, middle]).T & is_open
    exposure = float(np.clip(book.exposure[first:].mean(), 0.0, 1.0)) if len(book.exposure) > first else 0.0
    at_open = data.bars.has("open")
    once, twice = book.cost_per_side, 2 * book.cost_per_side
    bars = data.bars
    tradable_bars = ~absurd_bars(bars, data.bar_set.asset_class)

    def hold(weights: FloatArray, cost: float) -> FloatArray:
        settings = SweepSettings(cost, cost, capital, at_open)
        curve = sweep(bars, weights, positions, settings, tradable=tradable_bars, blocked_from=data.blocked_from)
        return curve[first:]

    absent = []
    index_equity = None
    if index and index in data.reference:
        times, values = data.reference[index]
        index_equity = index_curve(bars, times, values, first, capital)[first:]
        if not np.isfinite(index_equity).all():
            index_equity = None
            absent.append(("index", f"{index} does not cover the judged bars"))
    else:
        absent.append(("index", "no index series was given"))
    return Comparison(
        first=first,
        net=book.net[first:],
        gross=book.gross[first:],
        net_2x=book.net_2x[first:],
        one_over_n=hold(equal_weights(tradable, exposure), once),
        one_over_n_2x=hold(equal_weights(tradable, exposure), twice),
        one_over_n_full=hold(equal_weights(tradable, 1.0), once),
        trend=hold(_trend(result, decided, tradable), once),
        index=index_equity,
        exposure=exposure,
        absent=tuple(absent),
    )


def _trend(result: PipelineResult, decided: IntArray, tradable: BoolArray) -> FloatArray:
    """Return (P, N) weights of the volatility-scaled trend over the same names, fully invested at most.

    Parameters
    ----------
    decided : (P,) rows of the forecast block
    tradable : (P, N)
    """
    bars, rows = result.data.bars, result.walk.block.position[decided]
    adjusted = np.log(bars.field("close") * bars.field("total_factor"))
    past = np.maximum(rows - _TREND_BARS, 0)
    trend = np.where(rows >= _TREND_BARS, adjusted[:, rows] - adjusted[:, past], np.nan).T
    volatility = result.prepared.scale[:, rows].T * np.sqrt(result.backtest.bars_per_year)
    return trend_weights(np.where(tradable, trend, np.nan), volatility, 1.0)


def assess(
    result: PipelineResult, comparison: Comparison, *, trials: TrialCount, canaries: tuple[CanaryResult, ...] = ()
) -> Verdict:
    """Return the verdict on a finished pipeline."""
    profits = np.array([float(trade.net_profit) for trade in result.backtest.trades])
    trades: TradeStatistics | None = trade_statistics(profits) if len(profits) else None
    return decide(
        VerdictInputs(
            net=simple_returns(comparison.net),
            net_2x=simple_returns(comparison.net_2x),
            benchmark=simple_returns(comparison.one_over_n),
            benchmark_2x=simple_returns(comparison.one_over_n_2x),
            bars_per_year=result.backtest.bars_per_year,
            trials=trials,
            canaries=canaries,
            universe_basis=result.data.bar_set.universe_basis,
            price_basis=result.data.bar_set.price_basis.value,
            trades=trades,
            seed=result.settings.seed,
        )
    )
