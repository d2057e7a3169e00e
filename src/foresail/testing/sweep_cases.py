"""Random strategies for the agreement of sweep, event backtest and paper replay, and the paper side of it.

A case is a random walk on whole cents, with gaps between bars, jumps and absent bars, random signals on both sides,
random stop, target or trail, time exit, fees and slippage. The paper side keeps its account on a disk that loses power
halfway.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.ids import instrument_id
from foresail.core.seeds import generator
from foresail.domain.panel import Panel
from foresail.domain.signals import Cancel, Intent, OrderIntent, Side
from foresail.engine.backtest import pass_history
from foresail.engine.driver import Driver, history_parts
from foresail.engine.history import history_events
from foresail.engine.sweep_inputs import Signals, SweepRule, TradeLog
from foresail.engine.sweep_replay import ReplayCase, SignalStrategy, free_parts, replay_inputs, trade_log
from foresail.engine.sweep_weights import WeightRule
from foresail.engine.trading.account import AccountRun, StreamRules
from foresail.engine.trading.core import TradingCore
from foresail.ledger.entries import FillBooked, Marked
from foresail.ledger.recovery import Session, read_entries
from foresail.testing.disk import PessimisticDisk

__all__ = [
    "WeightOrders",
    "column_panel",
    "difference",
    "paper_replay",
    "random_case",
    "random_columns",
    "sweep_rule_of",
    "weights_replay",
]

_FIRST = 19_000 * NS_PER_DAY  # 2022-01-08
_NAMES = tuple(instrument_id(f"sim.SWEEP.N{i:03d}") for i in range(1000))


@dataclass(frozen=True, slots=True)
class _Shape:
    """How wild a market is: steps, gaps, share of bars absent."""

    step: float
    gap: float
    absent: float


_SHAPES = (_Shape(0.01, 0.0, 0.0), _Shape(0.015, 0.008, 0.0), _Shape(0.02, 0.03, 0.08), _Shape(0.002, 0.001, 0.03))


def random_columns(rng: np.random.Generator, bars: int, shape: _Shape = _SHAPES[1]) -> tuple[FloatArray, ...]:
    """Return open, high, low, close on whole cents, NaN where a bar is absent, (T,) each."""
    close = 80.0 * np.exp(np.cumsum(shape.step * rng.standard_t(4, bars)).clip(-2.5, 2.5))
    opened = np.append(close[0], close[:-1]) * np.exp(shape.gap * rng.standard_normal(bars))
    high = np.maximum(opened, close) * (1.0 + shape.step * rng.random(bars))
    low = np.minimum(opened, close) * (1.0 - shape.step * rng.random(bars))
    columns = np.round(np.stack((opened, high, low, close)), 2)
    gone = rng.random(bars) < shape.absent
    run = 0
    for t in range(bars):
        run = run + 1 if gone[t] else 0
        if run > 8 or t == 0:  # ten silent bars end a listing
            gone[t], run = False, 0
    columns[:, gone] = np.nan
    return tuple(columns)


def column_panel(*columns: tuple[FloatArray, ...]) -> Panel:
    """Return a daily panel of bars of a whole day each, one instrument for each open, high, low, close."""
    n, bars = len(columns), len(columns[0][0])
    more = (np.full(bars, 1e9), np.full(bars, np.nan))
    values = np.stack([np.stack((*one, *more), axis=1) for one in columns])
    start = _FIRST + NS_PER_DAY * np.arange(bars)
    present = np.isfinite(values[:, :, 0])
    values[~present] = np.nan
    end = start + NS_PER_DAY
    fields = ("open", "high", "low", "close", "volume", "spread")
    return Panel(values, present, start, end, end, fields, _NAMES[:n], "1d", "24/7")


def random_case(seed: int, *, bars: int = 160, trails: bool = False) -> ReplayCase:
    """Return one random strategy on one random market; one that trails has a trailing stop for stop and target."""
    rng = generator(seed, "sweep case")
    columns = random_columns(rng, bars, _SHAPES[int(rng.integers(len(_SHAPES)))])
    busy = float(rng.choice((0.03, 0.1, 0.3)))
    flags = [rng.random(bars) < busy for _ in range(4)]
    sides = int(rng.integers(3))  # long only, short only, both
    signals = Signals(
        *(flag if sides == 2 or sides == k // 2 else np.zeros(bars, np.bool_) for k, flag in enumerate(flags))
    )
    is_fixed = bool(rng.integers(2))
    rule = SweepRule(
        stop=float(rng.choice((0.0, 0.01, 0.03, 0.08))),
        target=float(rng.choice((0.0, 0.012, 0.04, 0.1))),
        hold_bars=int(rng.choice((0, 0, 1, 3, 10))),
        units=float(rng.integers(1, 500)) if is_fixed else 0.0,
        share=float(rng.choice((0.1, 0.5, 0.9))),
        fee=float(rng.choice((0.0, 0.0005, 0.001, 0.0015))),
        maker_fee=None if rng.integers(2) else 0.0002,
        slippage=float(rng.choice((0.0, 0.0005, 0.002))),
        good_for_bars=int(rng.choice((0, 1, 5))),
    )
    if trails:
        rule = replace(rule, stop=0.0, target=0.0, trail=float(rng.choice((0.005, 0.01, 0.03, 0.08))))
    return ReplayCase(column_panel(columns), signals, rule)


def paper_replay(case: ReplayCase, *, seed: int = 0) -> TradeLog:
    """Return the trades of a paper account on the same bars that loses power once and is opened again."""
    inputs = replay_inputs(case.panel, case.rule, case.tick)
    bars = inputs.data.bars
    events = history_events(bars, 0, 1)
    disk = PessimisticDisk(seed)
    halfway = int(generator(seed, "power loss").integers(1, len(events)))
    session = Session("paper", "sweep", "test", "test")

    def begin(core: TradingCore) -> None:
        core.begin(int(bars.start[0]), inputs.settings.capital)

    def opened(on: PessimisticDisk) -> AccountRun:
        built = free_parts(inputs, case.rule, SignalStrategy(case), case.limits)
        parts, link = history_parts(inputs, built, account="sweep", environment="paper")
        return AccountRun.open(parts, link, on, session, StreamRules(snapshot_every=50, begin=begin))

    run = opened(disk)
    for event in events[:halfway]:
        run.apply(event)
    disk = disk.image()
    run = opened(disk)
    for event in events[run.applied :]:
        run.apply(event)
    run.close()
    return trade_log(read_entries(disk))


def difference(one: TradeLog, other: TradeLog, *, is_time_signal: bool = True) -> str:
    """Return the first difference of two logs as a sentence, empty where they are equal; money to the cent.

    Parameters
    ----------
    is_time_signal : the event engine knows no time exit of a strategy; it counts as a signal
    """
    if len(one) != len(other):
        return f"{len(one)} trades against {len(other)}"
    reasons = [np.where(log.reason == 4, 1, log.reason) if is_time_signal else log.reason for log in (one, other)]
    for name in ("entry_bar", "exit_bar", "entry_price", "exit_price", "units", "fees"):
        mine, theirs = getattr(one, name), getattr(other, name)
        close = np.isclose(mine, theirs, rtol=0.0, atol=1e-9, equal_nan=True)
        if not close.all():
            k = int(np.argmin(close))
            return f"trade {k}, {name}: {mine[k]} against {theirs[k]}"
    if not np.array_equal(reasons[0], reasons[1]):
        k = int(np.argmin(reasons[0] == reasons[1]))
        return f"trade {k}, reason: {reasons[0][k]} against {reasons[1][k]}"
    return ""


@dataclass(frozen=True, slots=True)
class _EveryBar:
    """What the strategy of weights declares."""

    id: str = "foresail/weights@1"
    every: int = 1
    critical_inputs: tuple[str, ...] = ("close",)


class WeightOrders:
    """Target weights as market orders in whole lots (implements ``protocols.Strategy``), as the sweep sizes them."""

    spec = _EveryBar()

    def __init__(self, panel: Panel, weights: FloatArray, rule: WeightRule) -> None:
        self._names, self._weights, self._rule = panel.instruments, weights, rule
        self._lot = Decimal(repr(rule.lot))

    def start(self) -> dict[str, int]:
        """Return an empty memory."""
        return {}

    def step(self, state: dict[str, int], view: Any) -> Sequence[Intent]:
        """Return the orders that lead to the weights of this bar; what did not fill is taken back."""
        account, rule = view.account(), self._rule
        held = {one.instrument: one.quantity for one in account.positions}
        here = frozenset(view.instruments)
        out: list[Intent] = []
        for i, name in enumerate(self._names):
            if name not in here:
                out.append(Cancel(name))
                continue
            weight = float(self._weights[i, view.position])
            if math.isnan(weight):
                continue
            ticks = float(np.rint(view.value(name, "close") / rule.tick))
            lots = np.trunc(weight * float(account.equity) / (ticks * (rule.tick * rule.lot)))
            change = int(lots) * self._lot - held.get(name, Decimal(0))
            if change:
                out.append(OrderIntent(name, Side.BUY if change > 0 else Side.SELL, abs(change)))
        return out


def weights_replay(panel: Panel, weights: FloatArray, rule: WeightRule) -> tuple[Driver, FloatArray]:
    """Return the driver that has held weights through the event engine, and (N, T) units filled in each bar."""
    inputs = replay_inputs(panel, sweep_rule_of(rule), rule.tick)
    driver = Driver(inputs, free_parts(inputs, sweep_rule_of(rule), WeightOrders(panel, weights, rule)))
    bars = inputs.data.bars
    driver.deposit(int(bars.start[0]))
    pass_history(driver, bars, 0, 1)
    traded = np.zeros(weights.shape)
    rows = {name: i for i, name in enumerate(bars.instruments)}
    bar = 0
    for entry in driver.journal.entries:
        bar += isinstance(entry, Marked)
        if isinstance(entry, FillBooked):
            fill = entry.fill
            traded[rows[fill.instrument], bar] += float(fill.quantity) * (1.0 if fill.side is Side.BUY else -1.0)
    return driver, traded


def sweep_rule_of(rule: WeightRule) -> SweepRule:
    """Return the rule of a sweep with the same money and costs."""
    return SweepRule(capital=rule.capital, fee=rule.fee, slippage=rule.slippage, lot=rule.lot, good_for_bars=0)
