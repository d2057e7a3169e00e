"""Scripted strategies against backtesting.py, to the cent, trade by trade, with commission.

Known differences of meaning, kept out of the scripts rather than averaged away: backtesting.py fills a limit or target
at a touch, we only when price trades through; it rounds no fee, we round to the cent (the scripts trade 1,000 units at
a tenth of a per cent, so that both are whole cents); it closes what is open at the last bar only when asked; its equity
is told at the close of every bar, ours likewise.
"""

import warnings
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from foresail.core.ids import OrderId, instrument_id
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.orders import FillReason, Order, OrderKind
from foresail.domain.signals import Side
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.settings import VenueBar, VenueSettings
from foresail.execution.simulated.venue import SimulatedVenue
from foresail.ledger.books import Books
from foresail.ledger.entries import Deposited, FillBooked
from foresail.ledger.journal import Journal
from foresail.ledger.trades import trades

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import backtesting

D = Decimal
NAME = instrument_id("sim.PARITY.ONE")
ONE = Instrument(NAME, "ONE", AssetClass.STOCK, tick=D("0.01"))
CASH, UNITS, COMMISSION = 1_000_000, 1000, 0.001
FAST, SLOW = 5, 20


def simulate(seed, bars=700):
    """Return OHLC on cents, with gaps between bars."""
    random = np.random.default_rng(seed)
    close = 80 * np.exp(np.cumsum(0.015 * random.standard_t(4, bars)))
    opened = np.append(close[0], close[:-1]) * np.exp(0.01 * random.standard_normal(bars))
    high = np.maximum(opened, close) * (1 + 0.008 * random.random(bars))
    low = np.minimum(opened, close) * (1 - 0.008 * random.random(bars))
    return [np.round(values, 2) for values in (opened, high, low, close)]


def crossings(close):
    """Return +1 where the fast mean crosses above the slow one at a close, -1 below, 0 otherwise."""
    fast, slow = (pd.Series(close).rolling(n).mean().to_numpy() for n in (FAST, SLOW))
    above = fast > slow
    out = np.zeros(len(close), dtype=int)
    out[SLOW:] = np.where(above[SLOW:] == above[SLOW - 1 : -1], 0, np.where(above[SLOW:], 1, -1))
    return out


def stop_level(price, sign, distance):
    return round(price * (1 - sign * distance), 2)


def ours(bars, *, shorts, distance):
    opened, high, low, close = bars
    venue = SimulatedVenue(
        (ONE,),
        CostModel(CostSettings(AssetClass.STOCK, commission_fraction=D(str(COMMISSION)))),
        VenueSettings(allow_short=shorts),
    )
    books, journal = Books(allow_short=shorts), Journal()
    equity = []

    def book(kind, *values, at):
        entry = kind(at, journal.next_sequence, *values)
        journal.append(entry)
        books.apply(entry)

    def order(t, side, reason, stop=None):
        identity = OrderId(f"{t:031x}{int(reason is FillReason.ENTRY)}")
        venue.submit(Order(identity, NAME, side, D(UNITS), OrderKind.MARKET, t, reason, stop_price=stop))

    book(Deposited, D(CASH), at=0)
    ones = np.ones(1)
    for t, signal in enumerate(crossings(close)):
        row = [values[t : t + 1] for values in (opened, high, low, close)]
        for fill in venue.step(VenueBar(t, t, *row, ones, ones.astype(bool))):
            book(FillBooked, fill, at=t)
        equity.append(books.equity({NAME: D(str(close[t]))}))
        held = books.quantity(NAME)
        if signal and held:
            order(t, Side.SELL if held > 0 else Side.BUY, FillReason.EXIT)
        if signal > 0 or (signal < 0 and shorts):
            stop = None if distance is None else D(str(stop_level(close[t], signal, distance)))
            order(t, Side.BUY if signal > 0 else Side.SELL, FillReason.ENTRY, stop)
    return trades(journal), equity


def theirs(bars, *, shorts, distance):
    opened, high, low, close = bars
    signals = crossings(close)

    class Cross(backtesting.Strategy):
        def init(self):
            pass

        def next(self):
            t = len(self.data) - 1
            signal = int(signals[t])
            if signal and self.position:
                self.position.close()
            stop = None if distance is None else stop_level(close[t], signal, distance)
            if signal > 0:
                self.buy(size=UNITS, sl=stop)
            elif signal < 0 and shorts:
                self.sell(size=UNITS, sl=stop)

    frame = pd.DataFrame(
        {"Open": opened, "High": high, "Low": low, "Close": close},
        index=pd.date_range("2020-01-01", periods=len(close)),
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = backtesting.Backtest(frame, Cross, cash=CASH, commission=COMMISSION, finalize_trades=False)
        result = test.run()
    return result["_trades"], result["_equity_curve"]["Equity"].to_numpy()


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize(("shorts", "distance"), [(False, None), (True, None), (False, 0.03), (True, 0.03)])
def test_moving_average_cross_equals_backtesting_py_to_the_cent(seed, shorts, distance):
    bars = simulate(seed)
    mine, my_equity = ours(bars, shorts=shorts, distance=distance)
    peer, peer_equity = theirs(bars, shorts=shorts, distance=distance)
    closed = [trade for trade in mine if trade.closed_at is not None]
    assert len(closed) == len(peer) > 10
    peer = peer.sort_values(["EntryBar", "ExitBar"]).reset_index(drop=True)
    for trade, row in zip(closed, peer.itertuples(), strict=True):
        assert (trade.opened_at, trade.closed_at) == (row.EntryBar, row.ExitBar)
        assert (trade.side is Side.BUY) == (row.Size > 0)
        assert abs(float(trade.entry_price) - row.EntryPrice) < 1e-8
        assert abs(float(trade.exit_price) - row.ExitPrice) < 1e-8
        assert abs(float(trade.net_profit) - (row.PnL)) < 0.005
    assert np.abs(np.array(my_equity, dtype=float) - peer_equity)[SLOW + 2 :].max() < 0.005
    stopped = sum(trade.exit_reason == "stop" for trade in closed)
    assert (stopped > 3) == (distance is not None)
