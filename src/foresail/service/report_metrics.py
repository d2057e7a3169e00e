"""The content of ``metrics.json``: the figures of the report as plain data, nothing of the machine or the clock.

An undefined figure is null, never 0 and never NaN. Keys are documented in ``domain.schemas``.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np

from foresail.core.canonical import plain
from foresail.domain.runs import CanaryResult
from foresail.engine.backtest import Backtest
from foresail.measures.performance import TradeStatistics
from foresail.service.finished import Finished
from foresail.service.report_figures import Curve, Figures, figures, verdict_interval
from foresail.service.report_scores import Score
from foresail.service.report_subject import decision_count

__all__ = ["metrics_document"]

_STRATEGY = ("gross", "net", "net_2x")
_COMPARATORS = ("one_over_n", "one_over_n_full", "index", "trend")
_NOMINAL = 0.8  # of P10 to P90


def metrics_document(finished: Finished) -> dict[str, Any]:
    """Return the figures of a finished job as plain JSON data, the same for the same inputs on every machine."""
    shown = figures(finished)
    result, book = finished.result, finished.result.backtest
    document = {
        **{key: _performance(shown.curve(key)) for key in _STRATEGY},
        "benchmarks": {key: _performance(shown.curve(key)) for key in _COMPARATORS},
        "benchmarks_absent": dict(finished.comparison.absent),
        "verdict": {
            "word": finished.verdict.word,
            "reasons": finished.verdict.reasons,
            # What depends on the number of trials stands in honesty.json, which may change from run to run.
            "figures": {k: v for k, v in finished.verdict.figures.items() if k != "honesty"},
        },
        "excess": {
            "net": verdict_interval(finished, "difference_net"),
            "net_2x": verdict_interval(finished, "difference_net_2x"),
            "exposure_of_one_over_n": finished.comparison.exposure,
        },
        "costs": {
            "by_kind": {kind.key: {"money": kind.money, "annual": kind.annual} for kind in shown.costs.kinds},
            "total": shown.costs.total,
            "turnover": shown.costs.turnover,
            "expected_per_side": book.cost_per_side,
        },
        "confidence_filter": shown.confident,
        "ended_listings": {
            "count": len(book.ended),
            "listings": [
                {"instrument": name, "end": int(result.data.bars.end[position]), "value": value}
                for name, position, value in book.ended
            ],
            "total_return": None if not shown.curves else shown.curves[0].figures.total_return,
            "total_return_30_percent_below_last_print": shown.haircut_total_return,
        },
        "left_before_jump": _left(book, float(result.settings.capital)),
        "coverage": {"nominal": _NOMINAL, "by_fold": _coverage_by_fold(shown), "all": _coverage(shown)},
        "forecasts": [_accuracy(one) for one in shown.scores],
        **_baselines(shown),
        "canaries": [_canary(one) for one in finished.canaries],
        "self_calibration": shown.self_calibration,
        "features_used": result.prepared.features.fields,
        "features_absent": result.prepared.absent,
        "price_basis": result.data.bar_set.price_basis,
        "universe_basis": result.data.bar_set.universe_basis,
        "instruments": len(result.data.bars.instruments),
        "decisions": decision_count(book),
        "first_judged": int(result.data.bars.end[finished.comparison.first]),
        "last_judged": int(result.data.bars.end[-1]),
    }
    found: dict[str, Any] = plain(document)
    return found


def _performance(curve: Curve | None) -> dict[str, Any] | None:
    """Return REP-01 figures; those of trades are null where a curve has none of its own."""
    if curve is None:
        return None
    told = curve.figures
    return {
        "total_return": told.total_return,
        "annual_return": told.annualised_return,
        "volatility": told.annualised_volatility,
        "sharpe": told.sharpe_ratio,
        "sharpe_interval": (curve.sharpe.low, curve.sharpe.high),
        "sortino": told.sortino_ratio,
        "calmar": told.calmar_ratio,
        "max_drawdown": told.max_drawdown.depth,
        **_trade_figures(curve.trades),
    }


def _trade_figures(trades: TradeStatistics | None) -> dict[str, Any]:
    return {
        "win_rate": None if trades is None else trades.win_rate,
        "num_trades": None if trades is None else trades.trades,
        "avg_hold_time": None if trades is None else trades.average_holding,
        "average_win": None if trades is None else trades.average_win,
        "average_loss": None if trades is None else trades.average_loss,
        "profit_factor": None if trades is None else trades.profit_factor,
    }


def _baselines(shown: Figures) -> dict[str, Any]:
    """Return the accuracy of every baseline, and what was left out where something was."""
    told: dict[str, Any] = {"baselines": [{"forecaster": one.key, **_accuracy(one.score)} for one in shown.baselines]}
    return told | ({"baselines_left_out": [one.text for one in shown.left_out]} if shown.left_out else {})


def _accuracy(one: Score) -> dict[str, Any]:
    return {
        "target": one.target,
        "horizon": one.horizon,
        "forecasts": one.forecasts,
        "mean_quantile_loss": one.pinball,
        "pinball": one.losses,
        "coverage": one.coverage,
        "width": one.width,
        "mae": one.mae,
        "no_change_mae": one.no_change_mae,
        "rmse": one.rmse,
        "no_change_rmse": one.no_change_rmse,
        "mape": one.mape,
        "no_change_mape": one.no_change_mape,
        "value_at_risk": one.value_at_risk,
        "hit_rate": one.hit_rate,
        "base_rate": one.base_rate,
        "matthews": one.matthews,
        "rank_ic": one.rank_ic,
        "rank_ic_standard_error": one.rank_error,
        "rank_ic_days": one.rank_days,
        "rank_ic_days_skipped": one.rank_skipped,
    }


def _coverage(shown: Figures) -> dict[str, Any]:
    return {str(one.horizon): one.coverage for one in shown.scores if one.target == "close"}


def _coverage_by_fold(shown: Figures) -> list[dict[str, Any]]:
    return [
        {
            "fold": one.fold.fold.index,
            "horizon": one.score.horizon,
            "coverage": one.score.coverage,
            "width": one.score.width,
            "forecasts": one.score.forecasts,
        }
        for one in shown.folds
        if one.score.target == "close"
    ]


def _canary(one: CanaryResult) -> dict[str, Any]:
    return {
        "name": one.name,
        "passed": one.passed,
        "judged": one.judged,
        "text": one.text,
        "figures": _finite(one.figures),
    }


def _finite(value: Any) -> Any:
    """Return figures with None for what is not a finite number."""
    if isinstance(value, float | np.floating):
        return float(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {str(key): _finite(part) for key, part in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(part) for part in value]
    return value


def _left(book: Backtest, capital: float) -> dict[str, Any]:
    """Return the names left before an unexplained jump, and the result with the jumps booked."""
    return {
        "count": len(book.left),
        "names": [name for name, _, _ in book.left],
        "total_return_if_booked": float(book.net_jump[-1]) / capital - 1.0,
    }
