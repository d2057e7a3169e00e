"""Ridge: the regularised linear forecaster (MODEL-30) and yardstick of all others (BASE-03).

1. Features are standardised on the training rows, clipped at eight deviations; a missing value becomes the mean and
   sets a mark.
2. The strength is chosen by leaving out one block of training time at a time.
3. Quantiles are the centre plus the calibration rows' residuals, in units of ``scale * sqrt(h)``.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import NotFittedError
from foresail.domain.panel import Panel
from foresail.domain.training import FitReport, ForecasterSpec, TrainingSet
from foresail.forecasting.artefacts import array_of, model_version, read_model, write_model
from foresail.forecasting.curve import check_levels, finish
from foresail.forecasting.location import Location
from foresail.forecasting.rows import check_training, feature_rows, sample, scale_unit
from foresail.forecasting.shape import fit_multipliers, quantile_curves

__all__ = ["Ridge"]


class Ridge:
    """Ridge regression of standardised log returns with residual quantiles; see the module."""

    _KIND = "ridge"
    _METHOD = "ridge"

    def __init__(self, spec: ForecasterSpec) -> None:
        check_levels(spec.levels)
        self._spec = spec
        self._location: Location | None = None
        self._multipliers: FloatArray = np.empty(0)

    @property
    def spec(self) -> ForecasterSpec:
        """Inputs, targets, horizons, levels."""
        return self._spec

    def fit(self, data: TrainingSet, *, seed: int) -> FitReport:
        """Learn centre and residual shape; nothing here is random, so the seed is not used.

        Raises
        ------
        ModelError
            If there are fewer labelled training rows than the spec asks for (TRAIN-06).
        """
        check_training(data, self._spec)
        train = sample(data, self._spec, data.train_rows, data.weights)
        location, notes = Location.fit(train, self._spec, method=self._METHOD)
        held = sample(data, self._spec, data.calibration_rows)
        if len(held) == 0:
            held, notes = train, (*notes, "no calibration rows: quantiles from training residuals")
        centre = location.base(held.unit) + location.linear(held.x)
        one = np.ones_like(centre)
        self._multipliers = fit_multipliers(held.y, centre, one, one, self._spec.levels)
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
        if self._location is None:
            raise NotFittedError(
                f"{self._spec.name} was asked to predict before it was fitted", hint="call fit or load"
            )
        unit = scale_unit(scale, rows, self._spec.horizons)
        centre = self._location.base(unit[..., 0]) + self._location.linear(
            feature_rows(features, rows, self._spec.features)
        )
        one = np.ones_like(centre)
        curves = quantile_curves(centre, one, one, self._multipliers, self._spec.levels)
        return finish(curves * unit, self._spec.targets)

    def save(self, folder: Path) -> None:
        """Write ``model.json``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        write_model(folder, self._KIND, self._spec, self._content())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model that ``save`` wrote."""
        spec, content = read_model(folder, cls._KIND)
        model = cls(spec)
        model._location = Location.of(content["location"])
        model._multipliers = array_of(content["multipliers"])
        return model

    def _content(self) -> dict[str, Any]:
        if self._location is None:
            raise NotFittedError(f"{self._spec.name} was asked to save before it was fitted", hint="call fit first")
        return {"location": self._location.content(), "multipliers": self._multipliers}
