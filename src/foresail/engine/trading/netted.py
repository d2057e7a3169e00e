"""Several strategies on one account as one desk: wishes are netted, orders are the account's, books are each one's own.

1. Every strategy that is due decides on its own account: its share of the equity, and the positions of its own book.
2. Its wishes stay within its limits (RISK-09); one that is halted may only make its own positions smaller.
3. Wishes are netted by instrument (``execution.netting``). What strategies pass to each other changes hands at the last
   known price, free of cost, and is no trade of the account; the rest becomes orders of the account.
4. Orders that a strategy asks for itself carry its id and stay its own.
5. What a strategy holds on signals that nobody renewed leaves the net when they end (``netted_expiry``).

A net order that is still on its way is taken back first, and its instrument is netted again at the next decision, so
that nothing is wished for twice. Exits of the venue and of people close whoever holds on that side
(``ledger.strategies``).
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId, OrderId
from foresail.core.numbers import MONEY_CONTEXT, round_quantity, round_tick
from foresail.domain.accounts import Account
from foresail.domain.orders import Order
from foresail.domain.signals import Side
from foresail.engine.strategy_choices import StrategyLimits
from foresail.engine.trading.desk import Proposal, StrategyDesk
from foresail.engine.trading.ladders import pending_besides
from foresail.engine.trading.level_keeping import trail_source
from foresail.engine.trading.netted_expiry import ended_wishes, last_words, note_words
from foresail.engine.trading.parts import NO_DECISION, Attach, Decision, DeskCall, NetShare, TradingParts
from foresail.execution.netting import NetPlan, StrategyTarget, net_targets, share_fill
from foresail.execution.planner import Plan, PlanRequest, plan_quantities, target_quantities
from foresail.ledger.strategies import StrategyBooks
from foresail.protocols import Strategy

__all__ = ["NettedDesk", "Sleeve", "with_sleeves"]

_ZERO = Decimal(0)


@dataclass(frozen=True, slots=True, eq=False)
class Sleeve:
    """One strategy of an account.

    Attributes
    ----------
    share : of the account's equity, on which it sizes
    sizes : settings of its allocator that differ from the account's (SIZE-14)
    """

    strategy: Strategy
    share: Decimal
    limits: StrategyLimits = field(default_factory=StrategyLimits)
    sizes: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Want:
    """What one strategy wants at a decision."""

    name: str
    targets: dict[InstrumentId, Decimal]
    levels: dict[InstrumentId, tuple[float, float]]
    found: Proposal
    direct: tuple[Order, ...]
    notes: tuple[tuple[InstrumentId, str], ...]


class NettedDesk:
    """Implements ``parts.Desk`` for several strategies on one account.

    Raises
    ------
    ConfigError
        If there are no strategies, two have one id, or their shares exceed the whole.
    """

    def __init__(self, desks: Sequence[tuple[StrategyDesk, Sleeve]]) -> None:
        names = [desk.id for desk, _sleeve in desks]
        if not names or len(set(names)) < len(names):
            raise ConfigError(f"expected strategies with ids of their own, received {', '.join(names) or 'none'}")
        whole = sum((sleeve.share for _desk, sleeve in desks), _ZERO)
        if whole > 1 or any(sleeve.share <= 0 for _desk, sleeve in desks):
            raise ConfigError(f"the shares of {', '.join(names)} add up to {whole}; expected shares above 0, 1 in all")
        self._desks = tuple(sorted(desks, key=lambda one: one[0].id))
        self._stages = self._desks[0][0].stages
        self._breakers = {
            desk.id: sleeve
            for desk, sleeve in self._desks
            if sleeve.limits.daily_loss is not None or sleeve.limits.drawdown is not None
        }
        self._every = math.gcd(*(desk.every for desk, _sleeve in desks))

    @property
    def id(self) -> str:
        """The ids of all strategies, joined."""
        return "+".join(desk.id for desk, _sleeve in self._desks)

    @property
    def every(self) -> int:
        """The largest step that meets every strategy's decisions."""
        return self._every

    @property
    def strategies(self) -> tuple[str, ...]:
        """Ids of the strategies, sorted."""
        return tuple(desk.id for desk, _sleeve in self._desks)

    @property
    def breakers(self) -> dict[str, Sleeve]:
        """Strategies that a loss of their own may halt."""
        return self._breakers

    def start(self) -> dict[str, Any]:
        """Return the memories of all strategies before their first step."""
        return {desk.id: desk.start() for desk, _sleeve in self._desks}

    def decide(self, memory: dict[str, Any], call: DeskCall) -> Decision:
        """Ask every strategy that is due, net, plan.

        Raises
        ------
        ConfigError
            If the core keeps no books of strategies.
        """
        books = call.strategies
        if books is None:
            raise ConfigError("several strategies need books of their own", hint="build the parts with with_sleeves")
        wants = []
        for desk, sleeve in self._desks:
            if call.position % desk.every == 0:
                own = replace(call, account=_own_account(books, desk.id, sleeve, call, self._stages.instruments))
                found = desk.propose(memory[desk.id], own)
                if found is not None:
                    wants.append(self._want(desk, sleeve, found, own, call))
        for want in wants:
            note_words(memory, want.name, want.targets, last_words(want.found.signals))
        named = [(want.name, name) for want in wants for name in want.targets]
        ended = ended_wishes(memory, books, named, call.at, _waiting(books, call))
        return self._decision(wants, ended, books, call) if wants or ended else NO_DECISION

    # -- one strategy -------------------------------------------------------------------------------------------------

    def _want(self, desk: StrategyDesk, sleeve: Sleeve, found: Proposal, own: DeskCall, call: DeskCall) -> _Want:
        """Return a strategy's wish in units, within its limits."""
        targets: dict[InstrumentId, Decimal] = {}
        levels: dict[InstrumentId, tuple[float, float]] = {}
        notes: list[tuple[InstrumentId, str]] = list(found.notes)
        if found.targets is not None:
            targets, left_out = target_quantities(found.targets, self._request(own))
            notes += [*found.targets.notes, *left_out.notes]
            skipped = {name for name, _text in left_out.notes}
            for position in own.account.positions:
                if position.instrument not in skipped:
                    targets.setdefault(position.instrument, _ZERO)
            rows = zip(found.targets.instruments, found.targets.stops, found.targets.targets, strict=True)
            levels = {name: (stop, target) for name, stop, target in rows}
        held = {position.instrument: position.quantity for position in own.account.positions}
        targets = self._halted(desk.id, targets, held, call, notes)
        targets = self._capped(sleeve.limits, targets, held, call, notes)
        direct = tuple(
            replace(order, strategy=desk.id)
            for order in found.direct
            if self._may_send(order, (desk.id, sleeve.limits), held, call, notes)
        )
        return _Want(desk.id, targets, levels, found, direct, tuple(notes))

    def _halted(
        self, name: str, targets: dict[InstrumentId, Decimal], held: Mapping[InstrumentId, Decimal], call: DeskCall,
        notes: list[tuple[InstrumentId, str]],
    ) -> dict[InstrumentId, Decimal]:  # fmt: skip
        """Let a halted strategy, or one in a halted instrument, only make positions smaller."""
        out = {}
        for one, wanted in targets.items():
            why = call.halted.get("") or call.halted.get(name) or call.halted.get(one)
            out[one] = wanted if why is None else _towards_zero(held.get(one, _ZERO), wanted)
            if out[one] != wanted and why is not None:
                notes.append((one, f"{name}: halted ({why[1]}): only smaller positions"))
        return out

    def _capped(
        self, limits: StrategyLimits, targets: dict[InstrumentId, Decimal], held: Mapping[InstrumentId, Decimal],
        call: DeskCall, notes: list[tuple[InstrumentId, str]],
    ) -> dict[InstrumentId, Decimal]:  # fmt: skip
        """Cut targets to the caps of a strategy."""
        equity, out = float(call.account.equity), dict(targets)
        value = {name: abs(float(units)) * self._unit(name, call) for name, units in out.items()}
        most = limits.max_position
        for name in sorted(out):
            if most is not None and value[name] > most * equity:
                out[name] = self._scaled(name, out[name], most * equity / value[name])
                notes.append((name, f"RISK-09: a position of the strategy is at most {most:.0%} of equity"))
                value[name] = abs(float(out[name])) * self._unit(name, call)
        kept = math.fsum(abs(float(held[name])) * self._unit(name, call) for name in held if name not in out)
        gross = math.fsum(value.values())
        if limits.max_gross is not None and gross + kept > limits.max_gross * equity:
            share = max(0.0, limits.max_gross * equity - kept) / gross if gross > 0 else 1.0
            for name in sorted(out):
                out[name] = self._scaled(name, out[name], min(1.0, share))
                notes.append((name, f"RISK-09: the strategy holds at most {limits.max_gross:.0%} of equity"))
        return out

    def _may_send(
        self, order: Order, who: tuple[str, StrategyLimits], held: Mapping[InstrumentId, Decimal], call: DeskCall,
        notes: list[tuple[InstrumentId, str]],
    ) -> bool:  # fmt: skip
        """Return whether an order that a strategy asks for itself fits its halt and its caps."""
        (name, limits), one = who, order.instrument
        now = held.get(one, _ZERO)
        after = now + (order.quantity if order.side is Side.BUY else -order.quantity)
        if order.reduce_only or _towards_zero(now, after) == after:
            return True
        why = call.halted.get("") or call.halted.get(name) or call.halted.get(one)
        if why is not None:
            notes.append((one, f"{name}: halted ({why[1]}): the order is not sent"))
            return False
        equity = float(call.account.equity)
        value = abs(float(after)) * self._unit(one, call)
        others = math.fsum(abs(float(units)) * self._unit(key, call) for key, units in held.items() if key != one)
        caps = ((limits.max_position, value), (limits.max_gross, value + others))
        if any(cap is not None and not total <= cap * equity for cap, total in caps):
            notes.append((one, f"RISK-09: the order would take {name} beyond its caps: it is not sent"))
            return False
        return True

    # -- all of them --------------------------------------------------------------------------------------------------

    def _decision(
        self, wants: Sequence[_Want], ended: Sequence[StrategyTarget], books: StrategyBooks, call: DeskCall
    ) -> Decision:
        taken, busy = self._taken_back(wants, ended, books, call)
        words = {want.name: last_words(want.found.signals) for want in wants}
        asked = [
            StrategyTarget(want.name, name, units, words[want.name].get(name))
            for want in wants
            for name, units in sorted(want.targets.items())
        ]
        wishes = [
            one for one in (*asked, *ended) if one.instrument not in busy and self._unit(one.instrument, call) > 0.0
        ]
        net = net_targets(wishes, books.holdings(), call.at)
        plan = self._plan(net, _levels(wants, net), call)
        notes = [note for want in wants for note in want.notes]
        notes += [(one.instrument, f"{one.strategy}: its signal has ended (EXIT-07)") for one in ended]
        notes += [(name, "a net order is still on its way: it is taken back first") for name in sorted(busy)]
        return Decision(
            orders=(*plan.orders, *(order for want in wants for order in want.direct)),
            levels=tuple(Attach(*one) for one in plan.levels),
            signals=tuple(signal for want in wants for signal in want.found.signals),
            weights=_weights(wants, call),
            notes=(*notes, *net.notes, *plan.notes),
            cancel_orders=(*taken, *(one for want in wants for one in want.found.cancel_orders if one not in taken)),
            changes=tuple(change for want in wants for change in want.found.changes),
            shares=self._shares(net, plan, call),
            missing=tuple(sorted({name for want in wants for name in want.found.missing.names})),
            ladders=(
                *(one for want in wants for one in want.found.ladders),
                *self._desks[0][0].ladders(plan.orders, (), call),
            ),
        )

    def _taken_back(
        self, wants: Sequence[_Want], ended: Sequence[StrategyTarget], books: StrategyBooks, call: DeskCall
    ) -> tuple[tuple[OrderId, ...], frozenset[InstrumentId]]:
        """Return the orders to be taken back, and the instruments with a net order that is still on its way."""
        only = None if wants else {one.instrument for one in ended}  # nobody speaks: other names are as they were
        cancels = {(want.name, name) for want in wants for name in want.found.cancels}
        cancels |= {  # entries of its own that outlived its signal; where it holds something, that is closed
            (one.strategy, one.instrument) for one in ended if books.units(one.strategy, one.instrument) == 0
        }
        taken, busy = [], set()
        for state in () if call.orders is None else call.orders.open():
            order = state.order
            if books.is_net(order.id) and (only is None or order.instrument in only):
                busy.add(order.instrument)
                taken.append(order.id)
            elif (books.owner(order.id), order.instrument) in cancels:
                taken.append(order.id)
        for parent in () if call.slices is None else call.slices.open():
            if books.is_net(parent.parent.id) and (only is None or parent.parent.instrument in only):
                busy.add(parent.parent.instrument)
                taken.append(parent.parent.id)
            elif (books.owner(parent.parent.id), parent.parent.instrument) in cancels:
                taken.append(parent.parent.id)
        return tuple(taken), frozenset(busy)

    def _plan(self, net: NetPlan, levels: Mapping[InstrumentId, tuple[float, float]], call: DeskCall) -> Plan:
        """Return the orders of the account; what single strategies have on order is not part of the net."""
        names = sorted({*net.changes, *(name for name in levels if name in net.quantities)})
        request = self._request(call)
        quantities = {name: net.quantities[name] + request.pending.get(name, _ZERO) for name in names}
        return plan_quantities(quantities, request, self._stages.planner, levels)

    def _request(self, call: DeskCall) -> PlanRequest:
        return PlanRequest(
            account=call.account,
            prices=call.prices,
            instruments=self._stages.instruments,
            decided_at=call.at,
            strategy="netted",
            version="1",
            pending=pending_besides(call),
            rates=call.rates,
        )

    def _shares(self, net: NetPlan, plan: Plan, call: DeskCall) -> tuple[NetShare, ...]:
        out = []
        for name, changes in sorted(net.changes.items()):
            one = self._stages.instruments[name]
            inside = share_fill(changes, _ZERO, one.lot)
            wishes = tuple((who, units - inside[who]) for who, units in sorted(changes.items()) if units != inside[who])
            price = max(one.tick, round_tick(Decimal(repr(float(call.prices[name]))), one.tick))
            out.append(
                NetShare(
                    name,
                    tuple((who, units) for who, units in inside.items() if units),
                    wishes,
                    tuple(order.id for order in plan.orders if order.instrument == name),
                    price,
                    one.multiplier,
                    one.currency,
                )
            )
        return tuple(one for one in out if one.crossed or one.orders)

    def _unit(self, name: InstrumentId, call: DeskCall) -> float:
        """Return the value of one unit in the account's currency, 0 where no price is known."""
        price, one = call.prices.get(name, math.nan), self._stages.instruments[name]
        if not (math.isfinite(price) and price > 0.0):
            return 0.0
        return float(price) * float(one.multiplier) * float(call.rates.get(one.currency, 1))

    def _scaled(self, name: InstrumentId, units: Decimal, factor: float) -> Decimal:
        return round_quantity(MONEY_CONTEXT.multiply(units, Decimal(repr(round(factor, 12)))), self._lot(name))

    def _lot(self, name: InstrumentId) -> Decimal:
        lot: Decimal = self._stages.instruments[name].lot
        return lot


def with_sleeves(parts: TradingParts, sleeves: Sequence[Sleeve]) -> TradingParts:
    """Return parts of an account that several strategies trade, made from parts with one strategy desk.

    Raises
    ------
    ConfigError
        If the parts have another kind of desk, or the sleeves do not fit together.
    """
    desk = parts.desks[0] if len(parts.desks) == 1 else None
    if not isinstance(desk, StrategyDesk):
        raise ConfigError("expected parts with one strategy desk, from which the others take allocator and planner")
    allocator = desk.stages.allocator
    stages = [
        replace(desk.stages, allocator=allocator.otherwise(**one.sizes)) if one.sizes else desk.stages
        for one in sleeves
    ]
    netted = NettedDesk([(StrategyDesk(one.strategy, own), one) for one, own in zip(sleeves, stages, strict=True)])
    trail = parts.trail
    if trail is None and parts.keeps_stops and any(getattr(one.strategy.spec, "trailing", False) for one in sleeves):
        trail = trail_source(parts.market)  # there is one position an instrument, whoever wants it
    return replace(parts, desks=(netted,), strategies=netted.strategies, trail=trail)


def _own_account(
    books: StrategyBooks, name: str, sleeve: Sleeve, call: DeskCall, instruments: Mapping[InstrumentId, Any]
) -> Account:
    """Return the account as one strategy sees it: its share of the equity, its own positions, the rest in cash."""
    account, positions = call.account, books.positions(name)
    equity = MONEY_CONTEXT.multiply(account.equity, sleeve.share)
    value = 0.0
    for position in positions:
        price, one = call.prices.get(position.instrument, math.nan), instruments[position.instrument]
        paid = price if math.isfinite(price) else float(position.average_price)
        value += float(position.quantity * one.multiplier * call.rates.get(one.currency, 1)) * paid
    cash = equity - Decimal(repr(round(value, 6)))
    return Account(account.id, account.currency, cash, equity, positions, account.at)


def _waiting(books: StrategyBooks, call: DeskCall) -> frozenset[tuple[str, InstrumentId]]:
    """Return (strategy, instrument) of every entry that is still on its way, whole or in slices."""
    orders = [] if call.orders is None else [one.order for one in call.orders.open()]
    orders += [] if call.slices is None else [one.parent for one in call.slices.open()]
    return frozenset((name, one.instrument) for one in orders if not one.reduce_only for name in books.waiting(one.id))


def _towards_zero(now: Decimal, wanted: Decimal) -> Decimal:
    """Return what is wanted as far as it only makes a holding smaller."""
    if now * wanted <= 0:
        return _ZERO
    return min(now, wanted) if now > 0 else max(now, wanted)


def _levels(wants: Iterable[_Want], net: NetPlan) -> dict[InstrumentId, tuple[float, float]]:
    """Return the stop and target of each net position: the tightest that a strategy on its side asks for."""
    out: dict[InstrumentId, tuple[float, float]] = {}
    for want in wants:
        for name, (stop, target) in want.levels.items():
            sign = 1.0 if net.quantities.get(name, _ZERO) > 0 else -1.0
            if float(want.targets.get(name, _ZERO)) * sign <= 0.0:
                continue
            before = out.get(name, (math.nan, math.nan))
            out[name] = (_nearer(before[0], stop, sign), _nearer(before[1], target, -sign))
    return out


def _nearer(one: float, other: float, sign: float) -> float:
    """Return the larger (sign 1) or smaller of two levels; NaN is none."""
    known = [level for level in (one, other) if math.isfinite(level)]
    return math.nan if not known else max(known) if sign > 0 else min(known)


def _weights(wants: Sequence[_Want], call: DeskCall) -> tuple[tuple[InstrumentId, float], ...]:
    """Return the target fractions of the account's equity that follow from all wishes, for the record."""
    total: dict[InstrumentId, float] = {}
    for want in wants:
        for name, units in want.targets.items():
            total[name] = total.get(name, 0.0) + float(units) * call.prices.get(name, math.nan)
    equity = float(call.account.equity)
    return tuple((name, value / equity) for name, value in sorted(total.items()))
