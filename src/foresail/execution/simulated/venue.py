"""The simulated venue: orders in, fills out, one bar of all instruments at a time.

The shell around the compiled step (``matching``): it turns prices and quantities into ticks and lots once, keeps the
order book, adds fees, and gives back domain types. It keeps its own positions, because stops and targets hang on them.
It knows no strategy, no account and no clock.
"""

from __future__ import annotations

import bisect
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import ConfigError, OrderRejectedError, UnknownNameError
from foresail.core.ids import InstrumentId, OrderId, order_id
from foresail.core.numbers import round_quantity, round_tick
from foresail.domain.events import OrderEvent, Rank
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Fill, FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.execution.costs import CostModel
from foresail.execution.simulated import matching
from foresail.execution.simulated.matching import FILL_WIDTH, match_bar
from foresail.execution.simulated.plain_orders import order_from_plain, order_to_plain
from foresail.ledger.splits import split_quantity

__all__ = ["SimulatedVenue", "VenueBar", "VenueSettings"]

_NAME = "simulated"
_KINDS = {OrderKind.MARKET: 0, OrderKind.LIMIT: 1, OrderKind.STOP: 2}
_REDUCING = frozenset({FillReason.EXIT, FillReason.STOP, FillReason.TARGET, FillReason.TIME, FillReason.DELISTED})


@dataclass(frozen=True, slots=True)
class VenueSettings:
    """How the venue fills.

    Attributes
    ----------
    close_only : bars are single prints at the close: everything fills at the next close
    good_for_bars : bars that an order lives, absent ones counted; 0 = until cancelled
    volume_share : most of a bar's volume that is filled, fraction; None = no cap. Missing volume fills nothing then
    allow_short : whether a sale may open a position; otherwise it is cut to the holding
    """

    close_only: bool = False
    good_for_bars: int = 5
    volume_share: float | None = None
    allow_short: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class VenueBar:
    """One bar of all instruments of a venue, in its order.

    Attributes
    ----------
    position : time position, for error texts
    end : ns UTC; time of fills inside the bar
    open, high, low, close, volume : (N,), quote currency and units; NaN = missing
    present : (N,), whether the instrument has a bar
    start : ns UTC; time of fills at the open where given
    spread : (N,), measured ask minus bid, quote currency; NaN = use the cost model's
    """

    position: int
    end: int
    open: FloatArray
    high: FloatArray
    low: FloatArray
    close: FloatArray
    volume: FloatArray
    present: BoolArray
    start: int | None = None
    spread: FloatArray | None = None


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
        if settings.good_for_bars < 0:
            raise ConfigError(f"expected good_for_bars >= 0, received {settings.good_for_bars}")
        if settings.volume_share is not None and not 0 < settings.volume_share <= 1:
            raise ConfigError(f"expected volume_share in (0, 1], received {settings.volume_share}")
        self._instruments = tuple(instruments)
        self._index = {one.id: i for i, one in enumerate(self._instruments)}
        if len(self._index) != len(self._instruments):
            raise ConfigError("expected every instrument once")
        self._costs = costs
        self._settings = settings
        n = len(self._instruments)
        self._tick = np.array([float(one.tick) for one in self._instruments])
        self._lot = np.array([float(one.lot) for one in self._instruments])
        self._slip = np.array([float(costs.slippage_fraction(one)) for one in self._instruments])
        self._step = np.array([float(costs.spread_step(one) / one.tick) for one in self._instruments])
        self._positions: IntArray = np.zeros((n, matching.POSITION_WIDTH), dtype=np.int64)
        self._parents: list[OrderId] = [OrderId("")] * n
        self._rows: list[list[int]] = []
        self._open: list[Order] = []
        self._seen: set[OrderId] = set()
        self._events: list[OrderEvent] = []
        self._sequence = 0

    @property
    def open_orders(self) -> tuple[Order, ...]:
        """Orders in the book, by (instrument, sequence)."""
        return tuple(self._open)

    def position(self, instrument: InstrumentId) -> Decimal:
        """Return signed units held here."""
        i = self._place(instrument)
        return int(self._positions[i, matching.QUANTITY]) * self._instruments[i].lot

    def open_quantity(self, instrument: InstrumentId) -> Decimal:
        """Return signed units of orders that still wait."""
        i = self._place(instrument)
        rows = (r for r in self._rows if r[matching.INSTRUMENT] == i)
        return sum((r[matching.SIGN] * r[matching.LEFT] for r in rows), 0) * self._instruments[i].lot

    def levels(self, instrument: InstrumentId) -> tuple[Decimal | None, Decimal | None]:
        """Return the stop and target that hang on a position."""
        i = self._place(instrument)
        tick = self._instruments[i].tick
        stop, target = (int(self._positions[i, c]) for c in (matching.STOP_LEVEL, matching.TARGET_LEVEL))
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
        row = self._row(order, i, self._settings.good_for_bars if good_for_bars is None else good_for_bars)
        place = bisect.bisect(self._rows, (i, row[matching.SEQUENCE]), key=_sort_key)
        self._rows.insert(place, row)
        self._open.insert(place, order)
        self._seen.add(order.id)
        self._sequence += 1

    def cancel(self, instrument: InstrumentId, *, at_ns: int = 0) -> int:
        """Take back all open orders of an instrument; return how many there were."""
        i = self._place(instrument)
        gone = [k for k, row in enumerate(self._rows) if row[matching.INSTRUMENT] == i]
        for k in gone:
            self._note(self._open[k], "cancelled", self._rows[k][matching.LEFT], at_ns)
        self._keep([k for k in range(len(self._rows)) if k not in set(gone)])
        return len(gone)

    def attach(self, instrument: InstrumentId, stop: float | None, target: float | None) -> bool:
        """Hang a stop and a target on a position, replacing what hung there; return False where nothing is held."""
        i = self._place(instrument)
        if self._positions[i, matching.QUANTITY] == 0:
            return False
        for column, level in ((matching.STOP_LEVEL, stop), (matching.TARGET_LEVEL, target)):
            if level is not None and not (np.isfinite(level) and level > 0):
                raise ConfigError(f"{instrument}: expected a price level > 0 or None, received {level}")
            self._positions[i, column] = 0 if level is None else max(1, round(level / self._tick[i]))
        return True

    def step(self, bar: VenueBar) -> list[Fill]:
        """Match one bar of all instruments and return what was filled, in the order in which books may take it.

        Notes
        -----
        Fills at the open come first, sales before purchases, then those inside the bar, each by instrument.
        """
        if not self._rows and not self._positions[:, matching.STOP_LEVEL : matching.TARGET_LEVEL + 1].any():
            return []
        n = len(self._instruments)
        columns = (bar.open, bar.high, bar.low, bar.close, bar.volume, bar.present)
        if any(len(values) != n for values in columns):
            raise ConfigError(f"bar {bar.position}: expected {n} values in every column")
        bars, ready = self._bars((bar.open, bar.high, bar.low, bar.close), bar.volume, bar.present)
        orders = np.array(self._rows, dtype=np.int64).reshape(-1, matching.ORDER_WIDTH)
        fills = np.zeros((len(orders) + 4 * n, FILL_WIDTH), dtype=np.int64)
        events = np.zeros((len(orders), matching.EVENT_WIDTH), dtype=np.int64)
        tables = (orders, self._positions, bars, fills, events)
        n_fills, n_events = match_bar(tables, (ready, self._slip, self._steps(bar.spread)), self._settings.allow_short)
        at_open = bar.end if bar.start is None or self._settings.close_only else bar.start
        out = self._fills(fills[:n_fills], bar.end, at_open)
        for row, outcome, lots in events[:n_events].tolist():
            self._note(self._open[row], "expired" if outcome == matching.EXPIRED else "cancelled", lots, bar.end)
        self._rows = orders.tolist()
        self._keep([k for k, left in enumerate(orders[:, matching.LEFT].tolist()) if left > 0])
        return out

    def take_events(self) -> list[OrderEvent]:
        """Return and forget what happened to orders besides fills: cancelled, expired."""
        events, self._events = self._events, []
        return events

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
        lots = int(self._positions[i, matching.QUANTITY])
        if lots == 0:
            return None
        tick = self._instruments[i].tick
        reference = max(tick, round_tick(Decimal(str(price)), tick))
        paid = max(tick, round_tick(reference * (1 - haircut), tick)) if lots > 0 else reference
        sign = -1 if lots > 0 else 1
        identity = self._exit_id(i, reason)
        self._positions[i] = 0
        return self._fill((i, sign, abs(lots), int(paid / tick), int(reference / tick), 0), identity, reason, at_ns)

    def apply_split(self, instrument: InstrumentId, ratio: Decimal) -> Decimal:
        """Restate position, levels and open orders for a split (units after one unit before); return units held."""
        i = self._place(instrument)
        one = self._instruments[i]
        whole, _fraction = split_quantity(self.position(instrument), ratio, one.lot)
        held = self._positions[i]
        held[matching.QUANTITY] = int(whole / one.lot)
        for column in (matching.STOP_LEVEL, matching.TARGET_LEVEL):
            level = int(held[column])
            held[column] = max(1, round(level / float(ratio))) if level and whole else 0
        for row in self._rows:
            if row[matching.INSTRUMENT] == i:
                lots, _rest = split_quantity(row[matching.LEFT] * one.lot, ratio, one.lot)
                row[matching.LEFT] = int(lots / one.lot)
                for column in (matching.PRICE, matching.STOP, matching.TARGET):
                    row[column] = max(1, round(row[column] / float(ratio))) if row[column] else 0
        self._keep([k for k, row in enumerate(self._rows) if row[matching.LEFT] > 0])
        return whole

    def snapshot(self) -> dict[str, Any]:
        """Return the whole state as plain data that ``restore`` reads."""
        return {
            "version": 1,
            "instruments": [one.id for one in self._instruments],
            "positions": self._positions.tolist(),
            "parents": list(self._parents),
            "rows": [list(row) for row in self._rows],
            "orders": [order_to_plain(order) for order in self._open],
            "seen": sorted(self._seen),
            "sequence": self._sequence,
        }

    def restore(self, state: dict[str, Any]) -> None:
        """Take over a state that ``snapshot`` returned.

        Raises
        ------
        ConfigError
            If it belongs to other instruments or another version.
        """
        if state.get("version") != 1 or state["instruments"] != [one.id for one in self._instruments]:
            raise ConfigError("the snapshot belongs to other instruments or another version of the venue")
        self._positions = np.array(state["positions"], dtype=np.int64).reshape(-1, matching.POSITION_WIDTH)
        self._parents = [OrderId(text) for text in state["parents"]]
        self._rows = [list(row) for row in state["rows"]]
        self._open = [order_from_plain(row) for row in state["orders"]]
        self._seen = {OrderId(text) for text in state["seen"]}
        self._sequence = state["sequence"]
        self._events = []

    def _place(self, instrument: InstrumentId) -> int:
        place = self._index.get(instrument)
        if place is None:
            raise UnknownNameError("instrument", instrument, self._index)
        return place

    def _row(self, order: Order, i: int, life: int) -> list[int]:
        """Return an order in ticks and lots."""
        one = self._instruments[i]
        if order.id in self._seen:
            raise _rejected(order, "its id was used before", "a new decision needs a new id")
        if not order.quantity.is_finite() or order.quantity <= 0:
            raise _rejected(order, f"expected a quantity > 0, received {order.quantity}")
        lots = int(round_quantity(order.quantity, one.lot) / one.lot)
        if lots == 0:
            raise _rejected(order, f"its quantity {order.quantity} is below one lot of {one.lot}")
        sign = 1 if order.side is Side.BUY else -1
        price, stop, target = (
            0 if level is None else _ticks(order, name, level, one.tick)
            for name, level in (
                ("price", order.limit_price if order.kind is OrderKind.LIMIT else order.stop_price),
                ("stop", None if order.kind is OrderKind.STOP else order.stop_price),
                ("target", order.target_price),
            )
        )
        if order.kind is OrderKind.MARKET:
            price = 0
        elif price == 0:
            raise _rejected(order, f"a {order.kind.value} order needs its price")
        near = [level for level in (stop, price, target) if level]
        if near != sorted(near, reverse=sign < 0) or len(set(near)) != len(near):
            raise _rejected(
                order, "expected stop, price and target in this order", "the stop stands on the losing side"
            )
        reduce = int(order.reason in _REDUCING)
        return [i, sign, _KINDS[order.kind], lots, price, life, self._sequence, stop, target, reduce, 0]

    def _bars(
        self, prices: tuple[FloatArray, FloatArray, FloatArray, FloatArray], volume: FloatArray, present: BoolArray
    ) -> tuple[IntArray, BoolArray]:
        """Return bars in ticks with the volume cap in lots, and which of them can be traded."""
        open_, high, low, close = prices
        if self._settings.close_only:
            open_ = high = low = close
        top = np.fmax(np.fmax(high, open_), close)  # a missing high or low is no wider than what is known
        bottom = np.fmin(np.fmin(low, open_), close)
        ticks = np.rint(np.stack([open_, top, bottom], axis=1) / self._tick[:, None])
        ready: BoolArray = present & np.isfinite(ticks).all(axis=1) & (np.nan_to_num(ticks, nan=0.0) >= 1).all(axis=1)
        bars = np.full((len(self._instruments), matching.BAR_WIDTH), -1, dtype=np.int64)
        bars[:, :3] = np.where(ready[:, None], ticks, 0.0).astype(np.int64)
        share = self._settings.volume_share
        if share is not None:
            bars[:, matching.CAP] = np.floor(np.nan_to_num(volume, nan=0.0) * share / self._lot + 1e-9).astype(np.int64)
        return bars, ready

    def _steps(self, spread: FloatArray | None) -> FloatArray:
        """Return the ticks that an order loses to the spread, measured where known."""
        if spread is None:
            return self._step
        factor = float(self._costs.settings.factor) * self._costs.settings.spread_legs / 2
        measured: FloatArray = np.where(np.isfinite(spread), spread * factor / self._tick, self._step)
        return measured

    def _fills(self, rows: IntArray, end_ns: int, at_open: int) -> list[Fill]:
        """Return domain fills: at the open all sales, then purchases, then the rest; the kernel's order otherwise."""
        order = np.lexsort((rows[:, matching.F_INSTRUMENT], rows[:, matching.F_STEP]))  # stable within an instrument
        out = []
        for step, i, row, sign, lots, price, reference, maker in rows[order].tolist():
            if row >= 0:
                parent = self._open[row]
                identity, reason = parent.id, parent.reason
                self._parents[i] = parent.id
            else:
                reason = FillReason.STOP if row == matching.ROW_STOP else FillReason.TARGET
                identity = self._exit_id(i, reason)
            at = at_open if step <= 2 else end_ns
            out.append(self._fill((i, sign, lots, price, reference, maker), identity, reason, at))
        return out

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
        return Fill(identity, one.id, side, quantity, price, reference, fee, lost, at_ns, reason)

    def _exit_id(self, i: int, reason: FillReason) -> OrderId:
        """Return the id of an attached exit, a function of the order that last changed the position."""
        parent = self._parents[i]
        return order_id(
            environment=_NAME,
            account="",
            strategy=parent,
            version="",
            decided_at_ns=0,
            leg=f"{self._instruments[i].id}:{reason.value}",
        )

    def _note(self, order: Order, outcome: str, lots: int, at_ns: int) -> None:
        self._events.append(
            OrderEvent(
                available_at=at_ns,
                event_time=at_ns,
                rank=Rank.VENUE_FILL,
                source=_NAME,
                instrument=order.instrument,
                sequence=len(self._events),
                order_id=order.id,
                outcome=outcome,
                quantity_lots=int(lots),
            )
        )

    def _keep(self, places: list[int]) -> None:
        self._rows = [self._rows[k] for k in places]
        self._open = [self._open[k] for k in places]


def _sort_key(row: list[int]) -> tuple[int, int]:
    return row[matching.INSTRUMENT], row[matching.SEQUENCE]


def _rejected(order: Order, why: str, hint: str | None = None) -> OrderRejectedError:
    return OrderRejectedError(f"order {order.id} in {order.instrument} was rejected: {why}", venue=_NAME, hint=hint)


def _ticks(order: Order, name: str, level: Decimal, tick: Decimal) -> int:
    if not level.is_finite() or level <= 0:
        raise _rejected(order, f"expected a {name} > 0, received {level}")
    return max(1, int(round_tick(level, tick) / tick))
