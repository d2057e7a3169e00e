"""What the settings say of single strategies of an account: caps and breakers (RISK-09), sizes (SIZE-14)."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.portfolio.allocator import SIZINGS

__all__ = ["StrategyChoice", "StrategyChoices", "StrategyLimits", "choice_of", "choices_of_plain", "read_strategies"]

_NEVER_OFF = ("sizing", "may_lever")
_ID = re.compile(r"^[^/@\s]+/[^/@\s]+@[^/@\s]+$")


@dataclass(frozen=True, slots=True)
class StrategyLimits:
    """Caps of one strategy (RISK-09), fractions of the account's equity; None = no such cap.

    Attributes
    ----------
    max_position : absolute value of one virtual position
    max_gross : sum of the absolute values of all of them
    daily_loss : of the strategy's share of the equity; beyond it the strategy is halted until the next UTC day
    drawdown : below its best profit, of the same; beyond it the strategy is halted until a person resumes it
    """

    max_position: float | None = None
    max_gross: float | None = None
    daily_loss: float | None = None
    drawdown: float | None = None

    def __post_init__(self) -> None:
        for name in ("max_position", "max_gross", "daily_loss", "drawdown"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise ConfigError(f"expected {name} of a strategy to be at least 0, received {value}")


@dataclass(frozen=True, slots=True)
class StrategyChoice(StrategyLimits):
    """What the settings say of one strategy: its caps, and how its signals are sized (SIZE-14).

    Attributes
    ----------
    sizing : "risk", "atr" or "kelly"; "" = as the account's
    volatility_target : annualised, fraction (SIZE-07); 0 = off, None = as the account's
    may_lever : whether a calmer name gets proportionally more; None = as the account's
    """

    sizing: str = ""
    volatility_target: float | None = None
    may_lever: bool | None = None

    def __post_init__(self) -> None:
        StrategyLimits.__post_init__(self)
        if self.sizing and self.sizing not in SIZINGS:
            raise UnknownNameError("sizing of a strategy", self.sizing, SIZINGS)
        target = self.volatility_target
        if target is not None and not (math.isfinite(target) and target >= 0):
            raise ConfigError(f"expected volatility_target of a strategy to be at least 0, received {target}")

    @property
    def sizes(self) -> dict[str, Any]:
        """Settings of the allocator that differ from the account's."""
        found: dict[str, Any] = {"sizing": self.sizing} if self.sizing else {}
        if self.volatility_target is not None:
            found["target_volatility"] = self.volatility_target or None
        return found if self.may_lever is None else {**found, "may_lever": self.may_lever}


StrategyChoices = tuple[tuple[str, StrategyChoice], ...]  # by id, ascending


def choice_of(choices: StrategyChoices, strategy: str) -> StrategyChoice:
    """Return what the settings say of a strategy, no cap where they say nothing."""
    return dict(choices).get(strategy, StrategyChoice())


def read_strategies(tables: Any) -> StrategyChoices:
    """Return what ``[strategies."ns/name@version"]`` say.

    Raises
    ------
    ConfigError
        If a table has no id of a strategy, or a value is no fraction.
    UnknownNameError
        If a key is not known.
    """
    if not isinstance(tables, dict):
        raise ConfigError(f"[strategies]: expected tables, received {tables!r}", hint='[strategies."mine/trend@1"]')
    return tuple((name, _read(name, tables[name])) for name in sorted(tables))


def choices_of_plain(plain: Sequence[Sequence[Any]]) -> StrategyChoices:
    """Return what a record keeps of them."""
    return tuple((name, StrategyChoice(**values)) for name, values in plain)


def _read(name: str, table: Any) -> StrategyChoice:
    if not _ID.match(name) or not isinstance(table, Mapping):
        raise ConfigError(
            f'[strategies]: expected tables by id of a strategy, namespace/name@version, received "{name}"',
            hint='[strategies."mine/trend@1"]',
        )
    known = [one.name for one in fields(StrategyChoice)]
    for key in table:
        if key not in known:
            raise UnknownNameError(f'key in [strategies."{name}"]', key, known)
    return StrategyChoice(**{key: _value(name, key, value) for key, value in table.items()})


def _value(name: str, key: str, value: Any) -> Any:
    is_off = value == "off" and key not in _NEVER_OFF
    wanted = {"sizing": "a name", "may_lever": "true or false"}.get(key, 'a fraction or "off"')
    kind: Any = {"sizing": str, "may_lever": bool}.get(key, int | float)
    if not is_off and (not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool)):
        raise ConfigError(f'[strategies."{name}"] {key}: expected {wanted}, received {value!r}')
    if is_off:
        return 0.0 if key == "volatility_target" else None
    return float(value) if kind == int | float else value
