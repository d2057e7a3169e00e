"""Bars taken in together lead to the journal, the books and the curves that single steps lead to, entry by entry."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.ids import InstrumentId
from foresail.core.seeds import generator
from foresail.domain.forecast import ForecastBlock
from foresail.domain.limits import BreakerLimits, TradingLimits
from foresail.domain.panel import Panel
from foresail.domain.signals import Cancel, Intent, OrderIntent, Side, Weights
from foresail.engine.backtest import pass_history
from foresail.engine.driver import BacktestInputs, Driver
from foresail.engine.history import bar_events, history_events, history_pieces
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.sweep_inputs import SweepRule
from foresail.engine.sweep_replay import free_parts, replay_inputs
from foresail.engine.trading import quiet
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.execution.costs import CostModel
from foresail.ledger.codec import encode_entry
from foresail.ledger.entries import HoldingCharged, HoldingKind
from foresail.protocols import MarketView
from foresail.testing.builders import bar_panel

NAMES = tuple(InstrumentId(f"sim.S0{i % 2 + 1}.N{i}") for i in range(3))
BARS = 60


@dataclass
class Whim:
    """Wants something at a seeded share of its decisions, and reads the market in every way."""

    seed: int
    every: int
    share: float

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id="test/whim@1", every=self.every, critical_inputs=())

    def start(self) -> dict[str, Any]:
        return {"n": 0, "seen": []}

    def step(self, state: dict[str, Any], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        rng = generator(self.seed, "whim", state["n"])
        account = view.account()
        held = [(p.instrument, str(p.quantity), str(p.average_price)) for p in account.positions]
        state["seen"] = [view.now, str(account.equity), str(account.cash), held, list(view.instruments)]
        if not view.instruments or rng.random() > self.share:
            return ()
        name = view.instruments[int(rng.integers(len(view.instruments)))]
        last = Decimal(str(round(view.value(name, "close"), 2)))
        kind = int(rng.integers(6))
        if kind == 0:
            return [OrderIntent(name, Side.BUY, Decimal(int(rng.integers(1, 30))))]
        if kind == 1:
            return [OrderIntent(name, Side.SELL, Decimal(int(rng.integers(1, 30))))]
        if kind == 2:
            low, stop, target = (round(last * one / 100, 2) for one in (99, 95, 108))
            return [OrderIntent(name, Side.BUY, Decimal(9), "limit", low, stop, target, leg="dip")]
        if kind == 3:
            return [Weights(((name, 0.1),))]
        return [Weights(())] if kind == 4 else [Cancel(name)]


def market(seed: int, gaps: float, actions: bool) -> Panel:
    rng = generator(seed, "market")
    steps = rng.standard_normal((len(NAMES), BARS)) * 0.02
    close = np.round(np.exp(np.cumsum(steps, axis=1)) * 80, 2)
    close[rng.random(close.shape) < gaps] = np.nan
    close[:, 0] = 80.0
    if gaps and seed % 3 == 0:
        close[1, BARS // 2 :] = np.nan  # a listing that ends
    fields: dict[str, dict[str, list[float]]] = {}
    if actions:
        split, paid = np.ones(BARS), np.zeros(BARS)
        split[int(rng.integers(5, BARS))], paid[int(rng.integers(5, BARS))] = 2.0, 0.5
        fields = {"split": {NAMES[0]: split.tolist()}, "dividend": {NAMES[2]: paid.tolist()}}
    return bar_panel({name: close[i] for i, name in enumerate(NAMES)}, frame="1h", calendar="24/7", fields=fields)


def driver_on(bars: Panel, strategy: Whim, limits: TradingLimits | None, blocked: int) -> Driver:
    none = np.empty(0, dtype=np.int64)
    n = len(NAMES)
    block = ForecastBlock(np.empty((n, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.array([blocked, BARS, BARS]), None)
    kept = PipelineSettings(capital=Decimal(20_000), horizons=(1,), decision_horizon=1, targets=("close",))
    inputs = BacktestInputs(data, kept, bars, {}, WalkForward(block, ()), 8_760.0)
    parts = build_parts(bars, data.bar_set, kept, strategy=strategy, explain=None)  # type: ignore[arg-type]
    driver = Driver(inputs, parts, limits)
    driver.deposit(int(bars.start[0]))
    return driver


def told(driver: Driver) -> dict[str, Any]:
    return {
        "journal": [encode_entry(one) for one in driver.journal.entries],
        "core": driver.core.to_plain(),
        "link": driver.link.to_plain(),
        "curves": [one.tolist() for one in (driver.net, driver.cash, driver.exposure)],
        "rates": driver.rates,
        "decided": [driver.signals, driver.weights, driver.orders, driver.notes],
        "venue": [driver.fills, driver.order_events, driver.ended, driver.left],
    }


def one_by_one(driver: Driver, bars: Panel, first: int, every: int) -> None:
    for event in history_events(bars, first, every):
        driver.apply(event)


tight = TradingLimits(breakers=BreakerLimits(daily_loss=0.001, weekly_loss=0.004, trades_per_day=2))


@settings(max_examples=150, deadline=None)
@given(
    seed=st.integers(0, 10**6),
    every=st.sampled_from([1, 1, 2, 5]),
    share=st.sampled_from([0.0, 0.02, 0.08, 0.3]),
    limits=st.sampled_from([None, TradingLimits(), tight]),
    gaps=st.sampled_from([0.0, 0.0, 0.1]),
    actions=st.booleans(),
    delay=st.sampled_from([0, 10**9, 5400 * 10**9]),
    blocked=st.sampled_from([BARS, 31]),
)
def test_together_is_as_one_by_one(seed, every, share, limits, gaps, actions, delay, blocked):
    bars = market(seed, gaps, actions)
    bars = replace(bars, available_at=bars.end + delay)
    one, two = (driver_on(bars, Whim(seed, every, share), limits, blocked) for _ in range(2))
    one_by_one(one, bars, 0, every)
    pass_history(two, bars, 0, every)
    assert told(two) == told(one)


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10**6), every=st.integers(1, 4), first=st.integers(0, 20), delay=st.sampled_from([0, 1, 3600])
)
def test_pieces_are_the_events_in_their_order(seed, every, first, delay):
    bars = market(seed, 0.0, actions=True)
    bars = replace(bars, available_at=bars.end + delay * 10**9)
    events = []
    for piece in history_pieces(bars, first, every):
        events += [e for now in piece for e in bar_events(bars, now, every)] if isinstance(piece, range) else [piece]
    assert tuple(events) == history_events(bars, first, every)


@pytest.mark.parametrize("share", [0.0, 0.02])
def test_most_bars_do_pass_together(monkeypatch, share):
    taken = []
    noted = quiet.QuietBars.pass_through

    def counted(self, first, last):
        reached = noted(self, first, last)
        taken.append(reached - first)
        return reached

    monkeypatch.setattr(quiet.QuietBars, "pass_through", counted)
    driver = driver_on(market(3, 0.0, actions=False), Whim(3, 1, share), None, BARS)
    pass_history(driver, driver.link.market.bars, 0, 1)
    assert sum(taken) > 0.5 * BARS


def test_a_strategy_that_fails_leaves_the_journal_of_single_steps(monkeypatch):
    bars = market(5, 0.0, actions=False)

    def journal(together: bool) -> list[bytes]:
        driver = driver_on(bars, Whim(5, 1, 0.05), None, BARS)
        asked = 0

        def fails(_strategy, _state, _view):
            nonlocal asked
            asked += 1
            if asked == 20:
                raise ZeroDivisionError
            return ()

        monkeypatch.setattr(Whim, "step", fails)
        with pytest.raises(ZeroDivisionError):
            (pass_history if together else one_by_one)(driver, bars, 0, 1)
        return [encode_entry(one) for one in driver.journal.entries]

    assert journal(together=True) == journal(together=False)


class Levered:
    """Buys once for more than there is, or for less, and sells it much later."""

    spec = SimpleNamespace(id="test/levered@1", every=1, critical_inputs=())

    def __init__(self, units: int) -> None:
        self._units = units

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        side = {2: Side.BUY, 50: Side.SELL}.get(state["n"])
        return () if side is None else [OrderIntent(NAMES[0], side, Decimal(self._units))]


@pytest.mark.parametrize(("units", "pays"), [(100, False), (400, True)])
def test_credit_costs_the_same_together_and_one_by_one(monkeypatch, units, pays):
    """Bars pass together while cash has paid for what is held, and no interest is lost where it has not."""
    bars, rule, marked = market(3, 0.0, actions=False), SweepRule(capital=20_000.0, fee=0.001), []
    inputs = replay_inputs(bars, rule, 0.01)
    real = quiet.QuietBars._marked
    monkeypatch.setattr(quiet.QuietBars, "_marked", lambda self, a, b: marked.append(b - a) or real(self, a, b))
    made = [free_parts(inputs, rule, Levered(units)) for _ in range(2)]
    costs = CostModel(replace(made[0].costs.settings, borrow_per_year=Decimal("0.05")))
    one, two = (Driver(inputs, replace(parts, costs=costs)) for parts in made)
    for driver in (one, two):
        driver.deposit(int(bars.start[0]))
    one_by_one(one, bars, 0, 1)
    pass_history(two, bars, 0, 1)
    assert told(two) == told(one)
    kinds = [entry.kind for entry in two.journal.entries if isinstance(entry, HoldingCharged)]
    assert (HoldingKind.MARGIN in kinds, sum(marked) > 30) == (pays, not pays)
