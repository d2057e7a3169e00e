"""Variance models as forecasters of returns: no drift, the spread of the model, quantiles of either source.

The spread of a row and horizon is the root of the expected variance of the next ``h`` bars. Quantiles are residuals of
the calibration rows in units of that spread (filtered historical simulation), or, for the close only, those of the
distribution that was fitted with the model. Parameters belong to each instrument and use returns up to the last
training row; an instrument with too short a history is left to exponential smoothing, which the report says.

The variance of a bar is Garman-Klass plus the squared overnight return where the features ``overnight_gap`` and
``intraday_range`` are given, otherwise the squared return.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any, ClassVar

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import CapabilityError, UnknownNameError
from foresail.domain.panel import Panel
from foresail.domain.training import ForecasterSpec, TrainingSet
from foresail.forecasting.econometric.combination import VarianceCombination
from foresail.forecasting.econometric.distributions import Distribution, distribution_code
from foresail.forecasting.econometric.garch import GarchSettings
from foresail.forecasting.econometric.har import HAR_LAGS, trailing_mean
from foresail.forecasting.econometric.proxies import floored, garman_klass, with_overnight
from foresail.forecasting.econometric.variance import Ewma, Garch, Har, HarSettings, History, VarianceModel
from foresail.forecasting.location import Location
from foresail.forecasting.residual import ResidualForecaster
from foresail.forecasting.rows import Sample

__all__ = [
    "CombinationForecaster",
    "EwmaForecaster",
    "GarchForecaster",
    "GarchNormalForecaster",
    "GjrForecaster",
    "HarForecaster",
    "HarXForecaster",
    "LogHarForecaster",
    "VarianceForecaster",
    "VarianceOptions",
    "features_history",
]

_RETURN, _GAP, _RANGE = "log_return_1", "overnight_gap", "intraday_range"
_LEAST_RATIO, _MOST_RATIO = 0.05, 20.0  # bounds of predicted variance over the scale's
_QUANTILES = ("model", "residual")


@dataclass(frozen=True, slots=True)
class VarianceOptions:
    """How a variance forecaster is made.

    Attributes
    ----------
    distribution : normal, t or skew_t: what GARCH and GJR are fitted with
    quantiles : "model" takes the quantiles of the close from that distribution, "residual" from calibration rows
    """

    distribution: str = "normal"
    quantiles: str = "residual"

    def __post_init__(self) -> None:
        """Refuse unknown names."""
        distribution_code(self.distribution)
        if self.quantiles not in _QUANTILES:
            raise UnknownNameError("source of quantiles", self.quantiles, _QUANTILES)


def features_history(features: Panel, end: int | None = None) -> History:
    """Return returns and variances of a feature panel's rows before ``end``; see the module.

    A variance below a hundredth of the mean of its last 66 bars is raised to that, so that a bar on which the price
    stood still has a logarithm.
    """
    r = features.field(_RETURN)[:, :end]
    if _GAP in features.fields and _RANGE in features.fields:
        gap, spread = features.field(_GAP)[:, :end], features.field(_RANGE)[:, :end]
        ranged = with_overnight(garman_klass(spread, r - gap), gap)
        variance = np.where(np.isfinite(ranged) & (ranged > 0), ranged, r**2)
    else:
        variance = r**2
    return History(r, floored(variance, trailing_mean(variance, 66, least=1)))


class VarianceForecaster(ResidualForecaster):
    """What all of them share; a subclass names its model."""

    kind: ClassVar[str]
    defaults: ClassVar[VarianceOptions] = VarianceOptions()
    on_returns: ClassVar[bool] = False  # whether the spread stands for squared returns already

    def __init__(self, spec: ForecasterSpec, options: VarianceOptions | None = None) -> None:
        super().__init__(spec)
        if _RETURN not in spec.features:
            raise CapabilityError(
                f"{spec.name} needs the feature {_RETURN}, not among the {len(spec.features)} features given",
                hint=f"add {_RETURN} to the features of the run",
            )
        self.options = self.defaults if options is None else options
        self._names: tuple[str, ...] = ()
        self._model = self.model()
        self._factor = np.empty(0)  # (N,) mean squared return over mean forecast

    def model(self) -> VarianceModel:
        """Return a variance model that is not fitted yet."""
        raise NotImplementedError

    def history(self, features: Panel, end: int | None = None) -> History:
        """Return what the model sees of a panel's rows before ``end``."""
        return features_history(features, end)

    def learn(self, data: TrainingSet, train: Sample, rows: IntArray, seed: int) -> tuple[str, ...]:
        """Fit the variance model on the bars between the first and the last training row."""
        del train, seed
        first, last = int(rows[:, 1].min()), int(rows[:, 1].max())
        whole = self.history(data.features, last + 1)
        past = History(whole.returns[:, first:], whole.variance[:, first:])
        self._names = tuple(str(name) for name in data.features.instruments)
        self._model = self.model()
        notes = self._model.fit(past, self._spec.horizons)
        forecast = self._model.forecast(past)[:, :-1, 0]
        known = (forecast > 0) & np.isfinite(past.returns[:, 1:])  # a price that never moved has no variance to scale
        ratio = np.divide(past.returns[:, 1:] ** 2, forecast, out=np.zeros_like(forecast), where=known)
        mean = ratio.sum(axis=1) / np.maximum(known.sum(axis=1), 1)
        plain = self.on_returns or self.options.quantiles == "residual"
        self._factor = np.where(plain | ~(mean > 0), 1.0, np.round(mean, 12))
        return notes

    def centre(self, location: Location, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H): 0 for the close, the usual level for other targets."""
        del features, rows
        return np.asarray(np.broadcast_to(location.level, (len(unit), *location.level.shape)), dtype=np.float64).copy()

    def spread(self, features: Panel, rows: IntArray, unit: FloatArray) -> FloatArray:
        """Return (R, K, H)."""
        variance = self._forecast(features, rows)
        scale = unit[:, 0, :1] / np.sqrt(float(self._spec.horizons[0]))
        ratio = variance / scale**2
        known = np.clip(np.where(np.isfinite(ratio), ratio, 1.0), _LEAST_RATIO, _MOST_RATIO)
        return np.repeat(np.sqrt(known)[:, None, :], len(self._spec.targets), axis=1)

    def multipliers(self, features: Panel, rows: IntArray) -> FloatArray:
        """Return (R, K, H, Q): of the calibration rows, or of each instrument's distribution for the close."""
        common = self._multipliers
        if self.options.quantiles == "residual" or "close" not in self._spec.targets:
            return common
        close = self._spec.targets.index("close")
        shapes = self._model.distributions() or (Distribution(),) * len(self._names)
        nan = np.full(len(self._spec.levels), np.nan)
        own = np.array([nan if d is None else d.quantiles(self._spec.levels) for d in shapes])
        out = np.broadcast_to(common, (len(rows), *common.shape)).copy()
        picked = own[self._order(features)[rows[:, 0]]][:, None, :]
        out[:, close] = np.where(np.isfinite(picked), picked, out[:, close])
        return out

    def extra(self) -> dict[str, Any]:
        """Return options, instruments and the fitted model."""
        return {
            "options": asdict(self.options),
            "instruments": self._names,
            "factor": self._factor,
            "model": self._model.content(),
        }

    def restore(self, extra: dict[str, Any]) -> None:
        """Take back what ``extra`` gave."""
        self.options = VarianceOptions(**extra["options"])
        self._names = tuple(extra["instruments"])
        self._factor = np.array(extra["factor"], dtype=np.float64)
        self._model = self.model()
        self._model.horizons = self._spec.horizons
        self._model.restore(extra["model"])

    def _order(self, features: Panel) -> IntArray:
        """Return (N,) positions of a panel's instruments among those of the fit.

        Raises
        ------
        CapabilityError
            If an instrument was not there when the model was fitted.
        """
        place = {name: i for i, name in enumerate(self._names)}
        strange = [str(name) for name in features.instruments if str(name) not in place]
        if strange:
            raise CapabilityError(
                f"{self._spec.name} has no parameters for {strange[0]} ({len(strange)} instruments in all)",
                hint="fit it on a market that holds them",
            )
        return np.array([place[str(name)] for name in features.instruments], dtype=np.int64)

    def _forecast(self, features: Panel, rows: IntArray) -> FloatArray:
        """Return (R, H) mean variances of the next ``h`` bars."""
        order = self._order(features)
        end = int(rows[:, 1].max()) + 1 if len(rows) else 1
        seen = self.history(features, end)
        returns, variance = np.full((2, len(self._names), end), np.nan)
        returns[order], variance[order] = seen.returns, seen.variance
        whole = self._model.forecast(History(returns, variance)) * self._factor[:, None, None]
        picked: FloatArray = whole[order[rows[:, 0]], rows[:, 1]]
        return picked


class EwmaForecaster(VarianceForecaster):
    """Exponentially weighted squared returns, 0.94 (BASE-07)."""

    kind = "ewma"
    on_returns = True

    def model(self) -> VarianceModel:
        """Return the model."""
        return Ewma()

    def history(self, features: Panel, end: int | None = None) -> History:
        """Return squared returns as the variance, whatever ranges say."""
        r = features.field(_RETURN)[:, :end]
        return History(r, r**2)


class HarForecaster(VarianceForecaster):
    """Heterogeneous autoregression of the variance on its means over 1, 5 and 22 bars."""

    kind = "har"

    def model(self) -> VarianceModel:
        """Return the model."""
        return Har()


class LogHarForecaster(VarianceForecaster):
    """The same in logarithms."""

    kind = "log_har"

    def model(self) -> VarianceModel:
        """Return the model."""
        return Har(HarSettings(log=True))


class HarXForecaster(VarianceForecaster):
    """In logarithms with means over 66 and 252 bars, ``min(r, 0)`` and ``|r|``."""

    kind = "har_x"

    def model(self) -> VarianceModel:
        """Return the model."""
        return Har(HarSettings(lags=(*HAR_LAGS, 66, 252), log=True, leverage=True))


class GarchForecaster(VarianceForecaster):
    """GARCH(1,1) with Student's t (MODEL-50)."""

    kind = "garch"
    on_returns = True
    defaults = VarianceOptions("t", "model")
    leverage: ClassVar[bool] = False

    def model(self) -> VarianceModel:
        """Return the model."""
        return Garch(GarchSettings(leverage=self.leverage, distribution=self.options.distribution))


class GarchNormalForecaster(GarchForecaster):
    """GARCH(1,1) with the normal distribution, the textbook case, whose tails are too thin."""

    kind = "garch_normal"
    defaults = VarianceOptions("normal", "model")


class GjrForecaster(GarchForecaster):
    """GJR-GARCH with skewed t: falls weigh more."""

    kind = "gjr"
    defaults = VarianceOptions("skew_t", "model")
    leverage = True


class CombinationForecaster(VarianceForecaster):
    """HAR means, leverage and GJR-GARCH in one equation fitted by QLIKE; see ``combination``."""

    kind = "variance_combination"

    def model(self) -> VarianceModel:
        """Return the model."""
        return VarianceCombination()
