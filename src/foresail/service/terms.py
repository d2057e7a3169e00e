"""What else an account trades under besides limits: stops, sizes, venue, fees, caps of single strategies (COMP-05).

A change of them changes what the account does and earns as much as a change of limits, so they are part of what its
journal names: kept beside the limits, confirmed where they loosen, repeated by parity where they held. Only what
differs from the defaults is kept, so that a new key means nothing for an account that has not set it. What a transfer
costs by default is new to older accounts: each withdrawal names its fee, so their journals tell it (COST-02a).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any, get_type_hints

import msgspec

from foresail.core.canonical import hash_value
from foresail.engine.settings import PipelineSettings
from foresail.engine.strategy_choices import StrategyLimits

__all__ = ["TERMS", "change_text", "loosened_terms", "term_rows", "terms_digest", "terms_of", "with_terms"]

TERMS = ("trading", "fees", "delisting_return", "strategies")  # fields of PipelineSettings
_PREFIX = "trading."  # of rows, left out of their names
_STRATEGIES = "strategies"
_STOPS = ("none", "class", "class_and_target")  # from loose to strict
_STRICTER_UP = frozenset({"venue.latency_ms", "venue.latency_bars"})
_STRICTER_DOWN = frozenset({"delisting_return", "may_lever"})
_OFF_AT_ZERO = frozenset({"venue.volume_share", "volatility_target"})
_CAPS = tuple(one.name for one in fields(StrategyLimits))


def terms_of(settings: PipelineSettings) -> dict[str, Any]:
    """Return the terms that differ from the defaults, as plain data."""
    return _difference(_all(settings), _all(PipelineSettings()))


def with_terms(settings: PipelineSettings, terms: Mapping[str, Any]) -> PipelineSettings:
    """Return settings under terms that ``terms_of`` returned; what they do not name is as by default."""
    base, kinds = PipelineSettings(), get_type_hints(PipelineSettings)
    values = {
        name: msgspec.convert(terms[name], kinds[name]) if name in terms else getattr(base, name) for name in TERMS
    }
    return replace(settings, **values)


def terms_digest(limits: str, terms: Mapping[str, Any]) -> str:
    """Return the hash of limits and terms: that of the limits where every term is as by default."""
    return hash_value({"limits": limits, "terms": terms}) if terms else limits


def term_rows(settings: PipelineSettings) -> dict[str, Any]:
    """Return every term by name."""
    rows: dict[str, Any] = {}
    for name, value in _all(settings).items():
        _flatten(name, dict(value) if name == _STRATEGIES else value, rows)
    return {name.removeprefix(_PREFIX): value for name, value in rows.items()}


def loosened_terms(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of terms that a change loosens; what cannot be compared counts as loosened."""
    names = sorted({*before, *after})
    return tuple(name for name in names if _is_looser(name, before.get(name), after.get(name)))


def change_text(before: Mapping[str, Any], after: Mapping[str, Any]) -> str:
    """Return which values by name a change changes, from what to what, in one line."""
    names = [name for name in sorted({*before, *after}) if before.get(name) != after.get(name)]
    return "; ".join(f"{name} {_told(before.get(name))} -> {_told(after.get(name))}" for name in names)


def _is_looser(name: str, old: Any, new: Any) -> bool:
    if old == new:
        return False
    before, after = _strictness(name, old), _strictness(name, new)
    return before is None or after is None or after <= before


def _strictness(name: str, value: Any) -> float | None:
    """Return how strict a value is, comparable with another of the same term; None where it cannot be compared."""
    if name == "stops":
        return _STOPS.index(value)
    if name == "venue.impact":
        return float(value != "none")
    if name in _OFF_AT_ZERO:
        return -(value or math.inf)
    if name in _STRICTER_UP:
        return float(value)
    if name.rpartition(".")[2] in _CAPS and name.startswith(_STRATEGIES):
        return -math.inf if value is None else -value
    return -value if name in _STRICTER_DOWN else None


def _plain(value: Any) -> Any:
    """Return a value as plain data, lists for tuples, as it comes back from JSON."""
    return msgspec.json.decode(msgspec.json.encode(value))


def _difference(value: Mapping[str, Any], base: Mapping[str, Any]) -> dict[str, Any]:
    out = {}
    for key, own in value.items():
        other = base.get(key)
        if own != other:
            out[key] = _difference(own, other) if isinstance(own, dict) and isinstance(other, dict) else own
    return out


def _all(settings: PipelineSettings) -> dict[str, Any]:
    """Return every term as plain data; of a strategy only what is said of it, the rest is as the account has it."""
    terms = {name: _plain(getattr(settings, name)) for name in TERMS}
    said = [
        [one, {key: value for key, value in own.items() if value not in (None, "")}] for one, own in terms[_STRATEGIES]
    ]
    return {**terms, _STRATEGIES: said}


def _flatten(name: str, value: Any, rows: dict[str, Any]) -> None:
    if isinstance(value, dict):
        for key, one in value.items():
            _flatten(f"{name}.{key}", one, rows)
    else:
        rows[name] = value


def _told(value: Any) -> str:
    if isinstance(value, list | tuple):
        return f"[{', '.join(_told(one) for one in value)}]"
    return "off" if value is None else str(value) or '""'
