"""Which column of a described file fills which field of the facts, and by what its cells are multiplied.

A description of facts lists columns, or gives them other names: ``[fields]`` with ``us_10y_yield = "DGS10"``. A
description of series names what features read: ``[series]`` with ``vix = "close"``; where one file holds many symbols
it names the symbol of each instead, and the column with the number once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foresail.core.errors import ConfigError, UnknownNameError

__all__ = ["FactColumns", "fact_columns", "scope_of", "series_columns"]

_SCOPES = ("instrument", "market")


@dataclass(frozen=True, slots=True)
class FactColumns:
    """What is read of each file.

    Attributes
    ----------
    columns : field -> column; empty = every column of numbers, under its own name
    scale : field -> factor; a field that is not named is taken as it stands
    symbols : field -> the symbol whose rows fill it; empty = every row does
    """

    columns: Mapping[str, str]
    scale: Mapping[str, float] = field(default_factory=dict)
    symbols: Mapping[str, str] = field(default_factory=dict)


def scope_of(raw: Mapping[str, Any], where: str) -> str:
    """Return whether facts are of instruments or of the whole market.

    Raises
    ------
    ConfigError
        If the text is neither, or facts of the market name a column of symbols.
    """
    scope = raw.get("scope", "instrument")
    if scope not in _SCOPES:
        raise ConfigError(f"{where}: expected scope to be one of {', '.join(_SCOPES)}; received {scope!r}")
    if scope == "market" and raw.get("symbol"):
        raise ConfigError(
            f"{where}: facts of the market are of no instrument, received symbol = {raw['symbol']!r}",
            hint="leave symbol out, or write one description for each scope",
        )
    return str(scope)


def fact_columns(raw: Mapping[str, Any], where: str) -> FactColumns:
    """Return which columns a description of facts names, as a list or as a table.

    Raises
    ------
    ConfigError
        If ``fields`` or ``scale`` is of another form.
    UnknownNameError
        If ``scale`` names no field.
    """
    given = raw.get("fields")
    if given is None:
        columns: dict[str, str] = {}
    elif isinstance(given, Mapping):
        columns = _texts(given, "fields", where)
    elif isinstance(given, list | tuple) and all(isinstance(name, str) and name for name in given):
        columns = {str(name): str(name) for name in given}
    else:
        raise ConfigError(f'{where}: expected fields = ["column"], or a table of field = "column"; received {given!r}')
    return FactColumns(columns, _scale(raw, tuple(columns), where))


def series_columns(raw: Mapping[str, Any], where: str) -> FactColumns:
    """Return which columns, or which symbols of one column, fill the series of a description.

    Raises
    ------
    ConfigError
        If there is no table ``[series]``, or ``symbol`` and ``value`` are not given together.
    """
    given = raw.get("series")
    if not isinstance(given, Mapping) or not given:
        raise ConfigError(
            f"{where}: expected a table [series], received {given!r}",
            hint='name of the series = column, such as vix = "close"',
        )
    named = _texts(given, "series", where)
    symbol, value = raw.get("symbol"), raw.get("value")
    if (symbol is None) != (value is None):
        raise ConfigError(
            f"{where}: a file of many symbols needs both symbol and value, received symbol = {symbol!r}, "
            f"value = {value!r}",
            hint='symbol = "column of symbols", value = "close", and in [series] sp500 = "SPY"',
        )
    scale = _scale(raw, tuple(named), where)
    if symbol is None:
        return FactColumns(named, scale)
    return FactColumns(dict.fromkeys(named, str(value)), scale, named)


def _texts(given: Mapping[str, Any], key: str, where: str) -> dict[str, str]:
    for name, text in given.items():
        if not isinstance(text, str) or not text or not str(name).strip():
            raise ConfigError(f"{where}: expected text for {name!r} in [{key}], received {text!r}")
    return {str(name): str(text) for name, text in given.items()}


def _scale(raw: Mapping[str, Any], fields: tuple[str, ...], where: str) -> dict[str, float]:
    given = raw.get("scale", {})
    if not isinstance(given, Mapping):
        raise ConfigError(
            f"{where}: expected a table [scale] of field = factor, received {given!r}",
            hint="percent become fractions by 0.01",
        )
    for name, factor in given.items():
        if fields and name not in fields:
            raise UnknownNameError("field in [scale]", str(name), fields)
        if isinstance(factor, bool) or not isinstance(factor, int | float) or not abs(factor) < float("inf"):
            raise ConfigError(f"{where}: expected a number for {name!r} in [scale], received {factor!r}")
    return {str(name): float(factor) for name, factor in given.items()}
