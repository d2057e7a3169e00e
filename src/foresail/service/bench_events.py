"""Speed of the event engine with a strategy in plain Python: bars a second, and orders a second on a real disk.

Bars: the driver of a backtest; a decision at every bar that reads the last close, an entry each thousand bars and an
exit a hundred later. Orders: an account on disk, where every intent is durable before it is sent; ten market orders a
bar through gate, journal, venue, books and risk state. ``benchmarks/event_speed.py`` measures more kinds of both.
"""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.clock import NS_PER_S
from foresail.core.errors import IntegrityError
from foresail.core.ids import InstrumentId, instrument_id
from foresail.core.seeds import generator
from foresail.domain.limits import TradingLimits
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, OrderIntent, Side
from foresail.engine.backtest import pass_history
from foresail.engine.driver import Driver, history_parts
from foresail.engine.history import history_events
from foresail.engine.sweep_inputs import SweepRule
from foresail.engine.sweep_replay import free_parts, replay_inputs
from foresail.engine.trading.account import AccountRun, StreamRules
from foresail.ledger.disk import RealDisk
from foresail.ledger.entries import FillBooked
from foresail.ledger.recovery import Session, read_entries
from foresail.protocols import MarketView
from foresail.risk.accounts import edited

__all__ = ["event_rows"]

_CYCLE, _HELD, _A_BAR = 1_000, 100, 10
_FIRST = 1_577_836_800 * 10**9  # 2020-01-01
_RULE = SweepRule(capital=1e7, fee=0.001)
_TICK = 0.01


@dataclass(frozen=True, slots=True)
class _Spec:
    """What both strategies declare."""

    id: str = "bench/events@1"
    every: int = 1
    critical_inputs: tuple[str, ...] = ("close",)


class _Rare:
    """Buys once in a thousand bars, holds for a hundred."""

    spec = _Spec()

    def __init__(self, name: InstrumentId) -> None:
        self._name = name

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        place = state["n"] % _CYCLE
        if place not in (1, _HELD) or not view.value(self._name, "close") > 0.0:
            return ()
        return (OrderIntent(self._name, Side.BUY if place == 1 else Side.SELL, Decimal(10)),)


class _Busy:
    """Sends ten market orders a bar: a unit of each of ten names, bought and sold in turn."""

    spec = _Spec()

    def __init__(self, names: tuple[InstrumentId, ...]) -> None:
        self._names = names

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        side = Side.BUY if state["n"] % 2 else Side.SELL
        return tuple(OrderIntent(name, side, Decimal(1), leg=f"{state['n']}") for name in self._names)


def _minute_panel(instruments: int, bars: int, seed: int) -> Panel:
    """Return random minute bars on whole cents."""
    rng = generator(seed, "bench events", instruments)
    close = np.round(100.0 * np.exp(np.cumsum(0.0005 * rng.standard_normal((instruments, bars)), axis=1)), 2)
    opened = np.concatenate((close[:, :1], close[:, :-1]), axis=1)
    high, low = np.maximum(opened, close) + 0.02, np.minimum(opened, close) - 0.02
    volume, spread = np.full(close.shape, 1e9), np.full(close.shape, np.nan)
    values = np.stack((opened, high, low, close, volume, spread), axis=2)
    start = _FIRST + 60 * NS_PER_S * np.arange(bars)
    names = tuple(instrument_id(f"sim.BENCH.N{i:03d}") for i in range(instruments))
    fields = ("open", "high", "low", "close", "volume", "spread")
    end = start + 60 * NS_PER_S
    return Panel(values, np.ones(close.shape, np.bool_), start, end, end, fields, names, "1m", "24/7")


def _bars_a_second(bars: int, seed: int) -> float:
    panel = _minute_panel(1, bars, seed)
    inputs = replay_inputs(panel, _RULE, _TICK)
    driver = Driver(inputs, free_parts(inputs, _RULE, _Rare(panel.instruments[0])))
    worked = time.process_time()
    driver.deposit(int(panel.start[0]))
    pass_history(driver, inputs.data.bars, 0, 1)
    return bars / (time.process_time() - worked)


def _orders_a_second(orders: int, seed: int, folder: Path) -> float:
    """Return orders a second of processor time through an account on disk."""
    panel = _minute_panel(_A_BAR, -(-orders // _A_BAR) + 2, seed)
    inputs = replay_inputs(panel, _RULE, _TICK)
    limits = edited(TradingLimits(), _WIDE)
    parts, link = history_parts(
        inputs, free_parts(inputs, _RULE, _Busy(panel.instruments)), account="bench", environment="paper", limits=limits
    )

    def begin(core: Any) -> None:
        core.begin(int(panel.start[0]), inputs.settings.capital)

    rules = StreamRules(snapshot_every=10**9, commit_every=64, begin=begin)
    run = AccountRun.open(parts, link, RealDisk(folder), Session("paper", "bench", "bench", "bench"), rules)
    events = history_events(inputs.data.bars, 0, 1)
    gc.collect()
    gc.freeze()  # as the daemon does before its first event
    worked = time.process_time()
    for event in events:
        run.apply(event)
    worked = time.process_time() - worked
    gc.unfreeze()
    filled = sum(isinstance(one, FillBooked) for one in read_entries(RealDisk(folder)))
    run.close()
    if filled < orders:
        raise IntegrityError(f"{filled} of {orders} orders were filled: the bench would measure refusals")
    return filled / worked


# so many orders a minute and a day are no normal account: the rules are all asked, their limits are out of reach
_WIDE = {
    "flow.orders_per_minute": 10**9,
    "flow.exit_orders_per_minute": 10**9,
    "flow.submitted_per_minute": 1e9,
    "breakers.trades_per_day": 10**9,
    "breakers.consecutive_losses": 10**9,
}


def event_rows(bars: int, orders: int, seed: int) -> list[tuple[str, float | None, str, float | None, str]]:
    """Return (name, value, unit, target, note) of bars and orders a second."""
    _bars_a_second(2_000, seed)  # compiled before anything is timed
    speed = max(_bars_a_second(bars, seed) for _ in range(2))
    with tempfile.TemporaryDirectory(prefix="foresail-bench-") as folder:
        rate = max(_orders_a_second(orders, seed, Path(folder) / str(k)) for k in range(2))
    note = "one core, processor time; a decision at every bar, as-of view, gate, journal, books"
    return [
        ("events, plain Python strategy that rarely trades", speed, "bars/s", 100_000.0, note),
        ("events, orders through gate, journal on disk, ledger", rate, "orders/s", 5_000.0, ""),
    ]
