"""Split conformal intervals: calibrated once on rows that the model was not fitted on, then left alone.

Exchangeable rows are covered with probability at least ``coverage`` and at most 1 / (n + 1) more. Markets are not
exchangeable: use ``adaptive`` where volatility moves, and give a ``scale`` in both.

References
----------
[Vovk2005]; [Romano2019] conformalised quantile regression.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, DataError
from foresail.forecasting.conformal.scores import (
    conformal_quantile,
    interval_scores,
    known_scores,
    relative_interval_scores,
    residual_scores,
)

__all__ = ["CalibrationRows", "ConformalisedQuantiles", "GroupedConformal", "SplitConformal"]


@dataclass(frozen=True, slots=True, eq=False)
class CalibrationRows:
    """Forecasts and what became of them.

    Attributes
    ----------
    low, high : (n,) ends of the forecast interval; equal for a point forecast
    outcome : (n,)
    scale : (n,) volatility known at issue, > 0; ones where there is none
    label_end : (n,) int64, when each outcome was known
    """

    low: FloatArray
    high: FloatArray
    outcome: FloatArray
    scale: FloatArray
    label_end: IntArray

    def __post_init__(self) -> None:
        lengths = {len(self.low), len(self.high), len(self.outcome), len(self.scale), len(self.label_end)}
        if len(lengths) > 1:
            raise DataError(f"calibration rows of different lengths: {sorted(lengths)}")

    def take(self, rows: IntArray) -> CalibrationRows:
        """Return some of the rows."""
        return CalibrationRows(
            self.low[rows], self.high[rows], self.outcome[rows], self.scale[rows], self.label_end[rows]
        )


@dataclass(frozen=True, slots=True)
class SplitConformal:
    """An interval around a point forecast.

    Attributes
    ----------
    below, above : how far the ends lie from the forecast, in units of the scale
    """

    coverage: float
    below: float
    above: float

    @classmethod
    def fit(cls, rows: CalibrationRows, coverage: float, *, known_at: int, signed: bool = False) -> SplitConformal:
        """Calibrate on point forecasts (``low`` and ``high`` equal).

        Parameters
        ----------
        known_at : when this is done; no outcome may be known later
        signed : each tail apart, with half of the error each, for outcomes that are skewed

        Raises
        ------
        LookAheadError
            If an outcome was known only later.
        DataError
            If there are no usable rows.
        """
        centre = (rows.low + rows.high) / 2.0
        if not signed:
            scores = known_scores(residual_scores(centre, rows.outcome, rows.scale), rows.label_end, known_at)
            reach = conformal_quantile(scores, coverage)
            return cls(coverage, reach, reach)
        scale = np.where(rows.scale > 0, rows.scale, np.nan)
        errors = known_scores((rows.outcome - centre) / scale, rows.label_end, known_at)
        tail = (1.0 + coverage) / 2.0
        return cls(coverage, conformal_quantile(-errors, tail), conformal_quantile(errors, tail))

    def interval(self, centre: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (n,) lower and upper ends."""
        return centre - self.below * scale, centre + self.above * scale


@dataclass(frozen=True, slots=True)
class ConformalisedQuantiles:
    """An interval between two forecast quantiles, moved out (or in) by what earlier outcomes ask for.

    Attributes
    ----------
    shift : in units of the scale, or of the interval's width if ``relative``
    """

    coverage: float
    shift: float
    relative: bool

    @classmethod
    def fit(
        cls, rows: CalibrationRows, coverage: float, *, known_at: int, relative: bool = False
    ) -> ConformalisedQuantiles:
        """Calibrate; ``relative`` measures in widths (CQR-r), which leaves narrow intervals narrow.

        Raises
        ------
        LookAheadError, DataError
            As ``SplitConformal.fit``.
        """
        scores = (
            relative_interval_scores(rows.low, rows.high, rows.outcome)
            if relative
            else interval_scores(rows.low, rows.high, rows.outcome, rows.scale)
        )
        return cls(coverage, conformal_quantile(known_scores(scores, rows.label_end, known_at), coverage), relative)

    def interval(self, low: FloatArray, high: FloatArray, scale: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Return (n,) lower and upper ends; an interval never turns inside out but shrinks to its middle."""
        unit = high - low if self.relative else scale
        move = np.maximum(self.shift * unit, (low - high) / 2.0)
        return low - move, high + move


@dataclass(frozen=True, slots=True, eq=False)
class GroupedConformal:
    """One calibration for each group that is large enough, one over all for the rest (Mondrian conformal).

    Attributes
    ----------
    groups : group -> its calibration
    other : of all rows
    """

    groups: dict[Hashable, ConformalisedQuantiles]
    other: ConformalisedQuantiles

    @classmethod
    def fit(
        cls,
        rows: CalibrationRows,
        labels: Sequence[Hashable],
        coverage: float,
        *,
        known_at: int,
        minimum: int = 100,
    ) -> GroupedConformal:
        """Calibrate by group (sector, class, tercile of volatility).

        Parameters
        ----------
        labels : n
        minimum : rows that a group needs for a calibration of its own

        Raises
        ------
        ConfigError
            If the labels do not fit the rows.
        """
        if len(labels) != len(rows.outcome):
            raise ConfigError(f"expected {len(rows.outcome)} group labels, received {len(labels)}")
        members: dict[Hashable, list[int]] = {}
        for position, label in enumerate(labels):
            members.setdefault(label, []).append(position)
        own = {
            label: ConformalisedQuantiles.fit(rows.take(np.array(places)), coverage, known_at=known_at)
            for label, places in members.items()
            if len(places) >= minimum
        }
        return cls(own, ConformalisedQuantiles.fit(rows, coverage, known_at=known_at))

    def interval(
        self, low: FloatArray, high: FloatArray, scale: FloatArray, labels: Sequence[Hashable]
    ) -> tuple[FloatArray, FloatArray]:
        """Return (n,) lower and upper ends."""
        shift = np.array([self.groups.get(label, self.other).shift for label in labels])
        move = np.maximum(shift * scale, (low - high) / 2.0)
        return low - move, high + move
