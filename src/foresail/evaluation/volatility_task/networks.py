"""The Temporal Fusion Transformer on the volatility task, with the inputs of HAR-log-X.

1. One network for all indices forecasts five days at P10, P50 and P90 of the log variance, the losses of the task.
2. It stops early by the years given for that; where none are given, by the last year of its training windows (a quarter
   of them at most), with three weeks between, so that no label of the one lies in the other.
3. Several seeds are averaged, quantile by quantile; each seed's own forecasts are kept beside them.

References: [Lim2021] in docs/REFERENCES.md.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.seeds import derive_seed
from foresail.evaluation.volatility_task.network_inputs import (
    Stitched,
    calendar_inputs,
    centre_of,
    step_inputs,
    stitched,
)
from foresail.evaluation.volatility_task.task import HORIZON, LEVELS, LabelledWindows, Windows

if TYPE_CHECKING:
    from foresail.forecasting.neural.fitting import FittedTft, NetworkPanel

__all__ = ["NetworkEntrant", "NetworkSettings", "SeededPredictor", "deep_is_installed"]

_LAST_YEAR, _BETWEEN = 365, 21  # days


def deep_is_installed() -> bool:
    """Whether networks can take part."""
    return all(importlib.util.find_spec(name) is not None for name in ("torch", "safetensors"))


@dataclass(frozen=True, slots=True)
class NetworkSettings:
    """What is tuned, on the validation years only; the defaults are what ``foresail bench volatility --tune`` chose.

    Attributes
    ----------
    context_length : steps that the network looks at; the means reach back 252 rows whatever it is
    centred : the label as a distance from the window's centre
    width, dropout, rate, epochs, batch, stride : as ``TftPlan`` has them
    """

    context_length: int = 44
    centred: bool = True
    width: int = 32
    dropout: float = 0.1
    rate: float = 2e-3
    epochs: int = 6
    batch: int = 256
    stride: int = 5


@dataclass(frozen=True, slots=True, eq=False)
class SeededPredictor:
    """The mean of several predictors of one entrant, quantile by quantile.

    Attributes
    ----------
    members : by name, in the order of the seeds
    """

    members: dict[str, _Fitted]

    def each(self, windows: Windows) -> dict[str, FloatArray]:
        """Return the forecasts (O, 5, 3) of every member."""
        return {name: one(windows) for name, one in self.members.items()}

    def __call__(self, windows: Windows) -> FloatArray:
        """Return the mean forecast, (O, 5, 3)."""
        mean: FloatArray = np.mean(list(self.each(windows).values()), axis=0)
        return mean


@dataclass(frozen=True, slots=True, eq=False)
class _Scale:
    """Mean and deviation of inputs and label on the training rows."""

    mean: FloatArray
    deviation: FloatArray
    label_mean: float
    label_deviation: float


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    """One network as a predictor."""

    network: FittedTft
    settings: NetworkSettings
    scale: _Scale

    def __call__(self, windows: Windows) -> FloatArray:
        """Return (O, 5, 3) quantiles of the log variance."""
        from foresail.forecasting.neural.fitting import NetworkPanel

        length = self.settings.context_length
        steps = step_inputs(windows.past, length, last=length)
        panel = NetworkPanel(
            (steps - self.scale.mean) / self.scale.deviation,
            calendar_inputs(windows.calendar)[:, -length - HORIZON :],
            np.ones(steps.shape[:2], dtype=bool),
            windows.index[:, None] + 1,
        )
        rows = np.stack([np.arange(len(windows)), np.full(len(windows), length - 1)], axis=1)
        told = self.network.predict(panel, rows)[:, :, 0] * self.scale.label_deviation + self.scale.label_mean
        return told + centre_of(windows.past, last=1)[..., None] if self.settings.centred else told


@dataclass(frozen=True, slots=True)
class NetworkEntrant:
    """Takes part with the mean of several seeds.

    Attributes
    ----------
    seeds : how many
    device : of training: cpu, cuda or auto
    folder : where fits are kept until the benchmark has ended, so that a killed one goes on; None = nowhere
    """

    name: str
    title: str
    settings: NetworkSettings = field(default_factory=NetworkSettings)
    seeds: int = 3
    device: str = "cpu"
    folder: Path | None = None
    learns_from_validation: bool = True

    def fit(self, train: LabelledWindows, validation: LabelledWindows | None, *, seed: int) -> SeededPredictor:
        """Return the mean of the seeds; see ``Entrant``."""
        parts = [stitched(train)] if validation is None else [stitched(train), stitched(validation)]
        learnt, stopped = _fold(parts, train)
        panel, labels, scale = _panel(parts, learnt, self.settings)
        members = {}
        for k in range(self.seeds):
            own = derive_seed(seed, self.name, k)
            fitted = self._fit(panel, labels, (learnt, stopped), own)
            members[f"seed {k}"] = _Fitted(fitted, self.settings, scale)
        return SeededPredictor(members)

    def _fit(self, panel: NetworkPanel, labels: FloatArray, fold: tuple[IntArray, IntArray], seed: int) -> FittedTft:
        from foresail.forecasting.neural.fitting import TftPlan, fit_tft
        from foresail.forecasting.neural.training import Fold

        own = self.settings
        plan = TftPlan(
            LEVELS,
            own.context_length,
            HORIZON,
            width=own.width,
            dropout=own.dropout,
            rate=own.rate,
            epochs=own.epochs,
            batch=own.batch,
            stride=own.stride,
            device=self.device,
        )
        return fit_tft(plan, panel, labels, Fold(*fold), seed=seed, folder=self.folder)


def _fold(parts: list[Stitched], train: LabelledWindows) -> tuple[IntArray, IntArray]:
    """Return the rows to learn from and to stop by, series counted through all parts."""
    rows = parts[0].rows
    if len(parts) > 1:
        return rows, parts[1].rows + np.array([len(parts[0].index), 0])
    day = train.origins.day
    last = int(day.max())
    kept = min(_LAST_YEAR, (last - int(day.min())) // 4)
    return rows[day <= last - kept - _BETWEEN], rows[day > last - kept]


def _panel(
    parts: list[Stitched], learnt: IntArray, settings: NetworkSettings
) -> tuple[NetworkPanel, FloatArray, _Scale]:
    """Return inputs and labels of all parts, scaled by the rows that are learnt from."""
    from foresail.forecasting.neural.fitting import NetworkPanel

    length = max(one.past.shape[1] for one in parts)
    inputs = _joined([step_inputs(one.past, settings.context_length) for one in parts], length)
    known = _joined([calendar_inputs(one.calendar) for one in parts], length + HORIZON, edge=True)
    present = _joined([one.present[..., None].astype(np.float64) for one in parts], length)[..., 0] == 1.0
    shift = [centre_of(one.past) if settings.centred else np.zeros(one.past.shape[:2]) for one in parts]
    labels = _joined([one.labels - centre[..., None] for one, centre in zip(parts, shift, strict=True)], length)
    seen, told = inputs[learnt[:, 0], learnt[:, 1]], labels[learnt[:, 0], learnt[:, 1]]
    scale = _Scale(np.nanmean(seen, axis=0), np.nanstd(seen, axis=0), float(told.mean()), float(told.std()))
    codes = np.concatenate([one.index for one in parts])[:, None] + 1
    panel = NetworkPanel((inputs - scale.mean) / scale.deviation, known, present, codes)
    return panel, ((labels - scale.label_mean) / scale.label_deviation)[..., None], scale


def _joined(parts: list[FloatArray], length: int, *, edge: bool = False) -> FloatArray:
    """Return series of several parts at one length: missing behind their end, or with the last value repeated."""
    made = []
    for one in parts:
        width = ((0, 0), (0, length - one.shape[1]), (0, 0))
        made.append(np.pad(one, width, mode="edge") if edge else np.pad(one, width, constant_values=np.nan))
    return np.concatenate(made)
