"""Commands of persons, and of the process of an account: kill, halt, resume, rearm and others, in one fixed grammar.

``kill``, ``kill close``, ``latch``, ``halt INSTRUMENT``, ``resume INSTRUMENT``, ``rearm``, ``limits DIGEST``,
``deposit AMOUNT CURRENCY``, ``withdraw AMOUNT CURRENCY [FEE]``, ``fact NAME VALUE``; what follows a colon is a remark.
Where several strategies share an account, ``halt`` and ``resume`` take the id of a strategy as well, which may then
only make its own positions smaller (RISK-09). ``latch`` and ``unlatch`` are what can be written while no process
runs; ``kill`` also cancels open orders, ``rearm`` also resets breakers. ``limits`` says which limits hold from here
on (COMP-05); whoever gives it builds the account's parts anew with them. Money that comes or goes moves every level
that equity is compared with (RISK-19); more than is free does not go, and an alert says so. ``fact`` is how a process
tells what it knows of its links and its clock, which no event of the stream says (RISK-31).
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.core.numbers import parse_money, parse_number
from foresail.domain.events import Operator
from foresail.engine.trading.changes import take_back_orders
from foresail.engine.trading.closing import close_orders, send_closing, take_back_waiting
from foresail.engine.trading.paying import pay
from foresail.engine.trading.strategy_breakers import take_back_own
from foresail.ledger.entries import (
    BreakerReset,
    FactKnown,
    LimitsLoaded,
    OperatorActed,
    OrderReview,
    Reviewed,
    TradingHalted,
    TradingResumed,
)

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["Command", "obey", "parse_command"]

_PERSON = "operator"  # the strategy of orders by which a person closes
_VERBS = ("kill", "latch", "unlatch", "halt", "resume", "rearm", "limits", "deposit", "withdraw", "fact")
_FACTS = ("broker_link_silence_s", "clock_offset_ms", "data_link_silence_s")


@dataclass(frozen=True, slots=True)
class Command:
    """A command as read.

    Attributes
    ----------
    scope : instrument or strategy, empty for the whole account; of ``limits`` their digest, of ``fact`` its name
    closes : whether positions are closed as well
    amount : of money that comes or goes, positive; ``scope`` is its currency. Of a fact its value
    fee : of the network, within the money that goes (COST-02a); a command names it, so that a replay pays the same
    """

    verb: str
    scope: str = ""
    closes: bool = False
    text: str = ""
    amount: Decimal = Decimal(0)
    fee: Decimal = Decimal(0)


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
    if verb in ("halt", "resume", "limits") and len(rest) == 1:
        return Command(verb, scope=argument, text=text.strip())
    if verb in ("deposit", "withdraw") and len(rest) == 2:
        money = parse_money(" ".join(rest))
        if money.amount > 0:
            return Command(verb, scope=money.currency, text=text.strip(), amount=money.amount)
    if verb == "withdraw" and len(rest) == 3:
        money, fee = parse_money(" ".join(rest[:2])), parse_number(rest[2])
        if 0 < fee < money.amount:
            return Command(verb, scope=money.currency, text=text.strip(), amount=money.amount, fee=fee)
    if verb == "fact" and len(rest) == 2 and argument in _FACTS:
        return Command(verb, scope=argument, text=text.strip(), amount=parse_number(rest[1]))
    if verb in ("latch", "unlatch", "rearm") and not rest:
        return Command(verb, text=text.strip())
    raise ConfigError(f"expected one of {', '.join(_VERBS)}, received {command!r}", hint="for example: kill close")


def obey(core: TradingCore, event: Operator) -> list[CoreEffect]:
    """Do what a person asked: the latch is journalled before anything else happens (RISK-31)."""
    command, at = parse_command(event.command), event.available_at
    person = event.source or "unnamed"
    core.write(OperatorActed, at, command=event.command, operator=person, text=command.text)
    if command.verb == "limits":
        profile = "" if core.parts.limits is None else core.parts.limits.profile
        core.write(LimitsLoaded, at, profile=profile, digest=command.scope)
        return []
    if command.verb == "fact":
        core.write(FactKnown, at, kind=command.scope, value=float(command.amount))
        return []
    if command.verb in ("deposit", "withdraw"):
        amount = command.amount if command.verb == "deposit" else -command.amount
        return pay(core, at, amount, command.scope, fee=command.fee)
    if command.verb in ("unlatch", "rearm", "resume"):
        core.write(TradingResumed, at, scope=command.scope, operator=person, text=command.text)
        for rule in sorted({} if core.risk is None or command.verb != "rearm" else core.risk.breakers_in_force(at)):
            core.write(BreakerReset, at, rule=rule, operator=person)
        return []
    core.write(TradingHalted, at, scope=command.scope, rule="RISK-31", text=f"{command.verb} by {person}")
    if command.verb == "latch":
        return []
    scope = command.scope
    if scope in core.parts.strategies:
        effects = take_back_own(core, at, scope)
    elif command.closes:
        effects = take_back_waiting(core, at)
    else:
        effects = _take_back(core, at, InstrumentId(scope) if scope else None)
    if command.closes:
        orders = close_orders(core, at, _PERSON)
        rows = tuple(OrderReview(one.id, one.instrument, one.quantity, one.quantity) for one in orders)
        core.write(Reviewed, at, strategy=_PERSON, orders=rows, user=person)
        effects += send_closing(core, at, orders)
    return effects


def _take_back(core: TradingCore, at: int, instrument: InstrumentId | None) -> list[CoreEffect]:
    """Journal that open orders are taken back; those by which a person closes stay, whatever weaker command comes."""
    names = [one.parent.id for one in core.slices.open(instrument)]
    open_ones = [one.order for one in core.orders.open(instrument)]
    return take_back_orders(core, at, [*names, *(one.id for one in open_ones if one.strategy != _PERSON)])
