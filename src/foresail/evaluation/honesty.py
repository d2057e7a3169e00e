"""Honesty: what the content of ``honesty.json`` is, from the judged series and the trials ever made on its lineage.

1. Sharpe ratio of the difference to the comparator, with its moments.
2. Deflated by the number of trials: the hurdle is what the best of that many shows without skill.
3. How long a record would have to be, and what this one could have shown at all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import ArrayLike

from foresail.core.canonical import plain
from foresail.evaluation.registry import TrialCount
from foresail.measures.honesty import (
    MINIMUM_VARIANTS,
    deflated_sharpe_ratio,
    expected_best_sharpe,
    minimum_track_record,
    probabilistic_sharpe_ratio,
    sharpe_sample,
)
from foresail.measures.performance import adjusted_sharpe_ratio
from foresail.measures.power import smallest_detectable_sharpe

__all__ = ["Honesty", "collect"]

_TRUSTED_VARIANCE = 10  # Sharpe ratios on record from which their variance is an estimate and no accident


@dataclass(frozen=True, slots=True)
class Honesty:
    """How much of the result luck and selection explain. Sharpe ratios are annualised, of the judged difference.

    Attributes
    ----------
    years : observations over bars a year
    hurdle : annualised Sharpe ratio that the best of ``trials`` shows without skill; 0 for one trial
    trial_variance : of per-bar Sharpe ratios, as used for the hurdle
    probabilistic_sharpe : probability that the true Sharpe ratio is above 0
    deflated_sharpe : probability that it is above the hurdle
    minimum_track_record_years : None where no record length would do (Sharpe ratio at or below 0, or undefined)
    smallest_detectable_sharpe : annualised, one-sided 95 %, power 80 %
    probability_of_overfitting : None where it is not defined
    notes : plain sentences
    """

    trials: int
    trials_are_complete: bool
    observations: int
    bars_per_year: float
    years: float
    sharpe: float
    adjusted_sharpe: float
    skew: float
    kurtosis: float
    hurdle: float
    trial_variance: float
    probabilistic_sharpe: float
    deflated_sharpe: float
    minimum_track_record_years: float | None
    smallest_detectable_sharpe: float
    probability_of_overfitting: float | None
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the figures as plain JSON data; an undefined figure is None."""
        data: dict[str, Any] = plain(self)
        return data


def collect(
    difference: ArrayLike,
    *,
    bars_per_year: float,
    trials: TrialCount,
    probability_of_overfitting: float | None = None,
) -> Honesty:
    """Return the honesty figures of one judged series.

    Parameters
    ----------
    difference : (T,), net return per bar less that of the comparator, fraction
    bars_per_year : annualisation factor
    trials : of the lineage, the judged one included
    probability_of_overfitting : by CSCV over at least ten variants; None where not defined

    Raises
    ------
    DataError
        If a value is not finite or there are fewer than two.
    """
    sample = sharpe_sample(difference)
    variance, source = _trial_variance(trials, sample.observations)
    record = minimum_track_record(sample)
    annual = math.sqrt(bars_per_year)
    return Honesty(
        trials=trials.n,
        trials_are_complete=trials.is_complete,
        observations=sample.observations,
        bars_per_year=bars_per_year,
        years=sample.observations / bars_per_year,
        sharpe=sample.sharpe * annual,
        adjusted_sharpe=adjusted_sharpe_ratio(difference, bars_per_year=bars_per_year),
        skew=sample.skew,
        kurtosis=sample.kurtosis,
        hurdle=expected_best_sharpe(trials.n, variance=variance) * annual,
        trial_variance=variance,
        probabilistic_sharpe=probabilistic_sharpe_ratio(sample),
        deflated_sharpe=deflated_sharpe_ratio(sample, trials=trials.n, variance=variance),
        minimum_track_record_years=record / bars_per_year if math.isfinite(record) else None,
        smallest_detectable_sharpe=smallest_detectable_sharpe(sample.observations, bars_per_year=bars_per_year),
        probability_of_overfitting=probability_of_overfitting,
        notes=_notes(trials, source, probability_of_overfitting),
    )


def _trial_variance(trials: TrialCount, observations: int) -> tuple[float, str]:
    """Return the variance of per-bar Sharpe ratios across trials, and where it comes from.

    Notes
    -----
    Trials without skill differ by sampling error alone, whose variance is ``1 / (T - 1)``. A variance estimated from
    a few trials can come out near 0 by accident and would let luck pass, so below ten it may only raise the hurdle.
    """
    sampling = 1.0 / (observations - 1)
    measured = trials.variance_of_sharpes
    if measured is None:
        return sampling, "the sampling error of a Sharpe ratio without skill, since the trials' own are not on record"
    if len(trials.sharpes) >= _TRUSTED_VARIANCE:
        return measured, f"the {len(trials.sharpes)} Sharpe ratios on record"
    return max(measured, sampling), (
        f"the larger of sampling error and the {len(trials.sharpes)} Sharpe ratios on record (ten make an estimate)"
    )


def _notes(trials: TrialCount, source: str, overfitting: float | None) -> tuple[str, ...]:
    notes = list(trials.notes)
    if trials.n == 1:
        notes.append("with one trial the deflated Sharpe ratio is the probabilistic Sharpe ratio against 0")
    else:
        notes.append(f"the spread of the {trials.n} trials' Sharpe ratios is taken from {source}")
    if overfitting is None:
        notes.append(
            f"the probability of overfitting is not defined: it needs the returns of {MINIMUM_VARIANTS} variants"
        )
    return tuple(notes)
