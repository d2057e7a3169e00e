"""A whole account in the simulation: real core, real gate rules, real simulated venue, a journal on a disk that fails.

A seed makes a market (three names, two currencies, splits, dividends, funding, a VIX that jumps), two strategies that
ask for everything (``account_desk``), a person who gives commands, and instants at which power is lost, the disk fails
or the process is killed. The same account is run a second time by a process that nobody interrupts. Both must tell the
same story, entry by entry, and every rule of ``account_checks`` must hold in it.
"""

from __future__ import annotations

import errno
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import ConfigError, IntegrityError, JournalStoppedError
from foresail.core.ids import InstrumentId
from foresail.core.seeds import generator
from foresail.domain.accounts import Position
from foresail.domain.events import Event, Fact, Rank, Timer, event_key
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.limits import BookLimits, BreakerLimits, FlowLimits, MarketLimits, TradingLimits
from foresail.domain.panel import Panel
from foresail.engine.history import history_events
from foresail.engine.trading.account import AccountRun, StreamRules
from foresail.engine.trading.market import PanelMarket
from foresail.engine.trading.parts import TradingParts
from foresail.engine.trading.simulated import SimulatedLink, VenueRules
from foresail.engine.trading.slicing import Slicer, SliceSettings
from foresail.engine.trading.volumes import PanelVolumes
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.settings import VenueSettings
from foresail.execution.simulated.venue import SimulatedVenue
from foresail.ledger.entries import Entry, OperatorActed, SessionStarted
from foresail.ledger.recovery import Session, read_entries
from foresail.risk.gate import RiskGate
from foresail.risk.rules.blocked import BlockedInstrument
from foresail.risk.rules.breakers import Breakers
from foresail.risk.rules.order_rate import OrderRate
from foresail.testing.builders import bar_panel
from foresail.testing.disk import PessimisticDisk, PowerCutError
from foresail.testing.simulation import account_checks
from foresail.testing.simulation.account_desk import STRATEGIES, RandomDesk
from foresail.testing.simulation.loop import Chance
from foresail.testing.simulation.trace import ViolationError

__all__ = ["CAPITAL", "LIMITS", "AccountStream", "holding_cost", "live_through", "run_account"]

CAPITAL = Decimal(40_000)
_BARS = 36
_LIVES = 8  # misfortunes of one account, at most
LIMITS = TradingLimits(
    breakers=BreakerLimits(daily_loss=None, weekly_loss=None, consecutive_losses=None, trades_per_day=None,
                           drawdown_warning=0.04, drawdown_cut=0.08, drawdown_close=0.12, pause_days=6),
    market=MarketLimits(vix_stop=None, high_beta=None),
    flow=FlowLimits(orders_per_minute=2),
    book=BookLimits(correlation=None, value_at_risk=None),
)  # fmt: skip
_A, _B, _C, _FX = (InstrumentId(one) for one in ("stock.US.AAA", "stock.DE.BBB", "stock.US.CCC", "fx.EUR-USD"))
_HOUR = 3600 * 10**9
_COMMANDS = (  # what a person asks, one thing after the other
    ("deposit 3000 USD", "withdraw 2000 USD 900"), ("withdraw 90000 USD",), ("deposit 500 EUR",),
    (f"halt {_A}", "rearm"), (f"halt {_A}", f"resume {_A}"), ("kill", f"resume {_A}", "rearm"), ("kill close", "rearm"),
    ("limits aaaa", "limits bbbb"),
)  # fmt: skip
_SESSION = Session("test", "t", "build", "settings")
_STORIES_APART = frozenset({"entries"})


def holding_cost(position: Position, notional: Decimal, since: int, until: int) -> Decimal:
    """Return what holding costs: a short pays for the loan, a perpetual pays or receives by the hour."""
    hours = Decimal(until - since) / _HOUR
    if position.instrument == _C:
        return (notional * hours * (1 if position.quantity > 0 else -1)).scaleb(-6).quantize(Decimal("1e-8"))
    return (notional * hours).scaleb(-7).quantize(Decimal("1e-8")) if position.quantity < 0 else Decimal(0)


@dataclass(frozen=True)
class AccountStream:
    """One seed's market and what a person does, made afresh for every start."""

    seed: int

    @cached_property
    def panel(self) -> Panel:
        """Daily bars of the names, prices on ticks."""
        draw = generator(self.seed, "market")
        steps = draw.normal(0.0, 0.035, (3, _BARS))
        rows = np.maximum(20.0, 100.0 * np.exp(np.cumsum(steps, axis=1))).round(2)
        closes = {str(name): rows[k].tolist() for k, name in enumerate((_A, _B, _C))}
        closes[_FX] = (1.1 + 0.02 * np.sin(np.arange(_BARS) / 5.0)).round(4).tolist()
        return bar_panel(closes, fields={"volume": {name: [1e4] * _BARS for name in (_A, _B, _C)}})

    @cached_property
    def instruments(self) -> dict[InstrumentId, Instrument]:
        """What is traded, and the pair that turns one currency into the other."""
        cent = Decimal("0.01")
        return {
            _A: Instrument(_A, "AAA", AssetClass.STOCK, tick=cent),
            _B: Instrument(_B, "BBB", AssetClass.STOCK, tick=cent, currency="EUR"),
            _C: Instrument(_C, "CCC", AssetClass.STOCK, tick=cent, kind="perp"),
            _FX: Instrument(_FX, "EURUSD", AssetClass.FOREX, tick=Decimal("0.0001"), lot=Decimal(1000)),
        }

    @cached_property
    def events(self) -> tuple[Event, ...]:
        """Every event of the stream in its one order."""
        panel, draw = self.panel, Chance(self.seed, "events")
        more = []
        for now in range(2, _BARS):
            start = int(panel.start[now])
            if draw.happens(0.35):
                kind, value = draw.one_of(
                    (("split", 2.0), ("split", 1.5), ("dividend", 0.25), ("dividend", 0.4), ("dividend", 0.1))
                )
                name = draw.one_of((_A, _B, _C))
                more.append(Fact(start, start, Rank.CORPORATE_ACTION, "bars", name, kind=kind, value=value))
            if draw.happens(0.15):
                told = int(panel.end[now]) - _HOUR
                value = draw.one_of((15.0, 31.0, 33.0))
                more.append(Fact(told, told, Rank.FEATURES, "facts", None, kind="vix", value=value))
        return tuple(sorted((*history_events(panel, 0, 1), *more), key=event_key))

    @cached_property
    def commands(self) -> Mapping[int, str]:
        """What a person asks before an event, by the event's number; the remark makes each unique."""
        draw = Chance(self.seed, "commands")
        asked = [command for script in draw.some_of(_COMMANDS, 4) for command in script]
        free = range(4, len(self.events) - 4)
        after_facts = [place for place in free if isinstance(self.events[place - 1], Fact)]
        chosen = draw.some_of(after_facts, min(len(after_facts), len(asked) // 2))
        others = [place for place in free if place not in chosen]
        places = sorted([*chosen, *draw.some_of(others, len(asked) - len(chosen))])
        for k, command in enumerate(asked):  # just before a decision, which may not undo it
            while command == "kill close" and not isinstance(self.events[places[k]], Timer):
                places[k] += 1
        given = zip(sorted(set(places)), asked, strict=False)
        return {place: f"{command}: number {k}" for k, (place, command) in enumerate(given)}

    @property
    def strategies(self) -> tuple[str, ...]:
        """Whose virtual books are kept: those of two strategies in every second account, else nobody's."""
        return () if self.seed % 2 else STRATEGIES

    @property
    def limits(self) -> TradingLimits:
        """Limits that hold."""
        return LIMITS

    @property
    def traded(self) -> tuple[InstrumentId, ...]:
        """Names that are traded."""
        return (_A, _B, _C)

    def cost(self, name: InstrumentId, units: Fraction, price: Fraction, since: int, until: int) -> Decimal:
        """Return what holding some units of a name at a price costs."""
        value = abs(units) * price
        quantity = Decimal(units.numerator) / units.denominator
        position = Position(name, quantity, Decimal(0), 0)
        return holding_cost(position, Decimal(value.numerator) / value.denominator, since, until)

    def parts(self) -> TradingParts:
        """Return fresh parts of a core."""
        # No rule on halts: the latches of the core stand behind the gate and must do alone.
        rules = (Breakers(LIMITS.breakers), BlockedInstrument(), OrderRate(LIMITS.flow))
        slicer = Slicer(
            SliceSettings(count=4, interval_ns=24 * _HOUR), PanelVolumes(self.panel), self.instruments
        )  # fmt: skip
        market = PanelMarket(self.panel, self.instruments, "USD")
        desk = RandomDesk(self.seed, self.traded, nets=bool(self.strategies))
        return TradingParts(
            "test", "t", "USD", self.instruments, market, (desk,),
            RiskGate((), self.instruments, trading=rules, flow=LIMITS.flow), allow_short=True,
            holding_cost=holding_cost, strategies=self.strategies, slicer=slicer, limits=LIMITS, limits_digest="first",
        )  # fmt: skip

    def open(self, disk: PessimisticDisk, *, snapshot_every: int) -> AccountRun:
        """Start a process on the account."""
        parts = self.parts()
        market = parts.market
        assert isinstance(market, PanelMarket)  # noqa: S101 as made above
        records = tuple(self.instruments[name] for name in self.panel.instruments)
        settings = VenueSettings(allow_short=True)
        venue = SimulatedVenue(
            records, CostModel(CostSettings(AssetClass.STOCK, commission_fraction=Decimal("0.0005"))), settings
        )
        blocked = np.full(len(records), _BARS, dtype=np.int64)
        link = SimulatedLink(venue, market, VenueRules(AssetClass.STOCK, blocked))
        rules = StreamRules(
            snapshot_every=snapshot_every, commit_every=3,
            begin=lambda core: core.begin(int(self.panel.start[0]), CAPITAL),
        )  # fmt: skip
        return AccountRun.open(parts, link, disk, _SESSION, rules)


def run_account(seed: int) -> str:
    """Run an account through its misfortunes and once without; return what is wrong, empty where nothing is."""
    stream = AccountStream(seed)
    try:
        whole = live_through(stream, PessimisticDisk(seed), snapshot_every=10_000)
        account_checks.check_account(stream, whole[0], whole[1])
        tried = _misled(stream)
        _compare(tried, whole)
        account_checks.check_account(stream, tried[0], tried[1])
    except ViolationError as error:
        return str(error)
    except (ConfigError, IntegrityError, ArithmeticError, LookupError, ValueError, TypeError) as error:
        return f"0: {type(error).__name__}: {error}"
    return ""


def _misled(stream: AccountStream) -> tuple[AccountRun, tuple[Entry, ...]]:
    """Run an account to its end while power is lost, the disk fails and the process is killed."""
    draw = Chance(stream.seed, "misfortune")
    disk, lives = PessimisticDisk(stream.seed), 0
    while True:
        lives += 1
        budget = draw.between(2, 60)
        if lives < _LIVES:
            fate = draw.unit()
            if fate < 0.4:
                disk.arm(crash_in=budget)
            elif fate < 0.55:
                disk.arm(fail_in=budget, error=draw.one_of((errno.EIO, errno.ENOSPC)))
        more = draw.between(2, 30) if lives < _LIVES else len(stream.events)
        try:
            found = live_through(stream, disk, snapshot_every=draw.between(3, 20), more=more)
        except (PowerCutError, JournalStoppedError):
            disk = disk.image()
            continue
        if found[0].applied == len(stream.events):
            return found
        disk.arm()
        disk.close()  # killed between two events: what was written stays


def live_through(
    stream: AccountStream, disk: PessimisticDisk, *, snapshot_every: int, more: int | None = None
) -> tuple[AccountRun, tuple[Entry, ...]]:
    """Run one life of the account through so many events, or to the end; return it with the journal.

    Raises
    ------
    PowerCutError
        If the disk lost power on the way.
    JournalStoppedError
        If it failed.
    """
    run = stream.open(disk, snapshot_every=snapshot_every)
    given = {one.command for one in read_entries(disk) if isinstance(one, OperatorActed)}
    last = len(stream.events) if more is None else min(len(stream.events), run.applied + more)
    while run.applied < last:
        command = stream.commands.get(run.applied)
        if command is not None and command not in given:
            given.add(command)
            run.command(command, "ada")
        run.apply(stream.events[run.applied])
        account_checks.check_levels_hang(stream, run)
    if last == len(stream.events):
        run.snapshot()
    return run, tuple(read_entries(disk))


def _compare(
    tried: tuple[AccountRun, tuple[Entry, ...]], whole: tuple[AccountRun, tuple[Entry, ...]]
) -> None:  # fmt: skip
    """Check that an account that was interrupted tells the story of one that was not."""
    first, second = _story(tried[1]), _story(whole[1])
    for number, (one, other) in enumerate(zip(first, second, strict=False)):
        if one != other:
            raise ViolationError(f"4: entry {number} of the interrupted account is {one}, uninterrupted it is {other}")
    if len(first) != len(second):
        raise ViolationError(f"4: the interrupted account has {len(first)} entries, uninterrupted {len(second)}")
    here, there = _state(tried[0]), _state(whole[0])
    apart = [name for name in there if canonical_bytes(here[name]) != canonical_bytes(there[name])]
    if apart:
        raise ViolationError(f"4: the interrupted account differs from an uninterrupted one in {apart}")


def _story(entries: tuple[Entry, ...]) -> list[dict[str, Any]]:
    """Return what entries say, without the starts of processes and the numbers that count those."""
    names: dict[type[Any], tuple[str, ...]] = {}
    story = []
    for one in entries:
        if not isinstance(one, SessionStarted):
            kind = type(one)
            fields = names.setdefault(kind, tuple(f for f in kind.__dataclass_fields__ if f != "sequence"))
            story.append({"kind": kind.__name__, **{name: getattr(one, name) for name in fields}})
    return story


def _state(run: AccountRun) -> dict[str, Any]:
    plain = run.core.to_plain()
    books = {name: value for name, value in plain["books"].items() if name not in _STORIES_APART}
    return {**plain, "books": books, "link": run.link.to_plain()}
