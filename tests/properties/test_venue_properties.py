"""What must hold at the venue whatever the orders and bars: bounds of price and volume, money, costs, delay, order."""

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from foresail.core.ids import OrderId, instrument_id
from foresail.domain.events import VenueOutcome
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import FillReason, Order, OrderKind, TimeInForce
from foresail.domain.signals import Side
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.settings import VenueBar, VenueSettings
from foresail.execution.simulated.venue import SimulatedVenue
from foresail.ledger.books import Books
from foresail.ledger.entries import Deposited, FillBooked

D = Decimal
ONES = tuple(Instrument(instrument_id(f"stock.US.I{k}"), f"I{k}", AssetClass.STOCK, tick=D("0.01")) for k in range(3))
N, T = len(ONES), 60
ENDS = frozenset({VenueOutcome.CANCELLED, VenueOutcome.EXPIRED})


def market(seed):
    """Return (N, T) open, high, low, close in cents and volume."""
    random = np.random.default_rng(seed)
    close = 100 * np.exp(np.cumsum(0.02 * random.standard_normal((N, T)), axis=1))
    opened = close * np.exp(0.01 * random.standard_normal((N, T)))
    high = np.maximum(opened, close) * (1 + 0.01 * random.random((N, T)))
    low = np.minimum(opened, close) * (1 - 0.01 * random.random((N, T)))
    volume = random.integers(20, 400, size=(N, T)).astype(float)
    return [np.round(values, 2) for values in (opened, high, low, close)] + [volume]


def script(seed, columns):
    """Return for every bar the orders that are sent before it, levels drawn around the last close."""
    random = np.random.default_rng(seed + 1000)
    sent, number = [[] for _ in range(T)], 0
    for t in range(1, T):
        for i, one in enumerate(ONES):
            if random.random() < 0.5:
                continue
            number += 1
            kind = list(OrderKind)[random.integers(len(OrderKind))]
            side = Side.BUY if random.integers(2) else Side.SELL
            last = columns[3][i, t - 1]
            level, other = (D(str(round(last * (1 + 0.03 * random.standard_normal()), 2))) for _ in range(2))
            limited = kind in (OrderKind.LIMIT, OrderKind.STOP_LIMIT)
            sent[t].append(
                Order(
                    OrderId(f"{number:032x}"),
                    one.id,
                    side,
                    D(int(random.integers(1, 60))),
                    kind,
                    t,
                    FillReason.EXIT if random.random() < 0.3 else FillReason.ENTRY,
                    limit_price=level if limited else None,
                    trigger_price=other if kind in (OrderKind.STOP, OrderKind.STOP_LIMIT) else None,
                    trail=D("1.50") if kind is OrderKind.TRAILING else None,
                    time_in_force=TimeInForce.IOC
                    if kind is OrderKind.MARKET and random.random() < 0.3
                    else TimeInForce.GTC,
                    reduce_only=random.random() < 0.2,
                    group="g" if random.random() < 0.1 else "",
                )
            )
    return sent


def play(seed, *, costs=None, shuffle=False, only=None, **settings):
    """Return the venue, its fills by bar and its reports."""
    columns = market(seed)
    rules = {"volume_share": 0.25, "allow_short": True, "good_for_bars": 10, **settings}
    model = CostModel(costs or CostSettings(AssetClass.STOCK, slippage_fraction=D("0.0005")))
    venue = SimulatedVenue(ONES, model, VenueSettings(**rules))
    fills = []
    for t, orders in enumerate(script(seed, columns)):
        chosen = [order for order in orders if only is None or order.kind in only]
        for order in reversed(chosen) if shuffle else chosen:
            venue.submit(replace(order, group=""))
        bar = VenueBar(t, t + 1, *(np.ascontiguousarray(c[:, t]) for c in columns), np.ones(N, dtype=bool), start=t)
        fills.append(venue.step(bar))
    return venue, columns, fills


@pytest.mark.parametrize("seed", range(12))
def test_references_lie_within_the_bar_and_volume_within_its_share(seed):
    _venue, columns, by_bar = play(seed)
    opened, high, low, _close, volume = columns
    place = {one.id: i for i, one in enumerate(ONES)}
    assert sum(len(fills) for fills in by_bar) > 20
    for t, fills in enumerate(by_bar):
        traded = np.zeros(N)
        for fill in fills:
            i, price = place[fill.instrument], float(fill.reference_price)
            assert low[i, t] - 1e-9 <= price <= high[i, t] + 1e-9
            assert price == opened[i, t] or fill.filled_at == t + 1
            worse = fill.price >= fill.reference_price if fill.side is Side.BUY else fill.price <= fill.reference_price
            assert worse
            traded[i] += float(fill.quantity)
        assert (traded <= np.floor(volume[:, t] * 0.25 + 1e-9)).all()


@pytest.mark.parametrize("seed", range(12))
def test_fills_never_exceed_an_order_and_what_is_filled_left_or_open_is_all_of_it(seed):
    venue, _columns, by_bar = play(seed)
    reports = venue.take_reports()
    filled, ended, ordered = {}, {}, {}
    for report in reports:
        if report.outcome is VenueOutcome.ACCEPTED:
            ordered[report.order_id] = report.left
        elif report.outcome is VenueOutcome.FILLED:
            filled[report.order_id] = filled.get(report.order_id, D(0)) + report.fill.quantity
        elif report.outcome in ENDS:
            assert report.order_id not in ended
            ended[report.order_id] = report.left
    waiting = {order.id for order in venue.open_orders}
    for identity, quantity in ordered.items():
        assert filled.get(identity, 0) <= quantity
        if identity in ended:
            assert filled.get(identity, 0) + ended[identity] == quantity
        elif identity not in waiting:
            assert filled[identity] == quantity
    executions = [r.execution for r in reports if r.outcome is VenueOutcome.FILLED]
    assert len(set(executions)) == len(executions) == sum(len(fills) for fills in by_bar)


@pytest.mark.parametrize("seed", range(6))
def test_books_of_the_fills_hold_what_the_venue_holds_and_no_money_appears(seed):
    venue, columns, by_bar = play(seed)
    books = Books(allow_short=True)
    books.apply(Deposited(0, 0, D(1_000_000), "USD"))
    cash = D(1_000_000)
    for number, fill in enumerate((fill for fills in by_bar for fill in fills), start=1):
        books.apply(FillBooked(max(fill.filled_at, books.at), number, fill))
        sign = 1 if fill.side is Side.SELL else -1
        cash += sign * fill.quantity * fill.price - fill.fee
    assert books.cash == cash
    for one in ONES:
        assert books.quantity(one.id) == venue.position(one.id)
    marks = {one.id: D(str(columns[3][i, -1])) for i, one in enumerate(ONES)}
    assert books.equity(marks) == cash + sum(venue.position(name) * price for name, price in marks.items())


@pytest.mark.parametrize("seed", range(6))
def test_more_cost_never_gives_a_better_price(seed):
    plays = [
        play(seed, costs=CostSettings(AssetClass.STOCK, slippage_fraction=D(text)), volume_share=None)[2]
        for text in ("0", "0.0005", "0.01")
    ]
    flat = [[fill for fills in by_bar for fill in fills] for by_bar in plays]
    assert [f.order_id for f in flat[0]] == [f.order_id for f in flat[1]] == [f.order_id for f in flat[2]]
    for cheap, dear in (flat[:2], flat[1:]):
        for one, other in zip(cheap, dear, strict=True):
            assert (one.quantity, one.reference_price) == (other.quantity, other.reference_price)
            better = other.price < one.price if one.side is Side.BUY else other.price > one.price
            assert not better


@pytest.mark.parametrize("seed", range(4))
def test_delay_never_brings_a_fill_forward(seed):
    first = {}
    for bars in (0, 1, 3):
        kinds = frozenset({OrderKind.MARKET})
        fills = play(seed, only=kinds, volume_share=None, latency_bars=bars, good_for_bars=0)[2]
        times = {}
        for fill in (fill for one in fills for fill in one):
            times.setdefault(fill.order_id, fill.filled_at)
        for identity, at in times.items():
            assert at >= first.get(identity, 0) + (bars if identity in first else 0)
        first = first or times
    assert len(first) > 5


def test_delay_in_a_rising_market_never_gives_a_buyer_a_better_price():
    rising = 100 + 0.5 * np.arange(20.0)
    paid = []
    for bars in range(6):
        model = CostModel(CostSettings(AssetClass.STOCK))
        venue = SimulatedVenue(ONES[:1], model, VenueSettings(latency_bars=bars, good_for_bars=0))
        venue.submit(Order(OrderId("1"), ONES[0].id, Side.BUY, D(1), OrderKind.MARKET, 0))
        for t, price in enumerate(rising):
            one = np.array([price])
            fills = venue.step(VenueBar(t, t + 1, one, one, one, one, one, np.ones(1, dtype=bool), start=t))
            paid += [fill.price for fill in fills]
    assert paid == sorted(paid)
    assert len(set(paid)) == 6


@pytest.mark.parametrize("seed", range(6))
def test_order_of_submission_across_instruments_does_not_matter(seed):
    one, other = play(seed), play(seed, shuffle=True)  # at most one order an instrument and bar
    assert one[2] == other[2]
    assert one[0].open_orders == other[0].open_orders
