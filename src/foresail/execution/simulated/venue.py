"""The simulated venue: orders in, fills out, one bar of all instruments at a time.

The shell around the compiled step (``matching``): it turns prices and quantities into ticks and lots once, keeps the
order book, adds fees, and gives back domain types. It keeps its own positions, because stops and targets hang on them.
It knows no strategy, no account and no clock.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np

from foresail.core.arrays import IntArray
from foresail.core.errors import ConfigError, OrderRejectedError, UnknownNameError
from foresail.core.ids import InstrumentId, OrderId
from foresail.core.numbers import round_tick
from foresail.domain.books import BookStream
from foresail.domain.effects import ReplaceSend
from foresail.domain.events import OrderEvent, VenueOutcome, VenueReport
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Fill, FillReason, Order
from foresail.domain.signals import Side
from foresail.execution.costs import CostModel
from foresail.execution.simulated import columns as c
from foresail.execution.simulated.book_levels import DEPTH, book_from_plain, book_to_plain, empty_book
from foresail.execution.simulated.books import B_TIME, batch_rows, book_clock, match_book
from foresail.execution.simulated.changes import change_row, restate_for_dividend, restate_for_split, restated_order
from foresail.execution.simulated.market import MarketReader
from foresail.execution.simulated.matching import match_bar
from foresail.execution.simulated.plain_orders import order_from_plain, order_to_plain
from foresail.execution.simulated.reports import ReportLog, exit_order_id
from foresail.execution.simulated.rows import RowPlace, RowStore, order_row, rejected, row_order
from foresail.execution.simulated.settings import VenueBar, VenueSettings
from foresail.ledger.splits import split_quantity

__all__ = ["SimulatedVenue"]

_VERSION = 2
_NO_BARS: IntArray = np.zeros((0, c.BAR_WIDTH), dtype=np.int64)


class SimulatedVenue:
    """Fills orders on bars.

    Parameters
    ----------
    instruments : those of the panel, in its order; columns of a bar are aligned with them
    costs : fees, slippage and spread of this venue
    settings : how it fills

    Examples
    --------
    >>> venue = SimulatedVenue(panel.instruments, CostModel.of_class(AssetClass.STOCK), VenueSettings())
    >>> venue.submit(order)
    >>> fills = venue.step(VenueBar(t, end, open, high, low, close, volume, present, start=start))
    """

    def __init__(self, instruments: Sequence[Instrument], costs: CostModel, settings: VenueSettings) -> None:
        self._instruments = tuple(instruments)
        self._index = {one.id: i for i, one in enumerate(self._instruments)}
        if len(self._index) != len(self._instruments):
            raise ConfigError("expected every instrument once")
        self._costs = costs
        self._settings = settings
        n = len(self._instruments)
        self._market = MarketReader(self._instruments, costs, settings)
        self._positions: IntArray = np.zeros((n, c.POSITION_WIDTH), dtype=np.int64)
        self._positions[:, c.BORROW] = -1
        self._parents: list[OrderId] = [OrderId("")] * n
        self._executions = [0] * n
        self._book = RowStore()
        self._open: list[Order] = []
        self._keys: dict[OrderId, int] = {}  # number of every order ever taken
        self._filled: dict[int, int] = {}  # lots filled of orders that left the book
        self._groups: dict[str, int] = {}
        self._books: dict[int, tuple[IntArray, IntArray]] = {}
        self._log = ReportLog()
        self._sequence = 0

    @property
    def instruments(self) -> tuple[Instrument, ...]:
        """Instruments that trade here, in the order of a bar's columns."""
        return self._instruments

    @property
    def has_impact(self) -> bool:
        """Whether what it fills moves prices, for which it is told of volumes and volatilities."""
        return self._costs.impact is not None

    @property
    def open_orders(self) -> tuple[Order, ...]:
        """Orders in the book, by (instrument, sequence)."""
        return tuple(self._open)

    def position(self, instrument: InstrumentId) -> Decimal:
        """Return signed units held here."""
        i = self._place(instrument)
        return int(self._positions[i, c.QUANTITY]) * self._instruments[i].lot

    def open_quantity(self, instrument: InstrumentId) -> Decimal:
        """Return signed units of orders that still wait."""
        i = self._place(instrument)
        rows = (r for r in self._book.rows if r[c.INSTRUMENT] == i)
        return sum((r[c.SIGN] * r[c.LEFT] for r in rows), 0) * self._instruments[i].lot

    def levels(self, instrument: InstrumentId) -> tuple[Decimal | None, Decimal | None]:
        """Return the stop and target that hang on a position."""
        i = self._place(instrument)
        tick = self._instruments[i].tick
        stop, target = (int(self._positions[i, c]) for c in (c.STOP_LEVEL, c.TARGET_LEVEL))
        return (stop * tick if stop else None, target * tick if target else None)

    def submit(self, order: Order, *, good_for_bars: int | None = None) -> None:
        """Take an order into the book; it can fill from the next ``step`` on.

        Parameters
        ----------
        order : ``stop_price`` triggers a stop order; on others it is the stop that hangs on the position once filled
        good_for_bars : life of this order, None = as in the settings

        Raises
        ------
        OrderRejectedError
            If the id was used before, a number is not finite and positive, or a level is missing or on the wrong side.
        """
        i = self._place(order.instrument)
        if order.id in self._keys:
            raise rejected(order, "its id was used before", "a new decision needs a new id")
        row = order_row(order, self._instruments[i], self._row_place(order, i), self._settings, good_for_bars)
        self._insert(row, order)
        self._keys[order.id] = row[c.KEY]
        self._sequence += 1
        self._log.accepted(order, order.decided_at)

    def cancel(self, instrument: InstrumentId, *, at_ns: int = 0) -> int:
        """Take back all open orders of an instrument; return how many there were."""
        i = self._place(instrument)
        gone = [k for k, row in enumerate(self._book.rows) if row[c.INSTRUMENT] == i]
        for k in gone:
            self._end(k, VenueOutcome.CANCELLED, self._book.rows[k][c.LEFT], at_ns)
        dropped = set(gone)
        self._keep([k for k in range(len(self._book.rows)) if k not in dropped])
        return len(gone)

    def cancel_order(self, identity: OrderId, *, at_ns: int = 0) -> bool:
        """Take one order back, and its children as far as they sleep; return False where it is not open."""
        k = self._find(identity)
        if k is None:
            self._log.refused(identity, "the order is not open", at_ns)
            return False
        self._end(k, VenueOutcome.CANCELLED, self._book.rows[k][c.LEFT], at_ns)
        self._keep([j for j in range(len(self._book.rows)) if j != k])
        self._drop_orphans(at_ns)
        return True

    def replace(self, change: ReplaceSend, *, at_ns: int = 0) -> bool:
        """Change quantity or prices of an open order; return False, and report it, where that cannot be done.

        Notes
        -----
        ``quantity`` is the total: what is filled already counts towards it, and a total that is filled already ends the
        order. A smaller quantity alone keeps the order's place; a new price or a larger quantity puts it behind the
        orders that are there.
        """
        k = self._find(change.order_id)
        if k is None:
            self._log.refused(change.order_id, "the order is not open", at_ns)
            return False
        row, order = list(self._book.rows[k]), self._open[k]
        try:
            changed, moved = change_row(row, order, change, self._instruments[row[c.INSTRUMENT]])
        except OrderRejectedError as error:
            self._log.refused(change.order_id, str(error), at_ns)
            return False
        self._log.replaced(changed, max(changed.quantity, row[c.FILLED] * self._lot(row)), at_ns)
        self._keep([j for j in range(len(self._book.rows)) if j != k])
        if row[c.LEFT] <= 0:
            self._filled[row[c.KEY]] = row[c.FILLED]
            self._log.ended(changed, VenueOutcome.CANCELLED, (Decimal(0), 0), at_ns)
            self._drop_orphans(at_ns)
            return True
        if moved:
            row[c.SEQUENCE], row[c.QUEUE] = self._sequence, -1
            self._sequence += 1
        self._insert(row, changed)
        return True

    def lend(self, instrument: InstrumentId, units: Decimal | None) -> None:
        """Say how many units can be borrowed in all for a short position; None = no bound, 0 = none.

        A position that is short already stays; its lender calls it back through an order of the caller.
        """
        i = self._place(instrument)
        if units is not None and (not units.is_finite() or units < 0):
            raise ConfigError(f"{instrument}: expected units >= 0 or None to borrow, received {units}")
        self._positions[i, c.BORROW] = -1 if units is None else int(units / self._instruments[i].lot)

    def attach(self, instrument: InstrumentId, stop: float | None, target: float | None) -> bool:
        """Hang a stop and a target on a position, replacing what hung there; return False where nothing is held."""
        i = self._place(instrument)
        if self._positions[i, c.QUANTITY] == 0:
            return False
        for column, level in ((c.STOP_LEVEL, stop), (c.TARGET_LEVEL, target)):
            if level is not None and not (np.isfinite(level) and level > 0):
                raise ConfigError(f"{instrument}: expected a price level > 0 or None, received {level}")
            self._positions[i, column] = 0 if level is None else max(1, round(level / self._market.tick[i]))
        self._positions[i, c.LEAVING] = 0
        return True

    def step(self, bar: VenueBar) -> list[Fill]:
        """Match one bar of all instruments and return what was filled, in the order in which books may take it.

        Notes
        -----
        Fills at the open come first, sales before purchases, then those inside the bar, each by instrument.
        """
        if not self._open and not self._positions[:, c.STOP_LEVEL : c.TARGET_LEVEL + 1].any():
            return []
        n = len(self._instruments)
        bar.check(n)
        bars, ready = self._market.bars(bar)
        orders = self._book.table()
        totals = orders[:, c.LEFT] + orders[:, c.FILLED]
        fills = np.zeros((2 * len(orders) + 4 * n, c.FILL_WIDTH), dtype=np.int64)
        events = np.zeros((len(orders), c.EVENT_WIDTH), dtype=np.int64)
        tables = (orders, self._positions, bars, fills, events)
        n_fills, n_events = match_bar(tables, (ready, *self._market.frictions(bar)))
        at_open = bar.end if bar.start is None or self._settings.close_only else bar.start
        out = self._fills(fills[:n_fills], bar.end, at_open)
        self._settle(orders, totals, events[:n_events], bar.end)
        return out

    def step_book(self, rows: BookStream, *, session_end: int | None = None) -> list[Fill]:
        """Match rows of one instrument's order book and return what was filled, in the order in which it happened.

        Parameters
        ----------
        rows : the next rows of the instrument's stream; the venue keeps the book between calls
        session_end : ns UTC at which day orders end; None = midnight UTC after the first row

        Raises
        ------
        ConfigError
            If the stream has another tick or lot than the instrument.
        """
        i = self._place(rows.instrument)
        batch = batch_rows(rows, self._instruments[i])
        book = self._books.setdefault(i, empty_book())
        clock = book_clock(batch, session_end, allow_short=self._settings.allow_short)
        out: list[Fill] = []
        while len(batch):
            orders = self._book.table()
            totals = orders[:, c.LEFT] + orders[:, c.FILLED]
            fills = np.zeros((4 * DEPTH + 8 * len(orders), c.FILL_WIDTH), dtype=np.int64)
            events = np.zeros((len(orders), c.EVENT_WIDTH), dtype=np.int64)
            tables = (orders, self._positions, _NO_BARS, fills, events)
            done, n_fills, n_events = match_book(i, batch, book, tables, clock)
            out += [self._told(row, int(batch[row[0], B_TIME])) for row in fills[:n_fills].tolist()]
            self._settle(orders, totals, events[:n_events], int(batch[done - 1, B_TIME]))
            batch = batch[done:]
        return out

    def _settle(self, orders: IntArray, totals: IntArray, events: IntArray, at_ns: int) -> None:
        """Take over the order table, telling what was cancelled, expired or shrunk by its group."""
        self._book.take(orders)
        if not len(orders):
            return
        left = orders[:, c.LEFT]
        ended, resized = left == 0, (left > 0) & (left + orders[:, c.FILLED] != totals)
        asleep = orders[:, c.DORMANT].any()
        for row, outcome, lots in events.tolist():
            self._end(row, VenueOutcome.EXPIRED if outcome == c.EXPIRED else VenueOutcome.CANCELLED, lots, at_ns)
        if resized.any():
            for k in np.flatnonzero(resized).tolist():
                self._resize(k, at_ns)
        if ended.any():
            self._keep(np.flatnonzero(~ended).tolist())
        if asleep:
            self._drop_orphans(at_ns)

    def _resize(self, k: int, at_ns: int) -> None:
        """Tell the new total of an order whose lots were changed here."""
        row = self._book.rows[k]
        total = (row[c.LEFT] + row[c.FILLED]) * self._lot(row)
        self._open[k] = replace(self._open[k], quantity=total)
        self._log.replaced(self._open[k], total, at_ns)

    def take_events(self) -> list[OrderEvent]:
        """Return what was cancelled or expired as plain order events, and forget all reports."""
        return self._log.take_endings()

    def take_reports(self) -> tuple[VenueReport, ...]:
        """Return and forget everything that the venue has to tell, in the order in which it happened."""
        return self._log.take()

    def close_out(
        self,
        instrument: InstrumentId,
        price: Decimal | float,
        reason: FillReason = FillReason.DELISTED,
        *,
        at_ns: int,
        haircut: Decimal = Decimal(0),
    ) -> Fill | None:
        """Close a position of an ended listing at its last print and drop its orders; None where nothing is held.

        Parameters
        ----------
        price : last print, quote currency
        haircut : share of the price that a long position loses besides; a short one gains nothing from it
        """
        i = self._place(instrument)
        self.cancel(instrument, at_ns=at_ns)
        lots = int(self._positions[i, c.QUANTITY])
        if lots == 0:
            return None
        tick = self._instruments[i].tick
        reference = max(tick, round_tick(Decimal(str(price)), tick))
        paid = max(tick, round_tick(reference * (1 - haircut), tick)) if lots > 0 else reference
        sign = -1 if lots > 0 else 1
        identity = exit_order_id(self._parents[i], self._instruments[i].id, reason)
        self._positions[i, : c.BORROW] = 0
        return self._fill((i, sign, abs(lots), int(paid / tick), int(reference / tick), 0), identity, reason, at_ns)

    def apply_split(self, instrument: InstrumentId, ratio: Decimal) -> Decimal:
        """Restate position, levels and open orders for a split (units after one unit before); return units held."""
        i = self._place(instrument)
        one = self._instruments[i]
        whole, _fraction = split_quantity(self.position(instrument), ratio, one.lot)
        held = self._positions[i]
        held[c.QUANTITY] = int(whole / one.lot)
        for column in (c.STOP_LEVEL, c.TARGET_LEVEL):
            level = int(held[column])
            held[column] = max(1, round(level / float(ratio))) if level and whole else 0
        for k, row in enumerate(self._book.rows):
            if row[c.INSTRUMENT] == i:
                restate_for_split(row, ratio, one.lot)
                self._open[k] = restated_order(row, self._open[k], self._instruments[i])
        self._keep([k for k, row in enumerate(self._book.rows) if row[c.LEFT] > 0])
        return whole

    def apply_dividend(self, instrument: InstrumentId, amount: Decimal) -> int:
        """Lower open buy limits and sell stops by a cash dividend on its ex-day; return how many were changed.

        Notes
        -----
        As FINRA rule 5330 has it: orders below the market fall with the price, rounded up to whole ticks; those above
        it stay. Stops and targets that hang on a position stay too, they are the strategy's.
        """
        i = self._place(instrument)
        changed = 0
        for k, row in enumerate(self._book.rows):
            if row[c.INSTRUMENT] == i and restate_for_dividend(row, amount, self._instruments[i].tick):
                self._open[k] = restated_order(row, self._open[k], self._instruments[i])
                changed += 1
        return changed

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as plain data that ``restore`` reads."""
        return {
            "version": _VERSION,
            "instruments": [one.id for one in self._instruments],
            "positions": self._positions.tolist(),
            "parents": list(self._parents),
            "executions": list(self._executions),
            "rows": [list(row) for row in self._book.rows],
            "orders": [order_to_plain(order) for order in self._open],
            "keys": dict(sorted(self._keys.items())),
            "filled": sorted([key, lots] for key, lots in self._filled.items()),
            "groups": dict(sorted(self._groups.items())),
            "sequence": self._sequence,
            "books": [[i, book_to_plain(book)] for i, book in sorted(self._books.items())],
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state that ``snapshot`` returned.

        Raises
        ------
        ConfigError
            If it belongs to other instruments or another version.
        """
        if state.get("version") != _VERSION or state["instruments"] != [one.id for one in self._instruments]:
            raise ConfigError("the snapshot belongs to other instruments or another version of the venue")
        self._positions = np.array(state["positions"], dtype=np.int64).reshape(-1, c.POSITION_WIDTH)
        self._parents = [OrderId(text) for text in state["parents"]]
        self._executions = list(state["executions"])
        self._book.rows = [list(row) for row in state["rows"]]
        self._open = [order_from_plain(row) for row in state["orders"]]
        self._keys = {OrderId(text): key for text, key in state["keys"].items()}
        self._filled = dict(state["filled"])
        self._groups = dict(state["groups"])
        self._sequence = state["sequence"]
        self._books = {i: book_from_plain(plain) for i, plain in state["books"]}
        self._log.clear()

    def _place(self, instrument: InstrumentId) -> int:
        place = self._index.get(instrument)
        if place is None:
            raise UnknownNameError("instrument", instrument, self._index)
        return place

    def _find(self, identity: OrderId) -> int | None:
        """Return the place of an open order."""
        key = self._keys.get(identity)
        return next((k for k, row in enumerate(self._book.rows) if row[c.KEY] == key), None)

    def _lot(self, row: list[int]) -> Decimal:
        return self._instruments[row[c.INSTRUMENT]].lot

    def _row_place(self, order: Order, i: int) -> RowPlace:
        """Return where a new order goes, and what it needs to know of its parent."""
        key = len(self._keys) + 1
        group = self._groups.setdefault(order.group, len(self._groups) + 1) if order.group else 0
        if order.parent is None:
            return RowPlace(i, self._sequence, key, group=group)
        parent = self._keys.get(order.parent)
        if parent is None:
            raise rejected(order, f"its parent {order.parent} is not known here", "send the parent first")
        k = self._find(order.parent)
        if k is not None and self._book.rows[k][c.INSTRUMENT] != i:
            raise rejected(order, f"its parent {order.parent} is an order in {self._open[k].instrument}")
        filled = self._filled.get(parent, 0) if k is None else self._book.rows[k][c.FILLED]
        return RowPlace(i, self._sequence, key, parent, filled, k is not None, group)

    def _insert(self, row: list[int], order: Order) -> None:
        place = bisect.bisect(self._book.rows, (row[c.INSTRUMENT], row[c.SEQUENCE]), key=row_order)
        self._book.rows.insert(place, row)
        self._open.insert(place, order)

    def _drop_orphans(self, at_ns: int) -> None:
        """Drop the sleeping lots of children whose parent has left the book."""
        open_keys = {row[c.KEY] for row in self._book.rows}
        gone = set()
        for k, row in enumerate(self._book.rows):
            if row[c.DORMANT] == 0 or row[c.PARENT] in open_keys:
                continue
            asleep, row[c.DORMANT] = row[c.DORMANT], 0
            row[c.LEFT] -= asleep
            if row[c.LEFT] == 0:
                self._end(k, VenueOutcome.CANCELLED, asleep, at_ns)
                gone.add(k)
            else:
                self._resize(k, at_ns)
        if gone:
            self._keep([k for k in range(len(self._book.rows)) if k not in gone])

    def _end(self, k: int, outcome: VenueOutcome, lots: int, at_ns: int) -> None:
        self._log.ended(self._open[k], outcome, (lots * self._lot(self._book.rows[k]), lots), at_ns)

    def _fills(self, rows: IntArray, end_ns: int, at_open: int) -> list[Fill]:
        """Return domain fills: at the open all sales, then purchases, then the rest; the kernel's order otherwise."""
        if not len(rows):
            return []
        order = np.lexsort((rows[:, c.F_INSTRUMENT], rows[:, c.F_STEP]))  # stable within an instrument
        return [self._told(row, at_open if row[0] <= 2 else end_ns) for row in rows[order].tolist()]

    def _told(self, row: list[int], at_ns: int) -> Fill:
        """Return the domain fill of a row of fills."""
        _step, i, place, sign, lots, price, reference, maker = row
        if place >= 0:
            parent = self._open[place]
            identity, reason = parent.id, parent.reason
            self._parents[i] = parent.id
        else:
            reason = FillReason.STOP if place == c.ROW_STOP else FillReason.TARGET
            identity = exit_order_id(self._parents[i], self._instruments[i].id, reason)
        return self._fill((i, sign, lots, price, reference, maker), identity, reason, at_ns)

    def _fill(
        self, numbers: tuple[int, int, int, int, int, int], identity: OrderId, reason: FillReason, at_ns: int
    ) -> Fill:
        i, sign, lots, price_ticks, reference_ticks, maker = numbers
        one = self._instruments[i]
        quantity, price, reference = lots * one.lot, price_ticks * one.tick, reference_ticks * one.tick
        side = Side.BUY if sign > 0 else Side.SELL
        units = quantity * one.multiplier
        fee = self._costs.fees(side, units, price, at_ns, quote=one.currency, maker=bool(maker))
        lost = max(Decimal(0), sign * (price - reference) * units)
        self._executions[i] += 1
        execution = f"{one.id}:{self._executions[i]}"
        fill = Fill(identity, one.id, side, quantity, price, reference, fee, lost, at_ns, reason, execution)
        self._log.filled(fill)
        return fill

    def _keep(self, places: list[int]) -> None:
        if len(places) < len(self._book.rows):
            kept = set(places)
            for k, row in enumerate(self._book.rows):
                if k not in kept and row[c.FILLED] > 0:
                    self._filled[row[c.KEY]] = row[c.FILLED]
        self._book.rows = [self._book.rows[k] for k in places]
        self._open = [self._open[k] for k in places]
