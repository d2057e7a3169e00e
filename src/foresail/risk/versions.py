"""Versions of the limits (COMP-05): a digest of all of them, what a change loosens, and the consent it needs.

Limits take effect as a whole, at one entry of the journal (``LimitsLoaded``); every review before it used the old ones.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foresail.core.canonical import hash_value
from foresail.core.errors import ConfigError
from foresail.domain.limits import PositionLimits, TradingLimits
from foresail.risk.accounts import rows

__all__ = ["confirm_change", "confirm_rows", "limits_digest", "loosened", "loosened_rows"]

# limits of which more is stricter; of all other numbers less is
_STRICTER_UP = frozenset(
    {
        "breakers.cut_fraction",
        "breakers.pause_days",
        "breakers.week_pause_days",
        "breakers.money_base",
        "market.vix_cut",
        "market.min_volume",
        "market.minimum_confidence",
        "book.correlation_cut",
        "book.correlation_days",
        "book.value_at_risk_days",
        "book.margin_rate",
        "account.pdt_equity",
        "account.maintenance",
        "account.settlement_days",
        "position.cash_floor",
        "position.stop_distance",
    }
)
# limits that came after accounts had been made: at their default they are no part of the digest, which stays theirs
_LATER = frozenset({"market.minimum_confidence", "book.position_alert", "book.margin_alarm", "book.leverage_alarm"})
_WINDOWS = frozenset({"market.thin_hours"})  # [from, to) in which more is refused: a wider window is stricter
_TRUE_IS_STRICT = frozenset({"breakers.closes_on_loss", "market.needs_links", "book.needs_history"})


def limits_digest(limits: TradingLimits, positions: Mapping[str, PositionLimits]) -> str:
    """Return the hash of every limit; ``positions`` by name of the asset class."""
    base = rows(TradingLimits())
    values = {name: value for name, value in rows(limits).items() if name not in _LATER or value != base[name]}
    return hash_value({"trading": _plain(values), "positions": {k: _position(v) for k, v in positions.items()}})


def loosened(old: TradingLimits, new: TradingLimits) -> tuple[str, ...]:
    """Return the limits that a change loosens; what cannot be compared counts as loosened."""
    return loosened_rows(rows(old), rows(new))


def loosened_rows(before: Mapping[str, Any], after: Mapping[str, Any]) -> tuple[str, ...]:
    """Return the names of values that a change loosens, out of all values by name, those of positions as well."""
    return tuple(name for name in before if _is_looser(name, before[name], after[name]))


def confirm_change(old: TradingLimits, new: TradingLimits, *, confirmed: bool) -> tuple[str, ...]:
    """Return what a change loosens, once it may be made.

    Raises
    ------
    ConfigError
        If it loosens something and nobody confirmed that.
    """
    return confirm_rows(rows(old), rows(new), confirmed=confirmed)


def confirm_rows(before: Mapping[str, Any], after: Mapping[str, Any], *, confirmed: bool) -> tuple[str, ...]:
    """Return what a change of values by name loosens, once it may be made.

    Raises
    ------
    ConfigError
        If it loosens something and nobody confirmed that.
    """
    names = loosened_rows(before, after)
    if names and not confirmed:
        changes = ", ".join(f"{name} {before[name]} -> {after[name]}" for name in names)
        raise ConfigError(
            f"the change loosens limits: {changes}",
            hint="confirm it (foresail paper start --confirm-limits NAME), or leave these as they are",
        )
    return names


def _is_looser(name: str, old: Any, new: Any) -> bool:
    if old == new or new is None or old is None:
        return old != new and new is None
    if isinstance(old, bool):
        return bool(old) if name in _TRUE_IS_STRICT else bool(new)
    if name in _WINDOWS:
        return bool(old[0] < old[1]) and not (new[0] <= old[0] and old[1] <= new[1])
    if isinstance(old, tuple):
        if len(old) != len(new) or not all(isinstance(one, int | float) for one in (*old, *new)):
            return True
        return any(_is_looser(name, a, b) for a, b in zip(old, new, strict=True))
    is_stricter_up = name in _STRICTER_UP
    return isinstance(old, str) or (bool(new < old) if is_stricter_up else not new <= old)


def _plain(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: list(value) if isinstance(value, tuple) else value for name, value in values.items()}


def _position(limits: PositionLimits) -> dict[str, Any]:
    return {name: getattr(limits, name) for name in PositionLimits.__dataclass_fields__}
