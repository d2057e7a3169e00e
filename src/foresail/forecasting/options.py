"""What can be set of a forecaster by name, and how one is built from such settings.

A forecaster that has settings takes them as its second argument, a frozen dataclass; its fields, and those of
dataclasses inside it (``centre.trees``), are the names. Values come as text from a command line or typed from TOML.
"""

from __future__ import annotations

import dataclasses
import typing
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.baselines import RETURN_FEATURE
from foresail.forecasting.registry import forecaster_class
from foresail.protocols import Forecaster, Progress

__all__ = ["attach", "build_forecaster", "option_defaults", "shared_options", "trial_spec"]

_PRESET = "preset"


def option_defaults(name: str) -> dict[str, Any]:
    """Return every setting of a forecaster with its default, nested ones by dotted name; empty where it has none."""
    kind = _settings_type(forecaster_class(name))
    return {} if kind is None else _flat(kind())


def build_forecaster(name: str, spec: ForecasterSpec, options: Mapping[str, Any]) -> Forecaster:
    """Return a forecaster that is not fitted yet.

    Parameters
    ----------
    options : name -> value, text or of the right type; a nested one may be given by its last name if only one has it;
        ``preset`` names a shape of the forecaster's own, which the other options change

    Raises
    ------
    UnknownNameError
        If the forecaster, or a setting of it, is not known.
    ConfigError
        If a value has the wrong type or range.
    CapabilityError
        If it needs an extra that is not installed.
    """
    found = forecaster_class(name)
    build: Callable[..., Forecaster] = found
    kind = _settings_type(found)
    if kind is None:
        for key in options:
            raise UnknownNameError(f"option of {name}", key, (), hint=f"{name} has no options")
        return build(spec)
    settings = kind()
    known = _flat(settings)
    for key, value in _with_preset(name, found, options).items():
        full = _full_name(name, key, known)
        settings = _replaced(settings, full.split("."), _typed(full, value, known[full]))
    return build(spec, settings)


def shared_options(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    """Return those of another forecaster's options that this one has too, its preset among them.

    Parameters
    ----------
    name : the forecaster that is fitted beside the other

    Raises
    ------
    UnknownNameError, CapabilityError
        If it is not known, or needs an extra that is not installed.
    """
    known = option_defaults(name)
    presets: Mapping[str, Any] = getattr(forecaster_class(name), "presets", {})
    return {key: value for key, value in given.items() if key in known or (key == _PRESET and value in presets)}


def trial_spec(name: str, horizons: tuple[int, ...] = (1,)) -> ForecasterSpec:
    """Return a specification to try options on before bars are read, with the feature that some cannot be without."""
    return ForecasterSpec(name, "1", (RETURN_FEATURE,), ("close",), horizons, QUANTILE_LEVELS)


def attach(forecaster: Forecaster, *, progress: Progress | None, checkpoint: Path | None) -> None:
    """Give a forecaster that can tell its progress or go on after a kill the means to."""
    for attribute, value in (("progress", progress), ("checkpoint", checkpoint)):
        if hasattr(forecaster, attribute):
            setattr(forecaster, attribute, value)


def _with_preset(name: str, found: type[Any], options: Mapping[str, Any]) -> dict[str, Any]:
    """Return the options with those of their preset, if they name one, before them."""
    presets: Mapping[str, Mapping[str, Any]] = getattr(found, "presets", {})
    given = dict(options)
    preset = given.pop(_PRESET, None)
    if preset is None:
        return given
    if preset not in presets:
        raise UnknownNameError(f"preset of {name}", str(preset), tuple(presets))
    return {**presets[preset], **given}


def _settings_type(found: type[Any]) -> type[Any] | None:
    """Return the dataclass that a forecaster takes as settings, None if it takes none."""
    kind = getattr(found, "settings_type", None)
    if kind is None:
        hints = typing.get_type_hints(found.__init__)
        kinds = typing.get_args(hints["settings"]) if "settings" in hints else ()
        kind = next((one for one in kinds if dataclasses.is_dataclass(one)), None)
    return typing.cast("type[Any] | None", kind)


def _flat(settings: Any, prefix: str = "") -> dict[str, Any]:
    found: dict[str, Any] = {}
    for field in dataclasses.fields(settings):
        value = getattr(settings, field.name)
        if dataclasses.is_dataclass(value) and not isinstance(value, type):
            found |= _flat(value, f"{prefix}{field.name}.")
        else:
            found[prefix + field.name] = value
    return found


def _full_name(forecaster: str, key: str, known: Mapping[str, Any]) -> str:
    if key in known:
        return key
    ends = [one for one in known if one.rpartition(".")[2] == key]
    if len(ends) == 1:
        return ends[0]
    raise UnknownNameError(f"option of {forecaster}", key, ends or known)


def _typed(name: str, value: Any, default: Any) -> Any:
    """Return a value in the type of the default."""
    kind = type(default)
    wrong = ConfigError(f"option {name}: expected {kind.__name__} such as {default!r}, received {value!r}")
    if kind is bool:
        words = {"true": True, "yes": True, "false": False, "no": False}
        if isinstance(value, bool):
            return value
        if str(value).lower() not in words:
            raise wrong
        return words[str(value).lower()]
    if isinstance(value, bool) or kind not in (int, float, str):
        raise wrong
    if kind is int and isinstance(value, float) and not value.is_integer():
        raise wrong
    try:
        return kind(value)
    except ValueError as e:
        raise wrong from e


def _replaced(settings: Any, path: list[str], value: Any) -> Any:
    first, rest = path[0], path[1:]
    if rest:
        value = _replaced(getattr(settings, first), rest, value)
    return dataclasses.replace(settings, **{first: value})
