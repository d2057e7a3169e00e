"""A trained model beside what it has to beat, on the same rows of the test part (BASE-01 to 03, 05, 07, EVAL-08).

Every baseline is fitted on the same training rows, calibrated on the same calibration rows, and forecasts the rows that
the model forecast; one that sees several bars does without the rows whose window crosses a gap (TRAIN-03). One that
cannot be trained is left out with a note, as the test part was looked at by then. The paired test then says better,
worse or cannot tell: a lower mean alone says neither.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import plain
from foresail.core.errors import DataError, LookAheadError, ModelError
from foresail.domain.panel import Panel
from foresail.domain.training import ForecasterSpec
from foresail.engine.normalised import can_be_normalised, normalised
from foresail.engine.settings import MarketData
from foresail.engine.training_sets import of_windows, training_set
from foresail.evaluation.paired import BETTER, CANNOT_TELL, WORSE, PairedSettings, compare_losses
from foresail.forecasting import registry
from foresail.forecasting.baselines import RETURN_FEATURE
from foresail.forecasting.curve import finish
from foresail.forecasting.interval_shift import IntervalShift
from foresail.forecasting.options import build_forecaster
from foresail.forecasting.rows import scale_unit
from foresail.protocols import Forecaster
from foresail.service.training_data import Ready, model_features

__all__ = [
    "TRAINING_BASELINES",
    "BaselineRows",
    "Beside",
    "baseline_rows",
    "paired_lines",
    "paired_tests",
    "pinball_of",
]

# registry name -> what a reader calls it
TRAINING_BASELINES: Mapping[str, str] = {
    "no_change": "no change",
    "drift": "drift",
    "random_half": "random half",
    "always_neutral": "always neutral",
    "ewma_volatility": "exponential volatility",
    "har_volatility": "HAR volatility",
    "ridge": "ridge",
    "quantile_trees": "quantile trees",
}
_LEARNING = ("ridge", "quantile_trees")  # read the features of the model; the others need the last return at most
_TREE_ROWS = 25_000  # trees take every n-th row above it
_MOST_CELLS = 4_000_000  # rows times features up to which trees, which then take seconds, are fitted beside a model


@dataclass(frozen=True, slots=True, eq=False)
class BaselineRows:
    """The forecasts of one baseline.

    Attributes
    ----------
    values : (R, K, H, Q) finished quantiles
    is_baseline : False of one that was only asked for beside the model
    """

    key: str
    name: str
    values: FloatArray
    is_baseline: bool = True


@dataclass(frozen=True, slots=True)
class Beside:
    """Forecasters that are fitted beside a model.

    Attributes
    ----------
    options : name -> its options, for example of an LSTM beside a TFT (BASE-09)
    normalise : way that the model's inputs are normalised; those that learn from any feature get theirs so, too
    """

    options: Mapping[str, Mapping[str, Any]]
    normalise: str = "none"


def baseline_rows(
    data: MarketData,
    ready: Ready,
    rows: IntArray,
    spec: ForecasterSpec,
    *,
    seed: int,
    beside: Beside | None = None,
) -> tuple[tuple[BaselineRows, ...], tuple[str, ...]]:
    """Return what every baseline but the model itself says on some rows, and a note on each that has too little data.

    Parameters
    ----------
    rows : (R, 2) instrument and time, of the test part
    spec : of the model
    beside : forecasters that are fitted as well
    """
    if RETURN_FEATURE in ready.inputs.features.fields:
        returns = ready.inputs.features
    else:
        returns = model_features(data, (RETURN_FEATURE,))
    cells = min(len(ready.training.train_rows), _TREE_ROWS) * len(spec.features)
    models: dict[str, tuple[Forecaster, Panel]] = {}
    for key in TRAINING_BASELINES:
        if _same(key, spec.name) or (key == "quantile_trees" and cells > _MOST_CELLS):
            continue
        features = ready.inputs.features if key in _LEARNING else _only_return(returns)
        own = replace(spec, name=key, features=features.fields, context_length=1)
        models[key] = registry.forecaster(key, own), features
    baselines, asked = frozenset(models), Beside({}) if beside is None else beside
    for key in asked.options:
        if key not in models and not _same(key, spec.name):
            models[key] = _built(key, spec, asked), ready.inputs.features
    found, notes = [], []
    for key, (model, features) in models.items():
        name = TRAINING_BASELINES.get(key, key.replace("_", " "))
        try:
            values = _forecast(model, features, ready, rows, seed=seed)
            found.append(BaselineRows(key, name, values, is_baseline=key in baselines))
        except LookAheadError:
            raise
        except (DataError, ModelError) as e:
            notes.append(f"{name} is left out of the comparison: {e.text}")
    return tuple(found), tuple(notes)


def _same(key: str, own: str) -> bool:
    """Return whether both names are of one forecaster, which would be compared with itself."""
    return key == own or registry.FORECASTERS[key] == registry.FORECASTERS.get(own)


def _built(key: str, spec: ForecasterSpec, beside: Beside) -> Forecaster:
    """Return a forecaster of these options, its context in its spec; a preset may say how long that is."""
    options = beside.options[key]
    built = build_forecaster(key, replace(spec, name=key, context_length=1), options)
    own = replace(spec, name=key, context_length=int(getattr(getattr(built, "settings", None), "context_length", 1)))
    if beside.normalise != "none" and can_be_normalised(key):
        return normalised(own, beside.normalise, options)
    return built if own.context_length == 1 else build_forecaster(key, own, options)


def _only_return(panel: Panel) -> Panel:
    values = np.ascontiguousarray(panel.field(RETURN_FEATURE)[:, :, None])
    return replace(panel, values=values, fields=(RETURN_FEATURE,))


def _forecast(model: Forecaster, features: Panel, ready: Ready, rows: IntArray, *, seed: int) -> FloatArray:
    """Return (R, K, H, Q) of one baseline, fitted and calibrated on the parts of the model; NaN across a gap."""
    spec = model.spec
    inputs = of_windows(replace(ready.inputs, features=features), spec.context_length)
    training = training_set(inputs, ready.fold, row_weights=ready.row_weights)
    model.fit(training, seed=seed)
    raw = model.predict(training.features, training.calibration_rows, training.scale)
    shift = IntervalShift.fit(raw, training, spec.levels)
    told = model.predict(features, rows, inputs.scale)
    values = finish(shift.apply(told, scale_unit(inputs.scale, rows, spec.horizons)), spec.targets)
    values[~inputs.usable[rows[:, 0], rows[:, 1]]] = np.nan
    return values


def pinball_of(values: FloatArray, actual: FloatArray, levels: Sequence[float]) -> FloatArray:
    """Return (R,) mean pinball loss over the levels; NaN where a quantile or the outcome is missing.

    Parameters
    ----------
    values : (R, Q)
    actual : (R,)
    """
    gap = actual[:, None] - values
    p = np.asarray(levels)
    loss: FloatArray = np.maximum(p * gap, (p - 1.0) * gap).mean(axis=1)
    return loss


def paired_tests(
    own: FloatArray, others: Sequence[BaselineRows], rows: IntArray, ready: Ready, spec: ForecasterSpec, *, seed: int
) -> list[dict[str, Any]]:
    """Return the tests of the model against each baseline at each horizon of the close, as plain data.

    ``is_baseline`` is False of a forecaster that was only asked for beside the model: nothing has to beat that one.

    Parameters
    ----------
    own : (R, K, H, Q) finished quantiles of the model
    rows : (R, 2)
    """
    if "close" not in spec.targets:
        return []
    k = spec.targets.index("close")
    inputs = ready.inputs
    issued = inputs.features.available_at[rows[:, 1]]
    found = []
    for step, horizon in enumerate(spec.horizons):
        actual = inputs.targets.values[rows[:, 0], rows[:, 1], k, step]
        mine = pinball_of(own[:, k, step], actual, spec.levels)
        settings = PairedSettings(overlap=horizon, seed=seed)
        for one in others:
            theirs = pinball_of(one.values[:, k, step], actual, spec.levels)
            if not np.isfinite(mine + theirs).any():
                continue
            test = compare_losses(mine, theirs, issued, name=one.name, horizon=horizon, settings=settings)
            found.append({**plain(test), "text": test.text, "is_baseline": one.is_baseline})
    return found


def paired_lines(paired: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return a line for each horizon: what the model is better than, worse than, and cannot be told from."""
    lines = []
    for horizon in sorted({one["horizon"] for one in paired}):
        here = [one for one in paired if one["horizon"] == horizon]
        told = []
        for word, said in ((BETTER, "better than"), (WORSE, "worse than"), (CANNOT_TELL, "cannot be told from")):
            names = [
                f"{one['other']} ({1 - one['loss'] / one['other_loss']:+.1%})" for one in here if one["word"] == word
            ]
            told += [f"{said} {', '.join(names)}"] if names else []
        lines.append(f"  {horizon} bar{'s' if horizon > 1 else ''} ahead: {'; '.join(told)}")
    return lines
