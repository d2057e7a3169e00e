"""Loss breakers of single strategies on one account (RISK-09): beyond its limits one is halted, the others trade on.

A strategy that lost too much of its share of the equity in a day is halted until the next day; one that fell too far
below its best stays halted until a person resumes it (``resume ID``). Halted, it may only make its own positions
smaller; its open orders are taken back, but for those that do so.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from foresail.engine.trading.changes import take_back_orders
from foresail.engine.trading.latches import reduces
from foresail.ledger.entries import TradingHalted, TradingResumed
from foresail.ledger.standings import Standing

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore
    from foresail.engine.trading.netted import Sleeve

__all__ = ["halt_strategies", "take_back_own"]

_DAILY, _DRAWDOWN = "RISK-09 daily loss of a strategy", "RISK-09 drawdown of a strategy"


def halt_strategies(core: TradingCore, at: int) -> list[CoreEffect]:
    """Journal the halts of strategies that are beyond their limits, and the end of those of an earlier day."""
    books = core.strategies
    if books is None:
        return []
    sleeves: dict[str, Sleeve] = {}
    for desk in core.parts.desks:
        sleeves.update(getattr(desk, "breakers", {}))
    if not sleeves:
        return []
    effects: list[CoreEffect] = []
    equity = float(core.books.equity(rates=core.parts.market.rates()))
    for name, sleeve in sorted(sleeves.items()):
        standing, halted = books.standings.of(name), core.latches.halted.get(name)
        if halted is not None:
            if halted[0] == _DAILY and 0 <= standing.halted_day < standing.day:
                core.write(TradingResumed, at, scope=name, operator="", text="a new day has begun")
            continue
        found = _beyond(standing, sleeve, equity)
        if found is not None:
            core.write(TradingHalted, at, scope=name, rule=found[0], text=found[1])
            effects += take_back_own(core, at, name)
    return effects


def take_back_own(core: TradingCore, at: int, strategy: str) -> list[CoreEffect]:
    """Journal that the orders of one strategy are taken back, but for those that make its own position smaller."""
    books = core.strategies
    if books is None:
        return []
    waiting = [(one.order, one.reserved) for one in core.orders.open()]
    waiting += [(one.parent, one.left) for one in core.slices.open()]
    names = []
    for order, units in waiting:
        held = books.units(strategy, order.instrument)
        is_exit = reduces(order, held) and (order.reduce_only or units <= abs(held))
        if books.owner(order.id) == strategy and not is_exit:
            names.append(order.id)
    return take_back_orders(core, at, names)


def _beyond(standing: Standing, sleeve: Sleeve, equity: float) -> tuple[str, str] | None:
    """Return the rule that a strategy breaks, and the sentence; None where it is within its limits."""
    limits, own = sleeve.limits, float(sleeve.share) * equity
    for rule, most, lost, what in (
        (_DRAWDOWN, limits.drawdown, standing.best - standing.profit, "below its best"),
        (_DAILY, limits.daily_loss, standing.start - standing.profit, "lost today"),
    ):
        if most is not None and lost > 0.0 and lost > most * (own + lost):
            return rule, f"{lost / (own + lost):.1%} of its share of the equity {what}, {most:.1%} are allowed"
    return None
