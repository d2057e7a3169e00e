"""Why each new record forecasts what it does, while bars come one by one (XPL-02, XPL-03).

1. Reasons and selection weights need the bars that one forecast sees; these are kept.
2. Similar days need the states of all past days. They are made once, at the first record that asks for them, and
   each new bar adds its own; what followed is read from the closes, when it is known. So a new bar costs one state a
   name, and the days are those that ``foresail predict --explain`` finds. Of many days one in so many is compared; when
   that number changes, the states are made anew from the whole history.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.domain.training import Targets
from foresail.engine.inspecting import MOST_DAYS, SimilarDay, nearest_days
from foresail.engine.row_rules import context_of, labels_whole, windows_whole
from foresail.engine.training_sets import ForecastInputs
from foresail.features.targets import compute_targets
from foresail.protocols import ExplainingForecaster
from foresail.service.models_loading import LoadedModel
from foresail.service.predicting_online import joined, prices_of
from foresail.service.predicting_reasons import leading_reasons, looked_into
from foresail.service.predicting_stale import ENOUGH
from foresail.service.serving_answers import looks_back

__all__ = ["LiveInside"]


class LiveInside:
    """What is told beside the forecasts of one market.

    Parameters
    ----------
    bars, features : the whole history, of the same instruments and times
    scale : (N, T)

    Attributes
    ----------
    note : why nothing is told; empty where something is
    """

    def __init__(self, model: LoadedModel, bars: Panel, features: Panel, scale: FloatArray) -> None:
        self._model, self._context = model, context_of(model.forecaster)
        self._whole = bool(looks_back(model.forecaster))  # inputs are made of the history
        self.note = ""
        if not isinstance(model.forecaster, ExplainingForecaster):
            self.note = f"{model.entry.name} cannot say which features moved a forecast: its records have no reasons"
        self._bars, self._scale = prices_of(bars), scale[:, -1]
        self._features = features  # all of them until the states are made, then as many as a forecast sees
        enough = np.isfinite(features.values).mean(axis=2) >= ENOUGH
        whole = windows_whole(features.present, self._context)
        self._asked: BoolArray = features.present & np.isfinite(scale) & enough & whole
        self._states: _States | None = None
        self._found: tuple[Targets, BoolArray] | None = None  # of the newest bar

    @property
    def outgrown(self) -> str:
        """Why the states of past days are no longer those to compare; empty where they are."""
        if self._states is None or not self._states.lanes:
            return ""
        every = _every(self._comparable()[1])
        return "" if every == self._states.every else f"of the past days one in {every} is compared now"

    def after(self, bar: Panel, features: Panel, scale: FloatArray, whole: BoolArray) -> None:
        """Take in one more bar.

        Parameters
        ----------
        bar, features : (N, 1, F)
        scale : (N,)
        whole : (N,) whether no gap lies within what the model sees
        """
        if self.note:
            return
        enough = np.isfinite(features.values[:, 0]).mean(axis=1) >= ENOUGH
        here: BoolArray = features.present[:, 0] & np.isfinite(scale) & enough & whole
        self._bars, self._scale = joined(self._bars, prices_of(bar)), scale
        self._asked = np.concatenate([self._asked, here[:, None]], axis=1)
        self._features, self._found = joined(self._features, features), None
        if self._states is not None:
            self._features = self._newest()
            self._states.add(self._features, np.flatnonzero(here), self._bars.shape[1] - 1)

    def tell(self, rows: Sequence[dict[str, Any]]) -> None:
        """Fill ``reasons``, ``similar`` and ``inside`` of rows that forecast something at the newest bar."""
        wanted = {row["instrument"] for row in rows if not row["stale"]}
        names = self._features.instruments
        ready = np.array([i for i, name in enumerate(names) if str(name) in wanted], dtype=np.int64)
        if self.note or not len(ready):
            return
        features = self._newest()
        last = features.shape[1] - 1
        scale = np.full(features.shape[:2], np.nan)
        scale[:, last] = self._scale
        labels = compute_targets(self._bars.cut(self._bars.shape[1] - last - 1, self._bars.shape[1]), (1,))
        inputs = ForecastInputs(features, labels, scale, np.zeros(features.shape[:2], dtype=np.bool_))
        why = leading_reasons(self._model, inputs, ready, last)
        inside = looked_into(self._model, inputs, ready, last, near=self._near(ready))
        for row in rows:
            if not row["stale"]:
                key = InstrumentId(row["instrument"]), row["horizon"]
                row["reasons"] = why[key]
                row.update(inside.get(key, {}))

    def _newest(self) -> Panel:
        """Return the features that the newest forecast sees, and one bar more, which tells the first one its gap.

        Where inputs are told against earlier bars: all of them.
        """
        length = self._features.shape[1]
        return self._features if self._whole else self._features.cut(max(0, length - self._context - 1), length)

    def _comparable(self) -> tuple[Targets, BoolArray]:
        """Return what followed each day, and (N, T - 1) which days before the newest may be compared with it."""
        if self._found is None:
            horizons, last = self._model.spec.horizons, self._bars.shape[1] - 1
            labels = compute_targets(self._bars, horizons)
            known = np.isfinite(labels.values[:, :, labels.names.index("close")]).all(axis=2)
            usable = self._asked & known & labels_whole(self._bars.present, max(horizons))
            self._found = labels, usable[:, :last]
        return self._found

    def _near(self, ready: IntArray) -> Mapping[int, Sequence[tuple[SimilarDay, ...]]]:
        """Return horizon -> the most similar days of each asked instrument."""
        last = self._bars.shape[1] - 1
        if self._states is not None and not self._states.lanes:  # no network
            return {}
        labels, usable = self._comparable()
        if self._states is None:
            self._states = _States.of(self._model, self._features, self._asked, _every(usable))
            self._features = self._newest()
        time, instrument = np.nonzero(usable.T)  # thinned there by the same rule: to those that have a state
        rows = np.column_stack([instrument, time]).astype(np.int64)
        asked = np.column_stack([ready, np.full(len(ready), last)]).astype(np.int64)
        times = replace(self._bars, values=np.empty((*self._bars.shape[:2], 0)), fields=())
        return nearest_days(self._states.beside(self._newest(), last), times, labels, rows, asked)


def _every(usable: BoolArray) -> int:
    """Return of how many bars one is compared."""
    return max(1, math.ceil(int(usable.sum()) / MOST_DAYS))


@dataclass(slots=True, eq=False)
class _States:
    """States of past days, as each network that serves some of the instruments sees them.

    Attributes
    ----------
    lanes : which instruments are served, by which network
    place : (N, T) where the state of a day stands; -1 = it is none of those that are compared
    states : of each network (M, D)
    every : of so many bars one is compared
    """

    lanes: list[tuple[IntArray, Any]]
    place: IntArray
    states: list[FloatArray]
    every: int

    @classmethod
    def of(cls, model: LoadedModel, features: Panel, asked: BoolArray, every: int) -> _States:
        """Return the states of a history.

        Parameters
        ----------
        asked : (N, T) days that have one
        every : of so many bars one is compared
        """
        forecaster: Any = model.forecaster
        n, t = asked.shape
        kept = asked & (np.arange(t) % every == 0)
        time, instrument = np.nonzero(kept.T)
        rows = np.column_stack([instrument, time]).astype(np.int64)
        place = np.full((n, t), -1, dtype=np.int64)
        place[instrument, time] = np.arange(len(rows))
        parts = forecaster.lanes(features.instruments) if hasattr(forecaster, "lanes") else [(np.arange(n), forecaster)]
        lanes = [(own, one) for own, one in parts if hasattr(one, "encode")]
        return cls(lanes, place, [one.encode(features, rows) for _, one in lanes], every)

    def add(self, features: Panel, here: IntArray, now: int) -> None:
        """Take in the newest bar.

        Parameters
        ----------
        features : that its forecasts see
        here : instruments that are forecast there
        now : its position
        """
        column = np.full((len(self.place), 1), -1, dtype=np.int64)
        if self.lanes and now % self.every == 0 and len(here):
            column[here, 0] = len(self.states[0]) + np.arange(len(here))
            rows = np.column_stack([here, np.full(len(here), features.shape[1] - 1)]).astype(np.int64)
            self.states = [
                np.concatenate([held, one.encode(features, rows)])
                for held, (_, one) in zip(self.states, self.lanes, strict=True)
            ]
        self.place = np.concatenate([self.place, column], axis=1)

    def beside(self, features: Panel, now: int) -> Any:
        """Return what ``nearest_days`` asks for states: of the position ``now`` they are made of these features."""
        return _Beside(self, features, now)


@dataclass(frozen=True, slots=True, eq=False)
class _Beside:
    kept: _States
    features: Panel
    now: int

    def lanes(self, instruments: Sequence[InstrumentId]) -> list[tuple[IntArray, Any]]:
        del instruments
        return [(own, _Lane(self, i)) for i, (own, _) in enumerate(self.kept.lanes)]


@dataclass(frozen=True, slots=True, eq=False)
class _Lane:
    beside: _Beside
    number: int

    def encode(self, features: Panel, rows: IntArray) -> FloatArray:
        del features
        kept, mine = self.beside.kept, self.beside.features
        if len(rows) and (rows[:, 1] == self.beside.now).all():
            newest = np.column_stack([rows[:, 0], np.full(len(rows), mine.shape[1] - 1)]).astype(np.int64)
            found: FloatArray = kept.lanes[self.number][1].encode(mine, newest)
            return found
        return kept.states[self.number][kept.place[rows[:, 0], rows[:, 1]]]
