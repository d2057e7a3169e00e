"""Who takes part in the volatility benchmark: the contract of an entrant, and every baseline of its table.

A new model takes part by one entry in ``ENTRANTS`` (or by handing an entrant to the benchmark): ``fit`` learns from
windows with labels, and what it returns turns windows without labels into quantiles.

- Plain means of the last 1, 5, 22 and 252 log variances; quantiles from the training errors of each horizon.
- HAR: least squares on such means, one equation a horizon, for all indices together or for each alone.
- HAR-X: longer means, falls and size of the last return, the mean over indices of the day before.
- Boosted trees on the inputs of HAR-X, one forest a horizon and level.
- Our Temporal Fusion Transformer on the inputs of HAR-X (``networks``), and its mean with HAR-X, called an ensemble.

References: [Corsi2009] in docs/REFERENCES.md.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import DataError, NonFiniteOutputError, UnknownNameError
from foresail.core.seeds import derive_seed
from foresail.evaluation.volatility_task.networks import NetworkEntrant
from foresail.evaluation.volatility_task.task import HORIZON, LEVELS, LabelledWindows, Windows
from foresail.forecasting.econometric.har import HarFit, fit_ols, leverage_terms

__all__ = [
    "ENTRANTS",
    "REFERENCE",
    "SPANS",
    "Blend",
    "Entrant",
    "Predictor",
    "checked_forecast",
    "chosen_entrants",
    "har_inputs",
]

Predictor = Callable[[Windows], FloatArray]
SPANS = (1, 5, 22, 66, 252)  # rows of the trailing means
_HAR, _HAR_X = slice(0, 3), slice(0, 9)
REFERENCE = "har_x"  # every entrant is compared with it
_TREES = 300


class Entrant(Protocol):
    """A forecaster that takes part."""

    @property
    def name(self) -> str:
        """Lower snake case; names its rows in every table."""
        ...

    @property
    def title(self) -> str:
        """What people read."""
        ...

    @property
    def learns_from_validation(self) -> bool:
        """Whether it is fitted anew, with the windows of 2016-17 to stop early by, before it forecasts the test."""
        ...

    def fit(self, train: LabelledWindows, validation: LabelledWindows | None, *, seed: int) -> Predictor:
        """Learn, and return the function from windows to (O, 5, 3) quantiles of the log variance.

        Parameters
        ----------
        train : windows before 2016
        validation : windows of 2016-17 to stop early by; None where those years are being forecast
        """
        ...


@dataclass(frozen=True, slots=True)
class Blend:
    """The mean of other entrants' forecasts, quantile by quantile: it learns nothing itself.

    Attributes
    ----------
    of : names of the entrants
    """

    name: str
    title: str
    of: tuple[str, ...]


def har_inputs(windows: Windows) -> FloatArray:
    """Return (O, 9): means of the last 1, 5, 22, 66, 252 log variances, min(r, 0), |r|, and two means over indices."""
    level = windows.past[:, :, 0]
    means = [level[:, -span:].mean(axis=1) for span in SPANS]
    terms = leverage_terms(windows.past[:, -1:, 1])
    return np.column_stack([*means, *(term[:, 0] for term in terms), windows.past[:, -1, 2], windows.past[:, -1, 3]])


def checked_forecast(name: str, quantiles: FloatArray, rows: int) -> FloatArray:
    """Return quantiles in ascending order, or refuse them.

    Raises
    ------
    DataError
        If the shape is not (rows, 5, 3).
    NonFiniteOutputError
        If a value is not finite.
    """
    shape = (rows, HORIZON, len(LEVELS))
    if quantiles.shape != shape:
        raise DataError(f"{name}: expected quantiles of shape {shape}, received {quantiles.shape}")
    if not np.isfinite(quantiles).all():
        raise NonFiniteOutputError(f"{name}: {int((~np.isfinite(quantiles)).sum())} quantiles are not finite")
    return np.sort(quantiles, axis=-1)


def _residual_quantiles(residuals: FloatArray) -> FloatArray:
    """Return (..., 3) quantiles over the first axis."""
    return np.moveaxis(np.quantile(residuals, LEVELS, axis=0), 0, -1)


@dataclass(frozen=True, slots=True)
class _Mean:
    """Repeats the mean of the last ``span`` rows at every horizon."""

    name: str
    title: str
    span: int
    learns_from_validation: bool = False

    def fit(self, train: LabelledWindows, validation: LabelledWindows | None, *, seed: int) -> Predictor:
        del validation, seed
        column = SPANS.index(self.span)
        errors = _residual_quantiles(train.labels - train.reduced(har_inputs)[:, column, None])

        def predict(windows: Windows) -> FloatArray:
            return har_inputs(windows)[:, column, None, None] + errors[None]

        return predict


@dataclass(frozen=True, slots=True)
class _Har:
    """Least squares on trailing means, one equation a horizon; ``alone``: one for each index."""

    name: str
    title: str
    inputs: slice
    alone: bool = False
    learns_from_validation: bool = False

    def fit(self, train: LabelledWindows, validation: LabelledWindows | None, *, seed: int) -> Predictor:
        del validation, seed
        design = train.reduced(har_inputs)[:, self.inputs]
        group = train.origins.index if self.alone else np.zeros(len(train.origins), dtype=np.int64)
        places = np.unique(group).tolist()
        fits = {place: _equations(design, train.labels, group == place) for place in places}

        def predict(windows: Windows) -> FloatArray:
            inputs = har_inputs(windows)[:, self.inputs]
            out = np.full((len(windows), HORIZON, len(LEVELS)), np.nan)
            own: IntArray = windows.index if self.alone else np.zeros(len(windows), dtype=np.int64)
            for place in np.unique(own).tolist():
                if place not in fits:
                    raise DataError(f"{self.name}: index {place} has no training window", hint="give its earlier years")
                rows = own == place
                for step, (equation, errors) in enumerate(fits[place]):
                    out[rows, step] = equation.predict(inputs[rows])[:, None] + errors
            return out

        return predict


def _equations(design: FloatArray, labels: FloatArray, rows: BoolArray) -> list[tuple[HarFit, FloatArray]]:
    """Return the equation of each horizon with the (3,) quantiles of its training errors."""
    found = []
    for step in range(HORIZON):
        equation = fit_ols(design[rows][None], labels[rows, step][None])
        found.append((equation, _residual_quantiles(equation.residuals)))
    return found


@dataclass(frozen=True, slots=True)
class _Trees:
    """One boosted quantile for each horizon and level."""

    name: str
    title: str
    trees: int = _TREES
    learns_from_validation: bool = False

    def fit(self, train: LabelledWindows, validation: LabelledWindows | None, *, seed: int) -> Predictor:
        from foresail.forecasting.trees.boosting import BoostingSettings, BoostingTask, Forest

        del validation
        inputs = train.reduced(har_inputs)[:, _HAR_X]
        none = np.empty(0)
        tasks = [
            BoostingTask(level, train.labels[:, step].copy(), none, derive_seed(seed, self.name, step, str(level)))
            for step in range(HORIZON)
            for level in LEVELS
        ]
        forest = Forest(inputs, np.empty((0, inputs.shape[1])), np.ones(len(inputs)))
        boosters = forest.fit(tasks, BoostingSettings(trees=self.trees))

        def predict(windows: Windows) -> FloatArray:
            x = har_inputs(windows)[:, _HAR_X]
            return np.stack([one.predict(x) for one in boosters], axis=1).reshape(len(x), HORIZON, len(LEVELS))

        return predict


ENTRANTS: dict[str, Entrant | Blend] = {
    one.name: one
    for one in (
        _Mean("last_value", "last value", 1),
        _Mean("mean_5", "5-day mean", 5),
        _Mean("mean_22", "22-day mean", 22),
        _Mean("mean_252", "252-day mean", 252),
        _Har("har", "HAR-log pooled", _HAR),
        _Har("har_per_index", "HAR-log per index", _HAR, alone=True),
        _Har(REFERENCE, "HAR-log-X", _HAR_X),
        _Trees("lightgbm", f"LightGBM quantile, {_TREES} trees"),
        NetworkEntrant("tft", "TFT, mean of 3 seeds"),
        Blend("tft_har_x", "ensemble of TFT and HAR-log-X", ("tft", REFERENCE)),
    )
}


def chosen_entrants(names: Sequence[str] | None = None) -> tuple[Entrant | Blend, ...]:
    """Return the entrants of some names, all by default; the reference, and what an ensemble is of, take part always.

    Raises
    ------
    UnknownNameError
        If there is no entrant of a name.
    """
    wanted = set(ENTRANTS) if names is None else {*names, REFERENCE}
    for name in sorted(wanted):
        if name not in ENTRANTS:
            raise UnknownNameError("entrant", name, ENTRANTS)
    for one in ENTRANTS.values():
        if isinstance(one, Blend) and one.name in wanted:
            wanted |= set(one.of)
    return tuple(one for name, one in ENTRANTS.items() if name in wanted)
