"""QuantileTrees: gradient-boosted quantiles around a shrunk linear centre (MODEL-33, BASE-03), the default forecaster.

The main use is to rank names by expected return, where an R-squared of a quarter of a percent is a good one. Trees
alone waste such a signal, so each part of the curve comes from what estimates it best:

1. Labels are standardised by ``scale * sqrt(h)``. The centre starts as drift plus a linear part whose coefficients are
   shrunk under a mixture prior (``shrinkage``).
2. LightGBM fits P50 on what the linear part leaves, less the day's mean; its share in the centre is what the validation
   rows say it earns, 0 if they say nothing.
3. LightGBM fits P10 and P90 around the centre: the row's downward and upward spread.
4. Multipliers of the spreads, one per level, come from the calibration rows (conformal; P10 and P90 included), and the
   curve is moved so that its mean is the centre.

``benchmarks/forecast_power.py`` shows the evidence for this recipe.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import write_atomic
from foresail.core.errors import ModelError, NonFiniteOutputError, NotFittedError
from foresail.core.seeds import derive_seed
from foresail.domain.panel import Panel
from foresail.domain.training import FitReport, ForecasterSpec, TrainingSet
from foresail.forecasting.artefacts import array_of, model_version, read_model, write_model
from foresail.forecasting.curve import check_levels, finish
from foresail.forecasting.design import day_shares, demean_by_day
from foresail.forecasting.location import Location
from foresail.forecasting.rows import Sample, check_training, feature_rows, sample, scale_unit
from foresail.forecasting.shape import fit_multipliers, quantile_curves
from foresail.forecasting.trees.boosting import BoostedQuantile, BoostingSettings, BoostingTask, Forest

__all__ = [
    "QuantileTrees",
    "TreeSettings",
    "earned_share",
    "thin",
]

_LEVELS = (0.10, 0.50, 0.90)
_MIN_SPREAD = 0.1  # standardised units; a spread never collapses
_LABEL_CLIP = 4.0


@dataclass(frozen=True, slots=True)
class TreeSettings:
    """Settings of ``QuantileTrees``.

    Attributes
    ----------
    max_rows : above it, training rows of trees are those whose time position is a multiple of a stride
    centre, spread : how the trees of P50, and of P10 and P90, are grown
    """

    max_rows: int = 30_000
    centre: BoostingSettings = field(default_factory=lambda: BoostingSettings(leaf_share=0.02, leaf_rows=40))
    spread: BoostingSettings = field(
        default_factory=lambda: BoostingSettings(trees=100, rate=0.1, leaves=15, bag_rows=10_000)
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Fitted:
    location: Location
    share: FloatArray  # (K, H) of the P50 trees in the centre
    multipliers: FloatArray  # (K, H, Q)
    trees: dict[str, BoostedQuantile]


class QuantileTrees:
    """Boosted quantiles of standardised log returns; see the module."""

    _KIND: ClassVar[str] = "quantile_trees"
    _LINEAR: ClassVar[str] = "mixture"  # how the linear part of the centre is shrunk; "none" = there is none
    _AVERAGED: ClassVar[bool] = False  # whether trees are averaged and count whole, instead of boosted

    def __init__(self, spec: ForecasterSpec, settings: TreeSettings | None = None) -> None:
        check_levels(spec.levels)
        self._spec = spec
        self._settings = TreeSettings() if settings is None else settings
        self._fitted: _Fitted | None = None

    @property
    def spec(self) -> ForecasterSpec:
        """Inputs, targets, horizons, levels."""
        return self._spec

    def fit(self, data: TrainingSet, *, seed: int) -> FitReport:
        """Learn centre, spreads and shape.

        Raises
        ------
        ModelError
            If there are fewer labelled training rows than the spec asks for (TRAIN-06).
        """
        check_training(data, self._spec)
        train = sample(data, self._spec, data.train_rows, data.weights)
        valid = sample(data, self._spec, data.validation_rows)
        held = sample(data, self._spec, data.calibration_rows)
        location, notes = Location.fit(train, self._spec, method=self._LINEAR)
        thinned = thin(train, self._settings.max_rows)
        if len(thinned) < len(train):
            notes = (*notes, f"trees saw {len(thinned)} of {len(train)} rows, every n-th bar")
        forest = Forest(thinned.x, valid.x, thinned.weights)
        trees, share = self._grow_centre(location, forest, (thinned, valid), seed)
        draft = _Fitted(location, share, np.empty(0), trees)
        trees |= self._grow_spread(draft, forest, (thinned, valid), seed)
        if len(held) == 0:
            held, notes = train, (*notes, "no calibration rows: quantiles from training residuals")
        centre, down, up = self._parts(draft, held.x, held.unit)
        multipliers = fit_multipliers(held.y, centre, down, up, self._spec.levels)
        self._fitted = _Fitted(location, share, multipliers, trees)
        return self._report(data, train, notes)

    def predict(self, features: Panel, rows: IntArray, scale: FloatArray) -> FloatArray:
        """Return (R, K, H, Q) log-return quantiles; NaN where the scale is missing.

        Raises
        ------
        NotFittedError
            Before ``fit`` or ``load``.
        NonFiniteOutputError
            If a row with a scale has no finite forecast of an available target.
        """
        fitted = self._needed("predict")
        unit = scale_unit(scale, rows, self._spec.horizons)
        centre, down, up = self._parts(fitted, feature_rows(features, rows, self._spec.features), unit[..., 0])
        curves = quantile_curves(centre, down, up, fitted.multipliers, self._spec.levels) * unit
        use = np.isfinite(fitted.location.level).all(axis=1)
        known = np.isfinite(unit[:, 0, 0, 0])
        if not np.isfinite(curves[known][:, use]).all():
            raise NonFiniteOutputError(f"{self._spec.name} gave a forecast that is not finite")
        return finish(curves, self._spec.targets)

    def explain(self, features: Panel, rows: IntArray, horizon: int) -> FloatArray:
        """Return (R, F), what each feature adds to the expected log return of the close, in standardised units.

        Parameters
        ----------
        horizon : bars, one of the spec's

        Raises
        ------
        ModelError
            If the horizon is not forecast.
        """
        fitted = self._needed("explain")
        if horizon not in self._spec.horizons or "close" not in self._spec.targets:
            raise ModelError(
                f"{self._spec.name} forecasts {self._spec.targets} at {self._spec.horizons}, not {horizon}"
            )
        k, h = self._spec.targets.index("close"), self._spec.horizons.index(horizon)
        x = feature_rows(features, rows, self._spec.features)
        location = fitted.location
        z = location.scaler.columns(x) - location.offset
        parts = z * location.beta[:, k, h]
        out = parts[:, : x.shape[1]].copy()
        for m, j in enumerate(location.scaler.marked):
            out[:, j] += parts[:, x.shape[1] + m]
        if fitted.share[k, h] > 0:
            out += fitted.share[k, h] * fitted.trees[_key(k, h, 1)].contributions(x)
        return out

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and one text file per booster.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        fitted = self._needed("save")
        folder.mkdir(parents=True, exist_ok=True)
        for name, booster in sorted(fitted.trees.items()):
            write_atomic(folder / f"{name}.txt", booster.text.encode())
        write_model(folder, self._KIND, self._spec, self._content())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model that ``save`` wrote."""
        spec, content = read_model(folder, cls._KIND)
        model = cls(spec)
        trees = {
            name: BoostedQuantile((folder / f"{name}.txt").read_text(encoding="utf-8")) for name in content["trees"]
        }
        model._fitted = _Fitted(
            Location.of(content["location"]), array_of(content["share"]), array_of(content["multipliers"]), trees
        )
        return model

    def _needed(self, what: str) -> _Fitted:
        if self._fitted is None:
            raise NotFittedError(f"{self._spec.name} was asked to {what} before it was fitted", hint="call fit or load")
        return self._fitted

    def _content(self) -> dict[str, Any]:
        fitted = self._needed("save")
        return {
            "location": fitted.location.content(),
            "share": fitted.share,
            "multipliers": fitted.multipliers,
            "trees": sorted(fitted.trees),
        }

    def _slots(self, location: Location) -> list[tuple[int, int]]:
        """Return the (target, horizon) positions that are available."""
        known = np.isfinite(location.level)
        return [(k, h) for k in range(known.shape[0]) for h in range(known.shape[1]) if known[k, h]]

    def _grow_centre(
        self, location: Location, forest: Forest, samples: tuple[Sample, Sample], seed: int
    ) -> tuple[dict[str, BoostedQuantile], FloatArray]:
        """Fit P50 of what the linear part leaves, and how much of it the validation rows support."""
        slots, (train, valid) = self._slots(location), samples
        left = _without_day(train, location)
        check = _without_day(valid, location)
        tasks = [
            BoostingTask(_LEVELS[1], left[:, k, h], check[:, k, h], derive_seed(seed, "P50", k, h)) for k, h in slots
        ]
        found = forest.fit(tasks, self._settings.centre, averaged=self._AVERAGED)
        share = np.zeros(location.level.shape)
        for (k, h), booster in zip(slots, found, strict=True):
            if self._AVERAGED:
                share[k, h] = 1.0
            elif len(valid):
                share[k, h] = earned_share(
                    booster.predict(valid.x), check[:, k, h], valid.times, self._spec.horizons[h]
                )
        return {_key(k, h, 1): booster for (k, h), booster in zip(slots, found, strict=True)}, share

    def _grow_spread(
        self, draft: _Fitted, forest: Forest, samples: tuple[Sample, Sample], seed: int
    ) -> dict[str, BoostedQuantile]:
        """Fit P10 and P90 around the centre."""
        slots, (train, valid) = self._slots(draft.location), samples
        left = train.y - self._centre(draft, train.x, train.unit)
        check = valid.y - self._centre(draft, valid.x, valid.unit)
        where = [(k, h, q) for k, h in slots for q in (0, 2)]
        tasks = [
            BoostingTask(_LEVELS[q], left[:, k, h], check[:, k, h], derive_seed(seed, "spread", q, k, h))
            for k, h, q in where
        ]
        found = forest.fit(tasks, self._settings.spread, averaged=self._AVERAGED)
        return {_key(*place): booster for place, booster in zip(where, found, strict=True)}

    def _centre(self, fitted: _Fitted, x: FloatArray, unit: FloatArray) -> FloatArray:
        centre = fitted.location.base(unit) + fitted.location.linear(x)
        for k, h in self._slots(fitted.location):
            if fitted.share[k, h] > 0:
                centre[:, k, h] += fitted.share[k, h] * fitted.trees[_key(k, h, 1)].predict(x)
        return centre

    def _parts(self, fitted: _Fitted, x: FloatArray, unit: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return centre, downward and upward spread, each (R, K, H), standardised."""
        centre = self._centre(fitted, x, unit)
        down, up = np.ones(centre.shape), np.ones(centre.shape)
        for k, h in self._slots(fitted.location):
            down[:, k, h] = np.maximum(-fitted.trees[_key(k, h, 0)].predict(x), _MIN_SPREAD)
            up[:, k, h] = np.maximum(fitted.trees[_key(k, h, 2)].predict(x), _MIN_SPREAD)
        return centre, down, up

    def _report(self, data: TrainingSet, train: Sample, notes: tuple[str, ...]) -> FitReport:
        fitted = self._needed("report")
        names = self._spec.features
        gain = np.zeros(len(names))
        for name in sorted(fitted.trees):
            gain += fitted.trees[name].gain()
        shares = gain / gain.sum() if gain.sum() > 0 else gain
        linear = fitted.location.importance(names)
        if linear.sum() > 0:
            shares = (shares + linear) / (2.0 if shares.sum() > 0 else 1.0)
        order = np.lexsort((np.arange(len(names)), -shares))
        counts = [booster.trees for booster in fitted.trees.values()]
        grown = f"trees per quantile: {min(counts)} to {max(counts)}; share of P50 trees in the centre: " + ", ".join(
            f"{s:.2f}" for s in fitted.share.ravel()
        )
        return FitReport(
            model=model_version(
                self._spec, {**self._content(), "texts": [fitted.trees[n].text for n in sorted(fitted.trees)]}
            ),
            train_rows=len(train),
            validation_rows=len(data.validation_rows),
            calibration_rows=len(data.calibration_rows),
            importance=tuple((names[j], float(shares[j])) for j in order if shares[j] > 0),
            notes=(*notes, grown),
        )


def thin(rows: Sample, limit: int) -> Sample:
    """Return at most about ``limit`` rows: those whose time position is a multiple of the smallest stride that fits.

    Whether a row stays depends on its own time position and on the number of training rows, both known at the fit.
    """
    stride = max(1, -(-len(rows) // max(1, limit)))
    return rows if stride == 1 else rows.at(rows.times % stride == 0)


def earned_share(predicted: FloatArray, residual: FloatArray, times: IntArray, horizon: int) -> float:
    """Return how much of a prediction the validation rows support, in [0, 1].

    The slope of the residual on the prediction, times ``max(0, 1 - 1 / t^2)``, with ``t`` from sums of scores over
    blocks of days at least a horizon long, since labels overlap and names move together; 0 without a positive slope.

    Parameters
    ----------
    predicted, residual : (R,) standardised, both less the day's mean
    times : (R,) ascending
    horizon : bars
    """
    square = float((predicted**2).sum())
    if square <= 1e-12:
        return 0.0
    slope = float((predicted * residual).sum()) / square
    score = predicted * (residual - slope * predicted)
    block = (times - times[0]) // max(horizon, 1)
    sums = np.bincount(block, weights=score)
    error = float(np.sqrt((sums**2).sum())) / square
    if slope <= 0 or len(sums) < 5:
        return 0.0
    return float(np.round(np.clip(slope * max(0.0, 1.0 - (error / slope) ** 2), 0.0, 1.0), 6))


def _key(k: int, h: int, q: int) -> str:
    return f"target{k}_horizon{h}_p{round(_LEVELS[q] * 100)}"


def _without_day(rows: Sample, location: Location) -> FloatArray:
    """Return (R, K, H) what the linear centre leaves, less the explained part of each day's mean."""
    left = rows.y - location.base(rows.unit) - location.linear(rows.x)
    if len(rows) == 0:
        return left
    flat = np.clip(left.reshape(len(rows), -1), -_LABEL_CLIP, _LABEL_CLIP)
    use = np.isfinite(flat[0])
    shares = day_shares(flat[:, use], rows.times)
    flat[:, use] = demean_by_day(flat[:, use], rows.times, shares)
    return flat.reshape(left.shape)
