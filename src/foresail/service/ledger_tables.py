"""Tables that follow from a journal: orders, executions, positions, equity, trades, and every entry as text.

They are projections: whoever deletes them loses nothing, and building them twice gives the same bytes.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from decimal import Decimal
from typing import Any

from foresail.core.ids import InstrumentId
from foresail.domain.signals import Side
from foresail.ledger.books import Books
from foresail.ledger.codec import encode_entry
from foresail.ledger.entries import (
    Deposited,
    Entry,
    FillBooked,
    FillBusted,
    FillCorrected,
    Marked,
    OrderIntended,
    OrderReview,
    Reviewed,
    SessionStarted,
    SliceStarted,
)
from foresail.ledger.levels import LEVEL_ENTRIES, PositionLevels
from foresail.ledger.orders import OrderBook, OrderState
from foresail.ledger.trades import trades

__all__ = ["TABLES", "LedgerTables", "project"]

_Row = dict[str, Any]

TABLES = ("entries", "orders", "rulings", "executions", "equity", "trades", "positions")


@dataclasses.dataclass(frozen=True, slots=True)
class LedgerTables:
    """Rows of every table, and what the journal is.

    Attributes
    ----------
    account, environment, currency : as the journal says; currency is that of the first deposit
    sessions : processes that wrote it
    rows : table -> rows; money and quantities are exact text, times ns UTC
    books : as they stand at the end
    """

    account: str
    environment: str
    currency: str
    sessions: int
    rows: dict[str, list[_Row]]
    books: Books


def project(entries: Iterable[Entry]) -> LedgerTables:
    """Return all tables of a journal.

    Raises
    ------
    IntegrityError
        If an entry cannot follow on those before it.
    """
    journal = list(entries)
    first = next((e for e in journal if isinstance(e, SessionStarted)), None)
    currency = next((e.currency for e in journal if isinstance(e, Deposited) and e.currency), "USD")
    books = Books(first.account if first else "main", currency, allow_short=True)
    reader = _Reader(books)
    for entry in journal:
        reader.read(entry)
    rows = {
        "entries": [_entry(e) for e in journal],
        "orders": [_order(s) for s in reader.states()],
        "rulings": _reviews(journal),
        "executions": reader.executions,
        "equity": reader.equity,
        "trades": [_plain(dataclasses.asdict(one)) for one in trades(journal)],
        "positions": [
            _plain({**dataclasses.asdict(one), **reader.levels(one.instrument)}) for one in books.positions()
        ],
    }
    return LedgerTables(
        books.name,
        first.environment if first else "backtest",
        currency,
        sum(isinstance(e, SessionStarted) for e in journal),
        rows,
        books,
    )


class _Reader:
    """Walks a journal once."""

    def __init__(self, books: Books) -> None:
        self._books, self._orders = books, OrderBook()
        self._seen: dict[str, OrderState] = {}
        self._levels = PositionLevels()
        self.executions: list[_Row] = []
        self.equity: list[_Row] = []

    def states(self) -> list[OrderState]:
        """Return every order in the order of its intent."""
        return list(self._seen.values())

    def levels(self, instrument: InstrumentId) -> _Row:
        """Return stop and target that hang on a position as text, empty where there is none (PORT-07)."""
        stop, target = self._levels.standing.get(instrument, (None, None))
        return {"stop": "" if stop is None else str(stop), "target": "" if target is None else str(target)}

    def read(self, entry: Entry) -> None:
        """Take in the next entry."""
        before = self._books.totals().realised
        self._books.apply(entry)
        self._orders.apply(entry)
        if type(entry) in LEVEL_ENTRIES:
            self._levels.apply(entry, self._books, self._orders)
        if isinstance(entry, OrderIntended):
            state = self._orders.get(entry.order.id)
            if state is not None:
                self._seen[entry.order.id] = state
        elif isinstance(entry, FillBooked):
            self.executions.append(self._execution(entry, self._books.totals().realised - before))
        elif isinstance(entry, FillBusted | FillCorrected):
            self._strike(entry)
            if isinstance(entry, FillCorrected):
                booked = FillBooked(entry.at, entry.sequence, entry.fill)
                self.executions.append(self._execution(booked, self._books.totals().realised - before))
        elif isinstance(entry, Marked) and not self._is_foreign():
            self.equity.append({
                "at": entry.at, "cash": str(self._books.cash), "equity": str(self._books.equity()),
            })  # fmt: skip

    def _is_foreign(self) -> bool:
        """Return whether equity needs rates, which a journal does not hold."""
        names = self._books.to_plain()
        currencies = {currency for currency, sums in names["totals"].items() if Decimal(sums[0]) != 0}
        held = {one[1] for one in names["holdings"].values()}
        return bool((currencies | held) - {self._books.currency})

    def _execution(self, entry: FillBooked, profit: Decimal) -> _Row:
        """Return a row of executed trades: the fields of the specification's transaction log, and the costs."""
        fill = entry.fill
        state = self._orders.get(fill.order_id)
        return {
            "sequence": entry.sequence,
            "execution": fill.execution,
            "order_id": fill.order_id,
            "instrument": fill.instrument,
            "action": "BUY" if fill.side is Side.BUY else "SELL",
            "quantity": str(fill.quantity),
            "price": str(fill.price),
            "timestamp": fill.filled_at,
            "strategy": state.order.strategy if state is not None else "",
            "reason": fill.reason.value,
            "fee": str(fill.fee),
            "slippage": str(fill.slippage),
            "pnl": str(profit),
            "stands": True,
        }

    def _strike(self, entry: FillBusted | FillCorrected) -> None:
        order_id = entry.order_id if isinstance(entry, FillBusted) else entry.fill.order_id
        for row in reversed(self.executions):
            if (row["order_id"], row["execution"]) == (order_id, entry.execution):
                row["stands"] = False
                return


def _entry(entry: Entry) -> _Row:
    kind, _, content = encode_entry(entry).decode().partition(" ")
    return {"sequence": entry.sequence, "at": entry.at, "kind": kind, "content": content}


def _reviews(journal: list[Entry]) -> list[_Row]:
    """Return what the gate said of every order that was wanted."""
    asked = {e.order.id: e.order for e in journal if isinstance(e, OrderIntended)}
    asked.update({e.parent.id: e.parent for e in journal if isinstance(e, SliceStarted)})
    rows: list[_Row] = []
    for entry in journal:
        if isinstance(entry, Reviewed):
            whole = [asked[name] for name in entry.whole if name in asked]
            passed = [OrderReview(one.id, one.instrument, one.quantity, one.quantity) for one in whole]
            rows += [row for one in (*entry.orders, *passed) for row in _rulings(entry, one)]
    return rows


def _rulings(entry: Reviewed, one: OrderReview) -> list[_Row]:
    """Return a row for every rule that cut an order, one where none did: who asked, on which signal, what was left."""
    seen = one.signals[0] if one.signals else None
    row: _Row = {
        "sequence": entry.sequence,
        "at": entry.at,
        "order_id": one.order_id,
        "instrument": one.instrument,
        "strategy": entry.strategy,
        "user": entry.user,
        "signal_rule": "" if seen is None else seen.rule,
        "model": ", ".join(dict.fromkeys(signal.model for signal in one.signals if signal.model)),
        "features_hash": "" if seen is None else seen.features_hash,
        "confidence": None if seen is None else seen.confidence,
        "wanted": str(one.wanted),
        "allowed": str(one.allowed),
    }
    told = [(ruling.rule, str(ruling.quantity), ruling.text) for ruling in one.rulings] or [("", str(one.allowed), "")]
    return [{**row, "rule": rule, "left": left, "text": text} for rule, left, text in told]


def _order(state: OrderState) -> _Row:
    order = state.order
    return _plain(
        {
            "order_id": order.id,
            "strategy": order.strategy,
            "instrument": order.instrument,
            "side": order.side.value,
            "kind": order.kind.value,
            "quantity": order.quantity,
            "limit_price": order.limit_price,
            "stop_price": order.stop_price,
            "target_price": order.target_price,
            "trigger_price": order.trigger_price,
            "decided_at": order.decided_at,
            "reason": order.reason.value,
            "status": state.status.value,
            "filled": state.filled,
            "left": state.left,
            "venue_order": state.venue_order,
            "text": state.text,
        }
    )


def _plain(row: _Row) -> _Row:
    """Return a row with exact numbers as text and enumerations as their values."""
    out: _Row = {}
    for name, value in row.items():
        plain = str(value) if isinstance(value, Decimal) else getattr(value, "value", value)
        out[name] = plain
    return out
