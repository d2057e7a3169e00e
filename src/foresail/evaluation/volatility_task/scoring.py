"""Scores of the volatility benchmark: q-risk with intervals, coverage, paired tests and the confidence set.

1. q-risk is pooled over windows and horizons; beside it the reference's form, an average of the five horizons' own.
2. Intervals resample blocks of 10 days of origins, all windows of a day together, the same days for every entrant.
3. Diebold-Mariano compares losses averaged over the indices of a day, with the overlap of five days; windows of one
   day are never counted as independent.
4. The confidence set keeps the entrants that may be the best, on the mean of the three quantile losses.

References: [Lim2021], [DieboldMariano1995], [HansenLundeNason2011] in docs/REFERENCES.md.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.seeds import derive_seed, generator
from foresail.domain.runs import Interval
from foresail.evaluation.volatility_task.entrants import REFERENCE
from foresail.evaluation.volatility_task.task import HORIZON, LEVELS
from foresail.measures.bootstrap import BootstrapSettings
from foresail.measures.comparisons import diebold_mariano
from foresail.measures.confidence_set import model_confidence_set
from foresail.measures.quantiles import coverage, q_risk, q_risk_by_horizon
from foresail.measures.resampling import circular_block_sums

__all__ = ["BLOCK_DAYS", "EntrantScore", "daily_losses", "score_entrants", "seed_scores"]

BLOCK_DAYS = 10
_DRAWS = 2000
_CONFIDENCE = 0.9
_LEAST_DAYS = 4 * BLOCK_DAYS  # fewer days of origins: neither intervals nor tests say anything


@dataclass(frozen=True, slots=True)
class EntrantScore:
    """How one entrant did on one window.

    Attributes
    ----------
    q_risk : Q, pooled, of P10, P50, P90
    interval : Q, 95 % block-bootstrap interval of each; NaN on a window of fewer than 40 days
    q_risk_by_horizon : Q, the reference's form: the average of five ratios, one a horizon
    coverage : share of outcomes from P10 to P90; 0.8 is right
    p_values : Q, two-sided Diebold-Mariano against the reference entrant; NaN for itself
    gain : Q, one less the ratio of mean daily loss to that of the reference entrant; above 0 is better
    in_confidence_set : whether it may be the best of the table at 90 %; None where that is not defined
    """

    name: str
    q_risk: tuple[float, ...]
    interval: tuple[Interval, ...]
    q_risk_by_horizon: tuple[float, ...]
    coverage: float
    p_values: tuple[float, ...]
    gain: tuple[float, ...]
    in_confidence_set: bool | None


def _pinball(forecast: FloatArray, labels: FloatArray) -> FloatArray:
    """Return (O, H, Q) quantile losses."""
    level = np.asarray(LEVELS)
    error = labels[..., None] - forecast
    return np.maximum(level * error, (level - 1.0) * error)


def daily_losses(forecast: FloatArray, labels: FloatArray, day: IntArray) -> FloatArray:
    """Return (D, Q) losses averaged over the indices and horizons of each day of origins.

    Parameters
    ----------
    forecast : (O, 5, 3)
    labels : (O, 5)
    day : (O,)
    """
    _, place = np.unique(day, return_inverse=True)
    loss = _pinball(forecast, labels).mean(axis=1)
    return _by_day(loss, place) / np.bincount(place)[:, None]


def _by_day(values: FloatArray, place: IntArray) -> FloatArray:
    return np.stack([np.bincount(place, weights=column) for column in values.T], axis=1)


def score_entrants(
    forecasts: Mapping[str, FloatArray], labels: FloatArray, day: IntArray, *, seed: int
) -> tuple[EntrantScore, ...]:
    """Return the scores of all entrants on the same windows.

    Parameters
    ----------
    forecasts : entrant -> (O, 5, 3) quantiles of the log variance, the reference entrant among them
    labels : (O, 5) log variance
    day : (O,) day of each origin
    """
    names = list(forecasts)
    losses = {name: daily_losses(forecasts[name], labels, day) for name in names}
    enough = len(losses[REFERENCE]) >= _LEAST_DAYS
    intervals = _intervals(forecasts, labels, day, seed) if enough else {}
    kept = _confidence_set(losses, seed) if enough and len(names) > 1 else None
    found = []
    for name in names:
        pairs = [_paired(losses[name][:, q], losses[REFERENCE][:, q], tested=enough) for q in range(len(LEVELS))]
        forecast = forecasts[name]
        found.append(
            EntrantScore(
                name=name,
                q_risk=tuple(q_risk(labels, forecast[..., q], level=v) for q, v in enumerate(LEVELS)),
                interval=intervals.get(name, (Interval(*[float("nan")] * 3),) * len(LEVELS)),
                q_risk_by_horizon=tuple(
                    float(q_risk_by_horizon(labels, forecast[..., q], level=v).mean()) for q, v in enumerate(LEVELS)
                ),
                coverage=coverage(labels, forecast[..., 0], forecast[..., -1]),
                p_values=tuple(p for p, _ in pairs),
                gain=tuple(g for _, g in pairs),
                in_confidence_set=None if kept is None else name in kept,
            )
        )
    return tuple(found)


def seed_scores(members: Mapping[str, FloatArray], labels: FloatArray, rows: BoolArray) -> list[dict[str, float | str]]:
    """Return the figures of every seed of an entrant on some windows.

    Parameters
    ----------
    members : seed -> (O, 5, 3)
    labels : (O, 5)
    rows : (O,)
    """
    found = []
    for seed, forecast in members.items():
        told, actual = forecast[rows], labels[rows]
        row: dict[str, float | str] = {"seed": seed, "coverage": coverage(actual, told[..., 0], told[..., -1])}
        row |= {f"p{round(100 * v)}": q_risk(actual, told[..., q], level=v) for q, v in enumerate(LEVELS)}
        found.append(row)
    return found


def _paired(own: FloatArray, reference: FloatArray, *, tested: bool) -> tuple[float, float]:
    """Return the p-value and the share of the reference's loss that is saved."""
    gain = 1.0 - float(own.mean()) / float(reference.mean())
    return (diebold_mariano(own, reference, horizon=HORIZON).p_value if tested else float("nan")), gain


def _intervals(
    forecasts: Mapping[str, FloatArray], labels: FloatArray, day: IntArray, seed: int
) -> dict[str, tuple[Interval, ...]]:
    """Return percentile intervals of the pooled q-risk: numerator and denominator are drawn on the same days."""
    _, place = np.unique(day, return_inverse=True)
    scale = np.abs(labels).sum(axis=1)[:, None]
    columns = [2.0 * _pinball(forecasts[name], labels).sum(axis=1) for name in forecasts]
    table = _by_day(np.concatenate([*columns, scale], axis=1), place)
    random = generator(seed, "volatility-intervals")
    drawn = circular_block_sums(table, block=BLOCK_DAYS, draws=_DRAWS, random=random)
    total = table.sum(axis=0)
    low, high = np.quantile(drawn[:, :-1] / drawn[:, -1:], [0.025, 0.975], axis=0)
    centre = total[:-1] / total[-1]
    q = len(LEVELS)
    return {
        name: tuple(Interval(float(centre[i]), float(low[i]), float(high[i])) for i in range(k * q, (k + 1) * q))
        for k, name in enumerate(forecasts)
    }


def _confidence_set(losses: Mapping[str, FloatArray], seed: int) -> frozenset[str]:
    """Return the entrants that are not rejected as worse than the best."""
    table = np.stack([one.mean(axis=1) for one in losses.values()], axis=1)
    settings = BootstrapSettings(
        draws=_DRAWS, block_length=BLOCK_DAYS, seed=derive_seed(seed, "volatility-confidence-set")
    )
    found = model_confidence_set(table, size=1.0 - _CONFIDENCE, settings=settings)
    return frozenset(name for name, kept in zip(losses, found.included.tolist(), strict=True) if kept)
