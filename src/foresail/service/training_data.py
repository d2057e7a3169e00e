"""What a model is trained on: features in the form that models see, labels, and one chronological split.

1. Features are computed in their model form, free of units, and bound to their formulas by a hash.
2. The usable bars are cut 60/20/20 (VALID-01). The middle part is cut once more: its older half stops the training
   early, its newer half calibrates. Rows whose label reaches into the next part are purged (VALID-08); nothing is
   trained after the test part, so no embargo is due.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import hash_value
from foresail.core.clock import format_ns
from foresail.core.errors import ConfigError, DataError, ModelError, UnknownNameError
from foresail.domain.panel import Panel
from foresail.domain.training import TrainingSet
from foresail.engine.folds import Fold
from foresail.engine.pipeline import feature_inputs
from foresail.engine.settings import MarketData
from foresail.engine.training_sets import ForecastInputs, training_set, usable_rows
from foresail.features import batch, targets
from foresail.features.catalogue import find
from foresail.features.context import FeatureContext
from foresail.features.declared.spec import SCHEMA_VERSION
from foresail.features.missing import with_no_news
from foresail.features.readable import formula_text
from foresail.forecasting.design import Scaler
from foresail.forecasting.rows import feature_rows

__all__ = [
    "SCALE_NAME",
    "FeatureBinding",
    "Ready",
    "available_features",
    "feature_context",
    "forecast_inputs",
    "held_out_rows",
    "model_features",
    "plan_parts",
    "plan_refit",
    "scaler_document",
]

SCALE_NAME = "mean of EWMA(0.94) and 60-bar variance of the one-bar log return, version 1"
_SHARES = (0.6, 0.7, 0.8)  # where validation, calibration and test begin
_REFIT_SHARES = (0.75, 0.875)  # the same without a test part
_DIGITS = 16  # of a formula's hash
_LEVELS = 101  # quantiles of a feature that are kept, by which later ones are told to have moved


@dataclass(frozen=True, slots=True)
class FeatureBinding:
    """Which features a model reads, and by which formulas (SERVE-06).

    Attributes
    ----------
    schema : version of the catalogue
    formulas : name -> hash of its model form, in the order of the matrix
    """

    schema: int
    formulas: Mapping[str, str]

    @classmethod
    def of(cls, names: tuple[str, ...]) -> FeatureBinding:
        """Return what the catalogue says of these features now."""
        found = {}
        for name in names:
            found[name] = hash_value(formula_text(find(name).model_expression))[:_DIGITS]
        return cls(SCHEMA_VERSION, found)

    @property
    def hash(self) -> str:
        """SHA-256 of schema version, ordered names and formulas."""
        return hash_value([self.schema, [list(pair) for pair in self.formulas.items()]])

    def document(self) -> dict[str, Any]:
        """Return the JSON form."""
        names = list(self.formulas)
        return {"schema": self.schema, "names": names, "formulas": list(self.formulas.values()), "hash": self.hash}

    @classmethod
    def read(cls, document: Mapping[str, Any]) -> FeatureBinding:
        """Return what ``document`` wrote.

        Raises
        ------
        ModelError
            If its hash is not that of its content.
        """
        found = cls(int(document["schema"]), dict(zip(document["names"], document["formulas"], strict=True)))
        if found.hash != document["hash"]:
            raise ModelError(f"features of the model: expected hash {document['hash'][:16]}, found {found.hash[:16]}")
        return found

    def check(self) -> None:
        """Refuse a catalogue that computes these features otherwise than when the model was trained.

        Raises
        ------
        ModelError
            With both versions and the names of the features that differ.
        """
        try:
            now = FeatureBinding.of(tuple(self.formulas))
        except UnknownNameError as e:
            raise ModelError(f"the model reads {e.name}, which this catalogue does not have", hint=_RETRAIN) from e
        changed = [name for name, formula in self.formulas.items() if now.formulas[name] != formula]
        if changed or now.schema != self.schema:
            which = f"; changed: {', '.join(changed[:5])}" if changed else ""
            raise ModelError(
                f"the model was trained on features {self.hash[:16]} (schema {self.schema}), this version computes "
                f"{now.hash[:16]} (schema {now.schema}){which}",
                hint=_RETRAIN,
            )


_RETRAIN = "train again, or use the version of Foresail that trained it"


@dataclass(frozen=True, slots=True, eq=False)
class Ready:
    """Everything that a training needs.

    Attributes
    ----------
    fold : borders of the parts; the test part is what it serves
    absent : feature -> why these bars cannot give it
    row_weights : how much training rows count (TRAIN-07)
    """

    inputs: ForecastInputs
    fold: Fold
    training: TrainingSet
    absent: dict[str, str]
    row_weights: str = "none"


def available_features(data: MarketData, names: tuple[str, ...]) -> tuple[tuple[str, ...], dict[str, str]]:
    """Return those of the wanted features that a market can give, and why not the others.

    Raises
    ------
    ConfigError
        If none is left.
    """
    _, specs, absent = feature_inputs(data, names)
    found = tuple(spec.name for spec in specs)
    if not found:
        raise ConfigError(f"none of {len(names)} features can be had of these bars: {next(iter(absent.values()), '')}")
    return found, {name: absent[name] for name in names if name in absent}


def feature_context(data: MarketData, names: tuple[str, ...]) -> tuple[FeatureContext, tuple[str, ...]]:
    """Return what the features of a model are computed from beside the bars, and their names in the catalogue.

    Raises
    ------
    ModelError
        If the market cannot give one of them.
    """
    context, specs, absent = feature_inputs(data, names)
    if absent:
        name, reason = next(iter(absent.items()))
        raise ModelError(
            f"the model reads {len(names)} features and these bars give {len(specs)}; {name}: {reason}",
            hint="give bars with the fields that it was trained on",
        )
    return context, tuple(spec.name for spec in specs)


def model_features(data: MarketData, names: tuple[str, ...]) -> Panel:
    """Return (N, T, F) features in model form, in this order; errors are those of ``feature_context``."""
    context, found = feature_context(data, names)
    return with_no_news(batch.compute(data.bars, found, context, form="model"))


def forecast_inputs(
    data: MarketData, names: tuple[str, ...], horizons: tuple[int, ...], wanted: tuple[str, ...] = ()
) -> ForecastInputs:
    """Return features, labels and scale of a market.

    Parameters
    ----------
    wanted : targets; empty means all that the bars have
    """
    features = model_features(data, names)
    labels = targets.compute_targets(data.bars, horizons)
    if wanted:
        for name in wanted:
            if name not in labels.names:
                raise UnknownNameError("target of these bars", name, labels.names)
        columns = [labels.names.index(name) for name in wanted]
        labels = replace(labels, names=wanted, values=np.ascontiguousarray(labels.values[:, :, columns]))
    scale = targets.label_scale(data.bars)
    return ForecastInputs(features, labels, scale, usable_rows(features, labels, scale))


def plan_parts(inputs: ForecastInputs, absent: dict[str, str], row_weights: str = "none") -> Ready:
    """Return the one split of a training.

    Parameters
    ----------
    row_weights : how much training rows count, of ``engine.row_rules.WEIGHTS``

    Raises
    ------
    DataError
        If too few bars can be used.
    """
    times = np.flatnonzero(inputs.usable.any(axis=0))
    longest = max(inputs.targets.horizons)
    if len(times) < 20 or len(times) * 0.1 <= longest:
        raise DataError(
            f"{len(times)} bars have features and a label {longest} bars ahead: too few to train, validate and test",
            hint="give a longer history, or shorter horizons",
        )
    borders = [int(times[int(len(times) * share)]) for share in _SHARES]
    fold = Fold(0, int(times[0]), borders[0], borders[1], borders[2], int(times[-1]) + 1)
    return Ready(inputs, fold, training_set(inputs, fold, row_weights=row_weights), absent, row_weights)


def plan_refit(ready: Ready) -> Ready:
    """Return the split of a second fit that learns from the test part as well, its parts in the same proportions."""
    times = np.flatnonzero(ready.inputs.usable.any(axis=0))
    first, second = (int(times[int(len(times) * share)]) for share in _REFIT_SHARES)
    length = ready.inputs.usable.shape[1]
    fold = Fold(1, int(times[0]), first, second, length, length)
    return replace(ready, fold=fold, training=training_set(ready.inputs, fold, row_weights=ready.row_weights))


def held_out_rows(ready: Ready) -> IntArray:
    """Return the (instrument, time) rows of the test part, sorted by time."""
    fold, usable = ready.fold, ready.inputs.usable
    time, instrument = np.nonzero(usable[:, fold.test_from : fold.test_to].T)
    return np.column_stack([instrument, time + fold.test_from]).astype(np.int64)


def scaler_document(training: TrainingSet, names: tuple[str, ...]) -> dict[str, Any]:
    """Return the statistics of the inputs on the training rows, by which later inputs are measured."""
    x = feature_rows(training.features, training.train_rows, names)
    scaler = Scaler.fit(x)
    missing: FloatArray = 1.0 - np.isfinite(x).mean(axis=0) if len(x) else np.ones(len(names))
    columns = [column[np.isfinite(column)] for column in x.T]
    empty = np.full(_LEVELS, np.nan)
    quantiles = [np.quantile(one, np.linspace(0.0, 1.0, _LEVELS)) if len(one) else empty for one in columns]
    first, last = training.train_rows[0, 1], training.train_rows[-1, 1]
    return {
        "features": list(names),
        "mean": scaler.mean,
        "deviation": scaler.deviation,
        "missing_share": missing,
        "quantiles": np.array(quantiles).T,
        "rows": len(x),
        "from": format_ns(int(training.features.end[first])),
        "to": format_ns(int(training.features.end[last])),
        "label_scale": SCALE_NAME,
    }
