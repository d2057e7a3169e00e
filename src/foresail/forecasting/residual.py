"""What all forecasters share that give a centre and a spread and take their quantiles from calibration residuals.

A subclass says how the centre and the spread of rows come about; the rest (refusing, calibrating, rounding, saving) is
here. Quantiles are residuals of the calibration rows in units of ``scale * sqrt(h)`` times the spread.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import NotFittedError
from foresail.domain.panel import Panel
from foresail.domain.training import FitReport, ForecasterSpec, TrainingSet
from foresail.forecasting.artefacts import array_of, model_version, read_model, write_model
from foresail.forecasting.curve import check_levels, finish
from foresail.forecasting.location import Location
from foresail.forecasting.rows import Sample, check_training, labelled_rows, sample, scale_unit
from foresail.forecasting.shape import fit_multipliers, quantile_curves

__all__ = ["ResidualForecaster"]


class ResidualForecaster(ABC):
    """Centre, spread and residual quantiles; see the module."""

    kind: ClassVar[str]
    method: ClassVar[str] = "none"  # of the linear part, see ``Location.fit``

    def __init__(self, spec: ForecasterSpec) -> None:
        check_levels(spec.levels)
        self._spec = spec
        self._location: Location | None = None
        self._multipliers: FloatArray = np.empty(0)

    @property
    def spec(self) -> ForecasterSpec:
        """Inputs, targets, horizons, levels."""
        return self._spec

    @abstractmethod
    def centre(self, location: Location, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H) standardised centres; ``unit`` is (R, 1, H)."""

    def spread(self, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H) standardised spreads; the plain ``scale`` unless a subclass knows better."""
        del features, rows
        return np.ones((len(unit), len(self._spec.targets), unit.shape[2]))

    def learn(self, data: TrainingSet, train: Sample, rows: IntArray, seed: int) -> tuple[str, ...]:
        """Fit what a subclass adds, on the training sample at ``rows``; return notes."""
        del data, train, rows, seed
        return ()

    def multipliers(self, features: Panel, rows: IntArray) -> FloatArray:
        """Return (K, H, Q) multipliers of the spread, or (R, K, H, Q) where a subclass knows them row by row."""
        del features, rows
        return self._multipliers

    def settle(self, multipliers: FloatArray) -> FloatArray:
        """Return the multipliers that are used; a subclass may demand a property of them."""
        return multipliers

    def extra(self) -> dict[str, Any]:
        """Return what ``learn`` found, as JSON."""
        return {}

    def restore(self, extra: dict[str, Any]) -> None:
        """Take back what ``extra`` gave."""
        del extra

    def fit(self, data: TrainingSet, *, seed: int) -> FitReport:
        """Learn centre, spread and residual shape.

        Raises
        ------
        ModelError
            If there are fewer labelled training rows than the spec asks for (TRAIN-06).
        """
        check_training(data, self._spec)
        train = sample(data, self._spec, data.train_rows, data.weights)
        location, notes = Location.fit(train, self._spec, method=self.method)
        notes += self.learn(data, train, labelled_rows(data, data.train_rows), seed)
        where = labelled_rows(data, data.calibration_rows)
        if len(where) == 0:
            where = labelled_rows(data, data.train_rows)
            notes += ("no calibration rows: quantiles from training residuals",)
        held = sample(data, self._spec, where)
        centre = self.centre(location, data.features, where, held.unit)
        spread = self.spread(data.features, where, held.unit)
        self._multipliers = self.settle(fit_multipliers(held.y, centre, spread, spread, self._spec.levels))
        self._location = location
        shares = location.importance(self._spec.features)
        order = np.lexsort((np.arange(len(shares)), -shares))
        return FitReport(
            model=model_version(self._spec, self._content()),
            train_rows=len(train),
            validation_rows=len(data.validation_rows),
            calibration_rows=len(data.calibration_rows),
            importance=tuple((self._spec.features[j], float(shares[j])) for j in order if shares[j] > 0),
            notes=notes,
        )

    def predict(self, features: Panel, rows: IntArray, scale: FloatArray) -> FloatArray:
        """Return (R, K, H, Q) log-return quantiles; NaN where the scale is missing.

        Raises
        ------
        NotFittedError
            Before ``fit`` or ``load``.
        """
        location = self.fitted_location("predict")
        unit = scale_unit(scale, rows, self._spec.horizons)
        centre = self.centre(location, features, rows, unit[..., 0])
        spread = self.spread(features, rows, unit[..., 0])
        curves = quantile_curves(centre, spread, spread, self.multipliers(features, rows), self._spec.levels)
        return finish(curves * unit, self._spec.targets)

    def fitted_location(self, wanted: str) -> Location:
        """Return the fitted centre.

        Raises
        ------
        NotFittedError
            Before ``fit`` or ``load``; ``wanted`` says what was asked for.
        """
        if self._location is None:
            raise NotFittedError(f"{self._spec.name} was asked to {wanted} before it was fitted", hint="fit or load it")
        return self._location

    def save(self, folder: Path) -> None:
        """Write ``model.json``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        write_model(folder, self.kind, self._spec, self._content())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model that ``save`` wrote."""
        spec, content = read_model(folder, cls.kind)
        model = cls(spec)
        model._location = Location.of(content["location"])
        model._multipliers = array_of(content["multipliers"])
        model.restore(content["extra"])
        return model

    def _content(self) -> dict[str, Any]:
        if self._location is None:
            raise NotFittedError(f"{self._spec.name} was asked to save before it was fitted", hint="fit it first")
        return {"location": self._location.content(), "multipliers": self._multipliers, "extra": self.extra()}
