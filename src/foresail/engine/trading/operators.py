"""A person's commands: kill, halt, resume, rearm, in one fixed grammar, and the orders that close everything.

``kill``, ``kill close``, ``latch``, ``halt INSTRUMENT``, ``resume INSTRUMENT``, ``rearm``; what follows a colon is a
remark. ``latch`` only halts: it is what can be written while no process runs; ``kill`` cancels open orders too.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from foresail.core.errors import ConfigError
from foresail.core.ids import order_id
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side

if TYPE_CHECKING:
    from foresail.engine.trading.core import TradingCore

__all__ = ["Command", "close_orders", "parse_command"]

_VERBS = ("kill", "latch", "halt", "resume", "rearm")


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
    if verb in ("latch", "rearm") and not rest:
        return Command(verb, text=text.strip())
    raise ConfigError(f"expected one of {', '.join(_VERBS)}, received {command!r}", hint="for example: kill close")


def close_orders(core: TradingCore, at: int) -> list[Order]:
    """Return a market order for every position that closes it, less what is being sold already."""
    orders = []
    parts = core.parts
    for position in core.books.positions():
        name, quantity = position.instrument, position.quantity
        identity = order_id(
            environment=parts.environment, account=parts.account, strategy="operator", version="1",
            decided_at_ns=at, leg=f"{name}:close",
        )  # fmt: skip
        side = Side.SELL if quantity > 0 else Side.BUY
        if identity in core.orders:
            continue  # the same command, told again
        order = Order(identity, name, side, abs(quantity), OrderKind.MARKET, at, FillReason.EXIT, strategy="operator")
        orders.append(replace(order, reduce_only=True))
    return orders
