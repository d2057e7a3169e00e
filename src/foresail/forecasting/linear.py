"""Ridge: the regularised linear forecaster (MODEL-30) and yardstick of all others (BASE-03).

1. Features are standardised on the training rows, clipped at eight deviations; a missing value becomes the mean and
   sets a mark.
2. The strength is chosen by leaving out one block of training time at a time.
3. Quantiles are the centre plus the calibration rows' residuals, in units of ``scale * sqrt(h)``.
"""

from __future__ import annotations

from foresail.core.arrays import FloatArray, IntArray
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
