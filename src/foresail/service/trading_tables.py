"""The tables of the settings file about trading: what it costs and where positions are left, ``[costs]``, ``[exits]``.

One list of keys for each, which the reader, the template and the reference page share.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any

from foresail.engine.trading_settings import CostChoice, ExitChoice

__all__ = ["COST_KEYS", "EXIT_KEYS", "cost_default", "exit_default", "read_costs", "read_exits", "template_lines"]

_Typed = Callable[[str, str, Any, str], Any]

EXIT_KEYS: dict[str, tuple[str, str]] = {
    "target": (
        "name",
        "the target of a signal (RC-13): signal, its own, else twice the risk; ratio, twice the risk always; none; "
        '"" = signal for strategies of your own, ratio for the built-in one',
    ),
    "may_exceed": (
        "boolean",
        "whether a strategy's own stop may lie beyond the maximum of its tier or class (EXIT-02)",
    ),
    "trailing": ("boolean", "whether stops follow the best price at 3 average true ranges (EXIT-05)"),
    "ladder": (
        "boolean",
        "whether a third of crypto bought leaves at +10 %, a third at +20 %, and the rest trails (EXIT-06)",
    ),
}
COST_KEYS: dict[str, tuple[str, str]] = {
    "model": ("name", "class, the table of the asset class; flat, one fraction of value a round trip (COST-04)"),
    "round_trip": ("fraction", "of the flat model, of value"),
    "commission": ("fraction", "of value, of each fill"),
    "maker": ("fraction", "of value, of the fill of an order that rested"),
    "per_unit": ("fraction", "money for each unit of a fill"),
    "minimum": ("fraction", "least money for a fill"),
    "slippage": ("fraction", "of price, against an order that takes liquidity"),
    "half_spread": ("fraction", "of price, the same"),
    "major_pips": ("fraction", "spread of a currency pair, ask less bid: with the dollar, both large"),
    "cross_pips": ("fraction", "the same of two other large currencies"),
    "exotic_pips": ("fraction", "the same of all other pairs"),
    "spread_legs": ("integer", "spreads of a currency pair that a round trip pays: 2 or 1 (COST-06)"),
    "borrow_per_year": ("fraction", "of what is borrowed, where no rates are stored (COST-10)"),
    "funding_per_8h": ("fraction", "of a perpetual position, where no rates are stored"),
    "transfer": ("fraction", "of money that is withdrawn: the network's fee between exchanges (COST-02a)"),
    "factor": ("fraction", "multiplies every cost"),
    "multiple": (
        "fraction",
        "round-trip costs that an expected move must exceed to be traded (COST-08 names 3); left out, 1 for the "
        "built-in strategy, and signals of your own are not asked",
    ),
}
_SHOWN = {  # in the template, of keys that are left out by default
    "commission": 0.0,
    "maker": 0.0,
    "per_unit": 0.0,
    "minimum": 0.0,
    "slippage": 0.0005,
    "half_spread": 0.0,
    "major_pips": 1.0,
    "cross_pips": 3.0,
    "exotic_pips": 10.0,
    "spread_legs": 2,
    "borrow_per_year": 0.005,
    "funding_per_8h": 0.0001,
    "transfer": 0.0005,
    "factor": 1.0,
    "multiple": 1.0,
}


def read_exits(told: Mapping[str, Any], typed: _Typed) -> ExitChoice:
    """Return what ``[exits]`` says; ``typed`` checks one value (table, key, value, kind)."""
    return ExitChoice(**{key: typed("exits", key, value, EXIT_KEYS[key][0]) for key, value in told.items()})


def read_costs(told: Mapping[str, Any], typed: _Typed) -> CostChoice:
    """Return what ``[costs]`` says."""
    return CostChoice(**{key: typed("costs", key, value, COST_KEYS[key][0]) for key, value in told.items()})


def exit_default(key: str) -> Any:
    """Return the default of a key of ``[exits]``."""
    return getattr(ExitChoice(), key)


def cost_default(key: str) -> Any:
    """Return the default of a key of ``[costs]``; None = as the asset class has it."""
    return getattr(CostChoice(), key)


def template_lines() -> list[str]:
    """Return both tables with every key, commented out, as the template shows them."""
    lines = ["", "[exits]"]
    lines += [
        f"# {key} = {json.dumps(exit_default(key))}   # {kind}: {meaning}" for key, (kind, meaning) in EXIT_KEYS.items()
    ]
    lines += ["", "[costs]", "# A key that is left out is as the table of the asset class has it; shown are stocks."]
    for key, (kind, meaning) in COST_KEYS.items():
        default = cost_default(key)
        shown = _SHOWN[key] if default is None else default
        lines.append(f"# {key} = {json.dumps(shown)}   # {kind}: {meaning}")
    return lines
