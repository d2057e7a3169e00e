"""From a request to a training that is ready to begin: its bars, features, split, settings, and the hash of it all."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.canonical import hash_value, plain
from foresail.core.clock import Clock, format_ns
from foresail.core.errors import CapabilityError, ConfigError, DataError, LookAheadError
from foresail.core.ids import InstrumentId
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.sectors import Sector
from foresail.domain.training import FitReport, ForecasterSpec
from foresail.engine.normalised import normalised
from foresail.engine.training_sets import ForecastInputs, of_windows
from foresail.forecasting.class_calibration import ClassCalibration
from foresail.forecasting.class_rule import ClassRule
from foresail.forecasting.interval_shift import IntervalShift
from foresail.forecasting.options import build_forecaster, option_defaults, shared_options, trial_spec
from foresail.protocols import Forecaster
from foresail.service.feature_names import chosen_names
from foresail.service.loading import Loaded, load_reading, parse_until
from foresail.service.market_symbols import rows_of_symbols
from foresail.service.models_loading import LoadedModel, load_model
from foresail.service.models_registry import ONE_TICKER, ModelKey, ModelRegistry
from foresail.service.runfolder import code_hash
from foresail.service.training_classes import rule_of
from foresail.service.training_data import FeatureBinding, Ready, available_features, forecast_inputs, plan_parts
from foresail.service.training_inputs import asked_names, chosen_inputs
from foresail.service.training_request import TrainRequest, horizons_of, with_preset, with_static_features

__all__ = ["FittedModel", "TrainJob", "made_forecaster", "resolve_training", "symbols_of"]

_SEED = 7
_EVERY_SECTOR = "all"
_DEFAULT_FORECASTER, _DEFAULT_FEATURES = "quantile_trees", "spine"


@dataclass(frozen=True, slots=True, eq=False)
class TrainJob:
    """A training, resolved: everything is known but what comes out.

    Attributes
    ----------
    base : the model that is fine-tuned; None = a fresh one is trained
    sectors : name -> instruments that get last layers of their own; empty without a base
    rule : thresholds of the classes
    recipe : all that decides what comes out
    """

    request: TrainRequest
    loaded: Loaded
    key: ModelKey
    spec: ForecasterSpec
    options: dict[str, Any]
    seed: int
    ready: Ready
    base: LoadedModel | None
    sectors: Mapping[str, tuple[InstrumentId, ...]]
    rule: ClassRule
    recipe: dict[str, Any]

    @property
    def digest(self) -> str:
        """Hash of the recipe."""
        return hash_value(self.recipe)


@dataclass(frozen=True, slots=True, eq=False)
class FittedModel:
    """A fitted forecaster with its report, its calibrations, and the split that it was fitted on."""

    forecaster: Forecaster
    report: FitReport
    shift: IntervalShift
    classes: ClassCalibration
    ready: Ready


def resolve_training(request: TrainRequest, workspace: Path, registry: ModelRegistry, clock: Clock) -> TrainJob:
    """Return what a request asks for, its bars read and its settings checked.

    Raises
    ------
    UserError
        If the request names something unknown, or an extra is not installed.
    DataError, ModelError
        If the bars cannot be used.
    """
    if not request.data:
        raise ConfigError("expected bars to train on", hint="--bars FILE, or the name of an imported set")
    base = _base(request, registry)
    request = _filled(request, base)
    _beside(request)  # refused before bars are read
    build_forecaster(request.forecaster, trial_spec(request.forecaster), dict(request.options))
    if request.normalise not in (None, "none"):
        normalised(trial_spec(request.forecaster), request.normalise, dict(request.options))
    asked = replace(request.reading, timezone=request.timezone, names=request.names)
    until = parse_until(request.until)
    loaded = load_reading(request.data, asked, workspace=workspace, until_ns=until, clock=clock)
    request, preset = _completed(request, base, loaded.data.bars.frame)
    inputs, absent, learned = _inputs_of(request, loaded, base)
    inputs = of_windows(inputs, int(_options(request).get("context_length", 1)))
    ready, sectors = plan_parts(inputs, absent, request.row_weights or "none"), _sectors(request, loaded)
    _check_base(base, ready)
    seed = _SEED if request.seed is None else request.seed
    chosen: dict[str, Any] = {}
    if base is None:
        ready, chosen = chosen_inputs(ready, request, seed)
        inputs = ready.inputs
    names = inputs.features.fields
    options, rule = _options(request), rule_of(request, loaded.data, ready)
    spec = _spec(request.forecaster, names, inputs.targets.horizons, inputs.targets.names)
    if "context_length" in options:
        spec = replace(spec, context_length=int(options["context_length"]))
    for name, given in _beside(request).items():  # refused before the test part is looked at
        build_forecaster(name, replace(spec, name=name, context_length=1), given)
    recipe = {
        "inputs": loaded.inputs,
        "code": code_hash(),
        "spec": asdict(spec),
        "options": options,
        "features": FeatureBinding.of(names).hash,
        "seed": seed,
        "sector": ",".join(sectors) if sectors else None,
        "refit": request.refit,
        "base": None if base is None else base.record["model_version"],
        "classes": rule.content(),
        "selection": chosen,
        "row_weights": ready.row_weights,
        "normalise": (request.normalise if base is None else base.record.get("normalise")) or "none",
        "instruments": learned if len(learned) < len(loaded.data.bars.instruments) or request.per_ticker else (),
        "per_ticker": request.per_ticker,
        "beside": _beside(request),
        "preset": preset,
    }
    key = _key(request, loaded, sectors, learned)
    return TrainJob(request, loaded, key, spec, options, seed, ready, base, sectors, rule, recipe)


def _completed(request: TrainRequest, base: LoadedModel | None, frame: str) -> tuple[TrainRequest, dict[str, str]]:
    """Return the request with what the frame of its bars settles, and what came from a preset."""
    if base is not None:
        return request, {}
    request, preset = with_preset(request, frame)
    return with_static_features(replace(request, features=request.features or _DEFAULT_FEATURES)), preset


def _inputs_of(
    request: TrainRequest, loaded: Loaded, base: LoadedModel | None
) -> tuple[ForecastInputs, dict[str, str], tuple[InstrumentId, ...]]:
    """Return features and labels, why features are absent, and the instruments that are learned from."""
    data = loaded.data
    if base is not None:
        base.check_market(data.bar_set)
        base.check_legs(data)
        names, absent = base.spec.features, dict[str, str]()
        horizons, wanted = base.spec.horizons, base.spec.targets
    else:
        left = asked_names(request, chosen_names(request.features, data.bar_set.asset_class, data.bars.frame)[1])
        names, absent = available_features(data, left)
        horizons = horizons_of(request.horizons, data.bar_set.asset_class, data.bar_set.frame)
        wanted = tuple(one.strip() for one in (request.targets or "").split(",") if one.strip())
    inputs = forecast_inputs(data, names, horizons, wanted)
    if "close" not in inputs.targets.names:  # classes, paired tests and signals are of the close
        raise ConfigError(
            f"--targets {request.targets}: a model forecasts the close, highs and lows beside it",
            hint=f"add it: --targets close,{request.targets}",
        )
    learned = rows_of_symbols(data, symbols_of(request))
    if len(learned) < len(data.bars.instruments):
        kept = np.zeros_like(inputs.usable)
        kept[learned] = inputs.usable[learned]
        inputs = replace(inputs, usable=kept)
    return inputs, absent, tuple(data.bars.instruments[i] for i in learned)


def _beside(request: TrainRequest) -> dict[str, dict[str, Any]]:
    """Return the forecasters that are fitted beside the model, each with those of its options that it has too.

    Raises
    ------
    UnknownNameError, CapabilityError
        If one is not known, or needs an extra that is not installed.
    """
    found: dict[str, dict[str, Any]] = {}
    for name in (one.strip() for one in (request.beside or "").split(",") if one.strip()):
        found[name] = shared_options(name, request.options)
        if request.context is not None and "context_length" in option_defaults(name):
            found[name]["context_length"] = request.context
    return found


def _key(
    request: TrainRequest, loaded: Loaded, sectors: Mapping[str, Any], learned: tuple[InstrumentId, ...]
) -> ModelKey:
    """Return what the model competes for, with its sector or its only ticker in the name."""
    model, bar_set = request.forecaster, loaded.data.bar_set
    if sectors:
        model += "_" + _slug(next(iter(sectors)) if len(sectors) == 1 else "sectors")
    if request.per_ticker:
        model += ONE_TICKER + _slug(_ticker(loaded, learned))
    return ModelKey(bar_set.asset_class.value, bar_set.frame, model)


def symbols_of(request: TrainRequest) -> tuple[str, ...]:
    """Return the ids or tickers that a request names; none = all instruments."""
    return tuple(one.strip() for one in (request.symbols or "").split(",") if one.strip())


def _slug(text: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")


def _ticker(loaded: Loaded, instruments: tuple[InstrumentId, ...]) -> str:
    """Return what a model of one ticker is called after: its ticker, or its id where another has the same."""
    if len(instruments) != 1:
        raise ConfigError(f"a model of one ticker learns from one instrument, received {len(instruments)}")
    tickers = {one.id: _slug(one.symbol) for one in loaded.data.bar_set.instruments}
    own = tickers.get(instruments[0], "")
    return own if list(tickers.values()).count(own) == 1 else str(instruments[0])


def made_forecaster(job: TrainJob) -> Forecaster:
    """Return the forecaster of a training that starts afresh, not fitted yet."""
    way = job.recipe["normalise"]
    if way == "none":
        return build_forecaster(job.spec.name, job.spec, job.options)
    return normalised(job.spec, way, job.options)


def _spec(name: str, features: tuple[str, ...], horizons: tuple[int, ...], targets: tuple[str, ...]) -> ForecasterSpec:
    return ForecasterSpec(
        name=name, version="1", features=features, targets=targets, horizons=horizons, levels=QUANTILE_LEVELS
    )


def _filled(request: TrainRequest, base: LoadedModel | None) -> TrainRequest:
    """Return the request with its forecaster; what is fine-tuned has the settings of its base."""
    if base is None:
        return replace(request, forecaster=request.forecaster or _DEFAULT_FORECASTER)
    given = (request.features, request.horizons, request.targets, request.select, request.without, request.normalise)
    if request.forecaster not in ("", base.spec.name) or any(given):
        raise ConfigError(
            f"a fine-tuned model has forecaster, features, horizons and targets of its base {base.entry.name}",
            hint="leave --forecaster, --features, --horizons, --targets, --select, --without and --normalise out",
        )
    return replace(request, forecaster=base.spec.name, options={**base.record["options"], **request.options})


def _options(request: TrainRequest) -> dict[str, Any]:
    """Return the settings that differ from the forecaster's defaults, typed."""
    known = option_defaults(request.forecaster)
    given = dict(request.options)
    if request.context is not None:
        if "context_length" not in known:
            raise ConfigError(
                f"--context: {request.forecaster} looks at the features of one bar, not back over several",
                hint="leave it out, or choose a network such as tft",
            )
        given["context_length"] = request.context
    built: Any = build_forecaster(request.forecaster, trial_spec(request.forecaster), given)
    settings = plain(asdict(built.settings)) if known and hasattr(built, "settings") else given
    found: dict[str, Any] = settings if isinstance(settings, dict) else given
    return found


def _base(request: TrainRequest, registry: ModelRegistry) -> LoadedModel | None:
    """Return the model that is to be fine-tuned."""
    if request.sector is None:
        if request.base is not None:
            raise ConfigError("--base names the model that is fine-tuned for a sector", hint="give --sector as well")
        return None
    if request.refit:
        raise ConfigError("--refit fits afresh, --sector goes on from a base", hint="give one of the two")
    if request.base is None:
        raise ConfigError("--sector fine-tunes a model that is there", hint="name it: --base NAME")
    base = load_model(registry.find(request.base))
    if not hasattr(base.forecaster, "fine_tune"):
        raise CapabilityError(
            f"{base.spec.name} cannot be fine-tuned for a sector: it has nothing to warm-start",
            hint="fine-tune a network such as tft, or train on the names of the sector",
        )
    return base


def _check_base(base: LoadedModel | None, ready: Ready) -> None:
    """Refuse a base that has learned from what would be the test part here."""
    if base is None:
        return
    test_from = int(ready.inputs.features.end[ready.fold.test_from])
    if base.usable_from > test_from:
        raise LookAheadError(
            f"{base.entry.name} has learned from bars up to {format_ns(base.usable_from)}, and the test part begins on "
            f"{format_ns(test_from)}",
            hint="give the bars that it was trained on",
        )


def _sectors(request: TrainRequest, loaded: Loaded) -> dict[str, tuple[InstrumentId, ...]]:
    """Return the sectors that get last layers of their own with their instruments, by name."""
    if request.sector is None:
        return {}
    by_id = {one.id: one.sector for one in loaded.data.bar_set.instruments}
    there = sorted({by_id[name] for name in loaded.data.bars.instruments if by_id.get(name)} - {Sector.UNKNOWN.value})
    wanted = sorted({one.strip() for one in request.sector.split(",") if one.strip()})
    for name in wanted if wanted != [_EVERY_SECTOR] else ():
        if name not in there:
            raise DataError(
                f"none of {len(by_id)} instruments is of the sector {name}", hint=f"there: {', '.join(there[:12])}"
            )
    chosen = there if wanted == [_EVERY_SECTOR] else wanted
    if not chosen:
        raise DataError(f"none of {len(by_id)} instruments has a sector", hint="import a set that names sectors")
    return {name: tuple(one for one in loaded.data.bars.instruments if by_id.get(one) == name) for name in chosen}
