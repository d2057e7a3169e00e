"""From a panel to what networks read: standardised features, calendar numbers, codes of what an instrument is.

Means and deviations come from the training rows of the fold. Codes are of the instruments seen in training; one that is
new gets code 0, whose embedding is the mean of the others. A sector is no input unless asked for (``statics=sector``):
the table of sectors names today's business, not that of the past. It is then read from the feature of that name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, DataError
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.domain.training import ForecasterSpec, TrainingSet
from foresail.forecasting.design import Scaler
from foresail.forecasting.neural.calendar import known_ahead
from foresail.forecasting.neural.windows import WindowInputs
from foresail.forecasting.rows import feature_rows

__all__ = ["SECTOR", "STATICS", "InputMap", "StandardisedInputs", "market_of", "standardised_panel"]

SECTOR = "sector"
STATICS = ("none", SECTOR)  # what may be told of an instrument beside its id and market


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
    sectors : known ones, as the feature numbers them; None = they are no input
    own_sectors : of each of ``instruments``, -1 = unknown; what the panel says counts for others only
    """

    features: tuple[str, ...]
    scaler: Scaler
    instruments: tuple[str, ...]
    markets: tuple[str, ...]
    sectors: tuple[int, ...] | None = None
    own_sectors: tuple[int, ...] = ()

    @classmethod
    def fit(cls, data: TrainingSet, spec: ForecasterSpec, statics: str = "none") -> InputMap:
        """Return the map of a training set, from its training rows only.

        Parameters
        ----------
        statics : of ``STATICS``

        Raises
        ------
        ConfigError
            If sectors are asked for, and no feature tells them.
        DataError
            If no instrument of the training has one, or one changes in time.
        """
        scaler = Scaler.fit(feature_rows(data.features, data.train_rows, spec.features))
        seen = sorted({str(data.features.instruments[i]) for i in np.unique(data.train_rows[:, 0])})
        markets = sorted({market_of(InstrumentId(name)) for name in seen})
        if statics == "none":
            return cls(spec.features, scaler, tuple(seen), tuple(markets))
        if SECTOR not in spec.features:
            raise ConfigError(
                f"statics={statics} needs the feature {SECTOR}", hint=f"add it to the features: spine,{SECTOR}"
            )
        told = _sectors_of(data.features, data.train_rows)
        own = tuple(told.get(name, -1) for name in seen)
        if max(own) < 0:
            raise DataError("statics=sector: no instrument of the training has a sector", hint="leave it out")
        return cls(spec.features, scaler, tuple(seen), tuple(markets), tuple(sorted(set(own) - {-1})), own)

    @property
    def statics(self) -> tuple[str, ...]:
        """Names of the static categories."""
        return ("instrument", "market") if self.sectors is None else ("instrument", "market", SECTOR)

    @property
    def observed(self) -> int:
        """Number of observed inputs."""
        return len(self.features) + len(self.scaler.marked)

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the observed inputs: features, then missing-value marks."""
        return (*self.features, *(f"{self.features[j]} missing" for j in self.scaler.marked))

    @property
    def categories(self) -> tuple[int, ...]:
        """Sizes of the static categories, the unknown one included."""
        sizes = (len(self.instruments) + 1, len(self.markets) + 1)
        return sizes if self.sectors is None else (*sizes, len(self.sectors) + 1)

    def codes(self, panel: Panel) -> IntArray:
        """Return (N, S) codes of instrument, market and sector if it is an input, 0 where unknown.

        Raises
        ------
        DataError
            If a sector is read from the panel and changes in it.
        """
        own = {name: place + 1 for place, name in enumerate(self.instruments)}
        market = {name: place + 1 for place, name in enumerate(self.markets)}
        names = [str(one) for one in panel.instruments]
        pairs = [(own.get(one, 0), market.get(market_of(InstrumentId(one)), 0)) for one in names]
        found = np.array(pairs, dtype=np.int64).reshape(len(pairs), 2)
        if self.sectors is None:
            return found
        known = dict(zip(self.instruments, self.own_sectors, strict=True))
        new = [i for i, one in enumerate(names) if one not in known]
        told = {**(_sectors_of(panel, np.array([(i, -1) for i in new])) if new else {}), **known}
        place = {sector: code + 1 for code, sector in enumerate(self.sectors)}
        third = [place.get(told.get(one, -1), 0) for one in names]
        return np.column_stack([found, np.array(third, dtype=np.int64)])

    def inputs(self, panel: Panel, steps: int) -> WindowInputs:
        """Return what windows are cut from, ``steps`` bars of the calendar beyond the panel included."""
        return WindowInputs(
            StandardisedInputs(panel, self.features, self.scaler),
            known_ahead(panel, steps),
            panel.present,
            self.codes(panel),
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
            **({} if self.sectors is None else {"sectors": list(self.sectors), "own_sectors": list(self.own_sectors)}),
        }

    @classmethod
    def of(cls, content: dict[str, Any]) -> InputMap:
        """Take back what ``content`` gave."""
        scaler = Scaler(
            np.array(content["mean"], dtype=np.float64),
            np.array(content["deviation"], dtype=np.float64),
            tuple(content["marked"]),
        )
        sectors = content.get("sectors")
        return cls(
            tuple(content["features"]),
            scaler,
            tuple(content["instruments"]),
            tuple(content["markets"]),
            None if sectors is None else tuple(sectors),
            tuple(content.get("own_sectors", ())),
        )


def _sectors_of(panel: Panel, rows: IntArray) -> dict[str, int]:
    """Return the sector of each instrument of some rows that has one, by its feature.

    Parameters
    ----------
    rows : (R, 2) instrument and the last time that is read of it; the newest of an instrument counts, -1 = all
    """
    column, found = panel.field(SECTOR), dict[str, int]()
    for i in np.unique(rows[:, 0]).tolist():
        last = int(rows[rows[:, 0] == i, 1].max())
        seen = column[i, : last + 1] if last >= 0 else column[i]
        told = np.unique(seen[np.isfinite(seen)])
        if len(told) > 1 or (told != np.round(told)).any():
            raise DataError(
                f"{panel.instruments[i]}: the feature {SECTOR} is not one number that stays: {told[:3].tolist()}",
                hint="a static input never changes, nor is it scaled: leave statics=sector out, or --normalise",
            )
        if len(told):
            found[str(panel.instruments[i])] = int(told[0])
    return found


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
