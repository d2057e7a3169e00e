"""From the newest bar of a market and a model's quantiles to the rows that are stored and shown (FCST-11, FCST-19).

A row says what is forecast, or why nothing is. ``foresail predict`` and the process of ``foresail forecasts`` share it,
so the same bar gives the same rows whichever way its features were computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet
from foresail.domain.forecast import Forecast
from foresail.domain.panel import Panel
from foresail.engine.row_rules import GapAges, context_of
from foresail.features.catalogue import features_hash
from foresail.forecasting.class_calibration import ClassCalibration
from foresail.forecasting.confidence import bucket_probabilities
from foresail.forecasting.horizon_names import horizon_name
from foresail.forecasting.prediction import LastBars, PredictionRecord, prediction_records
from foresail.forecasting.records import forecast_row, stale_row
from foresail.service.models_loading import LoadedModel
from foresail.service.predicting_stale import stale_reasons

__all__ = ["ForecastRows", "Standing", "standing_of"]


@dataclass(frozen=True, slots=True, eq=False)
class Standing:
    """The newest bar of a market, with what a forecast is made of there.

    Attributes
    ----------
    end : of the newest bar, ns UTC
    present : (N,) who has that bar
    features : (N, F) of that bar
    scale : (N,) volatility of the one-bar log return known there; NaN where unknown
    seen_end : (N,) end of each instrument's own last bar, ns UTC; -1 = it never had one
    seen_close : (N,) close of that bar, as stored
    seen_features : (N, F) of that bar
    gaps : how long ago bars were absent
    """

    instruments: tuple[InstrumentId, ...]
    frame: str
    calendar: str
    end: int
    present: BoolArray
    features: FloatArray
    scale: FloatArray
    seen_end: IntArray
    seen_close: FloatArray
    seen_features: FloatArray
    gaps: GapAges

    def after(self, bars: Panel, features: FloatArray, scale: FloatArray) -> Standing:
        """Return where the market stands after one more bar.

        Parameters
        ----------
        bars : (N, 1, F) the bar
        features : (N, F')
        scale : (N,)
        """
        here = bars.present[:, 0]
        return replace(
            self,
            end=int(bars.end[0]),
            present=here.copy(),
            features=features,
            scale=scale,
            seen_end=np.where(here, bars.end[0], self.seen_end),
            seen_close=np.where(here, bars.field("close")[:, 0], self.seen_close),
            seen_features=np.where(here[:, None], features, self.seen_features),
            gaps=self.gaps.after(here),
        )


def standing_of(bars: Panel, features: Panel, scale: FloatArray) -> Standing:
    """Return where a market stands at its last bar.

    Parameters
    ----------
    bars, features : of the same instruments and times, at least one
    scale : (N, T)
    """
    last = bars.shape[1] - 1
    own = last - np.argmax(bars.present[:, ::-1], axis=1)  # the last row where it never had a bar
    each = np.arange(len(bars.instruments))
    return Standing(
        instruments=bars.instruments,
        frame=bars.frame,
        calendar=bars.calendar,
        end=int(bars.end[last]),
        present=bars.present[:, last].copy(),
        features=features.values[:, last].copy(),
        scale=scale[:, last].copy(),
        seen_end=np.where(bars.present.any(axis=1), bars.end[own], -1),
        seen_close=bars.field("close")[each, own].copy(),
        seen_features=features.values[each, own].copy(),
        gaps=GapAges.of(bars.present),
    )


class ForecastRows:
    """Who may be forecast at an instant, and the rows of those who are asked for.

    Parameters
    ----------
    now : instant at which the forecast is made, ns UTC
    calibrated : whether class probabilities and confidence are those of the calibration that the model carries, which
        was fitted on curves moved by its stored shift; otherwise they are as they are read off the curve
    """

    def __init__(
        self, model: LoadedModel, bar_set: BarSet, standing: Standing, now: int, *, calibrated: bool = True
    ) -> None:
        stored, horizons = model.classes, len(model.spec.horizons)
        self._classes = stored if calibrated else ClassCalibration.nothing(stored.rule, horizons)
        self._model, self._bar_set, self._standing, self._now = model, bar_set, standing, now
        self._reasons = stale_reasons(standing, bar_set, now, context_of(model.forecaster))
        self._symbols = {one.id: one.symbol for one in bar_set.instruments}

    def ready(self, chosen: Sequence[int]) -> IntArray:
        """Return those of some instruments that may be forecast."""
        return np.array([i for i in chosen if not self._reasons[i]], dtype=np.int64)

    def rows(self, chosen: Sequence[int], ready: IntArray, values: FloatArray) -> list[dict[str, Any]]:
        """Return a row of ``forecasting.records.RECORD_COLUMNS`` for each instrument and horizon.

        Parameters
        ----------
        ready : (M,) who is forecast
        values : (M, K, H, Q) finished log-return quantiles
        """
        records = self._records(ready, values)
        model, standing = self._model, self._standing
        close = values[:, model.spec.targets.index("close")]  # (M, H, Q)
        shares = bucket_probabilities(close, model.spec.levels)  # of all curves at once: one by one is a thousand calls
        place = {standing.instruments[i]: m for m, i in enumerate(ready.tolist())}
        names = [horizon_name(h, self._bar_set.asset_class, standing.frame) for h in model.spec.horizons]
        found = []
        for i in chosen:
            instrument = standing.instruments[i]
            ticker = self._symbols.get(instrument, str(instrument))
            for h, (horizon, name) in enumerate(zip(model.spec.horizons, names, strict=True)):
                record = records.get((instrument, horizon))
                if record is not None:
                    found.append(forecast_row(record, ticker=ticker, name=name, buckets=shares[place[instrument], h]))
                    continue
                reason = self._reasons[i] or "the model gave no finite forecast"
                found.append(stale_row(self._nothing(i, horizon), ticker=ticker, name=name, reason=reason))
        return found

    def _records(self, ready: IntArray, values: FloatArray) -> dict[tuple[InstrumentId, int], PredictionRecord]:
        """Return (instrument, horizon) -> prediction."""
        standing, spec = self._standing, self._model.spec
        names = tuple(standing.instruments[i] for i in ready)
        told = Forecast(values, self._now, names, spec.targets, spec.horizons, spec.levels, self._model.version)
        bars = LastBars(
            self._bar_set.asset_class,
            standing.frame,
            prices=standing.seen_close[ready],
            scale=standing.scale[ready],
            as_of=[(standing.end, False)] * len(names),
        )
        records = prediction_records(told, bars, self._classes)
        hashes = {standing.instruments[i]: features_hash(spec.features, standing.features[i]) for i in ready}
        return {(one.ticker, one.horizon): replace(one, features_hash=hashes[one.ticker]) for one in records}

    def _nothing(self, i: int, horizon: int) -> PredictionRecord:
        """Return a record without a forecast, at the instrument's last known bar."""
        standing, nan = self._standing, float("nan")
        seen = int(standing.seen_end[i])
        return PredictionRecord(
            ticker=standing.instruments[i],
            asset_class=self._bar_set.asset_class,
            frame=standing.frame,
            horizon=horizon,
            prediction_time=self._now,
            as_of=standing.end if seen < 0 else seen,
            stale=True,
            current_price=float(standing.seen_close[i]),
            predicted_return=nan,
            confidence_score=nan,
            quantiles=(),
            class_probabilities=(nan, nan, nan),
            predicted_high=nan,
            predicted_low=nan,
            model_version=self._model.version,
            features_hash=features_hash(self._model.spec.features, standing.seen_features[i]),
        )
