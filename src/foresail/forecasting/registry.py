"""Forecasters by name. One line here makes a forecaster known; the contract suite then tests it."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from importlib import import_module
from types import MappingProxyType
from typing import TYPE_CHECKING

from foresail.core.errors import CapabilityError, UnknownNameError
from foresail.domain.training import ForecasterSpec

if TYPE_CHECKING:
    from foresail.protocols import Forecaster

__all__ = ["FORECASTERS", "forecaster", "forecaster_class", "is_of_volatility"]

_DEEP = ("safetensors", "torch")  # libraries of the extra

# name -> module below this room, class
FORECASTERS: Mapping[str, tuple[str, str]] = MappingProxyType(
    {
        "always_neutral": ("baselines", "AlwaysNeutral"),
        "calendar": ("calendar_mean", "CalendarMean"),
        "drift": ("baselines", "Drift"),
        "ewma": ("econometric.forecasters", "EwmaForecaster"),
        "ewma_volatility": ("econometric.forecasters", "EwmaForecaster"),  # the name of the first release
        "garch": ("econometric.forecasters", "GarchForecaster"),
        "garch_normal": ("econometric.forecasters", "GarchNormalForecaster"),
        "gjr": ("econometric.forecasters", "GjrForecaster"),
        "gru": ("neural.recurrent_forecaster", "GruForecaster"),
        "har": ("econometric.forecasters", "HarForecaster"),
        "har_volatility": ("baselines", "HarVolatility"),
        "har_x": ("econometric.forecasters", "HarXForecaster"),
        "last_direction": ("baselines", "LastDirection"),
        "log_har": ("econometric.forecasters", "LogHarForecaster"),
        "lstm": ("neural.recurrent_forecaster", "LstmForecaster"),
        "no_change": ("baselines", "NoChange"),
        "quantile_trees": ("trees.quantile_trees", "QuantileTrees"),
        "random_forest": ("trees.random_forest", "RandomForest"),
        "random_half": ("baselines", "RandomHalf"),
        "ridge": ("linear", "Ridge"),
        "tft": ("neural.tft.forecaster", "TftForecaster"),
        "variance_combination": ("econometric.forecasters", "CombinationForecaster"),
    }
)


def is_of_volatility(name: str) -> bool:
    """Return whether a forecaster is a model of variance, whose centre is no opinion on direction."""
    module, attribute = FORECASTERS.get(name, ("", ""))
    return module.startswith("econometric.") or attribute == "HarVolatility"


def forecaster_class(name: str) -> type[Forecaster]:
    """Return the class of a forecaster, for ``load``; its libraries are imported here, not before.

    Raises
    ------
    UnknownNameError
        With the known names.
    CapabilityError
        If a library of an extra is not installed.
    """
    if name not in FORECASTERS:
        raise UnknownNameError("forecaster", name, FORECASTERS)
    module, attribute = FORECASTERS[name]
    try:
        found: type[Forecaster] = getattr(import_module(f"foresail.forecasting.{module}"), attribute)
    except ModuleNotFoundError as error:
        if error.name not in _DEEP:
            raise
        raise CapabilityError(
            f"forecaster {name} needs {error.name}, which is not installed", hint='pip install "foresail[deep]"'
        ) from error
    return found


def forecaster(name: str, spec: ForecasterSpec) -> Forecaster:
    """Return a forecaster that is not fitted yet.

    Raises
    ------
    UnknownNameError
        With the known names.
    """
    build: Callable[[ForecasterSpec], Forecaster] = forecaster_class(name)
    return build(spec)
