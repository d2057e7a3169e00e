"""Planted bugs in what only a whole account has: netting, slices, reductions, levels, limits, breakers, money.

Each shows in the account simulation (``account``): in the naive account, in a judge, or in the difference between an
account that was interrupted and one that was not.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from typing import Any

from foresail.core.ids import OrderId
from foresail.domain.orders import Fill, Order
from foresail.engine.trading import closing, holding, operators, paying, protection, reviewing, simulated
from foresail.engine.trading import core as core_module
from foresail.engine.trading.account import AccountRun
from foresail.engine.trading.latches import Latches
from foresail.engine.trading.reductions import Reductions
from foresail.engine.trading.slicing import Slicer
from foresail.execution.simulated.venue import SimulatedVenue
from foresail.ledger import levels
from foresail.ledger.books import Books
from foresail.ledger.entries import Deposited, Entry, SharesPlanned, TradingResumed
from foresail.ledger.expiries import SignalExpiries
from foresail.ledger.levels import PositionLevels
from foresail.ledger.lots import Holding
from foresail.ledger.slices import SliceBook, SliceState
from foresail.ledger.strategies import StrategyBooks
from foresail.risk import breakers
from foresail.risk import state as risk_state
from foresail.risk.state import RiskState
from foresail.testing.simulation.planting import PlantedBug

__all__ = ["ACCOUNT_BUGS"]


def _bug(name: str, family: str, owner: Any, attribute: str, make: Callable[[Any], Any], *seed: int) -> PlantedBug:
    right = PlantedBug(name, family, owner, attribute, make, fits_all=False, fits_reference=False, fits_account=True)
    return replace(right, first=seed[0]) if seed else right


def _does(wrong: Callable[..., Any]) -> Callable[[Any], Any]:
    """Put something else in the place of what is right."""
    return lambda _right: wrong


def _to_plain(**lost: Any) -> Callable[[Any], Any]:
    """Let a snapshot leave something out."""
    return lambda right: lambda state: {**right(state), **lost}


# -- netting ---------------------------------------------------------------------------------------------------------


def _crossed_on_one_side(right: Callable[[StrategyBooks, SharesPlanned], None]) -> Any:
    return lambda books, entry: right(books, replace(entry, crossed=entry.crossed[:1]))


def _first_gets_all(right: Callable[[StrategyBooks, Fill], dict[str, Decimal]]) -> Any:
    def from_plan(books: StrategyBooks, fill: Fill) -> dict[str, Decimal]:
        shares = right(books, fill)
        return {min(shares): sum(shares.values(), Decimal(0))} if shares else shares

    return from_plan


def _free_for_all(right: Callable[..., None]) -> Any:
    def book(books: StrategyBooks, part: Any, *rest: Any) -> None:
        right(books, replace(part, fee=Decimal(0)), *rest)

    return book


_NETTING = (
    _bug("crossed units move on one side", "netting", StrategyBooks, "_planned", _crossed_on_one_side),
    _bug("the first strategy gets the whole net order", "netting", StrategyBooks, "_from_plan", _first_gets_all),
    _bug("strategies pay no fees", "netting", StrategyBooks, "_book", _free_for_all),
    _bug(
        "a split leaves the units of strategies", "netting", StrategyBooks, "_split", _does(lambda books, entry: None)
    ),
)


# -- slices ----------------------------------------------------------------------------------------------------------


def _all_at_once(right: Callable[[Slicer, SliceState, int], Order | None]) -> Any:
    return lambda slicer, state, at: right(slicer, state, state.slices[-1][0])


def _forgets_what_left(right: Callable[[Slicer, SliceState, int], Order | None]) -> Any:
    return lambda slicer, state, at: right(slicer, replace(state, sent=Decimal(0)), at)


_SLICES = (
    _bug("all slices leave at the first instant", "slices", Slicer, "due", _all_at_once),
    _bug("a slice forgets what has left", "slices", Slicer, "due", _forgets_what_left),
    _bug("a stopped parent goes on", "slices", SliceBook, "_stopped", _does(lambda book, entry: None)),
    _bug("a snapshot forgets parents", "slices", SliceBook, "to_plain", _to_plain(parents=[])),
)


# -- reductions and expiries -------------------------------------------------------------------------------------------


def _reductions_forget(right: Callable[[Reductions, Entry], None]) -> Any:
    def apply(reductions: Reductions, entry: Entry) -> None:
        right(reductions, entry)
        reductions.active.clear()

    return apply


_REDUCING = (
    _bug("a reduction begins again with every decision", "reductions", Reductions, "apply", _reductions_forget),
    _bug("a high VIX reduces nothing", "reductions", protection, "conditions_now", _does(lambda core, limits: {})),
    _bug("a snapshot forgets reductions", "snapshots", Reductions, "to_plain", _does(lambda reductions: {})),
    _bug("what is left is sold instead of the cut", "reductions", protection, "close_orders",
         lambda right: lambda core, at, why, fraction=1.0, **named: right(core, at, why, 1.0 - fraction, **named)),
    _bug("signals never end", "expiries", core_module, "close_expired", _does(lambda core, at, end: [])),
    _bug("a snapshot forgets when signals end", "snapshots", SignalExpiries, "to_plain", _does(lambda expiries: {})),
)  # fmt: skip


# -- levels ----------------------------------------------------------------------------------------------------------

_LEVELS = (
    _bug("a split leaves stops where they were", "position levels", levels, "_restated",
         _does(lambda both, ratio: both)),
    _bug("a closed position keeps its stop", "position levels", PositionLevels, "_filled",
         lambda right: lambda levels, entry, held, orders: right(levels, entry, held or entry.fill.quantity, orders)),
    _bug("a snapshot forgets levels", "snapshots", PositionLevels, "to_plain",
         _does(lambda levels: {"standing": {}, "leaving": [], "wide": {}, "narrowed": {}, "split": {}})),
    _bug("the venue never hears of other levels", "position levels", simulated.SimulatedLink, "attach",
         _does(lambda link, levels: None)),
)  # fmt: skip


# -- limits, breakers, commands ----------------------------------------------------------------------------------------


def _rearms_all(right: Callable[[Latches, Entry], None]) -> Any:
    def apply(latches: Latches, entry: Entry) -> None:
        right(latches, replace(entry, scope="") if isinstance(entry, TradingResumed) else entry)

    return apply


def _as_profit(state: RiskState, amount: Decimal) -> None:
    state._mark((state.memory.equity or Decimal(0)) + amount)  # noqa: SLF001 a bug may reach anywhere


def _with_profit(right: Callable[[Any, Entry], Decimal | None]) -> Any:
    def foreign_worth(core: Any, entry: Entry) -> Decimal | None:
        if right(core, entry) is None:
            return None
        equity: Decimal = core.books.equity(rates=core.parts.market.rates())
        return equity - (core.risk.memory.equity or 0)

    return foreign_worth


def _from_the_next_mark(right: Callable[[RiskState, Any], None]) -> Any:
    def reset(state: RiskState, entry: Any) -> None:
        right(state, entry)
        if entry.rule.startswith("RISK-19"):
            state.memory.peak = None

    return reset


def _without_fee(right: Callable[..., Any]) -> Any:
    def pay(core: Any, at: int, amount: Decimal, currency: str, *, fee: Decimal) -> Any:
        del fee
        return right(core, at, amount, currency)

    return pay


def _latches_only(run: AccountRun) -> None:
    run._writer.fold_through()  # noqa: SLF001


def _without_digits(right: Callable[[Books], dict[str, Any]]) -> Any:
    def to_plain(books: Books) -> dict[str, Any]:
        plain = right(books)
        return {**plain, "holdings": {name: row[:3] for name, row in plain["holdings"].items()}}

    return to_plain


_LIMITS = (
    _bug("other limits are loaded and not taken up", "limits versions", RiskState, "_limits_loaded",
         _does(lambda state, entry: None)),
    _bug("the drawdown ladder never trips", "breakers", breakers, "_ladder", _does(lambda state, rules, now: [])),
    _bug("money that comes counts as profit", "breakers", RiskState, "_flow",
         _does(_as_profit)),
    _bug("the fee of a transfer counts as a loss", "breakers", risk_state, "flow_of",
         lambda right: lambda entry: right(entry) if isinstance(entry, Deposited) else None),
    _bug("profit since the mark goes with money of another currency", "breakers", core_module, "foreign_worth",
         _with_profit, 300),
    _bug("what is lost between a reassessment and the next mark is forgotten", "breakers", RiskState, "_reset",
         _from_the_next_mark, 60),
    _bug("what the network takes is not charged", "account commands", operators, "pay",
         _without_fee),
    _bug("breakers end with a restart", "breakers", RiskState, "to_plain", _to_plain(breakers={})),
    _bug("openings pass while a breaker is in force", "breakers", RiskState, "breakers_in_force",
         _does(lambda state, now: {})),
    _bug("nobody counts the orders of a minute", "order rate", RiskState, "last_minute", _does(lambda state, now: [])),
    _bug("more than is free may be withdrawn", "account commands", paying, "withdrawable",
         _does(lambda core, currency="": Decimal("1e12"))),
    _bug("a command is lost in a restart", "account commands", AccountRun, "_catch_up",
         _does(_latches_only)),
    _bug("a command is dated by what no entry tells of", "account commands", simulated.SimulatedLink, "stand_at",
         _does(lambda link, at: None), 12),
    _bug("a strategy takes back the exit of a closing kill", "kill switch", closing, "_is_closer",
         _does(lambda order: False)),
    _bug("what is leaving is sold once more behind a halt", "kill switch", reviewing, "leaving_units",
         _does(lambda core, name: Decimal(0))),
    _bug("whoever resumes one name rearms the account", "account commands", Latches, "apply", _rearms_all),
    _bug("a snapshot keeps values without their digits", "snapshots", Books, "to_plain", _without_digits, 23),
    _bug("latches are not in a snapshot", "snapshots", Latches, "to_plain", _does(lambda latches: {})),
)  # fmt: skip


# -- money -----------------------------------------------------------------------------------------------------------


def _charged_amount(right: Callable[[Books, Any], None]) -> Any:
    return lambda books, entry: right(books, replace(entry, amount=abs(entry.amount)))


def _in_own_currency(right: Callable[[Books, Any], None]) -> Any:
    return lambda books, entry: right(books, replace(entry, currency=""))


def _charged_twice(right: Callable[..., None]) -> Any:
    def charge(core: Any, since: int, until: int) -> None:
        right(core, since, until)
        right(core, since, until)

    return charge


_MONEY = (
    _bug("funding that is received is charged", "funding, borrow and swap", Books, "_on_holding_charged",
         _charged_amount),
    _bug("holding is charged twice", "funding, borrow and swap", holding, "_charge", _charged_twice),
    _bug("a dividend is paid on the position after it", "splits and dividends", Books, "_on_dividend_paid",
         _does(lambda books, entry: None)),
    _bug("the fraction of a split is not paid", "splits and dividends", Holding, "split",
         lambda right: lambda holding, *told: (right(holding, *told), (Decimal(0), Decimal(0)))[1]),
    _bug("a split leaves orders as they were", "splits and dividends", SimulatedVenue, "apply_split",
         lambda right: lambda venue, name, ratio: right(venue, name, Decimal(1))),
    _bug("nobody hears what sets off a stop after a split", "splits and dividends", simulated, "_prices",
         lambda right: lambda order: {**right(order), "trigger_price": order.trigger_price}),
    _bug("trades in another currency are paid in one's own", "currency conversion", Books, "_on_fill_booked",
         _in_own_currency),
    _bug("money of another currency is added up as one's own", "currency conversion", Books, "_converted",
         _does(lambda books, amount, currency, rates: amount)),
)  # fmt: skip


# -- brackets and OCO --------------------------------------------------------------------------------------------------


def _submits(**changed: Any) -> Callable[[Any], Any]:
    def make(right: Callable[..., None]) -> Any:
        return lambda venue, order, **named: right(venue, replace(order, **changed), **named)

    return make


_GROUPS = (
    _bug("exits of a bracket live before its entry", "brackets and OCO", SimulatedVenue, "submit",
         _submits(parent=None, reduce_only=False)),
    _bug("both orders of an OCO pair fill", "brackets and OCO", SimulatedVenue, "submit", _submits(group="")),
    _bug("an exit opens a position", "wrong positions", SimulatedVenue, "submit", _submits(reduce_only=False)),
    _bug("a changed order begins anew", "replace races", SimulatedVenue, "replace",
         lambda right: lambda venue, change, **named: right(
             venue, replace(change, order_id=OrderId(change.order_id), quantity=change.quantity * 2), **named)),
)  # fmt: skip

ACCOUNT_BUGS = (*_NETTING, *_SLICES, *_REDUCING, *_LEVELS, *_LIMITS, *_MONEY, *_GROUPS)
