"""The training loop of all quantile networks: segments in, the best weights out, resumable after a kill.

1. Each epoch draws all segments once in an order that follows from (seed, epoch), so an epoch can be repeated exactly.
2. After each epoch everything that the next one depends on is written: weights, optimiser moments, random state,
   history. A run that was killed and resumed ends with the same weights as one that was not.
3. A loss that is not a number stops the run; it begins again once, at half the rate, and says so.

Tensors go into safetensors, the rest into JSON. Nothing is pickled.
"""

from __future__ import annotations

import copy
import json
import logging
import math
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file, save
from torch import Tensor, nn

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.core.errors import DataError, ModelError
from foresail.core.seeds import derive_seed, generator
from foresail.forecasting.neural.precision import Precision, device_of, moved
from foresail.forecasting.neural.recipe import Clipper, EarlyStopping, Rates, pinball_loss, plateau_cuts
from foresail.forecasting.neural.windows import Batch, WindowSource
from foresail.protocols import Progress

__all__ = ["Fold", "History", "Recipe", "Trained", "TrainingTask", "train"]

_LOG = logging.getLogger(__name__)
_TOLD = 100  # steps between two messages
_ADAM = ("step", "exp_avg", "exp_avg_sq")


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a network is trained.

    Attributes
    ----------
    epochs : at most
    batch : forecast origins in a step
    rates, clipping, largest_norm, weight_decay : TRAIN-10 to 14
    patience, delta : of early stopping (TRAIN-20)
    device, precision : see ``precision``; a network is on the CPU again when its training is over
    """

    epochs: int = 20
    batch: int = 256
    rates: Rates = field(default_factory=lambda: Rates(total=20))
    clipping: str = "adaptive"
    largest_norm: float = 1.0
    weight_decay: float = 1e-5
    patience: int = 15
    delta: float = 0.001
    device: str = "cpu"
    precision: str = "float32"


@dataclass(frozen=True, slots=True, eq=False)
class Fold:
    """Rows to learn from and to stop by, (R, 2) instrument and time; weights of the training rows or None."""

    train: IntArray
    validation: IntArray
    weights: FloatArray | None = None


@dataclass(frozen=True, slots=True, eq=False)
class TrainingTask:
    """What is to be trained on what.

    Attributes
    ----------
    network : returns an object with ``quantiles`` (S, K, H, targets, Q) from segments; left with its best weights
    levels : Q
    checkpoint : folder for what a restart needs; a finished run leaves it empty. None = no checkpoints
    """

    network: nn.Module
    source: WindowSource
    fold: Fold
    levels: tuple[float, ...]
    recipe: Recipe
    seed: int
    checkpoint: Path | None = None


@dataclass(slots=True)
class History:
    """What happened, an element an epoch (TRAIN-26)."""

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    gradient_norm: list[float] = field(default_factory=list)
    rate: list[float] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Trained:
    """The result: the network holds its best weights.

    Attributes
    ----------
    best_epoch : -1 where no epoch had a finite validation loss
    notes : what was done besides, for example a second start
    """

    history: History
    best_epoch: int
    best_loss: float
    notes: tuple[str, ...]


class _DivergedError(Exception):
    """A loss was not a number."""

    def __init__(self, epoch: int, batch: int) -> None:
        super().__init__(f"the loss of batch {batch} in epoch {epoch} was not a number")


def train(task: TrainingTask, *, progress: Progress | None = None) -> Trained:
    """Train a network and leave its best weights in it.

    Parameters
    ----------
    progress : (stage, epochs done, epochs)

    Raises
    ------
    ModelError
        If the loss is not a number at the full and at half the rate.
    """
    start = copy.deepcopy(task.network.state_dict())
    notes: list[str] = []
    for attempt, scale in enumerate((1.0, 0.5)):
        run = _Run(task, scale, notes[-1] if notes else "")
        if attempt == 0 and (why := run.begun_again()):
            notes.append(why)
            continue  # the run that was killed had begun again
        try:
            run.resume()
            done = run.train(progress)
        except _DivergedError as error:
            task.network.load_state_dict(start)
            run.clear()
            notes.append(f"{error}; started again at half the rate" if attempt == 0 else str(error))
            continue
        run.clear()
        return Trained(run.history, run.stopping.best_epoch, run.stopping.best, (*notes, *done))
    raise ModelError(f"training failed twice: {'; '.join(notes)}", hint="look at the inputs, or lower the rate")


class _Run:
    """One attempt."""

    def __init__(self, task: TrainingTask, scale: float, why: str) -> None:
        self._why = why  # it began again, for the record of a run that is killed
        network, recipe = task.network, task.recipe
        self._network, self._source, self._fold, self._recipe = network, task.source, task.fold, recipe
        self._seed = task.seed
        self._device = device_of(recipe.device)
        self._precision = Precision(recipe.precision, self._device)
        network.to(self._device)
        self._levels = torch.tensor(task.levels, dtype=torch.float32, device=self._device)
        self._scale, self._folder = scale, task.checkpoint
        self._parameters = [p for p in network.parameters() if p.requires_grad]
        self._optimiser = torch.optim.AdamW(self._parameters, lr=1e-3, weight_decay=recipe.weight_decay)
        self._clipper = Clipper(recipe.clipping, recipe.largest_norm)
        self._size = max(1, recipe.batch // task.source.settings.windows)
        self._best: dict[str, Tensor] = {}
        self._first, self._steps = 0, 0
        self.stopping = EarlyStopping(recipe.patience, recipe.delta)
        self.history = History()

    def train(self, progress: Progress | None) -> tuple[str, ...]:
        """Train to the end; return notes."""
        epochs, rates = self._recipe.epochs, self._recipe.rates
        for epoch in range(self._first, epochs):
            if epoch and self.stopping.is_over:  # looked at first: a run may have been killed behind its last epoch
                break
            self._epoch(epoch, plateau_cuts(self.history.validation_loss, rates.patience, self._recipe.delta))
            loss = self._validate()
            self.history.validation_loss.append(loss)
            if self.stopping.update(epoch, loss):
                self._best = {name: value.detach().clone() for name, value in self._network.state_dict().items()}
            self._write(epoch + 1)
            if progress is not None:
                progress("training", epoch + 1, epochs)
        if not self._best:
            raise ModelError("no epoch had a validation loss below infinity", hint="the validation rows have no labels")
        self._network.load_state_dict(self._best)
        self._network.eval().cpu()
        ran = len(self.history.train_loss)
        return (f"{ran} epochs, the best was {self.stopping.best_epoch + 1}",)

    def _epoch(self, epoch: int, stale: int) -> None:
        self._network.train()
        torch.manual_seed(derive_seed(self._seed, "dropout", epoch) % (1 << 63))
        order = generator(self._seed, "segments", epoch)
        losses, norms, count = 0.0, [], 0.0
        rate = self._recipe.rates.at(epoch, stale=stale) * self._scale
        for step, batch in enumerate(self._source.batches(self._fold.train, self._size, order, self._fold.weights)):
            if self._recipe.rates.schedule == "cyclic":
                rate = self._recipe.rates.at(epoch, step=self._steps) * self._scale
            self._steps += 1
            for group in self._optimiser.param_groups:
                group["lr"] = rate
            weight = float(batch.weights.sum())
            if weight == 0.0:
                continue
            self._optimiser.zero_grad(set_to_none=True)
            loss = self._loss(batch)
            value = float(loss.detach())
            if not math.isfinite(value):
                raise _DivergedError(epoch + 1, step + 1)
            self._precision.backward(loss, self._optimiser)
            norms.append(self._clipper.clip(self._parameters))
            if self._recipe.clipping == "norm" and self._steps % _TOLD == 0:
                _LOG.info("step %d: gradient norm %.3g", self._steps, norms[-1])  # TRAIN-15
            self._precision.step(self._optimiser)
            losses, count = losses + value * weight, count + weight
        if count == 0.0:
            raise DataError("no training row has a label", hint="the fold or the horizons are too short")
        self.history.train_loss.append(losses / count)
        self.history.gradient_norm.append(float(np.mean(norms)))
        self.history.rate.append(rate)

    def _validate(self) -> float:
        self._network.eval()
        losses, count = 0.0, 0.0
        with torch.no_grad():
            for batch in self._source.batches(self._fold.validation, 4 * self._size, None):
                weight = float(batch.weights.sum())
                if weight > 0.0:
                    losses, count = losses + float(self._loss(batch)) * weight, count + weight
        return losses / count if count else math.inf

    def _loss(self, batch: Batch) -> Tensor:
        near = moved(batch, self._device)
        with self._precision.cast():
            told = self._network(near.segments).quantiles
        return pinball_loss(told.float(), near.targets, self._levels, near.weights)

    # -- checkpoints --------------------------------------------------------------------------------------------------

    def _write(self, next_epoch: int) -> None:
        if self._folder is None:
            return
        tensors = {f"now.{k}": v for k, v in self._network.state_dict().items()}
        tensors |= {f"best.{k}": v for k, v in self._best.items()}
        for i, parameter in enumerate(self._parameters):
            state = self._optimiser.state.get(parameter, {})
            tensors |= {f"adam.{i}.{name}": torch.as_tensor(state[name]) for name in _ADAM if name in state}
        self._folder.mkdir(parents=True, exist_ok=True)
        meta = {
            "next": next_epoch,
            "steps": self._steps,
            "scale": self._scale,
            "why": self._why,
            "seed": self._seed,
            "history": asdict(self.history),
            "norms": list(self._clipper.norms),
            "best": self.stopping.best if math.isfinite(self.stopping.best) else None,
            "best_epoch": self.stopping.best_epoch,
            "since": self.stopping.since,
            "scaler": self._precision.to_plain(),
        }
        held = save({k: v.cpu().contiguous().clone() for k, v in tensors.items()}, {"meta": json.dumps(meta)})
        write_atomic(self._folder / "checkpoint.safetensors", held)
        write_atomic(
            self._folder / "checkpoint.json", canonical_bytes({"next": next_epoch, "history": meta["history"]})
        )

    def begun_again(self) -> str:
        """Return why the checkpoint is one of a second attempt, at half the rate; nothing where it is not."""
        found = self._kept()
        if found is None or found[0]["seed"] != self._seed or found[0]["scale"] >= self._scale:
            return ""
        return str(found[0].get("why") or "the loss was not a number; started again at half the rate")

    def _kept(self) -> tuple[dict[str, Any], dict[str, Tensor]] | None:
        path = None if self._folder is None else self._folder / "checkpoint.safetensors"
        return _read(path) if path is not None and path.is_file() else None

    def resume(self) -> None:
        """Go on behind the last epoch that a killed run of the same seed and rate finished."""
        found = self._kept()
        if found is None or (found[0]["seed"], found[0]["scale"]) != (self._seed, self._scale):
            return
        meta, tensors = found
        self._network.load_state_dict({k[4:]: v for k, v in tensors.items() if k.startswith("now.")})
        self._best = {k[5:]: v for k, v in tensors.items() if k.startswith("best.")}
        for i, parameter in enumerate(self._parameters):
            state = {name: tensors[f"adam.{i}.{name}"] for name in _ADAM if f"adam.{i}.{name}" in tensors}
            # a file gives them on the CPU; the count of steps stays there, as AdamW itself keeps it
            state |= {name: state[name].to(parameter.device) for name in _ADAM[1:] if name in state}
            if state:
                self._optimiser.state[parameter] = state
        self.history = History(**meta["history"])
        self._clipper.norms.extend(meta["norms"])
        self.stopping.best = math.inf if meta["best"] is None else meta["best"]
        self.stopping.best_epoch, self.stopping.since = meta["best_epoch"], meta["since"]
        self._first, self._steps = meta["next"], meta["steps"]
        self._precision.restore(meta["scaler"])

    def clear(self) -> None:
        """Remove the checkpoint: the run is over."""
        if self._folder is not None:
            for name in ("checkpoint.safetensors", "checkpoint.json"):
                (self._folder / name).unlink(missing_ok=True)


def _read(path: Path) -> tuple[dict[str, Any], dict[str, Tensor]]:
    from safetensors import safe_open

    with safe_open(path, framework="pt") as stream:
        meta = json.loads(stream.metadata()["meta"])
    return meta, load_file(path)
