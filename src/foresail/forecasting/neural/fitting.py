"""A Temporal Fusion Transformer fitted on numbers: a panel in, quantiles out, no tensor at the border.

1. Each instrument may have a calendar of its own: bars are counted by instrument, not by date.
2. One thread computes, so that the numbers do not depend on how many there are.
3. With a folder, a fit that was killed goes on where it was, and one that had ended is read again. The name in the
   folder is the hash of everything that the weights follow from.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray
from safetensors.torch import load, save

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.canonical import hash_bytes, hash_value, write_atomic
from foresail.core.errors import DataError
from foresail.core.seeds import derive_seed
from foresail.forecasting.neural.recipe import Rates
from foresail.forecasting.neural.tft.network import TemporalFusionTransformer, TftSettings
from foresail.forecasting.neural.training import Fold, Recipe, TrainingTask, train
from foresail.forecasting.neural.windows import Batch, WindowInputs, WindowSettings, WindowSource

__all__ = ["FittedTft", "NetworkPanel", "PanelSource", "TftPlan", "fit_tft"]

_ROWS = 1024  # forecast at once


@dataclass(frozen=True, slots=True, eq=False)
class NetworkPanel:
    """Inputs of N instruments, bars counted by each.

    Attributes
    ----------
    observed : (N, T, V) scaled; NaN is missing
    known : (N, T + H, W) numbers of each instrument's calendar
    present : (N, T)
    static : (N, S) codes, 0 = unknown
    """

    observed: FloatArray
    known: FloatArray
    present: BoolArray
    static: IntArray


@dataclass(frozen=True, slots=True)
class TftPlan:
    """A network and how it is trained.

    Attributes
    ----------
    levels : quantile levels, ascending
    context_length, horizon, width, heads, layers, dropout : of the network
    rate, epochs, batch, patience, weight_decay : of the recipe; the rate falls from ``rate`` to 0 by a cosine
    windows, stride : K and bars between the windows of a segment
    device : of training; the network is on the CPU when it forecasts
    """

    levels: tuple[float, ...]
    context_length: int
    horizon: int
    width: int = 32
    heads: int = 4
    layers: int = 1
    dropout: float = 0.1
    rate: float = 2e-3
    epochs: int = 12
    batch: int = 256
    patience: int = 5
    weight_decay: float = 1e-5
    windows: int = 8
    stride: int = 5
    device: str = "cpu"


class PanelSource(WindowSource):
    """Windows of a panel in which every instrument has its own calendar.

    Parameters
    ----------
    labels : (N, T, H, K) standardised, NaN where there is none; None for prediction
    """

    def __init__(self, settings: WindowSettings, panel: NetworkPanel, labels: FloatArray | None) -> None:
        n, t, _ = panel.observed.shape
        if panel.known.shape[:2] != (n, t + settings.horizon):
            raise DataError(f"expected ({n}, {t + settings.horizon}) rows known, received {panel.known.shape[:2]}")
        if not np.isfinite(panel.known).all():
            raise DataError("what is known ahead has missing or infinite values")
        super().__init__(settings, WindowInputs(panel.observed, panel.known[0], panel.present, panel.static), labels)
        front, back = settings.context_length - 1, (settings.windows - 1) * settings.stride
        own = np.pad(panel.known.astype(np.float32), ((0, 0), (front, back), (0, 0)), mode="edge")
        self._own: NDArray[np.float32] = sliding_window_view(own, settings.past + settings.horizon, axis=1)

    def batch(self, starts: IntArray, allowed: NDArray[np.float32] | None = None) -> Batch:
        """Return the segments that begin at instruments and first origins, (S, 2)."""
        found = super().batch(starts, allowed)
        known = np.ascontiguousarray(self._own[starts[:, 0], starts[:, 1]].transpose(0, 2, 1))
        return replace(found, segments=replace(found.segments, known=torch.from_numpy(known)))


class FittedTft:
    """A trained network that takes panels.

    Attributes
    ----------
    history : validation loss of each epoch
    """

    def __init__(self, network: TemporalFusionTransformer, plan: TftPlan, history: tuple[float, ...]) -> None:
        self._network, self._plan, self.history = network.eval(), plan, history

    def predict(self, panel: NetworkPanel, rows: IntArray) -> FloatArray:
        """Return (R, H, K, Q) standardised quantiles, ascending, at (R, 2) instruments and times."""
        settings = WindowSettings(self._plan.context_length, self._plan.horizon, windows=1)
        source = PanelSource(settings, panel, None)
        parts = []
        with _one_thread(), torch.inference_mode():
            for first in range(0, len(rows), _ROWS):
                told = self._network(source.batch(rows[first : first + _ROWS]).segments).quantiles[:, 0]
                parts.append(np.sort(told.numpy().astype(np.float64), axis=-1))
        return np.concatenate(parts)


def fit_tft(
    plan: TftPlan,
    panel: NetworkPanel,
    labels: FloatArray,
    fold: Fold,
    *,
    seed: int,
    folder: Path | None = None,
) -> FittedTft:
    """Return a network trained on the rows of a fold.

    Parameters
    ----------
    labels : (N, T, H, K) standardised, NaN where there is none
    folder : for what a restart needs; None = nothing is kept
    """
    sizes = tuple(int(column.max()) + 1 for column in panel.static.T)
    shape = TftSettings(
        observed=panel.observed.shape[2],
        known=panel.known.shape[2],
        categories=sizes,
        targets=labels.shape[3],
        levels=len(plan.levels),
        context_length=plan.context_length,
        horizon=plan.horizon,
        width=plan.width,
        heads=plan.heads,
        layers=plan.layers,
        dropout=plan.dropout,
    )
    torch.manual_seed(derive_seed(seed, "weights") % (1 << 63))
    network = TemporalFusionTransformer(shape)
    place = None if folder is None else folder / _key(plan, panel, labels, fold, seed)
    if place is not None and (place / "network.safetensors").is_file():
        tensors = load((place / "network.safetensors").read_bytes())
        history = tuple(tensors.pop("history").tolist())
        network.load_state_dict(tensors)
        return FittedTft(network, plan, history)
    source = PanelSource(WindowSettings(plan.context_length, plan.horizon, plan.windows, plan.stride), panel, labels)
    with _one_thread():
        done = train(TrainingTask(network, source, fold, plan.levels, _recipe(plan), seed, place))
    history = tuple(done.history.validation_loss)
    if place is not None:
        kept = {name: value.contiguous().clone() for name, value in network.state_dict().items()}
        kept["history"] = torch.tensor(history, dtype=torch.float64)
        write_atomic(place / "network.safetensors", save(kept))
    return FittedTft(network, plan, history)


def _recipe(plan: TftPlan) -> Recipe:
    return Recipe(
        epochs=plan.epochs,
        batch=plan.batch,
        rates=Rates(base=plan.rate, warm_up=0, total=plan.epochs),
        weight_decay=plan.weight_decay,
        patience=plan.patience,
        delta=1e-5,
        device=plan.device,
    )


def _key(plan: TftPlan, panel: NetworkPanel, labels: FloatArray, fold: Fold, seed: int) -> str:
    weights = np.empty(0) if fold.weights is None else fold.weights
    arrays = (panel.observed, panel.known, panel.present, panel.static, labels, fold.train, fold.validation, weights)
    data = hash_bytes(b"".join(hash_bytes(np.ascontiguousarray(one).tobytes()).encode() for one in arrays))
    told = {name: value for name, value in asdict(plan).items() if (name, value) != ("device", "cpu")}
    return hash_value({"plan": told, "data": data, "seed": seed})[:16]


@contextmanager
def _one_thread() -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(before)
