"""A registered model made ready to answer: every claim of its record is checked against what is there (SERVE-06).

Files are what was registered; kind, features, scaler and calibration fit the record; and on the probe, inputs kept from
training, the loaded model gives the forecasts it gave then. What does not fit is refused with both sides named.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.canonical import hash_value
from foresail.core.clock import format_ns
from foresail.core.errors import ModelError
from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet
from foresail.domain.panel import Panel
from foresail.domain.training import ForecasterSpec
from foresail.engine.normalised import with_normaliser
from foresail.engine.settings import MarketData
from foresail.features.catalogue import find
from foresail.forecasting.artefacts import array_of, spec_from
from foresail.forecasting.class_calibration import ClassCalibration
from foresail.forecasting.curve import finish
from foresail.forecasting.interval_shift import IntervalShift
from foresail.forecasting.registry import forecaster_class
from foresail.forecasting.rows import scale_unit
from foresail.forecasting.sectors import load_with_sectors
from foresail.protocols import Forecaster
from foresail.service.loading import Loaded
from foresail.service.models_folder import WEIGHTS, read_document
from foresail.service.models_registry import ModelEntry
from foresail.service.training_data import SCALE_NAME, FeatureBinding, Ready

__all__ = ["LoadedModel", "load_model", "probe_document"]

_INSTRUMENTS, _BARS = 2, 3  # of the probe; each forecast sees the context in front of it
_LEG = "given:pair_close"
_SAME = 1e-5  # log return: two machines may round differently, another scaler or other weights are far off


@dataclass(frozen=True, slots=True, eq=False)
class LoadedModel:
    """A model that may answer.

    Attributes
    ----------
    record : ``model.json``
    classes : calibration of class probabilities and confidence
    usable_from : ns UTC; before it the model has seen the outcomes
    """

    entry: ModelEntry
    record: dict[str, Any]
    forecaster: Forecaster
    shift: IntervalShift
    classes: ClassCalibration
    usable_from: int

    @property
    def spec(self) -> ForecasterSpec:
        """Inputs, targets, horizons, levels."""
        return self.forecaster.spec

    @property
    def version(self) -> str:
        """Name in the registry and version of what was fitted."""
        return f"{self.entry.name} {self.record['model_version']}"

    def check_market(self, bar_set: BarSet) -> None:
        """Refuse bars of another class or frame.

        Raises
        ------
        ModelError
            With both sides.
        """
        there = (bar_set.asset_class.value, bar_set.frame)
        mine = (self.entry.key.asset_class, self.entry.key.frame)
        if there != mine:
            raise ModelError(
                f"{self.entry.name} is a model of {mine[0]} {mine[1]} bars, the set {bar_set.name} has {there[0]} "
                f"{there[1]} bars",
                hint="choose a model of that class and frame: foresail models list",
            )

    def check_legs(self, data: MarketData) -> None:
        """Refuse pairs that are not those of the training; instruments it was not trained on may have any.

        Raises
        ------
        ModelError
            With both second legs.
        """
        if not self._reads(_LEG):
            return
        then = {str(one): str(other) for one, other in self.record["data"].get("pairs", ())}
        now = {str(one): str(other) for one, other in data.pairs.items()}
        here = {str(name) for name in data.bars.instruments}
        apart = [one for one in sorted(here.intersection(self.record["instruments"])) if then.get(one) != now.get(one)]
        if apart:
            one = apart[0]
            same = f'"{one}" = "{then[one]}"' if one in then else f"no line of {one}"
            asked = f"--pair {one}={then[one]}, or " if one in then else ""
            raise ModelError(
                f"{self.entry.name} was trained with {then.get(one, 'nothing')} as the second leg of {one}, these bars "
                f"have {now.get(one, 'nothing')}" + (f" ({len(apart)} pairs differ)" if apart[1:] else ""),
                hint=f"give {asked}{same} in the table [pairs] of foresail.toml",
            )

    def notes_on(self, loaded: Loaded) -> tuple[str, ...]:
        """Return what stands beside these bars otherwise than in the training, and matters to this model."""
        then, now = sorted(self.record["data"].get("series", ())), sorted(loaded.inputs.get("series", ()))
        if then == now or not self._reads("reference:"):
            return ()
        was, are = (", ".join(names) or "none" for names in (then, now))
        return (f"{self.entry.name} was trained beside the sets of series {was}; these bars have {are}",)

    def _reads(self, what: str) -> bool:
        return any(one.startswith(what) for name in self.spec.features for one in find(name).inputs)


def load_model(entry: ModelEntry) -> LoadedModel:
    """Return a registered model, checked.

    Raises
    ------
    ModelError
        If anything of it is not what was registered, or it computes other forecasts here.
    CapabilityError
        If it needs an extra that is not installed.
    """
    record = entry.record()
    spec = spec_from(record["spec"])
    if record["forecaster"] != spec.name or not entry.key.model.startswith(spec.name):
        raise ModelError(f"{entry.name}: the name says {entry.key.model}, the record says {record['forecaster']}")
    binding = FeatureBinding.read(record["features"])
    if tuple(binding.formulas) != spec.features:
        raise ModelError(
            f"{entry.name}: expected features {hash_value(list(spec.features))[:16]}, found "
            f"{hash_value(list(binding.formulas))[:16]}"
        )
    binding.check()
    for name in ("scaler", "calibration"):
        found = hash_value(read_document(entry.path / f"{name}.json"))
        if found != record[f"{name}_hash"]:
            raise ModelError(f"{entry.name}: expected {name} {record[f'{name}_hash'][:16]}, found {found[:16]}")
    scale_name = read_document(entry.path / "scaler.json")["label_scale"]
    if scale_name != SCALE_NAME:
        raise ModelError(f"{entry.name}: labels were scaled by {scale_name!r}, this version scales by {SCALE_NAME!r}")
    weights = entry.path / WEIGHTS
    forecaster = with_normaliser(load_with_sectors(forecaster_class(spec.name), weights), weights)
    if forecaster.spec != spec:
        raise ModelError(f"{entry.name}: weights of {_told(forecaster.spec)}, the record says {_told(spec)}")
    calibration = read_document(entry.path / "calibration.json")
    shift = IntervalShift.of(calibration)
    classes = ClassCalibration.of(calibration.get("classes"), len(spec.horizons))
    _check_probe(entry, forecaster, shift)
    return LoadedModel(entry, record, forecaster, shift, classes, int(record["usable_from_ns"]))


def _told(spec: ForecasterSpec) -> str:
    return f"{spec.name} on {len(spec.features)} features for horizons {list(spec.horizons)} and {list(spec.targets)}"


def probe_document(forecaster: Forecaster, ready: Ready, shift: IntervalShift) -> dict[str, Any]:
    """Return a few inputs before the test part, with what the model makes of them."""
    inputs, end = ready.inputs, ready.fold.test_from
    first = max(0, end - forecaster.spec.context_length - _BARS)
    last = slice(max(0, end - _BARS), end)
    known = inputs.features.present[:, last] & np.isfinite(inputs.scale[:, last])
    chosen = np.argsort(-known.sum(axis=1), kind="stable")[:_INSTRUMENTS]
    chosen.sort()
    names = [inputs.features.instruments[i] for i in chosen]
    panel = inputs.features.select(names).cut(first, end)
    scale = inputs.scale[chosen, first:end]
    return {
        "instruments": names,
        "start": panel.start.tolist(),
        "end": panel.end.tolist(),
        "available_at": panel.available_at.tolist(),
        "calendar": panel.calendar,
        "frame": panel.frame,
        "features": panel.values,
        "present": panel.present.tolist(),
        "fields": panel.fields,
        "scale": scale,
        "forecasts": _answers(forecaster, shift, panel, scale),
    }


def _answers(forecaster: Forecaster, shift: IntervalShift, panel: Panel, scale: Any) -> Any:
    """Return (R, K, H, Q) of the last bars that can be forecast."""
    first = max(0, panel.shape[1] - _BARS)
    ready = panel.present[:, first:] & np.isfinite(scale[:, first:])
    time, instrument = np.nonzero(ready.T)
    rows = np.column_stack([instrument, time + first]).astype(np.int64)
    unit = scale_unit(scale, rows, forecaster.spec.horizons)
    return finish(shift.apply(forecaster.predict(panel, rows, scale), unit), forecaster.spec.targets)


def _check_probe(entry: ModelEntry, forecaster: Forecaster, shift: IntervalShift) -> None:
    kept = read_document(entry.path / "probe.json")
    fields = tuple(kept["fields"])
    if fields != forecaster.spec.features:
        raise ModelError(f"{entry.name}: the probe has {len(fields)} other features than the model")
    names = tuple(InstrumentId(name) for name in kept["instruments"])
    times = [np.array(kept[key], dtype=np.int64) for key in ("start", "end", "available_at")]
    shape = (len(names), len(times[0]), len(fields))
    panel = Panel(
        values=array_of(kept["features"]).reshape(shape),
        present=np.array(kept["present"], dtype=np.bool_).reshape(shape[:2]),
        start=times[0],
        end=times[1],
        available_at=times[2],
        fields=fields,
        instruments=names,
        frame=kept["frame"],
        calendar=kept["calendar"],
    )
    then = array_of(kept["forecasts"])
    now = _answers(forecaster, shift, panel, array_of(kept["scale"]).reshape(shape[:2]))
    if then.shape != now.shape or not np.array_equal(np.isnan(then), np.isnan(now)):
        raise ModelError(f"{entry.name}: the probe gave {then.shape} forecasts, it gives {now.shape} now", hint=_AGAIN)
    if then.size == 0:
        raise ModelError(f"{entry.name}: its probe holds no forecast, so nothing shows that it is whole", hint=_AGAIN)
    apart = float(np.nanmax(np.abs(then - now), initial=0.0))
    if not apart <= _SAME:
        raise ModelError(
            f"{entry.name} forecasts otherwise than when it was registered: the probe differs by {apart:.2g}, at most "
            f"{_SAME:g} is rounding (last bar {format_ns(int(panel.end[-1]))})",
            hint=_AGAIN,
        )


_AGAIN = "train again, or use the version of Foresail that trained it"
