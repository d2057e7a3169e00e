"""Ridge: the regularised linear forecaster (MODEL-30) and yardstick of all others (BASE-03).

1. Features are standardised on the training rows, clipped at eight deviations; a missing value becomes the mean and
   sets a mark.
2. The strength is chosen by leaving out one block of training time at a time.
3. Quantiles are the centre plus the calibration rows' residuals, in units of ``scale * sqrt(h)``.
"""

from __future__ import annotations

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ModelError
from foresail.domain.panel import Panel
from foresail.forecasting.location import Location
from foresail.forecasting.residual import ResidualForecaster
from foresail.forecasting.rows import feature_rows

__all__ = ["Ridge"]


class Ridge(ResidualForecaster):
    """Ridge regression of standardised log returns with residual quantiles; see the module."""

    kind = "ridge"
    method = "ridge"

    def centre(self, location: Location, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H): drift and linear part."""
        return location.base(unit) + location.linear(feature_rows(features, rows, self._spec.features))

    def explain(self, features: Panel, rows: IntArray, horizon: int) -> FloatArray:
        """Return (R, F), what each feature adds to the expected log return of the close, in standardised units.

        The linear parts themselves: coefficient times distance from the mean, what a missing-value mark adds counted
        for its feature. With the drift, which is no feature's, they are the centre of the forecast exactly.

        Parameters
        ----------
        horizon : bars, one of the spec's

        Raises
        ------
        NotFittedError
            Before ``fit`` or ``load``.
        ModelError
            If the horizon or the close is not forecast.
        """
        location = self.fitted_location("explain")
        if horizon not in self._spec.horizons or "close" not in self._spec.targets:
            raise ModelError(
                f"{self._spec.name} forecasts {self._spec.targets} at {self._spec.horizons}, not {horizon}"
            )
        at = (self._spec.targets.index("close"), self._spec.horizons.index(horizon))
        return location.parts(feature_rows(features, rows, self._spec.features), at)
