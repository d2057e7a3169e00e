"""Sector fine-tuning: one network learns from all instruments, its last layers learn on for a sector (MODEL-05).

1. Everything but the last gated layers and the head is frozen; the few epochs run at a tenth of the rate.
2. What gains nothing on the sector's validation rows is thrown away.
3. Instruments of no sector are forecast by the network that was trained on all, bit for bit.
"""

from __future__ import annotations

import copy
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, DataError
from foresail.core.ids import InstrumentId
from foresail.core.seeds import derive_seed
from foresail.domain.panel import Panel
from foresail.domain.training import FitReport, ForecasterSpec, TrainingSet
from foresail.forecasting.neural.recipe import pinball_loss
from foresail.forecasting.neural.settings import NetworkSettings
from foresail.forecasting.neural.training import Recipe
from foresail.forecasting.neural.windows import WindowSource

if TYPE_CHECKING:
    from foresail.forecasting.neural.forecaster import NetworkForecaster

__all__ = ["SectorNetworks", "beats", "fine_tune", "frozen_but", "rows_of", "tuning_recipe"]

_RATE = 0.1  # of the rate of the first training
_EPOCHS = 5
_SEGMENTS = 64


def tuning_recipe(settings: NetworkSettings) -> Recipe:
    """Return the recipe of fine-tuning: at most five epochs at a tenth of the rate."""
    return replace(settings, epochs=min(_EPOCHS, settings.epochs)).recipe(_RATE)


@contextmanager
def frozen_but(network: nn.Module, parts: Sequence[str]) -> Iterator[None]:
    """Let only some parts of a network be trained, and all of them again afterwards.

    Parameters
    ----------
    parts : names of submodules

    Raises
    ------
    ConfigError
        If the network has no such part.
    """
    for part in parts:
        if not any(name.startswith(f"{part}.") for name, _ in network.named_parameters()):
            raise ConfigError(f"the network has no part {part} to fine-tune")
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(any(name.startswith(f"{part}.") for part in parts))
    try:
        yield
    finally:
        network.requires_grad_()


def beats(
    network: nn.Module, other: nn.Module, source: WindowSource, rows: IntArray, levels: tuple[float, ...]
) -> bool:
    """Return whether a network has a lower pinball loss over some rows than another.

    Parameters
    ----------
    network, other : give ``quantiles`` at the horizons of the labels
    rows : (R, 2)
    """
    told = torch.tensor(levels, dtype=torch.float32)
    losses, count = [0.0, 0.0], 0.0
    with torch.no_grad():
        for batch in source.batches(rows, _SEGMENTS, None):
            weight = float(batch.weights.sum())
            if weight == 0.0:
                continue
            count += weight
            for i, one in enumerate((network, other)):
                loss = pinball_loss(one.eval()(batch.segments).quantiles, batch.targets, told, batch.weights)
                losses[i] += float(loss) * weight
    return count > 0.0 and math.isfinite(losses[0]) and losses[0] < losses[1]


def rows_of(data: TrainingSet, instruments: Sequence[InstrumentId]) -> TrainingSet:
    """Return the training set with the rows of some instruments only; the panel stays whole.

    Raises
    ------
    DataError
        If the panel has none of them.
    """
    wanted = set(instruments)
    chosen = np.array([name in wanted for name in data.features.instruments])
    if not chosen.any():
        raise DataError(f"none of the {len(wanted)} instruments to fine-tune for is in the panel")
    train = chosen[data.train_rows[:, 0]]
    return replace(
        data,
        train_rows=data.train_rows[train],
        validation_rows=data.validation_rows[chosen[data.validation_rows[:, 0]]],
        calibration_rows=data.calibration_rows[chosen[data.calibration_rows[:, 0]]],
        weights=data.weights[train],
    )


@dataclass(frozen=True, slots=True, eq=False)
class SectorNetworks:
    """A network for all, and one with last layers of its own for each sector.

    Attributes
    ----------
    base : the network for all, never changed
    sectors : name -> its network
    members : instrument -> name of its sector
    reports : name -> what its fine-tuning did
    """

    base: NetworkForecaster
    sectors: Mapping[str, NetworkForecaster]
    members: Mapping[InstrumentId, str]
    reports: Mapping[str, FitReport]

    @property
    def spec(self) -> ForecasterSpec:
        """Inputs, targets, horizons, levels: those of the base."""
        return self.base.spec

    def predict(self, features: Panel, rows: IntArray, scale: FloatArray) -> FloatArray:
        """Return (R, K, H, Q) log-return quantiles, each row by the network of its instrument's sector."""
        return self._by_sector(features, rows, lambda model, some: model.predict(features, some, scale))

    def explain(self, features: Panel, rows: IntArray, horizon: int) -> FloatArray:
        """Return (R, F) contributions, each row by the network of its instrument's sector."""
        return self._by_sector(features, rows, lambda model, some: model.explain(features, some, horizon))

    def _by_sector(
        self, features: Panel, rows: IntArray, told: Callable[[NetworkForecaster, IntArray], FloatArray]
    ) -> FloatArray:
        sectors = sorted(self.sectors)
        code = {name: i for i, name in enumerate(sectors)}
        lane = np.array([code.get(self.members.get(name, ""), -1) for name in features.instruments], dtype=np.int64)
        own = lane[rows[:, 0]]
        models = [(-1, self.base), *((code[name], self.sectors[name]) for name in sectors)]
        parts = [(own == i, model) for i, model in models if (own == i).any() or (i == -1 and not len(rows))]
        found = [(inside, told(model, rows[inside])) for inside, model in parts]
        out = np.empty((len(rows), *found[0][1].shape[1:]))
        for inside, part in found:
            out[inside] = part
        return out


def fine_tune(
    base: NetworkForecaster, data: TrainingSet, sectors: Mapping[str, Sequence[InstrumentId]], *, seed: int
) -> SectorNetworks:
    """Return networks fine-tuned for sectors; ``base`` is left as it is.

    Parameters
    ----------
    data : what the base was fitted on, or a later one
    sectors : name -> its instruments

    Raises
    ------
    ConfigError
        If an instrument belongs to two sectors.
    DataError
        If the panel has no instrument of a sector.
    ModelError
        If a sector has too few labelled training rows (TRAIN-06).
    """
    members: dict[InstrumentId, str] = {}
    for name in sorted(sectors):
        for instrument in sectors[name]:
            if members.setdefault(instrument, name) != name:
                raise ConfigError(f"{instrument} belongs to two sectors, {members[instrument]} and {name}")
    networks: dict[str, NetworkForecaster] = {}
    reports: dict[str, FitReport] = {}
    for name in sorted(sectors):
        networks[name] = copy.copy(base)  # fine-tuning replaces what was fitted, it changes nothing in it
        reports[name] = networks[name].fine_tune(rows_of(data, sectors[name]), seed=derive_seed(seed, "sector", name))
    return SectorNetworks(base, networks, members, reports)
