"""Settings of the network on the volatility task, chosen on the validation years 2016-17 and on nothing else.

Eleven trials change one setting each, or none; the twelfth makes all changes that gained, together. The trial with the
lowest mean q-risk of P10, P50 and P90 over every day of 2016-17 is chosen. A trial is one seed, learnt before 2016. So
figures of the chosen settings on those years are figures of the best of twelve; only the test years judge it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.evaluation.volatility_task.networks import NetworkEntrant, NetworkSettings
from foresail.evaluation.volatility_task.task import LEVELS, VolatilityTask
from foresail.measures.quantiles import coverage, q_risk

__all__ = ["CHANGES", "START", "Trial", "Tuned", "gained", "tune"]

START = NetworkSettings(
    context_length=22, centred=True, width=32, dropout=0.1, rate=2e-3, epochs=6, batch=256, stride=5
)
CHANGES: tuple[Mapping[str, Any], ...] = (
    {},
    {"centred": False},
    {"context_length": 10},
    {"context_length": 44},
    {"width": 16},
    {"width": 64},
    {"dropout": 0.3},
    {"rate": 1e-3},
    {"rate": 4e-3},
    {"epochs": 4},
    {"epochs": 12},
)


@dataclass(frozen=True, slots=True)
class Trial:
    """One setting and how it did on every day of 2016-17.

    Attributes
    ----------
    changes : against ``START``
    q_risk : Q
    score : mean of ``q_risk``
    """

    changes: Mapping[str, Any]
    q_risk: tuple[float, ...]
    score: float
    coverage: float


@dataclass(frozen=True, slots=True)
class Tuned:
    """What twelve trials found."""

    settings: NetworkSettings
    trials: tuple[Trial, ...]

    def document(self) -> dict[str, Any]:
        """Return what results.json says of it."""
        return {
            "objective": "mean q-risk of P10, P50, P90 over every day of 2016-17",
            "start": asdict(START),
            "trials": [asdict(one) for one in self.trials],
            "chosen": asdict(self.settings),
        }


def tune(
    task: VolatilityTask, entrant: NetworkEntrant, *, seed: int, progress: Callable[[str, int, int], None]
) -> Tuned:
    """Return the settings with the lowest score, the first among equals.

    Parameters
    ----------
    entrant : whose folder keeps the fits, so that a killed search goes on
    progress : told (stage, done, total)
    """
    total = len(CHANGES) + 1
    trials: list[Trial] = []
    for done, changes in enumerate(CHANGES):
        progress("tuning", done, total)
        trials.append(_tried(task, entrant, changes, seed))
    progress("tuning", total - 1, total)
    together = gained(trials)
    if together not in CHANGES:
        trials.append(_tried(task, entrant, together, seed))
    progress("tuning", total, total)
    best = min(trials, key=lambda one: one.score)
    return Tuned(replace(START, **best.changes), tuple(trials))


def gained(trials: list[Trial]) -> dict[str, Any]:
    """Return all changes that scored below the first trial; of two to one setting, the better.

    Parameters
    ----------
    trials : the first without changes
    """
    found: dict[str, Any] = {}
    for one in sorted(trials[1:], key=lambda one: -one.score):
        if one.score < trials[0].score:
            found |= one.changes
    return found


def _tried(task: VolatilityTask, entrant: NetworkEntrant, changes: Mapping[str, Any], seed: int) -> Trial:
    own = replace(entrant, settings=replace(START, **changes), seeds=1)
    predict = own.fit(task.learning("train"), None, seed=seed)
    origins = task.origins("validation")
    told: FloatArray = np.concatenate([predict(w) for w in task.windows(origins)])
    labels = task.labels(origins)
    risks = tuple(q_risk(labels, told[..., q], level=v) for q, v in enumerate(LEVELS))
    return Trial(dict(changes), risks, float(np.mean(risks)), coverage(labels, told[..., 0], told[..., -1]))
