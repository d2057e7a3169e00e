"""Five scripted strategies on three engines: ours, backtesting.py and backtrader, equal to the cent with commission.

A script is one function of what every engine shows at a close: the bar, the position, the equity, what it remembers.
Each engine gets an adapter that turns what the script asks for into its own orders, so that nothing but the engine
differs. Compared are all fills (bar, units, price), and the equity at every close.

Where engines mean different things, the scripts stay out of it, and docs/guide/backtest-speed.md lists it. Limits and
stops lie on half cents and bars on whole ones, so no level is ever only touched; brackets are wider than a bar, so none
is met in the bar of its entry; units come in thousands at a tenth of a per cent, so that commissions are whole cents.
"""

import warnings
from collections import defaultdict
from dataclasses import dataclass
from decimal import Decimal

import numpy as np
import pandas as pd
import pytest

from foresail.domain.signals import Cancel, OrderIntent, Side
from foresail.engine.backtest import pass_history
from foresail.engine.driver import Driver
from foresail.engine.sweep import simulate
from foresail.engine.sweep_inputs import Signals, SweepBars, SweepRule
from foresail.engine.sweep_replay import free_parts, replay_inputs
from foresail.ledger.entries import FillBooked, Marked
from foresail.testing.sweep_cases import column_panel

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    import backtesting
    import backtrader

CASH, UNITS, COMMISSION, TICK = 10_000_000.0, 2000, 0.001, 0.005
BARS, SEEDS = 600, (1, 2, 3)


@dataclass(frozen=True)
class Ask:
    """An order for signed units; a limit makes it a limit order, stop and target hang on what it opens."""

    units: int
    limit: float | None = None
    stop: float | None = None
    target: float | None = None


def market(seed):
    """Return open, high, low, close on whole cents: steps of 1.5 %, gaps of 0.4 %."""
    rng = np.random.default_rng(seed)
    close = 80 * np.exp(np.cumsum(0.015 * np.clip(rng.standard_normal(BARS), -2.5, 2.5)))
    opened = np.append(close[0], close[:-1]) * np.exp(0.004 * np.clip(rng.standard_normal(BARS), -2, 2))
    high = np.maximum(opened, close) * (1 + 0.004 * rng.random(BARS))
    low = np.minimum(opened, close) * (1 - 0.004 * rng.random(BARS))
    return tuple(np.round(one, 2) for one in (opened, high, low, close))


def level(price):
    """Return a price on a half cent, which no bar can touch."""
    return round(np.floor(price * 100) / 100 + 0.005, 3)


# -- the scripts: (t, bars, units held, equity, memory) -> asks; what waits from before is taken back -----------------


def mean_cross(t, bars, held, equity, memory):
    """Always in the market from the first crossing of a 5-bar and a 20-bar mean on, long above, short below."""
    close = bars[3]
    if t < 20:
        return []
    above, before = (close[k - 4 : k + 1].mean() > close[k - 19 : k + 1].mean() for k in (t, t - 1))
    return [] if above == before else [Ask((UNITS if above else -UNITS) - held)]


def breakout(t, bars, held, equity, memory):
    """Buys a new high of 20 bars, sells short a new low, each with a stop of 8 % and a target of 10 %."""
    high, low, close = bars[1:]
    if t < 20 or held:
        return []
    if close[t] > high[t - 20 : t].max():
        return [Ask(UNITS, stop=level(close[t] * 0.92), target=level(close[t] * 1.10))]
    if close[t] < low[t - 20 : t].min():
        return [Ask(-UNITS, stop=level(close[t] * 1.08), target=level(close[t] * 0.90))]
    return []


def reversion(t, bars, held, equity, memory):
    """Bids below the close after falls and offers above it after rises (RSI of 3 bars), leaves once it turns."""
    close = bars[3]
    if t < 3:
        return []
    moves = np.diff(close[t - 3 : t + 1])
    rise = moves[moves > 0].sum() / max(np.abs(moves).sum(), 1e-9)
    if held:
        turned = rise > 0.5 if held > 0 else rise < 0.5
        return [Ask(-held)] if turned else []
    if rise < 0.15:
        return [Ask(UNITS, limit=level(close[t] * 0.995))]
    return [Ask(-UNITS, limit=level(close[t] * 1.005))] if rise > 0.85 else []


def rebalanced(t, bars, held, equity, memory):
    """Holds 60 % or 30 % of equity in whole thousands, by the trend of 60 bars, rebalanced every 21 bars."""
    close = bars[3]
    if t < 60 or t % 21:
        return []
    share = 0.6 if close[t] > close[t - 60] else 0.3
    change = int(share * equity / (close[t] * 1000)) * 1000 - held
    return [Ask(change)] if change else []


def timed(t, bars, held, equity, memory):
    """Buys after three falls and leaves after ten bars."""
    close = bars[3]
    if held and "since" not in memory:
        memory["since"] = t
    if not held:
        memory.pop("since", None)
    if held:
        return [Ask(-held)] if t - memory["since"] + 1 >= 10 else []
    return [Ask(UNITS)] if t >= 3 and (np.diff(close[t - 3 : t + 1]) < 0).all() else []


# -- the engines: (script, bars) -> (fills, equity) -------------------------------------------------------------------


def merged(fills):
    """Return bar -> price -> units, fills at one price of one bar added up."""
    out = defaultdict(float)
    for bar, units, price in fills:
        out[bar, round(price, 6)] += units
    return {key: units for key, units in sorted(out.items()) if units}


def exact(price):
    return None if price is None else Decimal(str(price))


class Scripted:
    """A script as a strategy of ours."""

    class spec:
        id, every, critical_inputs = "peers/scripted@1", 1, ("close",)

    def __init__(self, script, bars, name):
        self.script, self.bars, self.name = script, bars, name

    def start(self):
        return {}

    def step(self, state, view):
        account = view.account()
        held = int(sum(one.quantity for one in account.positions))
        asks = self.script(view.position, self.bars, held, float(account.equity), state)
        return [Cancel(self.name)] + [
            OrderIntent(
                self.name, Side.BUY if ask.units > 0 else Side.SELL, Decimal(abs(ask.units)),
                "market" if ask.limit is None else "limit", exact(ask.limit), exact(ask.stop), exact(ask.target),
            )
            for ask in asks
        ]  # fmt: skip


def ours(script, bars):
    panel = column_panel(bars)
    rule = SweepRule(capital=CASH, fee=COMMISSION, good_for_bars=0)
    inputs = replay_inputs(panel, rule, TICK)
    driver = Driver(inputs, free_parts(inputs, rule, Scripted(script, bars, panel.instruments[0])))
    driver.deposit(int(panel.start[0]))
    pass_history(driver, inputs.data.bars, 0, 1)
    fills, bar = [], 0
    for entry in driver.journal.entries:
        bar += isinstance(entry, Marked)
        if isinstance(entry, FillBooked):
            signed = float(entry.fill.quantity) * (1 if entry.fill.side is Side.BUY else -1)
            fills.append((bar, signed, float(entry.fill.price)))
    return merged(fills), driver.net


def with_backtesting(script, bars):
    class Peer(backtesting.Strategy):
        def init(self):
            self.memory = {}

        def next(self):
            for order in self.orders:
                if not order.is_contingent:
                    order.cancel()
            t = len(self.data) - 1
            for ask in script(t, bars, int(self.position.size), self.equity, self.memory):
                send = self.buy if ask.units > 0 else self.sell
                send(size=abs(ask.units), limit=ask.limit, sl=ask.stop, tp=ask.target)

    frame = pd.DataFrame(
        dict(zip(("Open", "High", "Low", "Close"), bars, strict=True)), index=pd.date_range("2020-01-01", periods=BARS)
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        test = backtesting.Backtest(frame, Peer, cash=CASH, commission=COMMISSION, finalize_trades=False)
        result = test.run()
    open_trades = result["_strategy"].trades
    fills = [(row.EntryBar, row.Size, row.EntryPrice) for row in result["_trades"].itertuples()]
    fills += [(row.ExitBar, -row.Size, row.ExitPrice) for row in result["_trades"].itertuples()]
    fills += [(trade.entry_bar, trade.size, trade.entry_price) for trade in open_trades]
    return merged(fills), result["_equity_curve"]["Equity"].to_numpy()


def with_backtrader(script, bars):
    fills, equity = [], []

    class Peer(backtrader.Strategy):
        def __init__(self):
            self.memory, self.entries = {}, []

        def notify_order(self, order):
            if order.status == order.Completed:
                fills.append((len(self) - 1, order.executed.size, order.executed.price))

        def next(self):
            t = len(self) - 1
            equity.append(self.broker.getvalue())
            for order in self.entries:
                self.cancel(order)
            self.entries = []
            for ask in script(t, bars, int(self.position.size), equity[-1], self.memory):
                self.entries.append(self.send(ask))

        def send(self, ask):
            kind = backtrader.Order.Market if ask.limit is None else backtrader.Order.Limit
            if ask.stop is None:
                send = self.buy if ask.units > 0 else self.sell
                return send(size=abs(ask.units), exectype=kind, price=ask.limit)
            send = self.buy_bracket if ask.units > 0 else self.sell_bracket
            parts = send(size=abs(ask.units), exectype=kind, price=ask.limit, stopprice=ask.stop, limitprice=ask.target)
            return parts[0]

    frame = pd.DataFrame(
        dict(zip(("open", "high", "low", "close"), bars, strict=True)), index=pd.date_range("2020-01-01", periods=BARS)
    )
    frame["volume"] = 1e9
    cerebro = backtrader.Cerebro(stdstats=False)
    cerebro.adddata(backtrader.feeds.PandasData(dataname=frame))
    cerebro.addstrategy(Peer)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=COMMISSION)
    cerebro.run()
    return merged(fills), np.array(equity)


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize("script", [mean_cross, breakout, reversion, rebalanced, timed], ids=lambda s: s.__name__)
@pytest.mark.parametrize("peer", [with_backtesting, with_backtrader], ids=lambda p: p.__name__[5:])
def test_a_scripted_strategy_ends_to_the_cent_where_a_peer_ends(peer, script, seed):
    bars = market(seed)
    fills, equity = ours(script, bars)
    their_fills, their_equity = peer(script, bars)
    assert fills == their_fills
    assert len(fills) > 10
    # backtesting.py calls a strategy from its second bar on and tells its first two equities from before any trade
    assert np.abs(equity - their_equity).max() < 0.005


# -- three instruments on one account ---------------------------------------------------------------------------------


def monthly(t, closes, held, equity):
    """Return the change of units of each instrument: weights by the trend of 60 bars, every 21 bars, in thousands."""
    if t < 60 or t % 21:
        return [0] * len(closes)
    trend = np.array([close[t] / close[t - 60] for close in closes])
    shares = 0.25 + 0.2 * (trend == trend.max()) - 0.15 * (trend == trend.min())
    return [
        int(share * equity / (close[t] * 1000)) * 1000 - int(units)
        for share, close, units in zip(shares, closes, held, strict=True)
    ]


class Monthly:
    """``monthly`` as a strategy of ours; remembers what it asked for."""

    class spec:
        id, every, critical_inputs = "peers/monthly@1", 1, ("close",)

    def __init__(self, closes, names):
        self.closes, self.names = closes, names
        self.asked = np.zeros((len(names), BARS))

    def start(self):
        return {}

    def step(self, state, view):
        account = view.account()
        held = {one.instrument: one.quantity for one in account.positions}
        changes = monthly(view.position, self.closes, [held.get(name, 0) for name in self.names], float(account.equity))
        self.asked[:, view.position] = changes
        return [
            OrderIntent(name, Side.BUY if units > 0 else Side.SELL, Decimal(abs(units)))
            for name, units in zip(self.names, changes, strict=True)
            if units
        ]


def ours_monthly(bars):
    panel = column_panel(*bars)
    rule = SweepRule(capital=CASH, fee=COMMISSION, good_for_bars=0)
    inputs = replay_inputs(panel, rule, TICK)
    strategy = Monthly([one[3] for one in bars], panel.instruments)
    driver = Driver(inputs, free_parts(inputs, rule, strategy))
    driver.deposit(int(panel.start[0]))
    pass_history(driver, inputs.data.bars, 0, 1)
    return driver, strategy.asked


def monthly_with_backtrader(bars):
    equity = []

    class Peer(backtrader.Strategy):
        def next(self):
            equity.append(self.broker.getvalue())
            held = [self.getposition(data).size for data in self.datas]
            changes = monthly(len(self) - 1, [one[3] for one in bars], held, equity[-1])
            for units, k in sorted(
                zip(changes, range(3), strict=True)
            ):  # it fills, and asks for cash, as they are sent
                data = self.datas[k]
                if units:
                    (self.buy if units > 0 else self.sell)(data=data, size=abs(units))

    cerebro = backtrader.Cerebro(stdstats=False)
    for one in bars:
        frame = pd.DataFrame(
            dict(zip(("open", "high", "low", "close"), one, strict=True)),
            index=pd.date_range("2020-01-01", periods=BARS),
        )
        cerebro.adddata(backtrader.feeds.PandasData(dataname=frame.assign(volume=1e9)))
    cerebro.addstrategy(Peer)
    cerebro.broker.setcash(CASH)
    cerebro.broker.setcommission(commission=COMMISSION)
    cerebro.run()
    return np.array(equity)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_monthly_rebalance_of_three_instruments_equals_backtrader_to_the_cent(seed):
    bars = [market(10 * seed + k) for k in range(3)]
    driver, asked = ours_monthly(bars)
    assert len(driver.fills) == np.count_nonzero(asked[:, :-1]) > 30
    assert np.abs(driver.net - monthly_with_backtrader(bars)).max() < 0.005


@pytest.mark.parametrize("seed", SEEDS)
def test_a_monthly_rebalance_of_three_instruments_equals_vectorbt_to_the_cent(seed):
    vectorbt = pytest.importorskip("vectorbt", reason="pip install vectorbt, to compare with it")
    bars = [market(10 * seed + k) for k in range(3)]
    driver, asked = ours_monthly(bars)
    due = np.concatenate((np.zeros((3, 1)), asked[:, :-1]), axis=1).T  # an order fills at the next open
    peer = vectorbt.Portfolio.from_orders(
        np.stack([one[3] for one in bars], axis=1), size=np.where(due == 0, np.nan, due),
        price=np.stack([one[0] for one in bars], axis=1), fees=COMMISSION, init_cash=CASH, group_by=True,
        cash_sharing=True, call_seq="auto",
    )  # fmt: skip
    assert np.abs(driver.net - np.asarray(peer.value()).ravel()).max() < 0.005


@pytest.mark.parametrize("seed", SEEDS)
def test_the_compiled_sweep_has_the_trades_of_the_same_scripts(seed):
    bars = market(seed)
    close = bars[3]
    t = np.arange(BARS)
    fast, slow = (pd.Series(close).rolling(n).mean().to_numpy() for n in (5, 20))
    above = fast > slow
    crossed = (t >= 20) & (above != np.roll(above, 1))
    signals = Signals(long_entry=crossed & above, short_entry=crossed & ~above)
    log = simulate(SweepBars.of_columns(*bars, tick=TICK), signals, SweepRule(units=UNITS, fee=COMMISSION))
    fills = [*zip(log.entry_bar, log.units, log.entry_price, strict=True)]
    fills += [one for one in zip(log.exit_bar, -log.units, log.exit_price, strict=True) if one[0] >= 0]
    assert merged((int(bar), units, price) for bar, units, price in fills) == ours(mean_cross, bars)[0]
