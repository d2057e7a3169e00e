"""The rules of an account in the simulation, put together: judges over its entries, then the state that it ended in."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from foresail.core.ids import InstrumentId, OrderId
from foresail.engine.rates import account_rates
from foresail.engine.trading.account import AccountRun
from foresail.ledger.entries import (
    AlertRaised,
    CancelIntended,
    Deposited,
    Entry,
    FillBooked,
    LimitsLoaded,
    Marked,
    OperatorActed,
    OrderIntended,
    SharesPlanned,
    TradingHalted,
    TradingResumed,
)
from foresail.ledger.strategies import StrategyBooks
from foresail.testing.simulation.account_desk import STRATEGIES
from foresail.testing.simulation.account_money import NaiveAccount
from foresail.testing.simulation.account_rules import (
    Changed,
    Groups,
    Holding,
    Judge,
    Ladder,
    OrderFlow,
    Reduced,
    Renewals,
    Sliced,
    SplitOrders,
)
from foresail.testing.simulation.invariants import check_halts, check_levels
from foresail.testing.simulation.trace import ViolationError

if TYPE_CHECKING:
    from foresail.testing.simulation.account import AccountStream

__all__ = ["check_account", "check_levels_hang"]

_NOTHING = InstrumentId("")
_CLOSED_WITHIN = 2  # marks after a closing kill
_TICKS = 0.021  # a split rounds levels to ticks


def check_account(stream: AccountStream, run: AccountRun, entries: tuple[Entry, ...]) -> None:
    """Check a whole story and the state at its end.

    Raises
    ------
    ViolationError
        At the first rule that does not hold.
    """
    account = NaiveAccount(stream.instruments, "USD")
    rates, market = {}, stream.limits.market
    panel = stream.panel
    closes = panel.field("close")
    for now in range(panel.shape[1]):
        rates[int(panel.end[now])] = account_rates(panel.instruments, closes[:, now], "USD")
    ladder, holding = Ladder(stream.limits, rates), Holding(stream.cost)
    level = float("inf") if market.vix_cut_above is None else market.vix_cut_above
    reduced = Reduced(level, Fraction(str(market.vix_cut)))
    judges: list[Judge] = [
        Sliced(), Groups(), Changed(), ladder, reduced, Renewals(), OrderFlow(stream.limits), SplitOrders(), holding,
        _Commands(), _Wishes(stream),
    ]  # fmt: skip
    for entry in entries:
        for judge in judges:
            judge.take(entry, account)
        account.apply(entry)
        if isinstance(entry, Marked):
            ladder.marked(entry, account)
            holding.marked(entry, account)
    check_halts(entries)
    check_levels(entries)
    _check_money(run, account)
    if stream.strategies:
        _check_strategies(run)
    _check_limits(run, entries)
    if run.core.orders.blocked():
        raise ViolationError(f"2: an honest venue blocked {run.core.orders.blocked()}")


def _check_money(run: AccountRun, account: NaiveAccount) -> None:
    books = run.core.books
    for name, money in account.cash.items():
        if Fraction(books.totals(name).cash) != money:
            raise ViolationError(f"2: the books hold {books.totals(name).cash} {name}, entries add up to {money}")
    rates = run.core.parts.market.rates()
    if abs(Fraction(books.equity(rates=rates)) - account.equity(rates)) > Fraction(1, 1000):
        raise ViolationError(f"2: the books are worth {books.equity(rates=rates)}, not {float(account.equity(rates))}")
    held = {one.instrument: Fraction(one.quantity) for one in books.positions() if one.quantity}
    if held != account.held:
        raise ViolationError(f"2: the books hold {held}, entries add up to {account.held}")


def _check_strategies(run: AccountRun) -> None:
    """Check that strategies and house add up to the account: units, cash and fees in every currency."""
    books, own = run.core.books, run.core.strategies
    if own is None:
        raise ViolationError("netting: no books of strategies are kept")
    held: dict[InstrumentId, Decimal] = {}
    for (_name, one), units in own.holdings().items():
        held[one] = held.get(one, Decimal(0)) + units
    there = {one.instrument: one.quantity for one in books.positions() if one.quantity}
    if {name: units for name, units in held.items() if units} != there:
        raise ViolationError(f"netting: strategies hold {held}, the account {there}")
    for currency in books.currencies:
        for sums in ("cash", "fees", "dividends", "holding"):
            whole = getattr(books.totals(currency), sums)
            parts = sum((getattr(own.money(name, currency), sums) for name in own.names()), Decimal(0))
            if parts != whole:
                raise ViolationError(f"netting: {sums} of strategies add up to {parts} {currency}, not {whole}")


def check_levels_hang(stream: AccountStream, run: AccountRun) -> None:
    """Check that the stops and targets of the journal are those that hang at the venue."""
    link: Any = run.link
    for name in stream.traded:
        here = run.core.levels.standing.get(name, (None, None))
        for ours, theirs in zip(here, link.levels(name), strict=True):
            if (ours is None) != (theirs is None) or (ours is not None and abs(ours - float(theirs)) > _TICKS):
                raise ViolationError(f"levels: {here} of {name} stand here, {link.levels(name)} at the venue")


def _check_limits(run: AccountRun, entries: tuple[Entry, ...]) -> None:
    loaded = [one.digest for one in entries if isinstance(one, LimitsLoaded)]
    state = run.core.risk
    if state is None or state.memory.limits_digest != loaded[-1]:
        raise ViolationError(f"limits: {loaded[-1]} were loaded last, in force is {state and state.memory}")


class _Commands:
    """A person's commands: each once, each followed by what it asks for."""

    def __init__(self) -> None:
        self._seen: set[str] = set()
        self._last: OperatorActed | None = None
        self._closing = -1  # marks since a closing kill
        self._exits: dict[OrderId, InstrumentId] = {}

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Look at what comes directly after a command."""
        if self._last is not None:
            self._follow(self._last, entry, account)
            self._last = None
        if isinstance(entry, OrderIntended) and entry.order.strategy == "operator":
            self._exits[entry.order.id] = entry.order.instrument
        elif isinstance(entry, CancelIntended) and account.held.get(self._exits.get(entry.order_id, _NOTHING)):
            raise ViolationError(f"commands: {entry} takes back an exit of a closing kill")  # of what is held still
        if isinstance(entry, OperatorActed):
            if entry.command in self._seen:
                raise ViolationError(f"commands: {entry.command} was done twice")
            self._seen.add(entry.command)
            self._last = entry
            self._closing = 0 if entry.command.startswith("kill close") else self._closing
        elif isinstance(entry, TradingResumed) and not entry.scope:
            self._closing = -1
        elif isinstance(entry, Marked) and self._closing >= 0:
            self._closing += 1
            if self._closing > _CLOSED_WITHIN and account.held:
                raise ViolationError(f"commands: {account.held} is held on after a closing kill")

    def _follow(self, asked: OperatorActed, entry: Entry, account: NaiveAccount) -> None:
        verb, *rest = asked.command.partition(":")[0].split()
        kinds: dict[str, Any] = {
            "deposit": Deposited, "withdraw": (Deposited, AlertRaised), "halt": TradingHalted, "kill": TradingHalted,
            "resume": TradingResumed, "rearm": TradingResumed, "limits": LimitsLoaded,
        }  # fmt: skip
        if not isinstance(entry, kinds[verb]):
            raise ViolationError(f"commands: {asked} led to {entry}")
        if isinstance(entry, Deposited):
            amount = Decimal(rest[0]) if verb == "deposit" else sum(map(Decimal, rest[2:]), -Decimal(rest[0]))
            left = account.cash.get(rest[1], Fraction(0)) + Fraction(amount)
            if entry.amount != amount or (amount < 0 and left < 0):
                raise ViolationError(f"commands: {asked} led to {entry}, {float(left)} {rest[1]} are left")


class _Wishes:
    """Whose a net order is: once it is filled at a stroke, each strategy has what it wanted of it."""

    def __init__(self, stream: AccountStream) -> None:
        self._books = StrategyBooks(STRATEGIES, stream.instruments, "USD")
        self._wishes: dict[OrderId, dict[str, Decimal]] = {}

    def take(self, entry: Entry, account: NaiveAccount) -> None:
        """Compare what strategies hold before and after a fill."""
        if isinstance(entry, SharesPlanned):
            self._wishes.update({one: dict(entry.wishes) for one in entry.orders})
        before = self._books.holdings()
        self._books.apply(entry, None)
        wishes = self._wishes.get(entry.fill.order_id) if isinstance(entry, FillBooked) else None
        if wishes is None or not isinstance(entry, FillBooked):
            return
        if abs(sum(wishes.values())) != entry.fill.quantity:
            return  # cut by the gate or filled in parts: shared in proportion
        after, name = self._books.holdings(), entry.fill.instrument
        got = {who: after.get((who, name), 0) - before.get((who, name), 0) for who in wishes}
        if got != wishes:
            raise ViolationError(f"netting: strategies wanted {wishes} of {entry.fill}, they got {got}")
