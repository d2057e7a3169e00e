"""Live forecasts of a fitted transformer: one new bar of all instruments in, calibrated log-return quantiles out.

The same weights, inputs and calibration as in history; what is known of past steps is kept, so a bar costs one step of
selection and not sixty. The answer is that of ``TftForecaster.predict`` within rounding of float32.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError, ModelError
from foresail.domain.panel import Panel
from foresail.forecasting.neural.calendar import calendar_numbers, coming_ends
from foresail.forecasting.neural.inputs import standardised_panel
from foresail.forecasting.neural.tft.forecaster import TftForecaster
from foresail.forecasting.neural.tft.network import TemporalFusionTransformer
from foresail.forecasting.neural.tft.serving import TftServer
from foresail.forecasting.neural.threads import fixed_threads

__all__ = ["LiveForecasts"]


class LiveForecasts:
    """A fitted transformer with its memory of a set of instruments.

    Parameters
    ----------
    forecaster : fitted
    history : features up to now, (N, T, F); the newest ``context_length`` bars are read

    Raises
    ------
    DataError
        If the history has no bar.
    """

    def __init__(self, forecaster: TftForecaster, history: Panel) -> None:
        if history.shape[1] == 0:
            raise DataError("expected at least one bar of history to begin with, received none")
        self._fitted, self._inputs = forecaster.fitted, forecaster.fitted.inputs
        self._instruments, self._frame, self._calendar = history.instruments, history.frame, history.calendar
        self._spec, self._threads = forecaster.spec, forecaster.settings.threads
        self._horizon = max(self._spec.horizons)
        self._steps = np.asarray(self._spec.horizons) - 1
        self._server = TftServer(self._network(), torch.from_numpy(self._inputs.codes(history)))
        recent = history.cut(max(0, history.shape[1] - forecaster.settings.context_length - 1), history.shape[1])
        known = calendar_numbers(recent.end, self._frame)
        with fixed_threads(self._threads):
            self._server.warm(self._observed(recent), _single(known), _single(recent.present))
        self._end = int(recent.end[-1])

    def update(self, bar: Panel, scale: FloatArray) -> FloatArray:
        """Take in one bar of features and return its forecasts.

        Parameters
        ----------
        bar : (N, 1, F) of the same instruments, after all bars before
        scale : (N,) volatility of the one-bar log return, known now

        Returns
        -------
        (N, K, H, Q) log-return quantiles; NaN where there is no bar or no scale, and until a whole context was seen

        Raises
        ------
        DataError
            If the bar is not the next one or of other instruments.
        """
        self._check(bar)
        known = calendar_numbers(np.array([self._end, int(bar.end[0])]), self._frame)[1]
        end = int(bar.end[0])
        ends = np.concatenate([[end], coming_ends(end, self._calendar, self._frame, self._horizon)])
        ahead = _single(calendar_numbers(ends, self._frame)[1:])
        with fixed_threads(self._threads):
            served = self._server.update(self._observed(bar)[:, 0], _single(known), _single(bar.present[:, 0]), ahead)
        self._end = end
        told = served.quantiles.double().numpy()[:, self._steps].transpose(0, 2, 1, 3)
        usable = served.ready.numpy() & bar.present[:, 0]
        unit = np.where(usable & np.isfinite(scale) & (scale > 0), scale, np.nan)[:, None, None, None]
        return self._fitted.settle(told, unit * np.sqrt(self._spec.horizons)[:, None], self._spec.targets)

    def _network(self) -> TemporalFusionTransformer:
        network = self._fitted.network
        if not isinstance(network, TemporalFusionTransformer):
            raise ModelError(f"live forecasts need a transformer, received {type(network).__name__}")
        return network

    def _observed(self, panel: Panel) -> Tensor:
        return _single(standardised_panel(panel, self._inputs.features, self._inputs.scaler))

    def _check(self, bar: Panel) -> None:
        if bar.instruments != self._instruments or bar.shape[1] != 1:
            raise DataError(
                f"expected one bar of the {len(self._instruments)} instruments of the history, received "
                f"{bar.shape[1]} bars of {len(bar.instruments)}"
            )
        if int(bar.end[0]) <= self._end:
            raise DataError(f"expected a bar that ends after {self._end} ns, received one that ends at {bar.end[0]} ns")


def _single(values: FloatArray | np.ndarray[tuple[int, ...], np.dtype[np.bool_]]) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(values, dtype=np.float32))
