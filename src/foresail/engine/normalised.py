"""A forecaster behind normalised inputs (NORM-01 to 07): each instrument by its own numbers, learned on training rows.

To the outside it reads features in model form like any other, so bindings, caches and checks stay what they are. Inside
it fits the transforms of ``features.normalise`` on the training rows of its fold, hands what they make to the
forecaster proper, and keeps them beside its weights. A forecast on other bars finds its instruments by id; one that
training did not have takes the numbers of all together. What the forecaster shows of itself, it shows by feature.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, NotFittedError, UnknownNameError
from foresail.domain.panel import Panel
from foresail.domain.training import FitReport, ForecasterSpec, TrainingSet
from foresail.features.catalogue import spec_of_column
from foresail.features.missing import dropped_notes
from foresail.features.normalise import FittedNormaliser, normaliser, read_normaliser, rule_of, write_normaliser
from foresail.features.transforms.fold import Fold
from foresail.features.transforms.gaps import DropSparse
from foresail.features.transforms.per_instrument import MARK, METHODS
from foresail.forecasting.neural.tft.explanation import MISSING, TftExplanation
from foresail.forecasting.options import attach, build_forecaster
from foresail.forecasting.registry import forecaster_class
from foresail.forecasting.sectors import SectorNetworks
from foresail.protocols import ExplainingForecaster, Forecaster, Progress

__all__ = ["NORMALISERS", "Normalised", "can_be_normalised", "normalised", "with_normaliser"]

NORMALISERS = ("none", *METHODS)
_FILE = "normaliser.json"  # in the folder of the weights
# Forecasters that learn what to make of any feature; the others read some by name, in their own units.
_AUDIENCES: Mapping[str, str] = {
    "gru": "network",
    "lstm": "network",
    "quantile_trees": "trees",
    "random_forest": "trees",
    "ridge": "trees",
    "tft": "network",
}


class Normalised:
    """A forecaster that sees normalised inputs.

    Parameters
    ----------
    inner : the forecaster, fitted or not
    features : that go in
    method : of ``NORMALISERS`` but "none"
    options : of the forecaster, of which one is made anew in each fit
    fitted : of a forecaster that was read

    Attributes
    ----------
    progress, checkpoint : handed to the forecaster while it is fitted
    """

    def __init__(
        self,
        inner: Forecaster,
        features: tuple[str, ...],
        method: str,
        options: Mapping[str, Any],
        fitted: FittedNormaliser | None = None,
    ) -> None:
        self._inner, self._method, self._options, self._fitted = inner, method, dict(options), fitted
        self._spec = replace(inner.spec, features=features)
        self.progress: Progress | None = None
        self.checkpoint: Path | None = None

    @property
    def spec(self) -> ForecasterSpec:
        """Inputs as they are handed in, targets, horizons, levels."""
        return self._spec

    @property
    def settings(self) -> Any:
        """Settings of the forecaster; None where it has none."""
        return getattr(self._inner, "settings", None)

    @property
    def inner(self) -> Forecaster:
        """The forecaster proper, which sees what ``seen`` returns."""
        return self._inner

    @property
    def looks_back(self) -> tuple[str, ...]:
        """Features that are told against earlier bars: of these one new bar is not enough."""
        used = {_base(name) for name in self._inner.spec.features}
        specs = ((name, spec_of_column(name)) for name in self._spec.features if name in used)
        return tuple(name for name, spec in specs if spec is not None and rule_of(spec).prepare == "trailing")

    def fit(self, data: TrainingSet, *, seed: int) -> FitReport:
        """Learn the transforms and then the forecaster, both from the training rows.

        Raises
        ------
        ModelError
            As the forecaster does.
        """
        transforms = normaliser(data.features.fields, _AUDIENCES[self._spec.name], method=self._method)
        chain = FittedNormaliser.fit(transforms, data.features, data.train_rows, Fold.of_rows(data.train_rows))
        self._fitted = chain
        panel = chain.apply(data.features)
        inner = build_forecaster(self._spec.name, replace(self._spec, features=panel.fields), self._options)
        attach(inner, progress=self.progress, checkpoint=self.checkpoint)
        report = inner.fit(replace(data, features=panel), seed=seed)
        attach(inner, progress=None, checkpoint=None)
        self._inner = inner
        sparse = chain.transforms.steps[0]
        notes = dropped_notes(sparse) if isinstance(sparse, DropSparse) else ()
        return replace(_by_feature(report), notes=(*report.notes, *notes))

    def predict(self, features: Panel, rows: IntArray, scale: FloatArray) -> FloatArray:
        """Return (R, K, H, Q) log-return quantiles for (instrument, time) rows."""
        return self._inner.predict(self.seen(features), rows, scale)

    def save(self, folder: Path) -> None:
        """Write the forecaster, and the transforms beside it."""
        self._inner.save(folder)
        write_normaliser(folder / _FILE, self._learned())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read what ``save`` wrote; the folder does not say which forecaster it is.

        Raises
        ------
        ConfigError
            Always: the class of the forecaster proper reads its weights, ``with_normaliser`` adds the rest.
        """
        raise ConfigError(f"{folder.name}: weights of an unnamed forecaster", hint="use with_normaliser(inner, folder)")

    def _learned(self) -> FittedNormaliser:
        if self._fitted is None:
            raise NotFittedError("normalised inputs were asked for before a fit", hint="call fit first")
        return self._fitted

    def seen(self, features: Panel) -> Panel:
        """Return the columns that the forecaster proper sees of features in model form."""
        if features.fields != self._spec.features:
            columns = [features.index(name) for name in self._spec.features]
            values = np.ascontiguousarray(features.values[:, :, columns])
            features = replace(features, values=values, fields=self._spec.features)
        return self._learned().apply(features)


class _Explaining(Normalised):
    """The same over a forecaster that can say which features moved a forecast."""

    def explain(self, features: Panel, rows: IntArray, horizon: int) -> FloatArray:
        """Return (R, F) contributions; those of columns made of one feature are added up."""
        if not isinstance(self._inner, ExplainingForecaster):
            raise NotFittedError(f"{self._spec.name} cannot explain a forecast")
        told = self._inner.explain(self.seen(features), rows, horizon)
        place = {name: i for i, name in enumerate(self._spec.features)}
        found = np.zeros((len(rows), len(place)))
        for j, name in enumerate(self._inner.spec.features):
            found[:, place[_base(name)]] += told[:, j]
        return found


class _Network(_Explaining):
    """The same over a network, which has a state and can be fine-tuned."""

    _inner: Any

    @property
    def explained_names(self) -> int:
        """Names of each decision of a run whose reasons are worked out, as the network says."""
        return int(self._inner.explained_names)

    def encode(self, features: Panel, rows: IntArray) -> FloatArray:
        """Return (R, D), the state that the last layer reads."""
        states: FloatArray = self._inner.encode(self.seen(features), rows)
        return states

    def fine_tune(self, data: TrainingSet, *, seed: int) -> FitReport:
        """Train the last layers on, on the rows of a sector; what was learned of the inputs stays.

        Raises
        ------
        NotFittedError, ModelError
            As the network does.
        """
        inner = copy.copy(self._inner)  # another copy of this one may share it
        attach(inner, progress=self.progress, checkpoint=self.checkpoint)
        report: FitReport = inner.fine_tune(replace(data, features=self.seen(data.features)), seed=seed)
        attach(inner, progress=None, checkpoint=None)
        self._inner = inner
        return _by_feature(report)


class _Transformer(_Network):
    """The same over a network that weighs its inputs and past bars."""

    def weights_of(self, features: Panel, rows: IntArray, groups: Mapping[str, str]) -> TftExplanation:
        """Return selection weights and attention; those of columns made of one feature are added up."""
        columns = {name: _base(name) for name in self._inner.spec.features}
        of = {name: groups[base] for name, base in columns.items() if base in groups}
        told: TftExplanation = self._inner.weights_of(self.seen(features), rows, of)
        names = [_input_name(name) for name in told.variables]
        order = tuple(dict.fromkeys(names))
        member = np.array([[float(one == name) for name in order] for one in names])
        return replace(told, variables=order, selection=told.selection @ member)


def can_be_normalised(name: str) -> bool:
    """Return whether a forecaster learns what to make of any feature, rather than reading some in their own units."""
    return name in _AUDIENCES


def normalised(spec: ForecasterSpec, method: str, options: Mapping[str, Any]) -> Forecaster:
    """Return a forecaster behind normalised inputs, not fitted yet.

    Raises
    ------
    UnknownNameError
        If there is no such method or forecaster.
    ConfigError
        If the forecaster reads features in their own units.
    """
    if method not in METHODS:
        raise UnknownNameError("way to normalise", method, NORMALISERS)
    forecaster_class(spec.name)
    if not can_be_normalised(spec.name):
        raise ConfigError(
            f"{spec.name} reads features in their own units, so they cannot be normalised",
            hint=f"choose one of {', '.join(_AUDIENCES)}, or leave normalise out",
        )
    inner = build_forecaster(spec.name, spec, options)
    return _kind(inner)(inner, spec.features, method, options)


def with_normaliser(inner: Forecaster, folder: Path) -> Forecaster:
    """Return a forecaster that was read from the folder of its weights with its normalised inputs, if it has some."""
    if not (folder / _FILE).is_file():
        return inner
    fitted = read_normaliser(folder / _FILE)

    def behind(one: Forecaster) -> Normalised:
        return _kind(one)(one, fitted.features, "", {}, fitted)

    if isinstance(inner, SectorNetworks):  # a base and its sectors see the same
        return replace(inner, base=behind(inner.base), sectors={k: behind(v) for k, v in inner.sectors.items()})
    return behind(inner)


def _kind(inner: Forecaster) -> type[Normalised]:
    """Return the class that hands on what a forecaster can tell."""
    if hasattr(inner, "encode"):
        return _Transformer if hasattr(inner, "weights_of") else _Network
    return _Explaining if isinstance(inner, ExplainingForecaster) else Normalised


def _by_feature(report: FitReport) -> FitReport:
    """Return a report whose importance is of features, the largest first."""
    shares: dict[str, float] = {}
    for name, share in report.importance:
        shares[_base(name)] = shares.get(_base(name), 0.0) + share
    return replace(report, importance=tuple(sorted(shares.items(), key=lambda one: (-one[1], one[0]))))


def _base(column: str) -> str:
    """Return the feature that a column was made of."""
    return column.removeprefix(MARK).partition("=")[0]


def _input_name(column: str) -> str:
    """Return what an input of a network is called: its feature, or the mark that it was missing."""
    plain = column.removesuffix(MISSING)
    is_mark = plain != column or plain.startswith(MARK)
    return _base(plain) + (MISSING if is_mark else "")
