"""Limits as a user writes them (RISK-01: every value is editable): names, kinds and ranges of the table ``[limits]``.

A name is ``group.limit``: ``breakers.daily_loss``, ``position.max_position``. ``"off"`` takes a limit away where it may
be absent. Fractions are fractions: 0.02, not 2.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import fields, replace
from datetime import date
from typing import Any, get_args, get_origin, get_type_hints

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.limits import (
    AccountLimits,
    BookLimits,
    BreakerLimits,
    FlowLimits,
    MarketLimits,
    PositionLimits,
)
from foresail.risk.days import BOUNDARIES
from foresail.risk.rules.day_trades import DAY_TRADE_RULES

__all__ = ["edited_positions", "known_limits", "position_rows", "read_limits", "trading_values"]

_GROUPS = {
    "breakers": BreakerLimits,
    "market": MarketLimits,
    "flow": FlowLimits,
    "book": BookLimits,
    "account": AccountLimits,
    "position": PositionLimits,
}
_POSITION = "position."
_RISK = "position.risk_per_trade"
_OFF = "off"
_NOTES = {  # what the name alone would let one expect otherwise
    "position.stop_distance": "the loss assumed where no stop is known; the stop that is hung is that of tier or class",
    "market.minimum_confidence": "signals below it open nothing; foresail limits tells what the profile names",
    "breakers.risk_per_trade": "one R; as position.risk_per_trade where that is set",
}
_LONG_AGO = "0001-01-01"
_FRACTIONS = frozenset(  # a value above 1 is a slip of the pen: percent instead of a fraction
    {
        "breakers.daily_loss", "breakers.weekly_loss", "breakers.risk_per_trade", "breakers.drawdown_warning",
        "breakers.drawdown_cut", "breakers.drawdown_close", "breakers.cut_fraction", "market.vix_cut",
        "market.beta_factor", "market.max_spread", "market.volume_share", "market.collar", "book.currency_risk",
        "book.altcoin_share", "book.crypto_exposure", "book.correlation", "book.correlation_share",
        "book.correlation_cut", "book.value_at_risk", "book.value_at_risk_warning", "book.max_margin_use",
        "market.minimum_confidence", "book.position_alert", "book.margin_alarm", "account.pdt_share",
        "account.maintenance", "account.cost_share_warning", "position.risk_per_trade", "position.max_position",
        "position.sector", "position.class_exposure", "position.cash_floor", "position.stop_distance",
    }
)  # fmt: skip


def known_limits() -> dict[str, str]:
    """Return the kind of every limit by name, in words."""
    return {name: _words(name, hint) for name, hint in _hints().items()}


def read_limits(table: Mapping[str, Any]) -> tuple[tuple[str, Any], ...]:
    """Return (name, value) of a table ``[limits]``, sorted, each value of its kind; None where it is off.

    Parameters
    ----------
    table : ``{"breakers.daily_loss": 0.01}`` or ``{"breakers": {"daily_loss": 0.01}}``

    Raises
    ------
    UnknownNameError
        If there is no such limit.
    ConfigError
        If a value is not of the limit's kind or range.
    """
    hints = _hints()
    found = {}
    for name, value in _flat(table):
        if name not in hints:
            raise UnknownNameError("limit in [limits]", name, hints)
        found[name] = _value(name, value, hints[name])
    return tuple(sorted(found.items()))


def trading_values(values: Mapping[str, Any]) -> dict[str, Any]:
    """Return the values that ``accounts.edited`` takes: all but those of single positions.

    One R of the loss of a day (RISK-29) is what one position may lose, unless it was set by itself.
    """
    found = {name: value for name, value in values.items() if not name.startswith(_POSITION)}
    if _RISK in values:
        found.setdefault("breakers.risk_per_trade", values[_RISK])
    return found


def edited_positions(limits: PositionLimits, values: Mapping[str, Any]) -> PositionLimits:
    """Return the limits of one position with those replaced that ``values`` names as ``position.NAME``."""
    own = {name.removeprefix(_POSITION): value for name, value in values.items() if name.startswith(_POSITION)}
    return replace(limits, **own) if own else limits


def position_rows(limits: PositionLimits) -> dict[str, Any]:
    """Return every value by ``position.NAME``."""
    return {f"{_POSITION}{one.name}": getattr(limits, one.name) for one in fields(limits) if one.name != "profile"}


def _hints() -> dict[str, Any]:
    return {
        f"{group}.{name}": hint
        for group, cls in _GROUPS.items()
        for name, hint in get_type_hints(cls).items()
        if (group, name) != ("position", "profile")
    }


def _flat(table: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    for key, value in table.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}", value


def _words(name: str, hint: Any) -> str:
    plain = _plain_hint(hint)
    if name == "account.day_trade_rules":
        text = f"one of {', '.join(DAY_TRADE_RULES)}, or a list of [first day, rule]"
    elif name == "breakers.boundary":
        text = f"one of {', '.join(BOUNDARIES)}"
    elif plain is bool:
        text = "true or false"
    elif get_origin(plain) is tuple:
        text = f"a list of {len(get_args(plain))} numbers"
    elif name in _FRACTIONS:
        text = "a fraction from 0 to 1"
    else:
        text = "a whole number of at least 0" if plain is int else "a number of at least 0"
    text = f'{text}, or "off"' if type(None) in get_args(hint) else text
    return f"{text}: {_NOTES[name]}" if name in _NOTES else text


def _plain_hint(hint: Any) -> Any:
    """Return a kind without ``| None``."""
    if get_origin(hint) is tuple or not get_args(hint):
        return hint
    return next(one for one in get_args(hint) if one is not type(None))


def _value(name: str, value: Any, hint: Any) -> Any:
    wrong = ConfigError(f"[limits] {name}: expected {_words(name, hint)}, received {value!r}")
    if value == _OFF and type(None) in get_args(hint):
        return None
    plain = _plain_hint(hint)
    if name == "account.day_trade_rules":
        return _day_trade_rules(value, wrong)
    if name == "breakers.boundary":
        if value not in BOUNDARIES:
            raise wrong
        return value
    if get_origin(plain) is tuple:
        kinds = get_args(plain)
        if not isinstance(value, list | tuple) or len(value) != len(kinds):
            raise wrong
        return tuple(_number(name, one, kind, wrong) for one, kind in zip(value, kinds, strict=True))
    if plain is bool:
        if not isinstance(value, bool):
            raise wrong
        return value
    return _number(name, value, plain, wrong)


def _number(name: str, value: Any, kind: Any, wrong: ConfigError) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int if kind is int else int | float):
        raise wrong
    if not 0 <= value < float("inf") or (name in _FRACTIONS and value > 1):
        raise wrong
    return int(value) if kind is int else float(value)


def _day_trade_rules(value: Any, wrong: ConfigError) -> tuple[tuple[str, str], ...]:
    pairs = [(_LONG_AGO, value)] if isinstance(value, str) else value
    if not isinstance(pairs, list | tuple) or not pairs:
        raise wrong
    out = []
    for pair in pairs:
        if not isinstance(pair, list | tuple) or len(pair) != 2 or pair[1] not in DAY_TRADE_RULES:
            raise wrong
        try:
            out.append((date.fromisoformat(str(pair[0])).isoformat(), str(pair[1])))
        except ValueError:
            raise wrong from None
    return tuple(sorted(out))
