"""Signals end (EXIT-07): what is held on one that nobody renewed by then is closed.

A signal speaks until ``expires_at``; each later one in the same name renews it, so that only what a strategy has fallen
silent about is closed here. A signal that says that an input is missing speaks too: how long a position is kept without
its inputs is the strategy's own to count. Whoever trades without signals is not asked. Where several strategies share
an account their signals end one by one (``netted_expiry``), and nothing is done here.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.domain.orders import FillReason
from foresail.domain.signals import Intent, Signal, TimerIntent
from foresail.engine.trading.closing import close_orders, send_closing
from foresail.ledger.entries import SignalsRenewed

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["close_expired", "refuse_timers", "renew"]


def renew(core: TradingCore, at: int, signals: Iterable[Signal], ordered: Collection[InstrumentId]) -> None:
    """Journal until when the signals in what is held or ordered speak, where that changes."""
    if core.strategies is not None:
        return
    expires: dict[InstrumentId, int] = {}
    for one in signals:
        name = one.instrument
        if one.expires_at > at and (name in ordered or core.books.quantity(name) != 0):
            expires[name] = max(one.expires_at, expires.get(name, 0))
    changed = tuple((n, until) for n, until in sorted(expires.items()) if until > core.expiries.standing.get(n, 0))
    if changed:
        core.write(SignalsRenewed, at, expires=changed)


def close_expired(core: TradingCore, at: int, end: int) -> list[CoreEffect]:
    """Close the positions whose signals have ended, and take back the entries that still wait on them.

    What has no price from the bars of this decision stays as it is: its market is closed, or its bar is missing.

    Parameters
    ----------
    end : of the newest bars that the decision may see, ns UTC
    """
    effects: list[CoreEffect] = []
    if core.strategies is not None:
        return effects
    for name in sorted(name for name, until in core.expiries.standing.items() if until <= at):
        effects += core.take_back(at, name, entries_only=True)
        if core.books.quantity(name) != 0:
            priced = core.parts.market.price_time(name)
            if priced is None or priced < end:
                continue
            effects += send_closing(core, at, close_orders(core, at, "expiry", only=name, reason=FillReason.TIME))
        elif not any(True for _one in core.orders.open(name)):
            core.write(SignalsRenewed, at, expires=((name, 0),))
    return effects


def refuse_timers(intents: Iterable[Intent], strategy: str) -> None:
    """Refuse what nobody would wake.

    Raises
    ------
    ConfigError
        If a strategy asks to be woken at an instant of its own.
    """
    for intent in intents:
        if isinstance(intent, TimerIntent):
            raise ConfigError(
                f"strategy {strategy} asks to be woken ({intent.name}): timers of their own are not delivered",
                hint="declare every=1 in the strategy's spec and compare view.now with the instant in its memory",
            )
