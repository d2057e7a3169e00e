"""What a network shows of its newest forecasts: weights, attention, reasons and similar days (XPL-02, XPL-03).

Only the newest decision of the newest fold is looked into, for that is what a reader acts on. A forecaster that has no
such thing gives nothing, and the report has no such section.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import plain
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.domain.training import Targets, TrainingSet
from foresail.engine.explaining import Contribution
from foresail.features.catalogue import spec_of_column
from foresail.forecasting.curve import mean_weights
from foresail.forecasting.neural.similar import PastDays, SimilarDays, similar_days
from foresail.forecasting.neural.tft.explanation import TftExplanation
from foresail.protocols import ExplainingForecaster, Forecaster

__all__ = [
    "MOST_DAYS",
    "Attention",
    "Inside",
    "Issued",
    "LookedInto",
    "Selection",
    "SimilarDay",
    "look_inside",
    "nearest_days",
    "past_days",
    "selection_of",
]

_FORECASTS = 5  # best ranked names that are looked into
_REASONS = 5  # features told of each, XPL-03
_DAYS = 5  # similar days of each
_VARIABLES = 12  # told of the selection
MOST_DAYS = 50_000  # days compared at most; of a larger set every so many times


@runtime_checkable
class _Encoding(Protocol):
    """A forecaster with a state that can be compared."""

    def encode(self, features: Panel, rows: IntArray) -> FloatArray: ...


@runtime_checkable
class _Selecting(Protocol):
    """A forecaster that weighs its inputs and past bars."""

    def weights_of(self, features: Panel, rows: IntArray, groups: Mapping[str, str]) -> TftExplanation: ...


@runtime_checkable
class _Laned(Protocol):
    """Forecasters that each serve some of the instruments, given by position."""

    def lanes(self, instruments: Sequence[InstrumentId]) -> list[tuple[IntArray, Forecaster]]: ...


@dataclass(frozen=True, slots=True, eq=False)
class Issued:
    """Forecasts that were issued.

    Attributes
    ----------
    rows : (R, 2) sorted by time
    predicted : (R, K, H, Q), the close first
    scale : (N, T) volatility of the one-bar log return
    horizon : the traded one, bars
    """

    rows: IntArray
    predicted: FloatArray
    scale: FloatArray
    horizon: int


@dataclass(frozen=True, slots=True)
class SimilarDay:
    """A past day with a similar state; ``ended_at`` is when its bar was known, ``followed`` a log return."""

    instrument: str
    ended_at: int
    distance: float
    followed: float


@dataclass(frozen=True, slots=True)
class LookedInto:
    """One of the best ranked forecasts.

    Attributes
    ----------
    reasons : (feature, contribution in log return, value), the largest first; NaN value = the feature was absent
    features : what all features add together, log return
    whole : expected log return before calibration and centring across names
    similar : the nearest first
    """

    instrument: str
    reasons: tuple[Contribution, ...]
    features: float
    whole: float
    similar: tuple[SimilarDay, ...]


@dataclass(frozen=True, slots=True)
class Attention:
    """Mean weight of each past bar in the forecast of a horizon, the oldest first, and of the steps ahead together."""

    horizon: int
    past: tuple[float, ...]
    ahead: float


@dataclass(frozen=True, slots=True)
class Selection:
    """Mean selection weights over the names of a decision.

    Attributes
    ----------
    groups, variables, statics : (name, share), the largest first; of the variables the leading ones
    over_time : (group, shares of the C past bars, the oldest first), in the order of ``groups``
    """

    names: int
    groups: tuple[tuple[str, float], ...]
    variables: tuple[tuple[str, float], ...]
    statics: tuple[tuple[str, float], ...]
    over_time: tuple[tuple[str, tuple[float, ...]], ...]
    attention: tuple[Attention, ...]


@dataclass(frozen=True, slots=True)
class Inside:
    """The newest decision, looked into; ``horizon`` is the traded one, bars."""

    issued_at: int
    horizon: int
    forecasts: tuple[LookedInto, ...]
    selection: Selection | None

    def to_json(self) -> dict[str, Any]:
        """Return plain data; what is missing is null."""
        found: dict[str, Any] = plain(asdict(self))
        return found

    @classmethod
    def of(cls, content: dict[str, Any]) -> Inside:
        """Take back what ``to_json`` gave."""
        chosen = content["selection"]
        return cls(
            content["issued_at"],
            content["horizon"],
            tuple(
                LookedInto(
                    one["instrument"],
                    tuple((name, _number(share), _number(value)) for name, share, value in one["reasons"]),
                    _number(one["features"]),
                    _number(one["whole"]),
                    tuple(SimilarDay(**day) for day in one["similar"]),
                )
                for one in content["forecasts"]
            ),
            None if chosen is None else _selection_of(chosen),
        )


def look_inside(forecaster: Forecaster, features: Panel, data: TrainingSet, issued: Issued) -> Inside | None:
    """Return what a network shows of its newest forecasts; None if it is none or has forecast nothing.

    Parameters
    ----------
    features : (N, T, F)
    data : what it was fitted on; similar days are rows of its training part
    """
    rows, predicted, scale, horizon = issued.rows, issued.predicted, issued.scale, issued.horizon
    if not (isinstance(forecaster, ExplainingForecaster) and isinstance(forecaster, _Encoding)) or not len(rows):
        return None
    step = forecaster.spec.horizons.index(horizon)
    newest = np.flatnonzero(rows[:, 1] == rows[-1, 1])
    middle = predicted[newest, 0, step, forecaster.spec.levels.index(0.5)]
    places = newest[np.lexsort((rows[newest, 0], -middle))][:_FORECASTS]
    best, whole = rows[places], predicted[places, 0, step] @ mean_weights(forecaster.spec.levels)
    shares = forecaster.explain(features, best, horizon) * (scale[best[:, 0], best[:, 1]] * np.sqrt(horizon))[:, None]
    past = past_days(forecaster, data.features, data.targets, data.train_rows)(step)
    days = similar_days(best, forecaster.encode(features, best), past, count=_DAYS, apart=horizon)
    seen = tuple(
        LookedInto(
            str(features.instruments[i]),
            _reasons(features, shares[place], features.values[i, now]),
            float(shares[place].sum()),
            float(whole[place]),
            _days(features, days, place),
        )
        for place, (i, now) in enumerate(best.tolist())
    )
    chosen = selection_of(forecaster, features, rows[newest])
    return Inside(int(features.available_at[rows[-1, 1]]), horizon, seen, chosen)


def selection_of(forecaster: Forecaster, features: Panel, rows: IntArray) -> Selection | None:
    """Return mean selection weights and attention of some forecasts; None of a forecaster that has none.

    Parameters
    ----------
    rows : (R, 2) instrument and time, at least one
    """
    specs = {name: spec_of_column(name) for name in features.fields}
    groups = {name: spec.group for name, spec in specs.items() if spec is not None}
    told = [
        model.weights_of(features, rows[own], groups)
        for own, model in _lanes_of(forecaster, features, rows)
        if isinstance(model, _Selecting)
    ]
    return _selection(_joined(told)) if told else None


def nearest_days(
    forecaster: Forecaster, features: Panel, targets: Targets, rows: IntArray, asked: IntArray
) -> dict[int, list[tuple[SimilarDay, ...]]]:
    """Return horizon -> for each asked row the most similar days before it; empty of a forecaster without a state.

    Parameters
    ----------
    rows : (M, 2) instrument and time of the days that may be compared; those whose outcome was not known yet are left
    asked : (R, 2)
    """
    found: dict[int, list[tuple[SimilarDay, ...]]] = {}
    if not len(rows):
        return found
    for own, model in _lanes_of(forecaster, features, asked):
        if not isinstance(model, _Encoding):
            continue
        # States of two networks are not comparable: those of the past are made by the one that serves the row.
        at, states = past_days(model, features, targets, rows), model.encode(features, asked[own])
        for step, horizon in enumerate(targets.horizons):
            days = similar_days(asked[own], states, at(step), count=_DAYS, apart=horizon)
            told = found.setdefault(horizon, [()] * len(asked))
            for place, row in enumerate(own.tolist()):
                told[row] = _days(features, days, place)
    return found


def past_days(forecaster: _Encoding, features: Panel, targets: Targets, rows: IntArray) -> Callable[[int], PastDays]:
    """Return what gives the days that may be compared, by the position of a horizon; states are computed once."""
    every = max(1, math.ceil(len(rows) / MOST_DAYS))
    rows = rows[rows[:, 1] % every == 0]
    states = forecaster.encode(features, rows)
    k = targets.names.index("close")

    def at(step: int) -> PastDays:
        followed = targets.values[rows[:, 0], rows[:, 1], k, step]
        return PastDays(rows, states, followed, targets.label_end[rows[:, 1], step])

    return at


def _lanes_of(forecaster: Forecaster, features: Panel, rows: IntArray) -> list[tuple[IntArray, Forecaster]]:
    """Return which rows, by position, are served by which forecaster: one for all, or one for each sector."""
    if not isinstance(forecaster, _Laned):
        return [(np.arange(len(rows)), forecaster)] if len(rows) else []
    lanes = [(np.flatnonzero(np.isin(rows[:, 0], own)), model) for own, model in forecaster.lanes(features.instruments)]
    return [(own, model) for own, model in lanes if len(own)]


def _joined(told: Sequence[TftExplanation]) -> TftExplanation:
    """Return the weights of several networks of the same inputs as one."""

    def every(name: str) -> Any:
        return np.concatenate([getattr(one, name) for one in told])

    return replace(
        told[0],
        rows=every("rows"),
        selection=every("selection"),
        by_group=every("by_group"),
        over_time=every("over_time"),
        static=every("static"),
        ahead=every("ahead"),
        attention=every("attention"),
        attention_ahead=every("attention_ahead"),
    )


def _reasons(features: Panel, shares: FloatArray, values: FloatArray) -> tuple[Contribution, ...]:
    leading = np.argsort(-np.abs(shares), kind="stable")[:_REASONS]
    return tuple((features.fields[j], float(shares[j]), float(values[j])) for j in leading.tolist() if shares[j] != 0)


def _days(features: Panel, days: SimilarDays, place: int) -> tuple[SimilarDay, ...]:
    found = zip(days.days[place].tolist(), days.distance[place].tolist(), days.followed[place].tolist(), strict=True)
    return tuple(
        SimilarDay(str(InstrumentId(features.instruments[i])), int(features.available_at[now]), distance, followed)
        for (i, now), distance, followed in found
        if i >= 0
    )


def _selection(told: TftExplanation) -> Selection:
    by_group = told.by_group.mean(axis=0)
    order = np.argsort(-by_group, kind="stable").tolist()
    known = np.isfinite(told.over_time)
    count = known.sum(axis=0)
    over_time = np.where(known, told.over_time, 0.0).sum(axis=0) / np.where(count > 0, count, np.nan)
    attention, ahead = told.attention.mean(axis=0), told.attention_ahead.mean(axis=0)
    return Selection(
        names=len(told.rows),
        groups=tuple((told.groups[g], float(by_group[g])) for g in order),
        variables=_leading(told.variables, told.selection.mean(axis=0)),
        statics=_leading(told.statics, told.static.mean(axis=0)),
        over_time=tuple((told.groups[g], tuple(over_time[:, g].tolist())) for g in order),
        attention=tuple(
            Attention(h, tuple(attention[j].tolist()), float(ahead[j])) for j, h in enumerate(told.horizons)
        ),
    )


def _leading(names: tuple[str, ...], shares: FloatArray) -> tuple[tuple[str, float], ...]:
    order = np.argsort(-shares, kind="stable")[:_VARIABLES].tolist()
    return tuple((names[j], float(shares[j])) for j in order)


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _selection_of(content: dict[str, Any]) -> Selection:
    ranked = {key: tuple((name, share) for name, share in content[key]) for key in ("groups", "variables", "statics")}
    return Selection(
        names=content["names"],
        groups=ranked["groups"],
        variables=ranked["variables"],
        statics=ranked["statics"],
        over_time=tuple((name, tuple(map(_number, shares))) for name, shares in content["over_time"]),
        attention=tuple(Attention(one["horizon"], tuple(one["past"]), one["ahead"]) for one in content["attention"]),
    )
