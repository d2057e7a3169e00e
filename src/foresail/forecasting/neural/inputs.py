"""From a panel to what networks read: standardised features, calendar numbers, codes of what an instrument is.

Means and deviations come from the training rows of the fold. Codes are of the instruments seen in training; one that is
new gets code 0, whose embedding is the mean of the others. A sector is no input: the table of sectors names today's
business, not that of the past.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.domain.training import ForecasterSpec, TrainingSet
from foresail.forecasting.design import Scaler
from foresail.forecasting.neural.calendar import known_ahead
from foresail.forecasting.neural.windows import WindowInputs
from foresail.forecasting.rows import feature_rows

__all__ = ["InputMap", "StandardisedInputs", "market_of", "standardised_panel"]


def market_of(instrument: InstrumentId) -> str:
    """Return the class and venue of an instrument: ``stock.US`` of ``stock.US.AAPL``, ``fx`` of ``fx.EUR-USD``."""
    parts = str(instrument).split(".")
    return ".".join(parts[:2]) if len(parts) > 2 else parts[0]


@dataclass(frozen=True, slots=True, eq=False)
class InputMap:
    """How a panel becomes inputs; fitted once, kept with the weights.

    Attributes
    ----------
    features : columns of the panel, in order
    scaler : of the training rows
    instruments, markets : known categories; the code is the place + 1
    """

    features: tuple[str, ...]
    scaler: Scaler
    instruments: tuple[str, ...]
    markets: tuple[str, ...]

    @classmethod
    def fit(cls, data: TrainingSet, spec: ForecasterSpec) -> InputMap:
        """Return the map of a training set, from its training rows only."""
        scaler = Scaler.fit(feature_rows(data.features, data.train_rows, spec.features))
        seen = sorted({str(data.features.instruments[i]) for i in np.unique(data.train_rows[:, 0])})
        markets = sorted({market_of(InstrumentId(name)) for name in seen})
        return cls(spec.features, scaler, tuple(seen), tuple(markets))

    @property
    def observed(self) -> int:
        """Number of observed inputs."""
        return len(self.features) + len(self.scaler.marked)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the observed inputs: features, then missing-value marks."""
        return (*self.features, *(f"{self.features[j]} missing" for j in self.scaler.marked))

    @property
    def categories(self) -> tuple[int, int]:
        """Sizes of the static categories, the unknown one included."""
        return len(self.instruments) + 1, len(self.markets) + 1

    def codes(self, instruments: Sequence[InstrumentId]) -> IntArray:
        """Return (N, 2) codes of instrument and market, 0 where unknown."""
        own = {name: place + 1 for place, name in enumerate(self.instruments)}
        market = {name: place + 1 for place, name in enumerate(self.markets)}
        pairs = [(own.get(str(one), 0), market.get(market_of(one), 0)) for one in instruments]
        return np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)

    def inputs(self, panel: Panel, steps: int) -> WindowInputs:
        """Return what windows are cut from, ``steps`` bars of the calendar beyond the panel included."""
        return WindowInputs(
            StandardisedInputs(panel, self.features, self.scaler),
            known_ahead(panel, steps),
            panel.present,
            self.codes(panel.instruments),
        )

    def content(self) -> dict[str, Any]:
        """Return the map as JSON."""
        return {
            "features": list(self.features),
            "mean": self.scaler.mean,
            "deviation": self.scaler.deviation,
            "marked": list(self.scaler.marked),
            "instruments": list(self.instruments),
            "markets": list(self.markets),
        }

    @classmethod
    def of(cls, content: dict[str, Any]) -> InputMap:
        """Take back what ``content`` gave."""
        scaler = Scaler(
            np.array(content["mean"], dtype=np.float64),
            np.array(content["deviation"], dtype=np.float64),
            tuple(content["marked"]),
        )
        return cls(tuple(content["features"]), scaler, tuple(content["instruments"]), tuple(content["markets"]))


class StandardisedInputs:
    """(N, T, F + M) standardised features and marks of a panel, made when an instrument is asked for.

    Parameters
    ----------
    features : columns of the panel, in order
    scaler : of the training rows; what is missing becomes the mean, 0
    """

    def __init__(self, panel: Panel, features: tuple[str, ...], scaler: Scaler) -> None:
        self._panel, self._scaler = panel, scaler
        self._columns = None if panel.fields == features else [panel.index(name) for name in features]
        self._shape = (*panel.shape[:2], len(features) + len(scaler.marked))

    @property
    def shape(self) -> tuple[int, ...]:
        """Instruments, times, inputs."""
        return self._shape

    def __getitem__(self, i: int, /) -> FloatArray:
        """Return (T, F + M) of an instrument."""
        values = self._panel.values[i]
        return self._scaler.columns(values if self._columns is None else values[:, self._columns])


def standardised_panel(panel: Panel, features: tuple[str, ...], scaler: Scaler) -> FloatArray:
    """Return (N, T, F + M) standardised features and marks; what is missing is the mean, 0."""
    made = StandardisedInputs(panel, features, scaler)
    n, t, v = made.shape
    return np.stack([made[i] for i in range(n)]) if n else np.empty((0, t, v))
