"""Is a model still what it was when it was accepted? Rolling coverage, loss and drift, with the rulings of RETR-02.

Retraining is asked for when a critical feature has moved, when the recent loss is a quarter above that of validation,
when intervals cover too little or too much, or when a regime alarm is handed in. Every figure uses outcomes that are
known, so it can be computed live as forecasts resolve.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError

__all__ = ["MonitoringReport", "MonitoringRules", "Resolved", "RetrainRuling", "monitor_forecasts"]


@dataclass(frozen=True, slots=True)
class MonitoringRules:
    """Limits of RETR-02.

    Attributes
    ----------
    stability : population stability index of a critical feature above which it has moved
    loss_ratio : recent over validation loss
    coverage : lowest and highest share of outcomes between P10 and P90
    recent : forecasts that a rolling figure looks back on
    """

    stability: float = 0.2
    loss_ratio: float = 1.25
    coverage: tuple[float, float] = (0.70, 0.90)
    recent: int = 100


@dataclass(frozen=True, slots=True, eq=False)
class Resolved:
    """Forecasts whose outcome is known, oldest first.

    Attributes
    ----------
    known_at : (n,) int64 ns UTC, when the outcome was known
    low, high : (n,) P10 and P90
    outcome : (n,)
    loss : (n,) quantile loss of each, unit as the validation loss
    """

    known_at: IntArray
    low: FloatArray
    high: FloatArray
    outcome: FloatArray
    loss: FloatArray

    def __post_init__(self) -> None:
        if np.any(np.diff(self.known_at) < 0):
            raise DataError("resolved forecasts must be sorted by the time at which their outcome was known")


@dataclass(frozen=True, slots=True)
class RetrainRuling:
    """One reason to retrain.

    Attributes
    ----------
    cause : "feature", "loss", "coverage" or "regime"
    value, limit : what was found, and what is allowed
    text : one sentence
    """

    cause: str
    value: float
    limit: float
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class MonitoringReport:
    """Rolling figures after each resolved forecast, NaN before the first ``recent`` of them, and what follows.

    Attributes
    ----------
    known_at : (n,) int64
    coverage : (n,) share inside P10 to P90
    width : (n,) mean width
    loss_ratio : (n,) mean loss over that of validation
    stability : feature -> population stability index
    rulings : reasons to retrain now; none = the model may stay
    """

    known_at: IntArray
    coverage: FloatArray
    width: FloatArray
    loss_ratio: FloatArray
    stability: Mapping[str, float] = field(default_factory=dict)
    rulings: tuple[RetrainRuling, ...] = ()

    @property
    def retrain(self) -> bool:
        """Whether any rule asks for a new model."""
        return bool(self.rulings)


def monitor_forecasts(
    resolved: Resolved,
    validation_loss: float,
    *,
    stability: Mapping[str, float] | None = None,
    regime_alarm: str = "",
    rules: MonitoringRules | None = None,
) -> MonitoringReport:
    """Return rolling figures and the rulings on the newest of them.

    Parameters
    ----------
    validation_loss : mean loss of the model on its validation rows, > 0
    stability : index of each critical feature, see ``measures.drift.feature_drift``
    regime_alarm : what a regime model says; empty = nothing

    Raises
    ------
    DataError
        If the validation loss is not above 0.
    """
    limits = MonitoringRules() if rules is None else rules
    if not validation_loss > 0:
        raise DataError(f"expected a validation loss above 0, received {validation_loss}")
    inside = ((resolved.outcome >= resolved.low) & (resolved.outcome <= resolved.high)).astype(np.float64)
    inside[np.isnan(resolved.outcome) | np.isnan(resolved.low) | np.isnan(resolved.high)] = np.nan
    report = MonitoringReport(
        resolved.known_at,
        _rolling_mean(inside, limits.recent),
        _rolling_mean(resolved.high - resolved.low, limits.recent),
        _rolling_mean(resolved.loss, limits.recent) / validation_loss,
        dict(stability or {}),
    )
    rulings = (*_on_features(report, limits), *_on_forecasts(report, limits), *_on_regime(regime_alarm))
    return MonitoringReport(
        report.known_at, report.coverage, report.width, report.loss_ratio, report.stability, rulings
    )


def _on_features(report: MonitoringReport, limits: MonitoringRules) -> tuple[RetrainRuling, ...]:
    return tuple(
        RetrainRuling(
            "feature",
            value,
            limits.stability,
            f"{name} has moved since training: stability index {value:.2f}, limit {limits.stability:.2f}",
        )
        for name, value in sorted(report.stability.items())
        if value > limits.stability
    )


def _on_forecasts(report: MonitoringReport, limits: MonitoringRules) -> tuple[RetrainRuling, ...]:
    if len(report.coverage) == 0:
        return ()
    found = []
    ratio, cover = float(report.loss_ratio[-1]), float(report.coverage[-1])
    if ratio > limits.loss_ratio:
        told = f"the last {limits.recent} forecasts lose {ratio:.2f} times what validation lost"
        found.append(RetrainRuling("loss", ratio, limits.loss_ratio, f"{told}, limit {limits.loss_ratio:.2f}"))
    low, high = limits.coverage
    if cover < low or cover > high:
        told = f"P10 to P90 held {cover:.0%} of the last {limits.recent} outcomes, expected {low:.0%} to {high:.0%}"
        found.append(RetrainRuling("coverage", cover, low if cover < low else high, told))
    return tuple(found)


def _on_regime(alarm: str) -> tuple[RetrainRuling, ...]:
    return (RetrainRuling("regime", 1.0, 0.0, f"regime alarm: {alarm}"),) if alarm else ()


def _rolling_mean(values: FloatArray, window: int) -> FloatArray:
    """Return the mean of the last ``window`` numbers up to each row, NaN until there are so many."""
    known = np.isfinite(values)
    numbers = np.concatenate([[0.0], values[known]])
    total = np.cumsum(numbers)
    count = np.cumsum(known)
    out = np.full(len(values), np.nan)
    full = count >= window
    out[full] = (total[count[full]] - total[count[full] - window]) / window
    return out
