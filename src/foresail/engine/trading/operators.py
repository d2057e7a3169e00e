"""A person's commands: kill, halt, resume, rearm, in one fixed grammar, and the orders that close everything.

``kill``, ``kill close``, ``latch``, ``halt INSTRUMENT``, ``resume INSTRUMENT``, ``rearm``; what follows a colon is a
remark. ``latch`` and ``unlatch`` are what can be written while no process runs; ``kill`` also cancels open orders,
``rearm`` also resets breakers.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foresail.core.errors import ConfigError
from foresail.core.ids import order_id
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.risk.breakers import exit_quantity

if TYPE_CHECKING:
    from foresail.engine.trading.core import TradingCore

__all__ = ["Command", "close_orders", "parse_command"]

_VERBS = ("kill", "latch", "unlatch", "halt", "resume", "rearm")


@dataclass(frozen=True, slots=True)
class Command:
    """A command as read.

    Attributes
    ----------
    scope : instrument, empty for the whole account
    closes : whether positions are closed as well
    """

    verb: str
    scope: str = ""
    closes: bool = False
    text: str = ""


def parse_command(command: str) -> Command:
    """Return a command as read.

    Raises
    ------
    ConfigError
        If it is none of the known ones.
    """
    words, _, text = command.partition(":")
    verb, *rest = words.split() or [""]
    argument = rest[0] if rest else ""
    if verb == "kill" and rest in ([], ["close"]):
        return Command("kill", closes=argument == "close", text=text.strip())
    if verb in ("halt", "resume") and len(rest) == 1:
        return Command(verb, scope=argument, text=text.strip())
    if verb in ("latch", "unlatch", "rearm") and not rest:
        return Command(verb, text=text.strip())
    raise ConfigError(f"expected one of {', '.join(_VERBS)}, received {command!r}", hint="for example: kill close")


def close_orders(core: TradingCore, at: int, why: str, fraction: float = 1.0) -> list[Order]:
    """Return market orders that close a fraction of every position, never more than is held less exits on their way.

    Parameters
    ----------
    why : who closes, operator or breaker; part of the ids
    """
    orders = []
    parts = core.parts
    for position in core.books.positions():
        name, quantity = position.instrument, position.quantity
        identity = order_id(
            environment=parts.environment, account=parts.account, strategy=why, version="1",
            decided_at_ns=at, leg=f"{name}:close",
        )  # fmt: skip
        side = Side.SELL if quantity > 0 else Side.BUY
        reserved = core.orders.reserved(name)
        leaving = reserved.sell if quantity > 0 else reserved.buy
        units = exit_quantity(quantity, leaving, fraction, parts.instruments[name].lot)
        if identity in core.orders or units <= 0:
            continue  # the same command told again, or all of it is leaving already
        order = Order(identity, name, side, units, OrderKind.MARKET, at, FillReason.EXIT, strategy=why)
        orders.append(replace(order, reduce_only=True))
    return orders
