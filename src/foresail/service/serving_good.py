"""The last good forecast of each instrument of a market that is served bar after bar (FCST-19).

The history is not kept, so what the model said is: at each bar, of those that could be forecast there.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.engine.row_rules import context_of, windows_whole
from foresail.service.models_loading import LoadedModel
from foresail.service.predicting_last_good import good_forecasts, good_rows

__all__ = ["LastGood", "Told", "last_good_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Told:
    """What a forecaster says at one bar.

    Attributes
    ----------
    scale : (N,) volatility of the one-bar log return
    whole : (N,) whether no gap lies within what it sees
    raw : (N, K, H, Q)
    """

    scale: FloatArray
    whole: BoolArray
    raw: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class LastGood:
    """What was said at each instrument's last complete bar.

    Attributes
    ----------
    end : (N,) of that bar, ns UTC; -1 = there was none
    close : (N,) as stored
    scale : (N,) volatility of the one-bar log return
    raw : (N, K, H, Q) what the forecaster said
    """

    end: IntArray
    close: FloatArray
    scale: FloatArray
    raw: FloatArray

    def after(self, model: LoadedModel, bar: Panel, features: Panel, told: Told) -> LastGood:
        """Return it after one more bar.

        Parameters
        ----------
        bar, features : (N, 1, F)
        """
        scale, raw = told.scale, told.raw
        rows = good_rows(model, features, scale[:, None], range(len(scale)), told.whole[:, None])
        here = np.zeros(len(scale), dtype=np.bool_)
        here[rows[:, 0]] = True
        return LastGood(
            np.where(here, bar.end[0], self.end),
            np.where(here, bar.field("close")[:, 0], self.close),
            np.where(here, scale, self.scale),
            np.where(here[:, None, None, None], raw, self.raw),
        )

    def told(
        self, model: LoadedModel, names: Sequence[InstrumentId], chosen: Sequence[int]
    ) -> dict[tuple[InstrumentId, int], dict[str, Any]]:
        """Return (instrument, horizon) -> its last good forecast; those that never had one are left out.

        Parameters
        ----------
        names : all instruments
        chosen : those that forecast nothing now
        """
        own = [i for i in chosen if self.end[i] >= 0]
        mine = [names[i] for i in own]
        return good_forecasts(model, mine, self.raw[own], self.scale[own], close=self.close[own], end=self.end[own])


def last_good_of(model: LoadedModel, bars: Panel, features: Panel, scale: FloatArray, raw: FloatArray) -> LastGood:
    """Return what was said at each instrument's last complete bar of a history.

    Parameters
    ----------
    bars, features : of the same instruments and times
    scale : (N, T)
    raw : (N, K, H, Q) what the forecaster says at the last bar of all
    """
    n, last = features.shape[0], features.shape[1] - 1
    whole = windows_whole(features.present, context_of(model.forecaster))
    rows = good_rows(model, features, scale, range(n), whole)
    i, t = rows.T
    found = LastGood(np.full(n, -1, dtype=np.int64), np.full(n, np.nan), np.full(n, np.nan), raw.copy())
    found.end[i], found.close[i], found.scale[i] = bars.end[t], bars.field("close")[i, t], scale[i, t]
    earlier = rows[t < last]
    if len(earlier):
        found.raw[earlier[:, 0]] = model.forecaster.predict(features, earlier, scale)
    return found
