"""What paper trading has shown (PAPER-01 to 04, EXEC-09): daily returns, slippage against the model, alerts, the gate.

All of it follows from the journal, folded once beside the stored bars, which give the middle at each decision and the
rates of other currencies.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from decimal import Decimal
from typing import Any

from foresail.core.clock import format_ns, from_ns
from foresail.core.errors import DataError
from foresail.core.ids import OrderId
from foresail.domain.calendars import bars_per_year
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Fill, Order, OrderKind
from foresail.domain.panel import Panel
from foresail.engine.trading.market import PanelMarket
from foresail.engine.trading.parts import TradingParts
from foresail.execution.costs import CostModel
from foresail.execution.impact import impact_table
from foresail.execution.simulated.prices import impact_fraction
from foresail.execution.slippage import FillSlippage, measure_slippage
from foresail.ledger.books import Books
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import (
    AlertRaised,
    Entry,
    FillBooked,
    LimitsLoaded,
    Marked,
    OperatorActed,
    OrderIntended,
    SplitApplied,
    StreamAdvanced,
    flow_of,
)
from foresail.ledger.recovery import read_entries
from foresail.ledger.trades import trades
from foresail.risk.paper_gate import PaperGateSettings, PaperVerdict, paper_gate
from foresail.service.accounts import AccountFolder
from foresail.service.bars_seen import BarsSeen
from foresail.service.limit_versions import LimitVersion, first_limits, read_versions
from foresail.service.outcome import Outcome
from foresail.service.real_time import real_time_days
from foresail.service.stream import Stream, open_stream
from foresail.service.workspace import find_workspace

__all__ = [
    "AccountRecord",
    "account_record",
    "days_lived",
    "gate_account",
    "last_alerts",
    "slippage_figures",
    "slippage_line",
]

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
    """Folds a journal once.

    Parameters
    ----------
    costs : digest of limits and terms -> the costs that held under them; an empty digest is for all others
    """

    def __init__(self, parts: TradingParts, market: PanelMarket, costs: Mapping[str, CostModel]) -> None:
        self._parts, self._costs_of, self._costs = parts, costs, costs[""]
        self._market = market
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
        elif isinstance(entry, LimitsLoaded):
            self._costs = self._costs_of.get(entry.digest, self._costs_of[""])
        elif isinstance(entry, OrderIntended):
            self._asked[entry.order.id] = (entry.order, self._market.price(entry.order.instrument))
        elif isinstance(entry, FillBooked):
            self._filled(entry)
        elif (flow := flow_of(entry)) is not None:
            self._arrived += float(flow[0] * self._market.rates().get(flow[1], Decimal(1)))
        elif isinstance(entry, Marked):
            self._marked(entry)
        else:
            self._alert(entry)

    def _alert(self, entry: Entry) -> None:
        """Note a critical alert, and that somebody answered all of them."""
        if isinstance(entry, AlertRaised) and entry.severity == "CRITICAL":
            self.record.critical.append(entry)
        elif isinstance(entry, OperatorActed) and entry.command.split(":")[0].strip() == _REARM:
            self.record.critical.clear()

    def _filled(self, entry: FillBooked) -> None:
        order, middle = self._asked.get(entry.fill.order_id, (None, None))
        if order is None or order.kind is not OrderKind.MARKET or middle is None:
            return
        fill, one = entry.fill, self._parts.instruments[entry.fill.instrument]
        spread, impact = self._spread(fill), self._impact(fill, one)
        self.record.slippage.append(measure_slippage(fill, middle, one, self._costs, spread=spread, impact=impact))

    def _spread(self, fill: Fill) -> Decimal | None:
        """Return the measured spread of the bar that filled, the one after the newest that was applied."""
        bars, position = self._market.bars, self._market.position + 1
        if not bars.has("spread") or position >= bars.shape[1]:
            return None
        value = float(bars.field("spread")[self._market.row[fill.instrument], position])
        return Decimal(repr(value)) if math.isfinite(value) else None

    def _impact(self, fill: Fill, one: Instrument) -> float:
        """Return what a fill of this size moved the price by in the model, of the days that were over before it."""
        model = self._costs.impact
        if model is None:
            return 0.0
        row, before = self._market.row[fill.instrument], self._market.position
        volume = self._market.average_volumes(before)[[row]] / float(one.lot)
        factor = float(self._costs.settings.factor)
        table = impact_table(model, self._market.daily_volatility(before)[[row]], volume, factor)
        return float(impact_fraction(table[0], int(fill.quantity / one.lot)))

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


def account_record(
    stream: Stream, account: str, entries: Iterable[Entry], versions: Sequence[LimitVersion] = ()
) -> AccountRecord:
    """Return what the journal of an account says beside its bars.

    Parameters
    ----------
    versions : limits and terms that it has had: each fill is measured against the costs that held then
    """
    parts, link = stream.parts(account=account, environment="paper")
    costs = {one.digest: one.over(stream).costs() for one in versions}
    reader = _Reader(parts, link.market, {**costs, "": stream.costs()})
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
    record = account_record(stream, account, entries, read_versions(folder.path))
    bars = stream.inputs.data.bars
    lived = days_lived(folder, bars)
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


def days_lived(folder: AccountFolder, bars: Panel) -> frozenset[date]:
    """Return the UTC days that an account traded as their bars came (PAPER-01)."""
    return real_time_days(BarsSeen(folder.path / "bars.seen").read().values(), bars.calendar, bars.frame)


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
