"""What one record of returns shows beside its verdict: intervals, drawdown, and the parts it is made of.

The drawdown's interval says what the same blocks of returns would have shown in another order: a record is one draw.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.seeds import generator
from foresail.domain.runs import Interval
from foresail.evaluation.paired import detectable
from foresail.measures.bootstrap import (
    BootstrapSettings,
    mean_interval,
    sharpe_interval,
)
from foresail.measures.performance import (
    TradeStatistics,
    adjusted_sharpe_ratio,
    max_drawdown,
    no_skill_win_rate,
)
from foresail.measures.power import smallest_detectable_sharpe
from foresail.measures.resampling import optimal_block_length, stationary_indices

__all__ = ["RecordFigures", "RecordSlice", "TradeView", "record_figures", "trade_view"]

_DRAWS = 1000
_SHORTEST_BLOCK = 5  # bars, as in the verdict
_FEWEST, _FEWEST_TOLD = 60, 20  # bars below which a part gets no interval, and no figure at all
_NOW, _PAST, _HIGH = 20, 250, 1.5  # RGM-02
_NAN = float("nan")


@dataclass(frozen=True, slots=True)
class RecordSlice:
    """One part of a record: the annualised mean difference to the comparator there, and what it could have shown."""

    label: str
    bars: int
    difference: Interval
    detectable: float


@dataclass(frozen=True, slots=True)
class TradeView:
    """Win rate with its pay-off, beside how often barriers at the same distances win on a driftless walk.

    Attributes
    ----------
    no_skill_win_rate : for the average win and loss, or for the barriers that were given
    barriers : what the distances are
    """

    win_rate: float
    average_win: float
    average_loss: float
    payoff_ratio: float
    no_skill_win_rate: float
    barriers: str


@dataclass(frozen=True, slots=True)
class RecordFigures:
    """Figures of one record with their intervals; annualised where they are rates.

    Attributes
    ----------
    difference : mean difference to the comparator a year
    detectable_difference, detectable_sharpe : smallest that the record shows with 80 % power at 95 % confidence
    drawdown : deepest fall, with what the same blocks show in other orders
    """

    sharpe: Interval
    adjusted_sharpe: float
    difference: Interval
    detectable_difference: float
    detectable_sharpe: float
    drawdown: Interval
    by_year: tuple[RecordSlice, ...]
    by_regime: tuple[RecordSlice, ...]
    regime_text: str


def record_figures(
    returns: FloatArray,
    comparator: FloatArray | None,
    times: tuple[datetime, ...],
    *,
    bars_per_year: float,
    seed: int,
) -> RecordFigures:
    """Return the figures of a record.

    Parameters
    ----------
    returns : (T,), simple return per bar
    comparator : (T,), or None for zero
    times : (T,)
    """
    market = returns if comparator is None else comparator
    excess = returns if comparator is None else returns - comparator
    settings = BootstrapSettings(minimum_block=min(_SHORTEST_BLOCK, len(returns)), seed=seed)
    difference = _annual(mean_interval(excess, settings), bars_per_year)
    years = np.array([str(t.year) for t in times], dtype=object)
    state = _states(market)
    whose = "the comparator" if comparator is not None else "the returns"
    rule = f"volatile = {whose} varied over the last {_NOW} bars {_HIGH} times as much as over {_PAST} (RGM-02)"
    nothing = Interval(_NAN, _NAN, _NAN)
    return RecordFigures(
        sharpe=sharpe_interval(returns, bars_per_year=bars_per_year, settings=settings)
        if len(returns) > 2
        else nothing,
        adjusted_sharpe=adjusted_sharpe_ratio(returns, bars_per_year=bars_per_year),
        difference=difference,
        detectable_difference=detectable([difference]),
        detectable_sharpe=smallest_detectable_sharpe(len(returns), bars_per_year=bars_per_year),
        drawdown=_drawdown(returns, seed),
        by_year=_parts(excess, years, sorted(set(years.tolist())), bars_per_year, settings),
        by_regime=_parts(excess, state, ["calm", "volatile"], bars_per_year, settings),
        regime_text=rule,
    )


def trade_view(trades: TradeStatistics, *, stop: float | None = None, target: float | None = None) -> TradeView:
    """Return win rate and pay-off beside the win rate without skill.

    Parameters
    ----------
    stop, target : distances from the entry price, same unit; None = the average loss and win of the trades
    """
    given = stop is not None and target is not None
    loss, win = (stop, target) if given else (trades.average_loss, trades.average_win)
    rate = _NAN
    if loss is not None and win is not None and loss > 0.0 and win > 0.0:  # NaN is not
        rate = no_skill_win_rate(stop_distance=loss, target_distance=win)
    return TradeView(
        trades.win_rate,
        trades.average_win,
        trades.average_loss,
        trades.payoff_ratio,
        rate,
        "the stop and target that were given" if given else "the average loss and win of the trades",
    )


def _annual(value: Interval, per_year: float) -> Interval:
    return Interval(value.value * per_year, value.low * per_year, value.high * per_year)


def _parts(
    excess: FloatArray, labels: Any, order: list[str], per_year: float, settings: BootstrapSettings
) -> tuple[RecordSlice, ...]:
    found = []
    for name in order:
        values = excess[labels == name]
        if not len(values):
            continue
        told = Interval(float(values.mean()) * per_year if len(values) >= _FEWEST_TOLD else _NAN, _NAN, _NAN)
        if len(values) >= _FEWEST:
            told = _annual(mean_interval(values, settings), per_year)
        found.append(RecordSlice(name, len(values), told, detectable([told])))
    return tuple(found)


def _states(market: FloatArray) -> Any:
    """Return the regime known before each bar, (T,) text; empty while there are too few bars before it."""
    labels = np.full(len(market), "", dtype=object)
    for now in range(_PAST, len(market)):
        past = market[now - _PAST : now]
        labels[now] = "volatile" if past[-_NOW:].std() > _HIGH * past.std() else "calm"
    return labels


def _drawdown(returns: FloatArray, seed: int) -> Interval:
    """Return the deepest fall with its percentile interval over resampled orders of blocks."""
    depth = max_drawdown(returns).depth
    length = len(returns)
    if length < _FEWEST:
        return Interval(depth, _NAN, _NAN)
    block = max(optimal_block_length(returns)[0], float(_SHORTEST_BLOCK))
    rows = stationary_indices(length, block=block, draws=_DRAWS, random=generator(seed, "drawdown"))
    growth = np.concatenate([np.zeros((_DRAWS, 1)), np.cumsum(np.log1p(returns)[rows], axis=1)], axis=1)
    fall = 1.0 - np.exp((growth - np.maximum.accumulate(growth, axis=1)).min(axis=1))
    low, high = np.quantile(fall, [0.025, 0.975])
    return Interval(depth, float(low), float(high))
