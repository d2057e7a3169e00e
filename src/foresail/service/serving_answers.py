"""What a model says of one new bar, without the history: the answers of its ``predict`` within rounding (SERVE-03).

A transformer keeps what it made of past steps (``tft.live``); every other forecaster reads the newest bars that its
forecasts see. Normalised inputs are made of the one bar, where no transform needs earlier ones. All are compared with
``predict`` on the whole history before they may answer.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Protocol

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.domain.panel import Panel
from foresail.engine.normalised import Normalised
from foresail.engine.row_rules import context_of
from foresail.forecasting.sectors import SectorNetworks
from foresail.protocols import Forecaster

__all__ = ["SAME", "LiveAnswers", "live_answers", "looks_back"]

SAME = 1e-5  # log return: what the float32 of a live network may differ by
_TRANSFORMER = "tft"


class LiveAnswers(Protocol):
    """A forecaster with a memory of a set of instruments."""

    def tell(self, bar: Panel, scale: FloatArray) -> FloatArray:
        """Take one bar of features (N, 1, F) with the scale (N,) and return (N, K, H, Q) log-return quantiles.

        NaN where there is no bar or no scale.
        """


class _Network:
    """A transformer."""

    def __init__(self, forecaster: Any, history: Panel) -> None:
        from foresail.forecasting.neural.tft.live import LiveForecasts

        self._live = LiveForecasts(forecaster, history)

    def tell(self, bar: Panel, scale: FloatArray) -> FloatArray:
        return self._live.update(bar, scale)


class _Sectors:
    """A forecaster with last layers of its own for sectors: one live form for each, of its own instruments."""

    def __init__(self, forecaster: SectorNetworks, history: Panel) -> None:
        self._spec, self._lanes = forecaster.spec, []
        for own, one in forecaster.lanes(history.instruments):
            names = [history.instruments[i] for i in own]
            self._lanes.append((own, names, _live(one, history.select(names))))

    def tell(self, bar: Panel, scale: FloatArray) -> FloatArray:
        spec = self._spec
        out = np.full((len(scale), len(spec.targets), len(spec.horizons), len(spec.levels)), np.nan)
        for own, names, live in self._lanes:
            out[own] = live.tell(bar.select(names), scale[own])
        return out


class _Behind:
    """A forecaster behind normalised inputs: they are made of the one bar."""

    def __init__(self, forecaster: Normalised, history: Panel) -> None:
        self._seen = forecaster.seen
        self._live = _live(forecaster.inner, self._seen(history))

    def tell(self, bar: Panel, scale: FloatArray) -> FloatArray:
        return self._live.tell(self._seen(bar), scale)


class _Tail:
    """Any forecaster whose forecasts see a known number of bars; one more tells the first of them its gap."""

    def __init__(self, forecaster: Forecaster, history: Panel, context: int) -> None:
        self._forecaster, self._length = forecaster, context + 1
        t = history.shape[1]
        self._tail = history.cut(max(0, t - self._length), t)

    def tell(self, bar: Panel, scale: FloatArray) -> FloatArray:
        tail = self._tail
        first = max(0, tail.shape[1] + 1 - self._length)
        self._tail = replace(
            bar,
            values=np.concatenate([tail.values[:, first:], bar.values], axis=1),
            present=np.concatenate([tail.present[:, first:], bar.present], axis=1),
            start=np.concatenate([tail.start[first:], bar.start]),
            end=np.concatenate([tail.end[first:], bar.end]),
            available_at=np.concatenate([tail.available_at[first:], bar.available_at]),
        )
        last = self._tail.shape[1] - 1
        every = np.full(self._tail.present.shape, np.nan)
        every[:, last] = scale
        ready = np.flatnonzero(bar.present[:, 0] & np.isfinite(scale))
        spec = self._forecaster.spec
        out = np.full((len(scale), len(spec.targets), len(spec.horizons), len(spec.levels)), np.nan)
        if len(ready):
            rows = np.column_stack([ready, np.full(len(ready), last)]).astype(np.int64)
            out[ready] = self._forecaster.predict(self._tail, rows, every)
        return out


def live_answers(forecaster: Forecaster, history: Panel, scale: FloatArray, raw: FloatArray) -> LiveAnswers | str:
    """Return the live form of a fitted forecaster that has taken a history, or why there is none.

    Parameters
    ----------
    history : features up to now, (N, T, F)
    scale : (N,) known at the last bar
    raw : (N, K, H, Q) what ``predict`` says at the last bar; NaN where it was not asked
    """
    length = context_of(forecaster)
    last = history.shape[1] - 1
    if last < length:
        return f"fewer bars than the {length} that the model looks back on"
    before, bar = history.cut(0, last), history.cut(last, last + 1)
    back = looks_back(forecaster)
    if back:
        return f"{', '.join(back)} are told against the bars of the year before, which one new bar does not hold"
    live = _live(forecaster, before)
    told, asked = live.tell(bar, scale), np.isfinite(raw)
    if not asked.any():
        return "nothing can be forecast at the last bar, so nothing shows that the live form answers alike"
    apart = float(np.max(np.abs(np.where(asked, told, np.nan)[asked] - raw[asked])))
    if not apart <= SAME:
        return f"the live form of {forecaster.spec.name} differs from its predict by {apart:.2g}"
    return live


def looks_back(forecaster: Forecaster) -> tuple[str, ...]:
    """Return the features of which a normalised forecaster needs earlier bars than those that it sees."""
    one = forecaster.base if isinstance(forecaster, SectorNetworks) else forecaster
    return one.looks_back if isinstance(one, Normalised) else ()


def _live(forecaster: Forecaster, history: Panel) -> LiveAnswers:
    """Return the live form that fits a forecaster."""
    if isinstance(forecaster, SectorNetworks):
        return _Sectors(forecaster, history)
    if isinstance(forecaster, Normalised):
        return _Behind(forecaster, history)
    if forecaster.spec.name == _TRANSFORMER:
        return _Network(forecaster, history)
    return _Tail(forecaster, history, context_of(forecaster))
