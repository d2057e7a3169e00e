"""One forecaster for all names, with last layers of its own for each sector (MODEL-05).

1. A fitted forecaster that can be fine-tuned is the base; for each sector a copy of it learns on from the rows of the
   sector. The base stays as it is.
2. Each instrument is forecast by the copy of its sector; those of no sector, and those that were not there when the
   sectors were trained, by the base, bit for bit.
3. All of it is one saved forecaster: the base as it saves itself, each copy in a folder, and ``sectors.json``.
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.core.errors import CapabilityError, ConfigError, DataError, ModelError
from foresail.core.ids import InstrumentId
from foresail.core.seeds import derive_seed
from foresail.domain.panel import Panel
from foresail.domain.training import FitReport, ForecasterSpec, TrainingSet
from foresail.forecasting.artefacts import model_version
from foresail.protocols import Forecaster, Progress

__all__ = ["SECTOR_FILE", "SECTOR_FOLDER", "SectorNetworks", "fine_tune", "load_with_sectors", "rows_of"]

SECTOR_FILE = "sectors.json"
SECTOR_FOLDER = "sector_"  # and a number
_FORMAT = 1


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
    """A forecaster for all, and one with last layers of its own for each sector.

    Attributes
    ----------
    base : for all, never changed
    sectors : name -> its forecaster
    members : instrument -> name of its sector
    reports : name -> what its fine-tuning did; empty where the forecaster was loaded
    """

    base: Any
    sectors: Mapping[str, Any]
    members: Mapping[InstrumentId, str]
    reports: Mapping[str, FitReport]

    @property
    def spec(self) -> ForecasterSpec:
        """Inputs, targets, horizons, levels: those of the base."""
        spec: ForecasterSpec = self.base.spec
        return spec

    @property
    def settings(self) -> Any:
        """Settings of the base; None where it has none."""
        return getattr(self.base, "settings", None)

    def lanes(self, instruments: Sequence[InstrumentId]) -> list[tuple[IntArray, Forecaster]]:
        """Return which instruments, by position, are forecast by which forecaster; those without one are left out."""
        sectors = sorted(self.sectors)
        code = {name: i for i, name in enumerate(sectors)}
        own = np.array([code.get(self.members.get(name, ""), -1) for name in instruments], dtype=np.int64)
        models = [(-1, self.base), *((code[name], self.sectors[name]) for name in sectors)]
        return [(np.flatnonzero(own == i), model) for i, model in models if (own == i).any()]

    def fit(self, data: TrainingSet, *, seed: int) -> FitReport:
        """Refuse: a base is fitted by itself, then ``fine_tune`` makes this of it.

        Raises
        ------
        CapabilityError
            Always.
        """
        raise CapabilityError("a forecaster with sectors is not fitted afresh", hint="fit its base, then fine_tune")

    def predict(self, features: Panel, rows: IntArray, scale: FloatArray) -> FloatArray:
        """Return (R, K, H, Q) log-return quantiles, each row by the forecaster of its instrument's sector."""
        return self._by_sector(features, rows, lambda model, some: model.predict(features, some, scale))

    def explain(self, features: Panel, rows: IntArray, horizon: int) -> FloatArray:
        """Return (R, F) contributions, each row by the forecaster of its instrument's sector."""
        return self._by_sector(features, rows, lambda model, some: model.explain(features, some, horizon))

    def save(self, folder: Path) -> None:
        """Write the base as it saves itself, a folder for each sector, and ``sectors.json``."""
        self.base.save(folder)
        listing = []
        for i, name in enumerate(sorted(self.sectors)):
            self.sectors[name].save(folder / f"{SECTOR_FOLDER}{i}")
            own = sorted(instrument for instrument, sector in self.members.items() if sector == name)
            listing.append({"name": name, "folder": f"{SECTOR_FOLDER}{i}", "instruments": own})
        write_atomic(folder / SECTOR_FILE, canonical_bytes({"format": _FORMAT, "sectors": listing}))

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Refuse: the folder does not say of which class the base is; see ``load_with_sectors``.

        Raises
        ------
        CapabilityError
            Always.
        """
        raise CapabilityError(f"{folder}: a forecaster with sectors is read with the class of its base")

    def version(self) -> str:
        """Return ``name@version-hash`` of base and sectors."""
        members = {str(name): sector for name, sector in self.members.items()}
        made = {name: report.model for name, report in self.reports.items()}
        return model_version(self.spec, {"members": members, "sectors": made})

    def _by_sector(self, features: Panel, rows: IntArray, told: Callable[[Any, IntArray], FloatArray]) -> FloatArray:
        parts = [(np.isin(rows[:, 0], own), model) for own, model in self.lanes(features.instruments)]
        used = [(inside, model) for inside, model in parts if inside.any()]
        if not used:
            return told(self.base, rows)
        found = [(inside, told(model, rows[inside])) for inside, model in used]
        out = np.empty((len(rows), *found[0][1].shape[1:]))
        for inside, part in found:
            out[inside] = part
        return out


def fine_tune(
    base: Any,
    data: TrainingSet,
    sectors: Mapping[str, Sequence[InstrumentId]],
    *,
    seed: int,
    notes: list[str] | None = None,
) -> SectorNetworks:
    """Return forecasters fine-tuned for sectors; ``base`` is left as it is.

    Parameters
    ----------
    base : a fitted forecaster with ``fine_tune``
    data : what the base was fitted on, or a later one
    sectors : name -> its instruments
    notes : told of each sector that has too little to learn from, which the base then serves; None = refuse it

    Raises
    ------
    ConfigError
        If an instrument belongs to two sectors.
    DataError
        If the panel has no instrument of a sector.
    ModelError
        If a sector has too few labelled training rows (TRAIN-06), or none is left.
    """
    members: dict[InstrumentId, str] = {}
    for name in sorted(sectors):
        for instrument in sectors[name]:
            if members.setdefault(instrument, name) != name:
                raise ConfigError(f"{instrument} belongs to two sectors, {members[instrument]} and {name}")
    networks: dict[str, Any] = {}
    reports: dict[str, FitReport] = {}
    for i, name in enumerate(sorted(sectors)):
        one = copy.copy(base)  # fine-tuning replaces what was fitted, it changes nothing in it
        if getattr(base, "checkpoint", None) is not None:
            one.checkpoint = base.checkpoint / f"{SECTOR_FOLDER}{i}"
        if getattr(base, "progress", None) is not None:
            one.progress = _of_sector(base.progress, name)
        try:
            reports[name] = one.fine_tune(rows_of(data, sectors[name]), seed=derive_seed(seed, "sector", name))
        except ModelError as e:
            if notes is None:
                raise
            notes.append(f"{name} is served by the base: {e.text}")
            continue
        networks[name] = one
    if not networks:
        raise ModelError(f"none of {len(sectors)} sectors has enough to learn from: {'; '.join(notes or ())}")
    return SectorNetworks(base, networks, {k: v for k, v in members.items() if v in networks}, reports)


def _of_sector(progress: Progress, name: str) -> Progress:
    """Return a progress that says of which sector its stages are."""

    def tell(stage: str, done: int, total: int) -> None:
        progress(f"{stage} {name}", done, total)

    return tell


def load_with_sectors(kind: type[Any], folder: Path) -> Forecaster:
    """Return a saved forecaster of a class, with its sectors where it has some.

    Raises
    ------
    ModelError
        If the folder is not what was saved.
    """
    base: Forecaster = kind.load(folder)
    path = folder / SECTOR_FILE
    if not path.is_file():
        return base
    document = json.loads(path.read_text(encoding="utf-8"))
    if document.get("format") != _FORMAT:
        raise ModelError(f"{path}: expected format {_FORMAT}, found {document.get('format')!r}")
    sectors: dict[str, Forecaster] = {}
    members: dict[InstrumentId, str] = {}
    for one in document["sectors"]:
        sectors[one["name"]] = kind.load(folder / one["folder"])
        members |= {InstrumentId(name): one["name"] for name in one["instruments"]}
        if sectors[one["name"]].spec != base.spec:
            raise ModelError(f"{path}: the sector {one['name']} is of another model than the base")
    return SectorNetworks(base, sectors, members, {})
