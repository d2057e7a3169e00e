"""Are the features fresh, whole and still like those of training (FEAT-18): one product for reports and dashboards.

Per group: how old its newest value is, what share is missing, and how far the newest rows have moved from the training
rows. The stability index decides; the distance of distribution functions stands beside it.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError
from foresail.domain.panel import Panel
from foresail.features.catalogue import spec_of_column
from foresail.measures.drift import feature_drift, kolmogorov_smirnov

__all__ = ["MOVED", "FeatureHealth", "GroupHealth", "feature_health"]

MOVED = 0.2  # stability index above which a feature counts as moved


@dataclass(frozen=True, slots=True)
class FeatureHealth:
    """One feature.

    Attributes
    ----------
    age_ns : since its newest value became available, ns; None where there is no value
    missing : share of the rows of existing bars without a value
    drift : population stability index against training; NaN where too little is known
    distance : largest distance of the two distribution functions; NaN as above
    """

    name: str
    group: str
    age_ns: int | None
    missing: float
    drift: float
    distance: float

    @property
    def moved(self) -> bool:
        """Whether the feature has left its training distribution."""
        return self.drift > MOVED


@dataclass(frozen=True, slots=True)
class GroupHealth:
    """One group of features.

    Attributes
    ----------
    age_ns : of its oldest feature, None where one has no value at all
    missing : mean share over its features
    drift : mean index over the features that have one, NaN where none has
    moved : features that have left their training distribution
    """

    group: str
    age_ns: int | None
    missing: float
    drift: float
    moved: tuple[str, ...]
    features: tuple[FeatureHealth, ...]

    def plain(self) -> dict[str, object]:
        """Return the group as plain data, None where a number is not known."""
        return {
            "group": self.group,
            "age_ns": self.age_ns,
            "missing": self.missing,
            "drift": None if math.isnan(self.drift) else self.drift,
            "moved": list(self.moved),
            "features": len(self.features),
        }


def feature_health(
    recent: Panel,
    *,
    at_ns: int,
    training: FloatArray | None = None,
    published: Mapping[str, int] | None = None,
) -> tuple[GroupHealth, ...]:
    """Return the state of each group of features at an instant, groups by name.

    Parameters
    ----------
    recent : (N, T, F) newest features; rows that were not available at the instant are left out
    at_ns : the instant, ns UTC
    training : (R, F) rows that the model was trained on, same columns; None = no drift is told
    published : feature -> when the series behind it was last published, ns UTC, for values that are carried forward

    Raises
    ------
    DataError
        If the training rows have other columns, or a series was published after the instant.
    """
    if training is not None and (training.ndim != 2 or training.shape[1] != len(recent.fields)):
        raise DataError(
            f"expected training rows of the {len(recent.fields)} features, received an array of {training.shape}",
            hint="give the rows that the model was fitted on, in the same order of columns",
        )
    known = recent.available_at <= at_ns
    values, present, told = recent.values[:, known], recent.present[:, known], recent.available_at[known]
    rows = values[present]
    drift = {} if training is None else feature_drift(recent.fields, training, rows)
    found = []
    for j, name in enumerate(recent.fields):
        seen = (np.isfinite(values[:, :, j]) & present).any(axis=0)
        newest = int(told[seen].max()) if seen.any() else None
        if newest is not None and published is not None and name in published:
            newest = published[name]
            if newest > at_ns:
                raise DataError(f"{name}: published at {newest}, after the instant {at_ns}", column=name)
        found.append(
            FeatureHealth(
                name,
                _group_of(name),
                None if newest is None else at_ns - newest,
                float(np.isnan(rows[:, j]).mean()) if len(rows) else 1.0,
                drift.get(name, float("nan")),
                float("nan") if training is None else kolmogorov_smirnov(training[:, j], rows[:, j]),
            )
        )
    return tuple(_group(name, [f for f in found if f.group == name]) for name in sorted({f.group for f in found}))


def _group_of(name: str) -> str:
    """Return the group of a feature, of its own frame or of another."""
    spec = spec_of_column(name)
    return "other" if spec is None else spec.group


def _group(name: str, features: Sequence[FeatureHealth]) -> GroupHealth:
    ages = [f.age_ns for f in features if f.age_ns is not None]
    indices = [f.drift for f in features if not math.isnan(f.drift)]
    return GroupHealth(
        name,
        max(ages) if len(ages) == len(features) else None,
        float(np.mean([f.missing for f in features])),
        float(np.mean(indices)) if indices else float("nan"),
        tuple(f.name for f in features if f.moved),
        tuple(features),
    )
