"""A model beside a market, kept between bars: one new bar costs its own features and forecasts, not the history's.

1. The first time everything is computed from the whole history, and what remembers it is kept: the features of
   ``features.live``, the scale, the model's live form.
2. A new bar goes through these. The features are those of the history bit for bit, the forecasts within rounding.
3. What cannot go this way says why, and the caller computes everything anew.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.clock import NS_PER_S, format_ns
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.engine.row_rules import context_of
from foresail.engine.settings import MarketData
from foresail.features.catalogue import find
from foresail.features.context import ContextRow, FeatureContext, calendar_flags
from foresail.features.frame_columns import has_frames
from foresail.features.givens import GIVENS
from foresail.features.live import LiveDriver
from foresail.features.live_scale import LiveScale
from foresail.features.session_flags import NUMBERS
from foresail.features.targets import forward_adjusted
from foresail.forecasting.curve import finish
from foresail.service.feature_health import COMPARED_BARS, health_of
from foresail.service.loading import Loaded
from foresail.service.models_loading import LoadedModel
from foresail.service.predicting import check_moment, settled
from foresail.service.predicting_online import MOVED_BY_OUTCOMES, PastForecasts
from foresail.service.predicting_rows import ForecastRows, standing_of
from foresail.service.predicting_stale import ENOUGH
from foresail.service.serving_answers import LiveAnswers, live_answers
from foresail.service.serving_good import Told, last_good_of
from foresail.service.serving_inside import LiveInside
from foresail.service.serving_outcomes import OutcomeWindow
from foresail.service.training_data import feature_context, model_features

__all__ = ["LiveMarket", "Telling"]

_CALENDAR = tuple(NUMBERS)
_HOUR_NS = 3600 * NS_PER_S
_OUTCOMES = 300  # rows beside the longest horizon that are kept to score forecasts by
_THREADS = 2  # share the work of the history; values do not depend on it


@dataclass(frozen=True, slots=True)
class Telling:
    """What is told of each forecast.

    Attributes
    ----------
    calibration : of ``predicting_online.CALIBRATIONS``
    explain : whether new records have reasons, and of a network similar days and weights
    """

    calibration: str = "stored"
    explain: bool = False


class LiveMarket:
    """A model's forecasts of one data set, bar after bar.

    Parameters
    ----------
    loaded : the whole history
    telling : None = as ``foresail predict`` does without options

    Attributes
    ----------
    outcomes : the newest rows as labels see them
    refusal : why new bars cannot be taken one by one; empty where they can
    notes : what stands beside the bars otherwise than in the training

    Raises
    ------
    ModelError
        If class, frame, features or pairs do not fit the model.
    """

    def __init__(self, model: LoadedModel, loaded: Loaded, telling: Telling | None = None) -> None:
        data = loaded.data
        bars, self.bar_set, self.model = data.bars, data.bar_set, model
        model.check_market(self.bar_set)
        model.check_legs(data)
        self.notes = model.notes_on(loaded)
        self.refusal = ""
        self._driver: LiveDriver | None = None
        self._answers: LiveAnswers | None = None
        features = self._computed(data)
        self._names, self._kept = features.fields, _OUTCOMES + max(model.spec.horizons)
        self._scale = LiveScale(len(bars.instruments))
        scale = self._scale.read(bars)
        first = max(0, features.shape[1] - COMPARED_BARS)
        recent = features.cut(first, features.shape[1])
        recent = replace(recent, values=recent.values.copy())  # a view would keep the whole history
        self._recent = deque((recent.cut(t, t + 1) for t in range(recent.shape[1])), maxlen=COMPARED_BARS)
        self._health: dict[str, Any] | None = None
        self._looked_at = 0  # ns UTC
        self.standing = standing_of(bars, features, scale)
        self.outcomes = OutcomeWindow(
            bars.instruments, bars.end, bars.available_at, forward_adjusted(bars, "close"), scale
        )
        self._raw = self._whole(features, scale)
        self._good = last_good_of(model, bars, features, scale, self._raw)
        self._telling = Telling() if telling is None else telling
        self._past: PastForecasts | None = None
        if self._telling.calibration in MOVED_BY_OUTCOMES:
            self._past = PastForecasts.of(model, bars, features, scale)
        self._inside = LiveInside(model, bars, features, scale) if self._telling.explain else None
        self.notes += (self._inside.note,) if self._inside is not None and self._inside.note else ()
        if not self.refusal:
            answers = live_answers(model.forecaster, features, scale[:, -1], self._raw)
            if isinstance(answers, str):
                self.refusal = answers
            else:
                self._answers = answers

    @property
    def outgrown(self) -> str:
        """Why what is kept beside the forecasts is to be computed anew; empty where it is not."""
        return "" if self._inside is None else self._inside.outgrown

    @property
    def place(self) -> str:
        """Class and frame, for example "stock_1d"."""
        return f"{self.bar_set.asset_class.value}_{self.bar_set.frame}"

    def keep(self, horizons: Sequence[int]) -> None:
        """Keep rows enough to score forecasts of other models of this market, too."""
        self._kept = max(self._kept, _OUTCOMES + max(horizons, default=0))

    def take(self, bars: Panel) -> None:
        """Take new bars (N, T, F) of the same instruments, oldest first.

        Raises
        ------
        ModelError, DataError
            If the model gives no forecast; what is kept cannot be used any more.
        """
        for t in range(bars.shape[1]):
            self._take(bars.cut(t, t + 1))

    def rows(self, now: int) -> list[dict[str, Any]]:
        """Return the rows of an instant, ns UTC, as ``predicting.forecast_market`` does: of all instruments, or of the
        one that the model is of.

        Raises
        ------
        LookAheadError
            If the model has learned from what comes after ``now``.
        """
        check_moment(self.model, self.bar_set, now)
        stored = self._telling.calibration == "stored"
        shown = ForecastRows(self.model, self.bar_set, self.standing, now, calibrated=stored)
        own = set(self.model.record.get("only") or self.standing.instruments)
        every = [i for i, name in enumerate(self.standing.instruments) if str(name) in own]
        ready = shown.ready(every)
        values = self._values(ready)
        rows = shown.rows(every, ready, values)
        stale = [i for i in every if i not in set(ready.tolist())]
        past = self._good.told(self.model, self.standing.instruments, stale)
        for row in rows:
            if row["stale"]:
                row["last_good"] = past.get((InstrumentId(row["instrument"]), row["horizon"]))
        return rows

    def explain(self, rows: Sequence[dict[str, Any]]) -> None:
        """Fill in why rows of the newest bar forecast what they do, where that was asked for.

        Raises
        ------
        ModelError
            If the model cannot say.
        """
        if self._inside is not None:
            self._inside.tell(rows)

    def health(self, now: int) -> dict[str, Any]:
        """Return how the features of the newest bars are (``feature_health``), looked at once an hour at most."""
        if self._health is None or now - self._looked_at >= _HOUR_NS:
            bars = [*self._recent]
            recent = bars[0]
            if bars[1:]:
                recent = replace(
                    recent,
                    values=np.concatenate([one.values for one in bars], axis=1),
                    present=np.concatenate([one.present for one in bars], axis=1),
                    start=np.concatenate([one.start for one in bars]),
                    end=np.concatenate([one.end for one in bars]),
                    available_at=np.concatenate([one.available_at for one in bars]),
                )
            self._health, self._looked_at = {"at": format_ns(now), **health_of(self.model, recent, now)}, now
        return self._health

    def _values(self, ready: IntArray) -> FloatArray:
        """Return (M, K, H, Q) finished quantiles of some instruments."""
        way, spec = self._telling.calibration, self.model.spec
        if self._past is not None:
            return self._past.calibrated(self.model, ready, way)
        raw = self._raw[ready]
        return settled(self.model, raw, self.standing.scale[ready]) if way == "stored" else finish(raw, spec.targets)

    def _computed(self, data: MarketData) -> Panel:
        """Return the features of the history, and keep what remembers it or why nothing does."""
        wanted = self.model.spec.features
        self.refusal = "the model reads features of other frames" if has_frames(wanted) else ""
        if self.refusal:
            return model_features(data, wanted)
        context, names = feature_context(data, wanted)
        self.refusal = _outside(context, names)
        if self.refusal:
            return model_features(data, wanted)
        context = replace(context, reference_names=(), reference=np.empty((0, 0)))  # none of these features reads one
        kept = replace(context, calendar_names=_CALENDAR, calendar=np.empty((len(_CALENDAR), 0)))
        bars = data.bars
        self._driver = LiveDriver(bars.instruments, names, kept, bars.fields, threads=_THREADS, form="model")
        return replace(bars, values=self._driver.replay(self._driver.snapshot(), bars, context), fields=names)

    def _take(self, bar: Panel) -> None:
        if self._answers is None or self._driver is None:
            raise ValueError(f"new bars cannot be taken one by one: {self.refusal}")
        n = len(bar.instruments)
        flags = calendar_flags(bar.start, bar.end, bar.calendar, _CALENDAR)[:, 0]
        row = ContextRow(np.empty(0), flags, np.empty((n, 0)))
        features = self._driver.update(bar.values[:, 0], bar.present[:, 0], row)
        close, here = bar.field("close")[:, 0], bar.present[:, 0]
        scale = self._scale.update(close, bar.field("total_factor")[:, 0], here)
        self.standing = self.standing.after(bar, features, scale)
        newest_at = int(bar.end[0]), int(bar.available_at[0])
        self.outcomes = self.outcomes.after(*newest_at, self._scale.close, scale, kept=self._kept)
        newest = replace(bar, values=features[:, None], fields=self._names)
        self._raw = self._answers.tell(newest, scale)
        self._recent.append(newest)
        whole = self.standing.gaps.whole(context_of(self.model.forecaster))
        self._good = self._good.after(self.model, bar, newest, Told(scale, whole, self._raw))
        if self._past is not None:
            self._past = self._past.after(self.model, bar, newest, told=(scale, whole, self._raw))
        if self._inside is not None:
            self._inside.after(bar, newest, scale, whole)

    def _whole(self, features: Panel, scale: FloatArray) -> FloatArray:
        """Return (N, K, H, Q) quantiles at the last bar by the model's ``predict``; NaN where inputs are lacking."""
        spec, last = self.model.spec, features.shape[1] - 1
        enough = np.isfinite(features.values[:, last]).mean(axis=1) >= ENOUGH
        ready = np.flatnonzero(features.present[:, last] & np.isfinite(scale[:, last]) & enough)
        out = np.full((len(features.instruments), len(spec.targets), len(spec.horizons), len(spec.levels)), np.nan)
        rows = np.column_stack([ready, np.full(len(ready), last)]).astype(np.int64)
        if len(rows):
            out[ready] = self.model.forecaster.predict(features, rows, scale)
        return out


def _outside(context: FeatureContext, names: Sequence[str]) -> str:
    """Return why the context of a new bar is not known from the bar alone; empty where it is."""
    series = sorted({one for name in names for one in find(name).inputs if one.startswith("reference:")})
    read = [one.removeprefix("reference:") for one in series]
    joined = [name for name in context.given_names if GIVENS[name].form != "panel"]
    read += joined or list(context.given_names)
    return f"the model reads {', '.join(read)}, which are joined with the history" if read else ""
