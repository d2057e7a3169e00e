"""What the settings say of single strategies of an account: the caps and breakers of RISK-09."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from foresail.core.errors import ConfigError, UnknownNameError

__all__ = ["StrategyChoices", "StrategyLimits", "choice_of", "choices_of_plain", "read_strategies"]

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


StrategyChoices = tuple[tuple[str, StrategyLimits], ...]  # by id, ascending


def choice_of(choices: StrategyChoices, strategy: str) -> StrategyLimits:
    """Return what the settings say of a strategy, no cap where they say nothing."""
    return dict(choices).get(strategy, StrategyLimits())


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
    return tuple((name, StrategyLimits(**values)) for name, values in plain)


def _read(name: str, table: Any) -> StrategyLimits:
    if not _ID.match(name) or not isinstance(table, Mapping):
        raise ConfigError(
            f'[strategies]: expected tables by id of a strategy, namespace/name@version, received "{name}"',
            hint='[strategies."mine/trend@1"]',
        )
    known = [one.name for one in fields(StrategyLimits)]
    for key, value in table.items():
        if key not in known:
            raise UnknownNameError(f'key in [strategies."{name}"]', key, known)
        if value != "off" and (isinstance(value, bool) or not isinstance(value, int | float)):
            raise ConfigError(f'[strategies."{name}"] {key}: expected a fraction or "off", received {value!r}')
    return StrategyLimits(**{key: None if value == "off" else float(value) for key, value in table.items()})
