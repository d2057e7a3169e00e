"""A network as a forecaster: what all networks share between a training set and calibrated quantiles of log returns.

1. Inputs are standardised on the training rows, labels are divided by ``scale * sqrt(h)``, so one network serves all
   instruments and price levels never enter.
2. Windows of one instrument share their steps in training and prediction alike.
3. The calibration rows widen or narrow each pair of mirrored levels by one amount (conformalised quantile regression),
   which leaves every ranking as it was.
4. Prediction is made in float64 and rounded, so a row is forecast alike alone and in company.

References
----------
[Lim2021], [Romano2019]
"""

from __future__ import annotations

import copy
import math
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any, ClassVar, Self

import numpy as np
import torch
from torch import nn

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import ModelError, NotFittedError
from foresail.core.seeds import derive_seed
from foresail.domain.panel import Panel
from foresail.domain.training import FitReport, ForecasterSpec, TrainingSet
from foresail.forecasting.artefacts import array_of, model_version, read_model, write_model
from foresail.forecasting.calibration import symmetric_pairs
from foresail.forecasting.curve import check_levels, mean_weights
from foresail.forecasting.neural.calendar import KNOWN
from foresail.forecasting.neural.explaining import integrated_gradients, mean_of, read_by_head
from foresail.forecasting.neural.finetune import beats, frozen_but, tuning_recipe
from foresail.forecasting.neural.fitted import AtHorizons, FittedNetwork, NetworkShape
from foresail.forecasting.neural.inputs import InputMap
from foresail.forecasting.neural.settings import PRESETS, NetworkSettings
from foresail.forecasting.neural.steps import common_step, in_double, mean_for_unknown, until_last_row, weights_of
from foresail.forecasting.neural.tft.network import Segments
from foresail.forecasting.neural.threads import fixed_threads
from foresail.forecasting.neural.training import Fold, Recipe, Trained, TrainingTask, train
from foresail.forecasting.neural.weights import load_weights, save_weights, weights_hash
from foresail.forecasting.neural.windows import Batch, WindowInputs, WindowSettings, WindowSource
from foresail.forecasting.rows import check_training, labelled_rows, scale_unit, standardised_labels
from foresail.protocols import Progress

__all__ = ["NetworkForecaster"]

_FEWEST = 40  # calibration rows below which the network's own intervals stay
_SEGMENTS = 64  # in a batch of prediction
_DIGITS = 9  # of a contribution: alike alone and in company
_HINDSIGHT = (
    "the sector of each instrument is an input as the data tell it now; of names that changed their business since, "
    "or of a table written today, that is hindsight"
)
_EXPLAINED = 4_000_000  # numbers of one layer that are held at once, for slopes


class NetworkForecaster(ABC):
    """See the module. A subclass says which network.

    Attributes
    ----------
    progress : told after each epoch; None = silent
    checkpoint : folder from which a killed training goes on; None = no checkpoints
    """

    kind: ClassVar[str]
    settings_type: ClassVar[type[NetworkSettings]] = NetworkSettings
    presets: ClassVar[Mapping[str, Mapping[str, Any]]] = PRESETS
    way_points: ClassVar[int] = 16  # of integrated gradients; kinks of a ReLU need many
    explained_names: ClassVar[int] = 10  # of each decision of a run: slopes cost more than forecasts
    tuned: ClassVar[tuple[str, ...]] = ("head",)  # parts that sector fine-tuning trains on

    def __init__(self, spec: ForecasterSpec, settings: NetworkSettings | None = None) -> None:
        check_levels(spec.levels)
        self._spec = spec
        self.settings = self.settings_type() if settings is None else settings
        self.progress: Progress | None = None
        self.checkpoint: Path | None = None
        self._fitted: FittedNetwork | None = None

    @property
    def spec(self) -> ForecasterSpec:
        """Inputs, targets, horizons, levels."""
        return self._spec

    @property
    def history(self) -> dict[str, list[float]]:
        """What happened in training, an element an epoch; see ``training.History``."""
        return self._needed("tell its history").history

    @property
    def fitted(self) -> FittedNetwork:
        """The trained network and what belongs to it; NotFittedError before ``fit`` or ``load``."""
        return self._needed("serve")

    @abstractmethod
    def build(self, shape: NetworkShape) -> nn.Module:
        """Return a network with fresh weights; its output has ``quantiles`` (S, K, H, targets, levels)."""

    def shares(self, whole: Any) -> FloatArray | None:
        """Return the share that each observed input has in an output, (observed,); None if the network cannot say."""
        del whole
        return None

    def fit(self, data: TrainingSet, *, seed: int) -> FitReport:
        """Train and calibrate.

        Raises
        ------
        ModelError
            If there are too few labelled training rows or windows (TRAIN-06), or training diverges twice.
        """
        check_training(data, self._spec)
        data = until_last_row(data)
        rows = labelled_rows(data, data.train_rows)
        if len(rows) < self.settings.minimum_windows:
            raise ModelError(
                f"{len(rows)} training windows, {self.settings.minimum_windows} needed for a network (TRAIN-06)",
                hint="use ridge or quantile_trees, or more history",
            )
        inputs = InputMap.fit(data, self._spec, self.settings.statics)
        network = self._network(inputs, seed)
        done, validation = self._train(network, inputs, data, self.settings.recipe(), seed)
        mean_for_unknown(network)
        usable = tuple(bool(np.isfinite(data.targets.values[rows[:, 0], rows[:, 1], k]).any()) for k in self._targets)
        none = np.zeros((len(self._spec.targets), len(self._spec.horizons), len(self._spec.levels)))
        self._fitted = FittedNetwork(inputs, network.eval(), none, usable, asdict(done.history))
        notes = [*done.notes, *([] if inputs.sectors is None else [_HINDSIGHT]), *self._calibrate(data)]
        return self._report(data, rows, validation, notes)

    def fine_tune(self, data: TrainingSet, *, seed: int) -> FitReport:
        """Train the last layers on, a few epochs at a tenth of the rate, on the instruments of a sector (MODEL-05).

        Scaling, embeddings and everything before the last gated layers stay as they are. Where the validation rows
        gain nothing, so do the last layers. ``finetune.fine_tune`` leaves the model itself alone.

        Raises
        ------
        NotFittedError
            Before ``fit`` or ``load``.
        ModelError
            If there are too few labelled training rows (TRAIN-06).
        """
        fitted = self._needed("fine-tune")
        check_training(data, self._spec)
        data = until_last_row(data)
        rows = labelled_rows(data, data.train_rows)
        network = copy.deepcopy(fitted.network)
        with frozen_but(network, self.tuned):
            done, validation = self._train(network, fitted.inputs, data, tuning_recipe(self.settings), seed)
        source, levels = self._source(data, fitted.inputs), self._spec.levels
        held = validation if len(validation) else rows
        with fixed_threads(self.settings.threads):
            networks = [AtHorizons(one, self._spec.horizons) for one in (network, fitted.network)]
            better = beats(networks[0], networks[1], source, held, levels)
        notes = [*done.notes] if better else ["fine-tuning gained nothing on the validation rows: left as it was"]
        kept = network.eval() if better else fitted.network
        history = {key: [*fitted.history[key], *value] for key, value in asdict(done.history).items()}
        self._fitted = FittedNetwork(fitted.inputs, kept, fitted.correction.copy(), fitted.usable, history)
        notes += self._calibrate(data)
        return self._report(data, rows, validation, notes)

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
        return fitted.settle(self._standardised(features, rows), unit, self._spec.targets)

    def explain(self, features: Panel, rows: IntArray, horizon: int) -> FloatArray:
        """Return (R, F), what each feature adds to the expected log return of the close, in standardised units.

        Integrated gradients from the centre of the standardised inputs, summed over the bars of the window; what a
        missing-value mark adds counts for its feature. The rest of the forecast is due to calendar and instrument.

        Parameters
        ----------
        horizon : bars, one of the spec's

        Raises
        ------
        NotFittedError
            Before ``fit`` or ``load``.
        ModelError
            If the horizon or the close is not forecast.
        """
        fitted = self._needed("explain")
        if horizon not in self._spec.horizons or "close" not in self._spec.targets:
            raise ModelError(
                f"{self._spec.name} forecasts {self._spec.targets} at {self._spec.horizons}, not {horizon}"
            )
        read = mean_of(self._spec.targets.index("close"), horizon - 1, mean_weights(self._spec.levels))
        network = copy.deepcopy(fitted.network).double().eval()
        out = np.zeros((len(rows), len(self._spec.features)))
        with fixed_threads(self.settings.threads):
            for first, segments in self._windows_of(features, rows):
                parts = integrated_gradients(network, segments, read, steps=self.way_points)
                part = parts[:, : out.shape[1]]
                for m, j in enumerate(fitted.inputs.scaler.marked):
                    part[:, j] += parts[:, out.shape[1] + m]
                out[first : first + len(part)] = part
        return np.round(out, _DIGITS)

    def encode(self, features: Panel, rows: IntArray) -> FloatArray:
        """Return (R, D), the state that the last layer reads, averaged over the steps ahead.

        Raises
        ------
        NotFittedError
            Before ``fit`` or ``load``.
        """
        fitted = self._needed("encode")
        out = np.empty((len(rows), 0))
        network = copy.deepcopy(fitted.network).double().eval()
        with torch.inference_mode(), fixed_threads(self.settings.threads):
            for batch, use, where in self._batches_of(features, rows):
                state = read_by_head(network, in_double(batch.segments)).numpy()
                out = np.full((len(rows), state.shape[-1]), np.nan) if not out.shape[1] else out
                out[where] = state[use]
        return out

    def save(self, folder: Path) -> None:
        """Write ``model.json`` and ``weights.safetensors``.

        Raises
        ------
        NotFittedError
            Before ``fit``.
        """
        fitted = self._needed("save")
        folder.mkdir(parents=True, exist_ok=True)
        save_weights(fitted.network, folder)
        write_model(folder, self.kind, self._spec, self._content())

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model that ``save`` wrote.

        Raises
        ------
        ModelError
            If there is none, or its weights are not those that were written with it.
        """
        spec, content = read_model(folder, cls.kind)
        model = cls(spec, cls.settings_type(**content["settings"]))
        inputs = InputMap.of(content["inputs"])
        network = model._network(inputs, 0)
        load_weights(network, folder, content["weights"])
        model._fitted = FittedNetwork(
            inputs, network.eval(), array_of(content["correction"]), tuple(content["usable"]), content["history"]
        )
        return model

    # -- parts --------------------------------------------------------------------------------------------------------

    @property
    def _targets(self) -> range:
        return range(len(self._spec.targets))

    def _network(self, inputs: InputMap, seed: int) -> nn.Module:
        torch.manual_seed(derive_seed(seed, "weights") % (1 << 63))
        spec, categories = self._spec, inputs.categories
        shape = NetworkShape(
            inputs.observed,
            len(KNOWN),
            categories,
            len(spec.targets),
            len(spec.levels),
            max(spec.horizons),
            self.settings,
        )
        return self.build(shape)

    def _labels(self, data: TrainingSet) -> FloatArray:
        """Return (N, T, H', K) standardised labels."""
        n, t = data.scale.shape
        every = np.stack(np.meshgrid(np.arange(n), np.arange(t), indexing="ij"), axis=-1).reshape(-1, 2)
        y = standardised_labels(data.targets, data.scale, every.astype(np.int64))
        return np.ascontiguousarray(y.reshape(n, t, *y.shape[1:]).transpose(0, 1, 3, 2))

    def _standardised(self, features: Panel, rows: IntArray) -> FloatArray:
        """Return (R, K, H, Q) quantiles in units of ``scale * sqrt(h)``, not yet sorted."""
        fitted = self._needed("predict")
        out = np.full((len(rows), len(self._spec.targets), len(self._spec.horizons), len(self._spec.levels)), np.nan)
        network = AtHorizons(copy.deepcopy(fitted.network), self._spec.horizons).double().eval()
        with torch.inference_mode(), fixed_threads(self.settings.threads):
            for batch, use, where in self._batches_of(features, rows):
                told = network(in_double(batch.segments)).quantiles.numpy()  # (S, W, H', K, Q)
                out[where] = told[use].transpose(0, 2, 1, 3)
        return out

    def _batches_of(self, features: Panel, rows: IntArray) -> Iterator[tuple[Batch, BoolArray, IntArray]]:
        """Yield segments that hold rows, which of their windows (S, W) are rows, and the places of these rows.

        A segment has no more windows than there are times between the first and the last row: one for the newest bar.
        """
        if len(rows) == 0:
            return
        fitted, horizon = self._needed("predict"), max(self._spec.horizons)
        stride, newest = common_step(rows), int(rows[:, 1].max())
        span = (newest - int(rows[:, 1].min())) // stride + 1
        cut = replace(self.settings.cut(horizon, stride=stride), windows=min(self.settings.windows, span))
        # what lies before the first window is not made; one bar more tells the first step its gap
        begin = max(0, int(rows[:, 1].min()) - cut.windows * stride - cut.context_length)
        used, times = features.cut(begin, newest + 1), newest + 1 - begin
        rows = np.column_stack([rows[:, 0], rows[:, 1] - begin])
        source = self._cut_from(cut, fitted.inputs.inputs(used, horizon))
        place: IntArray = np.full((len(used.instruments), times), -1, dtype=np.int64)
        place[rows[:, 0], rows[:, 1]] = np.arange(len(rows))
        for batch in source.batches(rows, _SEGMENTS, None):
            where = place[batch.instruments[:, None], np.minimum(batch.origins, times - 1)]
            use: BoolArray = (batch.origins < times) & (where >= 0)
            yield batch, use, where[use]

    def _windows_of(self, features: Panel, rows: IntArray) -> Iterator[tuple[int, Segments]]:
        """Yield the first of some rows and their windows, one a segment, float64."""
        if len(rows) == 0:
            return
        fitted, horizon = self._needed("explain"), max(self._spec.horizons)
        used = features.cut(0, int(rows[:, 1].max()) + 1)
        settings = WindowSettings(self.settings.context_length, horizon, windows=1)
        source = self._cut_from(settings, fitted.inputs.inputs(used, horizon))
        held = (
            self.settings.context_length * (fitted.inputs.observed + len(KNOWN)) * self.settings.width * self.way_points
        )
        size = max(1, _EXPLAINED // held)
        for first in range(0, len(rows), size):
            yield first, in_double(source.batch(rows[first : first + size]).segments)

    def _source(self, data: TrainingSet, inputs: InputMap) -> WindowSource:
        horizon = max(self._spec.horizons)
        made = inputs.inputs(data.features, horizon)
        return self._cut_from(self.settings.cut(horizon), made, self._labels(data))

    def _cut_from(self, cut: WindowSettings, inputs: WindowInputs, labels: FloatArray | None = None) -> WindowSource:
        """Return windows whose matrix lies in memory, or in a file beside the checkpoint or among temporary ones."""
        folder = Path(tempfile.gettempdir()) if self.checkpoint is None else self.checkpoint
        mapped = self.settings.is_mapped(cut.matrix_bytes(inputs.observed.shape))
        return WindowSource(cut, inputs, labels, folder if mapped else None)

    def _train(
        self, network: nn.Module, inputs: InputMap, data: TrainingSet, recipe: Recipe, seed: int
    ) -> tuple[Trained, IntArray]:
        """Train a network on the labelled rows; return what happened and the validation rows."""
        rows, validation = labelled_rows(data, data.train_rows), labelled_rows(data, data.validation_rows)
        held = validation if len(validation) else rows
        fold = Fold(rows, held[held[:, 1] % self.settings.stride == 0], weights_of(data, rows))
        told, source = AtHorizons(network, self._spec.horizons), self._source(data, inputs)
        with fixed_threads(self.settings.threads):
            task = TrainingTask(told, source, fold, self._spec.levels, recipe, seed, self.checkpoint)
            done = train(task, progress=self.progress)
        if not len(validation):
            done = replace(done, notes=(*done.notes, "no validation rows: stopped by training rows"))
        return done, validation

    def _calibrate(self, data: TrainingSet) -> tuple[str, ...]:
        """Set the correction of each pair of mirrored levels from the calibration rows."""
        fitted = self._needed("calibrate")
        rows = labelled_rows(data, data.calibration_rows)
        if len(rows) < _FEWEST:
            return (f"{len(rows)} calibration rows: the network's own intervals stay",)
        told = np.sort(self._standardised(data.features, rows), axis=-1)
        y = standardised_labels(data.targets, data.scale, rows)
        for low, high in symmetric_pairs(self._spec.levels):
            score = np.maximum(told[..., low] - y, y - told[..., high])
            inside = self._spec.levels[high] - self._spec.levels[low]
            for k in self._targets:
                for h in range(len(self._spec.horizons)):
                    known = np.sort(score[:, k, h][np.isfinite(score[:, k, h])])
                    if len(known) < _FEWEST:
                        continue
                    rank = min(len(known), math.ceil((len(known) + 1) * inside)) - 1
                    fitted.correction[k, h, low] = -round(float(known[rank]), 10)
                    fitted.correction[k, h, high] = round(float(known[rank]), 10)
        return ()

    def _report(self, data: TrainingSet, rows: IntArray, validation: IntArray, notes: list[str]) -> FitReport:
        fitted = self._needed("report")
        shares = self._importance(data.features, validation if len(validation) else rows)
        ranked: tuple[tuple[str, float], ...] = ()
        if shares is not None:
            order = np.lexsort((np.arange(len(shares)), -shares))
            ranked = tuple((fitted.inputs.names[j], float(shares[j])) for j in order if shares[j] > 0)
        return FitReport(
            model=model_version(self._spec, self._content()),
            train_rows=len(rows),
            validation_rows=len(validation),
            calibration_rows=len(data.calibration_rows),
            importance=ranked,
            notes=tuple(notes),
            history=fitted.history,
        )

    def _importance(self, features: Panel, rows: IntArray) -> FloatArray | None:
        """Return the mean share of each observed input over some rows, summing to 1."""
        fitted, horizon = self._needed("report"), max(self._spec.horizons)
        source = self._cut_from(self.settings.cut(horizon), fitted.inputs.inputs(features, horizon))
        total: FloatArray | None = None
        with torch.inference_mode(), fixed_threads(self.settings.threads):
            for batch in source.batches(rows[rows[:, 1] % self.settings.stride == 0], _SEGMENTS, None):
                part = self.shares(fitted.network(batch.segments))
                if part is None:
                    return None
                total = part if total is None else total + part
        return None if total is None or total.sum() <= 0 else total / total.sum()

    def _needed(self, what: str) -> FittedNetwork:
        if self._fitted is None:
            raise NotFittedError(f"{self._spec.name} was asked to {what} before it was fitted", hint="call fit or load")
        return self._fitted

    def _content(self) -> dict[str, Any]:
        fitted = self._needed("save")
        return {
            "settings": {name: value for name, value in asdict(self.settings).items() if name != "memory"},
            "inputs": fitted.inputs.content(),
            "correction": fitted.correction,
            "usable": list(fitted.usable),
            "history": fitted.history,
            "weights": weights_hash(fitted.network),
        }
