"""Horizons of a run as its settings say them: numbers of bars, or spans such as "4h", "1d" and "1w" (FCST-15).

A span is as many bars as the class and frame of the market make of it, so it is read when these are known. Where the
horizon that is traded is not said, it is that of the defaults if it is among the asked ones, else the longest. A preset
of a network brings horizons and features of its own, under what the file and the command say.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from foresail.core.errors import ConfigError
from foresail.domain.instruments import AssetClass
from foresail.engine.settings import PipelineSettings
from foresail.forecasting.horizon_names import horizon_bars, is_horizon
from foresail.forecasting.horizons import decision_horizon
from foresail.forecasting.preset_inputs import preset_inputs

__all__ = ["checked_horizon", "in_bars", "of_preset", "preset_told", "typed_horizons", "with_horizons"]

_KEYS = ("horizons", "decision_horizon")


def checked_horizon(value: Any, *, where: str) -> str:
    """Return one horizon as text, its meaning not yet read.

    Raises
    ------
    ConfigError
        If it is neither a whole number above 0 nor a span.
    """
    if isinstance(value, str) and is_horizon(value):
        return value.strip()
    if isinstance(value, int) and not isinstance(value, bool) and value > 0:
        return str(value)
    raise ConfigError(f'{where}: expected bars such as 5, or a span such as "4h", "1d" or "1w", received {value!r}')


def typed_horizons(kind: str, value: Any, *, where: str) -> str | list[str]:
    """Return a value of the kind "horizon" or "horizons" as text.

    Raises
    ------
    ConfigError
        If it is none.
    """
    if kind == "horizon":
        return checked_horizon(value, where=where)
    if not isinstance(value, list) or not value:
        raise ConfigError(f"{where}: expected a list of horizons such as [1, 5], received {value!r}")
    return [checked_horizon(one, where=where) for one in value]


def in_bars(given: Sequence[str], market: tuple[AssetClass, str]) -> tuple[int, ...]:
    """Return horizons in bars, ascending and each once.

    Parameters
    ----------
    market : asset class and frame

    Raises
    ------
    ConfigError
        If one is neither bars nor a span of whole bars, or there is none.
    """
    found = tuple(sorted({horizon_bars(one, *market) for one in given}))
    if not found:
        raise ConfigError("[run] horizons: expected at least one, received none", hint='for example horizons = ["1d"]')
    return found


def with_horizons(
    values: Mapping[str, Any], base: PipelineSettings, market: tuple[AssetClass, str] | None
) -> dict[str, Any]:
    """Return values of [run] with their horizons in bars.

    Parameters
    ----------
    values : may hold "horizons", texts, and "decision_horizon", a text
    base : what the values change
    market : asset class and frame; None = not known: horizons stay those of ``base`` unless all are given in bars

    Raises
    ------
    ConfigError
        As ``in_bars``.
    """
    rest = {key: value for key, value in values.items() if key not in _KEYS}
    asked: list[str] | None = values.get("horizons")
    traded: str | None = values.get("decision_horizon")
    if market is None:
        if not all(one.isdigit() for one in (*(asked or ()), *(() if traded is None else (traded,)))):
            return rest
        market = (AssetClass.STOCK, "1d")  # digits mean the same on every market
    horizons = base.horizons if asked is None else in_bars(asked, market)
    if traded is not None:
        chosen = horizon_bars(traded, *market)
    else:
        chosen = base.decision_horizon if base.decision_horizon in horizons else decision_horizon(horizons)
    return {**rest, "horizons": horizons, "decision_horizon": chosen}


def of_preset(base: PipelineSettings, market: tuple[AssetClass, str] | None) -> PipelineSettings:
    """Return defaults with horizons and features of the preset that their forecaster's options name, if it fits.

    Parameters
    ----------
    market : asset class and frame; a preset for bars of another frame changes nothing here
    """
    found = preset_inputs(base.forecaster, dict(base.forecaster_options))
    if found is None or market is None or found.frame != market[1]:
        return base
    horizons = in_bars(found.horizons, market)
    return replace(base, horizons=horizons, decision_horizon=decision_horizon(horizons), features=(found.features,))


def preset_told(settings: PipelineSettings, market: tuple[AssetClass, str]) -> tuple[str, ...]:
    """Return a sentence about what a preset brought to a run; none without one."""
    found = preset_inputs(settings.forecaster, dict(settings.forecaster_options))
    if found is None:
        return ()
    if found.frame != market[1]:
        return (f"Preset {found.name} is for bars of {found.frame}: of it come the shape and nothing else.",)
    return (f"Preset {found.name}, of which what the settings do not name is taken: {found.told}.",)
