"""One contest on the volatility task: forecasts first, without labels; then, once they are written, the table.

``forecast`` returns columns that a caller writes and hashes; ``window_tables`` joins the labels. Nothing that an
entrant is given in between depends on a label of the windows that it forecasts.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.canonical import hash_bytes, plain
from foresail.core.errors import IntegrityError
from foresail.evaluation.volatility_task.entrants import Blend, Entrant, Predictor, checked_forecast
from foresail.evaluation.volatility_task.networks import SeededPredictor
from foresail.evaluation.volatility_task.scoring import EntrantScore, score_entrants, seed_scores
from foresail.evaluation.volatility_task.series import indices
from foresail.evaluation.volatility_task.task import HORIZON, LEVELS, Origins, VolatilityTask

__all__ = [
    "KNOWN_CONTENT",
    "KNOWN_COUNTS",
    "Contest",
    "SplitForecasts",
    "check_counts",
    "labels_hash",
    "window_counts",
    "window_tables",
]

KNOWN_CONTENT = "aa1a99328f66aa40492162e4848ec94430f61e79cce7d7b41d45d3e0fbba6538"  # rows of the known file, to 2017
KNOWN_COUNTS = {  # windows of the reference data; "whole" borrows context from earlier splits
    "train": 101_899,
    "validation": 7_634,
    "validation_whole": 15_415,
    "test": 3_559,
    "test_whole": 11_340,
}
_TITLES = {
    "validation": "validation 2016-17, reference windows",
    "validation_whole": "validation 2016-17, every day",
    "test": "reference test window",
    "test_whole": "full test 2018-01 to 2019-06",
}


@dataclass(frozen=True, slots=True, eq=False)
class SplitForecasts:
    """Forecasts of all entrants on one split, made without its labels.

    Attributes
    ----------
    quantiles : entrant -> (O, 5, 3) log variance
    members : entrant -> seed -> (O, 5, 3), of entrants that are the mean of several seeds
    """

    split: str
    origins: Origins
    quantiles: dict[str, FloatArray]
    members: dict[str, dict[str, FloatArray]] = field(default_factory=dict)

    def columns(self) -> dict[str, Any]:
        """Return the table to be written: one row an entrant, origin and horizon, in that order."""
        seeds = {f"{one}, {seed}": table for one, each in self.members.items() for seed, table in each.items()}
        forecasts, count = {**self.quantiles, **seeds}, len(self.origins)
        names = list(forecasts)
        symbols = np.array([one.symbol for one in indices()])[self.origins.index]
        days = self.origins.day.astype("datetime64[D]")
        table = np.concatenate([forecasts[name].reshape(-1, len(LEVELS)) for name in names])
        return {
            "entrant": np.repeat(names, count * HORIZON),
            "index": np.tile(np.repeat(symbols, HORIZON), len(names)),
            "origin": np.tile(np.repeat(days, HORIZON), len(names)),
            "horizon": np.tile(np.arange(1, HORIZON + 1, dtype=np.int64), len(names) * count),
            **{f"q{round(100 * level)}": table[:, i] for i, level in enumerate(LEVELS)},
        }


class Contest:
    """Entrants that learn once and forecast splits.

    Parameters
    ----------
    task : the series
    entrants : who takes part
    seed : of everything random
    progress : told (stage, done, total)
    """

    def __init__(
        self,
        task: VolatilityTask,
        entrants: Sequence[Entrant | Blend],
        *,
        seed: int,
        progress: Callable[[str, int, int], None],
    ) -> None:
        self._task, self._entrants, self._seed, self._progress = task, tuple(entrants), seed, progress
        self._train = task.learning("train")
        self._fitted: dict[tuple[str, bool], Predictor] = {}

    def forecast(self, split: str) -> SplitForecasts:
        """Return the forecasts of all entrants at every origin of a split; its labels are not read."""
        origins = self._task.origins(split)
        found: dict[str, FloatArray] = {}
        members: dict[str, dict[str, FloatArray]] = {}
        stage = f"forecasting {split}"
        for done, one in enumerate(self._entrants):
            self._progress(stage, done, len(self._entrants))
            if isinstance(one, Blend):
                found[one.name] = np.mean([found[name] for name in one.of], axis=0)
                continue
            predict = self._predictor(one, with_validation=split == "test" and one.learns_from_validation)
            if isinstance(predict, SeededPredictor):
                each = {seed: self._forecast(one.name, own, origins) for seed, own in predict.members.items()}
                members[one.name], found[one.name] = each, np.mean(list(each.values()), axis=0)
            else:
                found[one.name] = self._forecast(one.name, predict, origins)
        self._progress(stage, len(self._entrants), len(self._entrants))
        return SplitForecasts(split, origins, found, members)

    def _forecast(self, name: str, predict: Predictor, origins: Origins) -> FloatArray:
        return np.concatenate([checked_forecast(name, predict(w), len(w)) for w in self._task.windows(origins)])

    def _predictor(self, entrant: Entrant, *, with_validation: bool) -> Predictor:
        key = (entrant.name, with_validation)
        if key not in self._fitted:
            validation = self._task.learning("validation") if with_validation else None
            self._fitted[key] = entrant.fit(self._train, validation, seed=self._seed)
        return self._fitted[key]


def window_counts(task: VolatilityTask) -> dict[str, int]:
    """Return the number of windows by split, in the reference's form and with context from earlier splits."""
    counts = {"train": len(task.origins("train", inside=True))}
    for split in ("validation", "test"):
        counts[split] = len(task.origins(split, inside=True))
        counts[f"{split}_whole"] = len(task.origins(split))
    return counts


def check_counts(task: VolatilityTask) -> tuple[str, ...]:
    """Return sentences on windows that are not the reference's.

    Raises
    ------
    IntegrityError
        If the known data to the end of 2017 give another number of windows: then the task itself is wrong.
    """
    counts = window_counts(task)
    known_data = task.series.content_hash == KNOWN_CONTENT
    differ = [name for name in counts if counts[name] != KNOWN_COUNTS[name]]
    wrong = [name for name in differ if not name.startswith("test")]
    if known_data and wrong:
        name = wrong[0]
        raise IntegrityError(
            f"{name}: expected {KNOWN_COUNTS[name]:,} windows of the known data, counted {counts[name]:,}",
            hint="the windows are not those of the reference; please report this",
        )
    told = [] if known_data else ["the rows to the end of 2017 are not those of the known file"]
    told += [
        f"{_TITLES.get(name, name)}: {counts[name]:,} windows, the reference has {KNOWN_COUNTS[name]:,}: figures do "
        "not compare with it"
        for name in differ
        if counts[name] or not name.startswith("test")
    ]
    return tuple(told)


def labels_hash(task: VolatilityTask, split: str) -> str:
    """Return the SHA-256 of the outcomes of a split, by index, day and horizon."""
    origins = task.origins(split)
    return hash_bytes(b"".join(part.tobytes() for part in (origins.index, origins.day, task.labels(origins))))


def window_tables(task: VolatilityTask, forecasts: SplitForecasts, *, seed: int) -> dict[str, Any]:
    """Join the labels and return the tables of both windows of a split, the reference's and the whole one.

    Parameters
    ----------
    forecasts : written already
    """
    labels, origins = task.labels(forecasts.origins), forecasts.origins
    found: dict[str, Any] = {}
    for name, rows in ((forecasts.split, origins.inside), (f"{forecasts.split}_whole", origins.inside | True)):
        if not rows.any():
            continue
        quantiles = {one: values[rows] for one, values in forecasts.quantiles.items()}
        scores = score_entrants(quantiles, labels[rows], origins.day[rows], seed=seed)
        days = origins.day[rows]
        found[name] = {
            "title": _TITLES[name],
            "windows": int(rows.sum()),
            "reference_windows": KNOWN_COUNTS[name],
            "days": len(np.unique(days)),
            "first": str(days.min().astype("datetime64[D]")),
            "last": str(days.max().astype("datetime64[D]")),
            "rows": [_row(score) for score in scores],
            "seeds": {one: seed_scores(each, labels, rows) for one, each in forecasts.members.items()},
        }
    document: dict[str, Any] = plain(found)
    return document


def _row(score: EntrantScore) -> dict[str, Any]:
    row: dict[str, Any] = {
        "entrant": score.name,
        "coverage": score.coverage,
        "in_confidence_set": score.in_confidence_set,
    }
    for place, level in enumerate(LEVELS):
        key = f"p{round(100 * level)}"
        row |= {
            key: score.q_risk[place],
            f"{key}_low": score.interval[place].low,
            f"{key}_high": score.interval[place].high,
            f"{key}_by_horizon": score.q_risk_by_horizon[place],
            f"{key}_p_value": score.p_values[place],
            f"{key}_gain": score.gain[place],
        }
    return row
