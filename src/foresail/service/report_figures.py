"""The figures that the report shows and ``metrics.json`` holds, computed once, so that the two cannot differ."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import numpy as np
from scipy.special import bdtr, bdtrc

from foresail.core.arrays import FloatArray
from foresail.domain.runs import Interval
from foresail.engine.pipeline import PipelineResult
from foresail.evaluation.assess import Comparison
from foresail.evaluation.self_calibration import PanelOutcome
from foresail.ledger.trades import Trade
from foresail.measures.bootstrap import day_clustered_standard_error, sharpe_interval
from foresail.measures.performance import (
    PerformanceFigures,
    TradeStatistics,
    performance_figures,
    trade_statistics,
)
from foresail.measures.returns import simple_returns
from foresail.reporting.figures import percent
from foresail.reporting.model import SelfCalibrationRow
from foresail.service.finished import Finished
from foresail.service.report_baselines import BaselineScore, LeftOut, baseline_scores
from foresail.service.report_money import CostFigures, cost_figures, trade_rates
from foresail.service.report_scores import (
    NO_INTERVAL,
    FoldScore,
    Score,
    fold_scores,
    outcomes,
    overlap,
    score_all,
)
from foresail.signals.decision import TOP_CONFIDENCE

__all__ = ["ConfidenceFilter", "Curve", "Figures", "closed_trades", "figures", "verdict_interval"]

_NAN = float("nan")
_NORMAL_95 = 1.959963984540054
_NULL_RATE, _EDGE_RATE = 0.07, 0.80  # how often a calibrated engine says evidence, at most and at least
_DOUBT = 0.05  # chance below which a count of panels contradicts its rate


@dataclass(frozen=True, slots=True, eq=False)
class Curve:
    """One equity curve with its figures; ``trades`` where the curve has trades of its own."""

    key: str
    label: str
    equity: FloatArray
    figures: PerformanceFigures
    sharpe: Interval
    trades: TradeStatistics | None = None


@dataclass(frozen=True, slots=True)
class ConfidenceFilter:
    """What the filter of the top list would have let pass, and what it was worth.

    Attributes
    ----------
    signals : with a calibrated confidence and an expected move
    passed, rising : of them at or above the threshold, and those of them that expect a rise
    resolved : passed and with a known outcome; the two figures below rest on these
    earned : simple return in the predicted direction over the horizon, less the round-trip cost
    hit_rate : share of right signs
    """

    threshold: float
    signals: int
    passed: int
    rising: int
    resolved: int
    earned: Interval
    hit_rate: float


@dataclass(frozen=True, slots=True, eq=False)
class Figures:
    """Everything that is shown twice.

    Attributes
    ----------
    curves : "net" first
    scores : of every target and horizon; ``folds`` the same by fold; ``baselines`` on the same rows, close only
    left_out : what could not be compared with
    """

    curves: tuple[Curve, ...]
    costs: CostFigures
    scores: tuple[Score, ...]
    folds: tuple[FoldScore, ...]
    baselines: tuple[BaselineScore, ...]
    confident: ConfidenceFilter
    haircut_total_return: float
    self_calibration: tuple[SelfCalibrationRow, ...]
    left_out: tuple[LeftOut, ...] = ()

    def curve(self, key: str) -> Curve | None:
        """Return a curve by its key, None where it does not exist."""
        return next((one for one in self.curves if one.key == key), None)


_known: WeakKeyDictionary[Finished, Figures] = WeakKeyDictionary()


def figures(finished: Finished) -> Figures:
    """Return all figures of a finished job; they are computed once for each and live as long as it does."""
    found = _known.get(finished)
    if found is None:
        found = _known[finished] = _figures(finished)
    return found


def _figures(finished: Finished) -> Figures:
    result = finished.result
    realised = outcomes(result)
    baselines, left_out = baseline_scores(result, realised)
    return Figures(
        curves=_curves(finished),
        costs=cost_figures(result),
        scores=score_all(result.walk.block, realised, seed=result.settings.seed),
        folds=fold_scores(result, realised),
        baselines=baselines,
        confident=_confident(result, realised),
        haircut_total_return=float(result.backtest.net_haircut[-1] / float(result.settings.capital) - 1.0),
        self_calibration=_self_calibration(finished.panels or ()),
        left_out=left_out,
    )


def closed_trades(result: PipelineResult) -> list[tuple[Trade, float]]:
    """Return the closed trades with the rate that turns their money into the account's currency."""
    rates = trade_rates(result)
    return [(t, float(r)) for t, r in zip(result.backtest.trades, rates, strict=True) if t.closed_at is not None]


def verdict_interval(finished: Finished, key: str) -> Interval:
    """Return an interval that the verdict decided on, so that the report shows that one and no other."""
    found = finished.verdict.figures.get(key)
    if not isinstance(found, dict):
        return NO_INTERVAL
    return Interval(*(_NAN if found.get(k) is None else float(found[k]) for k in ("value", "low", "high")))


def _curves(finished: Finished) -> tuple[Curve, ...]:
    curves: Comparison = finished.comparison
    result = finished.result
    named: list[tuple[str, str, FloatArray | None, int | None]] = [
        ("net", "Net of costs", curves.net, 1),
        ("gross", "Before costs", curves.gross, 0),
        ("net_2x", "At twice the cost", curves.net_2x, 2),
        ("one_over_n", "1/N, same names", curves.one_over_n, None),
        ("index", "Index", curves.index, None),
        ("trend", "Trend rule, same names", curves.trend, None),
        ("one_over_n_full", "1/N, fully invested", curves.one_over_n_full, None),
    ]
    closed = closed_trades(result)
    return tuple(
        _curve(result, key, label, equity, None if factor is None else _statistics(closed, factor))
        for key, label, equity, factor in named
        if equity is not None and len(equity) > 1
    )


def _curve(result: PipelineResult, key: str, label: str, equity: FloatArray, trades: TradeStatistics | None) -> Curve:
    per_year = result.backtest.bars_per_year
    returns = simple_returns(equity)
    sharpe = NO_INTERVAL if len(returns) < 3 else sharpe_interval(returns, bars_per_year=per_year)
    return Curve(key, label, equity, performance_figures(returns, bars_per_year=per_year), sharpe, trades)


def _statistics(closed: Sequence[tuple[Trade, float]], factor: int) -> TradeStatistics:
    """Return REP-01 figures of closed trades with their costs multiplied."""
    profits = [float(trade.gross_profit - factor * trade.cost) * rate for trade, rate in closed]
    return trade_statistics(
        profits, holding=[0.0 if trade.hold_bars is None else float(trade.hold_bars) for trade, _ in closed]
    )


def _confident(result: PipelineResult, realised: FloatArray) -> ConfidenceFilter:
    block = result.walk.block
    issued = {int(at): p for p, at in enumerate(block.issued_at)}
    row = {name: i for i, name in enumerate(block.instruments)}
    step = {bars: h for h, bars in enumerate(block.horizons)}
    judged = [s for s in result.backtest.signals if math.isfinite(s.expected_return) and s.confidence > 0.5]
    passed = [s for s in judged if s.confidence >= TOP_CONFIDENCE]
    gains, clusters = [], []
    for s in passed:
        place = (row.get(s.instrument), issued.get(s.decided_at), step.get(s.horizon_bars))
        if None in place:
            continue
        i, p, h = (int(x) for x in place if x is not None)
        direction = 1.0 if s.expected_return > 0 else -1.0
        outcome = float(realised[i, p, 0, h])
        if math.isfinite(outcome) and math.isfinite(s.cost):
            gains.append((direction * math.expm1(outcome) - s.cost, direction * outcome > 0))
            clusters.append(p // overlap(block, s.horizon_bars))
    earned = np.array([g for g, _ in gains], dtype=np.float64)
    return ConfidenceFilter(
        threshold=TOP_CONFIDENCE,
        signals=len(judged),
        passed=len(passed),
        rising=sum(s.expected_return > 0 for s in passed),
        resolved=len(earned),
        earned=_clustered_mean(earned, clusters),
        hit_rate=float(np.mean([right for _, right in gains])) if gains else _NAN,
    )


def _clustered_mean(values: FloatArray, clusters: Sequence[int]) -> Interval:
    """Return a mean whose interval counts stretches of time, not single signals."""
    if not len(values):
        return NO_INTERVAL
    mean = float(values.mean())
    if len(set(clusters)) < 10:
        return Interval(mean, _NAN, _NAN)
    reach = _NORMAL_95 * day_clustered_standard_error(values, np.array(clusters, dtype=np.int64))
    return Interval(mean, mean - reach, mean + reach)


def _self_calibration(panels: Sequence[PanelOutcome]) -> tuple[SelfCalibrationRow, ...]:
    """Return one row for each planted edge.

    A row fails only when its count would be a rare accident (below 5 %) of an engine that keeps its promise: one
    false alarm in ten panels is no proof against 7 %.
    """
    rows = []
    for planted in sorted({one.information_coefficient for one in panels}):
        said = [one.is_evidence for one in panels if one.information_coefficient == planted]
        count, total = sum(said), len(said)
        if planted == 0.0:
            luck = float(bdtrc(count - 1, total, _NULL_RATE)) if count else 1.0
            label, expected = "without an edge", f"evidence in at most {percent(_NULL_RATE, 0)}"
        else:
            luck = float(bdtr(count, total, _EDGE_RATE))
            label, expected = "with an edge", f"evidence in at least {percent(_EDGE_RATE, 0)}"
        rows.append(SelfCalibrationRow(label, planted, total, count, expected, passed=luck >= _DOUBT))
    return tuple(rows)
