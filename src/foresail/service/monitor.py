"""What paper trading has shown (PAPER-01 to 04, EXEC-09): daily returns, slippage against the model, alerts, the gate.

All of it follows from the journal, folded once beside the stored bars, which give the middle at each decision and the
rates of other currencies.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from foresail.core.clock import format_ns, from_ns
from foresail.core.errors import DataError
from foresail.core.ids import OrderId
from foresail.domain.calendars import bars_per_year, frame_ns
from foresail.domain.orders import Order, OrderKind
from foresail.engine.trading.parts import TradingMarket, TradingParts
from foresail.execution.costs import CostModel
from foresail.execution.slippage import FillSlippage, measure_slippage
from foresail.ledger.books import Books
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import (
    AlertRaised,
    Deposited,
    Entry,
    FillBooked,
    Marked,
    OperatorActed,
    OrderIntended,
    SplitApplied,
    StreamAdvanced,
)
from foresail.ledger.recovery import read_entries
from foresail.ledger.trades import trades
from foresail.risk.paper_gate import PaperGateSettings, PaperVerdict, paper_gate
from foresail.service.accounts import AccountFolder
from foresail.service.bars_seen import BarsSeen
from foresail.service.limit_versions import first_limits
from foresail.service.outcome import Outcome
from foresail.service.real_time import real_time_days
from foresail.service.stream import Stream, open_stream
from foresail.service.workspace import find_workspace

__all__ = ["AccountRecord", "account_record", "gate_account", "last_alerts", "slippage_figures", "slippage_line"]

_ALERTS = 10
_REARM = "rearm"
_LIVE_SMALL = (
    "begin live with about 10,000 and a share of the size, and scale if it is profitable (PAPER-04, RISK-08); "
    "fills on paper are a model of fills"
)


@dataclass(slots=True)
class AccountRecord:
    """An account's journal beside its bars.

    Attributes
    ----------
    returns : UTC day -> simple return of equity from the mark before, money paid in or out set aside
    first, last : days of the first and the last mark
    slippage : of every fill of a market order
    critical : CRITICAL alerts since somebody re-armed the account last
    ended : UTC days on which round trips ended
    """

    returns: dict[date, float] = field(default_factory=dict)
    first: date | None = None
    last: date | None = None
    slippage: list[FillSlippage] = field(default_factory=list)
    critical: list[AlertRaised] = field(default_factory=list)
    ended: list[date] = field(default_factory=list)

    @property
    def round_trips(self) -> int:
        """Round trips that ended."""
        return len(self.ended)

    @property
    def days(self) -> int:
        """Calendar days from the first to the last mark, both counted."""
        return 0 if self.first is None or self.last is None else (self.last - self.first).days + 1


class _Reader:
    """Folds a journal once."""

    def __init__(self, parts: TradingParts, costs: CostModel) -> None:
        self._parts, self._costs = parts, costs
        self._market: TradingMarket = parts.market
        self._books = Books(parts.account, parts.currency, allow_short=True)
        self._asked: dict[OrderId, tuple[Order, Decimal | None]] = {}
        self._equity: dict[date, float] = {}
        self._base = self._paid = self._arrived = 0.0  # at the mark before, paid in today, since the newest mark
        self.record = AccountRecord()

    def read(self, entry: Entry) -> None:
        """Take in the next entry."""
        self._books.apply(entry)
        if isinstance(entry, StreamAdvanced):
            for position in range(self._market.position + 1, entry.position + 1):
                self._market.advance(position)
        elif isinstance(entry, SplitApplied):
            self._market.split(entry.instrument, float(entry.ratio))
        elif isinstance(entry, OrderIntended):
            self._asked[entry.order.id] = (entry.order, self._market.price(entry.order.instrument))
        elif isinstance(entry, FillBooked):
            self._filled(entry)
        elif isinstance(entry, Deposited):
            rate = self._market.rates().get(entry.currency, Decimal(1))
            self._arrived += float(entry.amount * rate)
        elif isinstance(entry, Marked):
            self._marked(entry)
        elif isinstance(entry, AlertRaised) and entry.severity == "CRITICAL":
            self.record.critical.append(entry)
        elif isinstance(entry, OperatorActed) and entry.command.split(":")[0].strip() == _REARM:
            self.record.critical.clear()

    def _filled(self, entry: FillBooked) -> None:
        order, middle = self._asked.get(entry.fill.order_id, (None, None))
        if order is None or order.kind is not OrderKind.MARKET or middle is None:
            return
        one = self._parts.instruments[entry.fill.instrument]
        self.record.slippage.append(measure_slippage(entry.fill, middle, one, self._costs))

    def _marked(self, entry: Marked) -> None:
        """Note the day's return so far; money that came or went is no return."""
        day = from_ns(entry.at).date()
        record = self.record
        if day != record.last:
            if record.last is not None:
                self._base, self._paid = self._equity[record.last], 0.0
            else:
                self._base, self._arrived, record.first = self._arrived, 0.0, day
            record.last = day
        self._paid, self._arrived = self._paid + self._arrived, 0.0
        equity = float(self._books.equity(rates=self._market.rates()))
        self._equity[day] = equity
        record.returns[day] = (equity - self._paid) / self._base - 1.0 if self._base > 0 else math.nan


def account_record(stream: Stream, account: str, entries: Iterable[Entry]) -> AccountRecord:
    """Return what the journal of an account says beside its bars."""
    parts, _link = stream.parts(account=account, environment="paper")
    data = stream.inputs.data
    costs = CostModel.of_class(data.bar_set.asset_class, data.bar_set.price_basis, stream.settings.currency)
    reader = _Reader(parts, costs)
    kept = list(entries)
    for entry in kept:
        reader.read(entry)
    reader.record.ended = [from_ns(one.closed_at).date() for one in trades(kept) if one.closed_at is not None]
    return reader.record


def slippage_figures(record: AccountRecord) -> dict[str, Any]:
    """Return mean measured and expected slippage of market orders, fractions of the middle at decision (EXEC-09)."""
    found = record.slippage
    if not found:
        return {"fills": 0, "measured": None, "expected": None}
    return {
        "fills": len(found),
        "measured": round(math.fsum(one.fraction for one in found) / len(found), 8),
        "expected": round(math.fsum(one.expected for one in found) / len(found), 8),
    }


def last_alerts(entries: Iterable[Entry]) -> list[dict[str, str]]:
    """Return the newest alerts of a journal, oldest first."""
    found = deque((one for one in entries if isinstance(one, AlertRaised)), maxlen=_ALERTS)
    return [{"at": format_ns(o.at), "kind": o.kind, "severity": o.severity, "text": o.text} for o in found]


def gate_account(account: str) -> Outcome:
    """Give the verdict of the gate between paper and real money (PAPER-01, PAPER-02), with what it stands on.

    Raises
    ------
    DataError
        If the journal is empty.
    """
    workspace = find_workspace()
    folder = AccountFolder(workspace, account).existing()
    request, _is_new = folder.settle_request(None)
    entries = list(read_entries(RealDisk(folder.journal)))
    if not entries:
        raise DataError(f"the journal of account {account} is empty", hint="foresail paper start fills it")
    stream = first_limits(open_stream(replace(request, until=None), workspace, check_leaks=False), folder.path)
    record = account_record(stream, account, entries)
    bars = stream.inputs.data.bars
    lived = real_time_days(BarsSeen(folder.path / "bars.seen").read().values(), frame_ns(bars.frame))
    verdict = _verdict(record, lived, bars_per_year(bars.calendar, "1d"))
    slippage = slippage_figures(record)
    document = {
        "account": account,
        "passed": verdict.is_passed,
        "conditions": [{"name": name, "passed": ok, "text": text} for name, ok, text in verdict.conditions],
        "days": record.days,
        "real_time_days": len(lived),
        "trades": record.round_trips,
        "slippage": slippage,
        "alerts": last_alerts(entries),
    }
    head = f"account {account}: the gate to real money is {'passed' if verdict.is_passed else 'not passed'}"
    lines = [head, *(f"  {'yes' if ok else 'no ':<3} {name}: {text}" for name, ok, text in verdict.conditions)]
    lines += [slippage_line(slippage), *([_LIVE_SMALL] if verdict.is_passed else [])]
    return Outcome(document, lines)


def _verdict(record: AccountRecord, lived: frozenset[date], days_per_year: float) -> PaperVerdict:
    """Return the verdict on the days that were traded in real time: what was replayed shows nothing (PAPER-01)."""
    settings = PaperGateSettings()
    found = paper_gate(
        [value for day, value in record.returns.items() if day in lived],
        days=record.days,
        trades=sum(day in lived for day in record.ended),
        open_critical=len(record.critical),
        bars_per_year=days_per_year,
        settings=settings,
    )
    text = f"{len(lived)} days of {settings.days} were traded as their bars came; what is replayed does not count"
    period, *others = found.conditions
    return PaperVerdict((period, ("real time", len(lived) >= settings.days, text), *others))


def slippage_line(figures: dict[str, Any]) -> str:
    """Return measured slippage beside what the cost model expected, as a sentence."""
    if not figures["fills"]:
        return "slippage: no fill of a market order yet"
    measured, expected = figures["measured"] * 1e4, figures["expected"] * 1e4
    return (
        f"slippage of {figures['fills']} fills against the middle at the decision: {measured:.1f} bps measured on "
        f"average, {expected:.1f} bps expected by the cost model; what the market moved until the fill is in it"
    )
