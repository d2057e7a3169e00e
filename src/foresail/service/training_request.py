"""What ``foresail train`` was asked to do: options of the command, a TOML file under them, defaults under that."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.forecasting.horizon_names import horizon_bars
from foresail.forecasting.horizons import default_horizons
from foresail.forecasting.preset_inputs import preset_inputs
from foresail.service.reading import Reading, check_learning, parse_pairs

__all__ = [
    "TrainRequest",
    "horizons_of",
    "parse_options",
    "preset_note",
    "with_config",
    "with_preset",
    "with_static_features",
]

_KEYS = {"version": "", "train": "", "options": ""}
_TEXTS = (
    "data", "forecaster", "features", "horizons", "targets", "until", "timezone", "sector", "base", "symbols",
    "beside", "select", "without",
    "row_weights", "normalise",
)  # fmt: skip
_NUMBERS = ("context", "seed", "names", "keep")
_FRACTIONS = ("neutral_band", "fixed_threshold", "round_trip_cost")
_SECTOR = "sector"  # the feature, and the static input that is read from it
_SWITCHES = ("per_ticker", "refit")
_READING = ("frame", "extended", "series", "pair")  # how the bars are read


@dataclass(frozen=True, slots=True)
class TrainRequest:
    """A training.

    Attributes
    ----------
    data : Parquet or CSV file, described folder, imported name, or the embedded sample
    forecaster : any registered one
    features : a set, or names and sets separated by commas
    horizons : bars or spans, separated by commas; None = those of the preset, else of the frame
    targets : of close, high, low, separated by commas; None = all that the bars have
    context : bars back that one forecast sees; None = the forecaster's own
    options : settings of the forecaster, text or typed
    seed : of everything random
    until : "2015-12-31": nothing available after the end of that day, UTC
    names : only the first so many instruments, by id
    sector : sectors separated by commas, or "all": the model ``base`` gets last layers of their own for each (MODEL-05)
    base : name of the model that is fine-tuned, or class_frame_model for its champion
    neutral_band : k of the classes, standard deviations of the horizon; None = 0.5 (FCST-07)
    fixed_threshold : of the classes at every horizon instead, log return: 0.01 for 1 %
    round_trip_cost : smallest threshold, fraction of value; None = the default costs of the asset class
    select : how features are chosen on the training part; None = as the sets say: 50 of multi, all of the others
    keep : features that a selection keeps; None = 50
    without : groups of features left out, separated by commas: sentiment, order_flow (SEL-11)
    normalise : none, or how each instrument is scaled by its own numbers: standard or min_max; None = none (NORM-01)
    row_weights : how training rows count: none, recency, uniqueness or recency+uniqueness; None = none (TRAIN-07)
    beside : forecasters that are fitted on the same rows and compared with, separated by commas, such as an lstm beside
        a tft (BASE-09); baselines are without being named
    refit : after the test part was scored, fit once more on all bars and register that model
    reading : frame, extended hours, series and pairs beside the bars
    config : TOML file with [train] and [options], which hold what the request leaves open; a switch that is on in
        either of them is on
    """

    data: str = ""
    forecaster: str = ""
    features: str = ""
    horizons: str | None = None
    targets: str | None = None
    context: int | None = None
    options: Mapping[str, Any] = field(default_factory=dict)
    seed: int | None = None
    until: str | None = None
    timezone: str | None = None
    names: int | None = None
    symbols: str | None = None
    per_ticker: bool = False
    sector: str | None = None
    base: str | None = None
    neutral_band: float | None = None
    fixed_threshold: float | None = None
    round_trip_cost: float | None = None
    select: str | None = None
    keep: int | None = None
    without: str | None = None
    normalise: str | None = None
    row_weights: str | None = None
    beside: str | None = None
    refit: bool = False
    reading: Reading = field(default_factory=Reading)
    config: Path | None = None


def parse_options(given: list[str]) -> dict[str, str]:
    """Return ``key=value`` texts as a mapping.

    Raises
    ------
    ConfigError
        If a text has no ``=`` or a key comes twice.
    """
    found: dict[str, str] = {}
    for text in given:
        key, sign, value = text.partition("=")
        if not sign or not key.strip() or not value.strip():
            raise ConfigError(f"--option: expected key=value such as width=64, received {text!r}")
        if key.strip() in found:
            raise ConfigError(f"--option {key.strip()} is given twice")
        found[key.strip()] = value.strip()
    return found


def with_config(request: TrainRequest) -> TrainRequest:
    """Return the request with what it leaves open taken from its file.

    Raises
    ------
    ConfigError
        If the file cannot be read, or a value has the wrong type.
    UnknownNameError
        If a key is not known.
    """
    if request.config is None:
        return request
    path = request.config
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except OSError as e:
        raise ConfigError(f"{path}: cannot be read: {e.strerror}", hint="give a TOML file with [train]") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as e:
        raise ConfigError(f"{path}: cannot be read as TOML: {e}") from e
    if document.get("version") != 1:
        raise ConfigError(f"{path}: expected version = 1, received {document.get('version')!r}")
    for key in document:
        if key not in _KEYS:
            raise UnknownNameError("key of a training file", key, _KEYS)
    found = {key: _value(key, value) for key, value in document.get("train", {}).items()}
    reading = _reading(request.reading, {key: found.pop(key) for key in _READING if key in found})
    given = {one.name: getattr(request, one.name) for one in fields(request)}
    taken = {key: value for key, value in found.items() if given[key] in ("", None, False)}
    options = {**document.get("options", {}), **request.options}
    return replace(request, **taken, options=options, reading=reading, config=None)


def _reading(given: Reading, found: Mapping[str, Any]) -> Reading:
    """Return how bars are read, what is left open taken from a file."""
    merged = replace(
        given,
        frame=given.frame or found.get("frame"),
        extended=given.extended or bool(found.get("extended", False)),
        series=given.series or _parts(found.get("series")) or None,
        pairs=given.pairs or parse_pairs(_parts(found.get("pair"))),
    )
    check_learning(merged)
    return merged


def _parts(text: str | None) -> tuple[str, ...]:
    return tuple(one.strip() for one in (text or "").split(",") if one.strip())


def _value(key: str, value: Any) -> Any:
    known = (*_TEXTS, *_NUMBERS, *_FRACTIONS, *_SWITCHES, *_READING)
    if key not in known:
        raise UnknownNameError("key in [train]", key, known)
    if isinstance(value, list):
        value = ",".join(str(one) for one in value)
    if key in _NUMBERS and (isinstance(value, bool) or not isinstance(value, int) or value < 0):
        raise ConfigError(f"[train] {key}: expected a whole number, received {value!r}")
    if key in _FRACTIONS and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ConfigError(f"[train] {key}: expected a number, received {value!r}")
    if key in (*_SWITCHES, "extended"):
        if not isinstance(value, bool):
            raise ConfigError(f"[train] {key}: expected true or false, received {value!r}")
    elif key not in (*_NUMBERS, *_FRACTIONS) and not isinstance(value, str):
        raise ConfigError(f"[train] {key}: expected text or a list, received {value!r}")
    return value


def horizons_of(text: str | None, asset_class: AssetClass, frame: str) -> tuple[int, ...]:
    """Return horizons in bars, ascending; those of the frame where none is asked for (FCST-15).

    Raises
    ------
    ConfigError
        If one is neither a number of bars nor a span of whole bars.
    """
    if text is None or not text.strip():
        return default_horizons(asset_class, frame)
    return tuple(sorted({horizon_bars(part, asset_class, frame) for part in text.split(",") if part.strip()}))


def with_preset(request: TrainRequest, frame: str) -> tuple[TrainRequest, dict[str, str]]:
    """Return the request with horizons and features of its preset where it names none, and what was taken.

    Parameters
    ----------
    frame : of the bars; a preset of another frame gives nothing but its shape

    Returns
    -------
    the request, and "name", "frame", "horizons" and "features" as far as they were taken; empty without a preset
    """
    found = preset_inputs(request.forecaster, request.options)
    if found is None:
        return request, {}
    told = {"name": found.name, "frame": found.frame}
    if found.frame != frame:
        return request, told
    if not (request.horizons or "").strip():
        told["horizons"] = ",".join(found.horizons)
    if not request.features.strip():
        told["features"] = found.features
    horizons, features = told.get("horizons", request.horizons), told.get("features", request.features)
    return replace(request, horizons=horizons, features=features), told


def with_static_features(request: TrainRequest) -> TrainRequest:
    """Return the request with the feature that a static input is read from among its features."""
    if request.options.get("statics") != _SECTOR or _SECTOR in _parts(request.features):
        return request
    return replace(request, features=f"{request.features},{_SECTOR}")


def preset_note(taken: Mapping[str, str], frame: str) -> str:
    """Return a sentence about what was taken from a preset; empty where there is none."""
    if not taken:
        return ""
    if taken["frame"] != frame:
        return f"preset {taken['name']} is for bars of {taken['frame']}: of it come the shape and nothing else"
    parts = [f"{key} {taken[key].replace(',', ', ')}" for key in ("horizons", "features") if key in taken]
    return f"preset {taken['name']}: {'; '.join(parts)}, since none were named" if parts else ""
