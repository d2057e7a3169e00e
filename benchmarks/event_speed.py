"""Speed of the event-driven path on one core: bars with a plain-Python strategy, orders through gate, journal, ledger.

    python -m benchmarks.event_speed [--json] [--bars 300000] [--orders 10000] [--batch 30] [--repeats 3]

Bars, each with one decision of a strategy in plain Python that reads the last close:

- ``rare``: twice a thousand bars it trades; between the trades it holds nothing for nine tenths of the time.
- ``held``: it buys once and holds to the end, so that every bar is marked.
- ``rare with limits``: ``rare``, with the risk state and the breakers of an account that trades.
- ``paper``: ``rare with limits`` as an account on disk: audited, every decision journalled with what it saw.
- ``paper_hourly``: the same, deciding once an hour of minute bars; ``by_events`` without the short path of quiet bars.

Orders: a batch of market orders a bar through the whole gate, the intents of a bar durable in one commit before they
are sent, accepted and filled by the simulated venue, folded into books, order book and risk state. ``orders``: bought,
and sold a bar later; ``openings``: only ever bought, so that every rule looks at every order.

Bars and orders a second are of processor time; the wall clock stands beside. Exit 1 if a target is missed.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

from foresail.core.ids import InstrumentId
from foresail.core.seeds import generator
from foresail.domain.events import Event
from foresail.domain.forecast import ForecastBlock
from foresail.domain.limits import TradingLimits
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, OrderIntent, Side
from foresail.engine.backtest import pass_history, run_backtest
from foresail.engine.driver import BacktestInputs, Driver, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.account import AccountRun, StreamRules
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import BAR_FIELDS, simulated_bar_set
from foresail.ledger.disk import RealDisk
from foresail.ledger.recovery import Session
from foresail.protocols import MarketView, Strategy
from foresail.risk.accounts import edited

BARS_TARGET = 100_000
ORDERS_TARGET = 5_000
_CYCLE = 1_000  # bars from one entry to the next
_HOUR = 60  # bars
_HELD = 100  # bars until the exit
_FIRST, _MINUTE_NS = 1_577_836_800 * 10**9, 60 * 10**9
_SESSION = Session("paper", "bench", "bench", "bench")


@dataclass
class Rare:
    """Buys at the first bar of every thousand whose close has not fallen for three bars, sells a hundred bars later."""

    held: int = _HELD
    every: int = 1

    @property
    def spec(self) -> Any:
        """Return what it declares."""
        return SimpleNamespace(id="bench/rare@1", every=self.every, critical_inputs=())

    def start(self) -> dict[str, Any]:
        """Return nothing seen."""
        return {"last": 0.0, "rises": 0, "n": 0}

    def step(self, state: dict[str, Any], view: MarketView) -> Sequence[Intent]:
        """Count rises of the close; trade on the beat."""
        name = view.instruments[0]
        close = view.value(name, "close")
        state["rises"] = state["rises"] + 1 if close >= state["last"] else 0
        state["last"] = close
        state["n"] = n = state["n"] + 1
        beat = n % _CYCLE
        if beat == 10:
            return [OrderIntent(name, Side.BUY, Decimal(10))]
        if beat == 10 + self.held:
            return [OrderIntent(name, Side.SELL, Decimal(10))]
        return ()


@dataclass
class Many:
    """One order a bar for each name: a unit bought, and one bar later sold, or only ever bought.

    Attributes
    ----------
    round_trips : whether every second order closes what the one before opened; otherwise all of them open
    """

    round_trips: bool = True

    @property
    def spec(self) -> Any:
        """Return what it declares."""
        return SimpleNamespace(id="bench/many@1", every=1, critical_inputs=())

    def start(self) -> dict[str, int]:
        """Return the count of bars."""
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        """Ask for one unit of every name."""
        state["n"] += 1
        side = Side.BUY if state["n"] % 2 or not self.round_trips else Side.SELL
        return [OrderIntent(name, side, Decimal(1)) for name in view.instruments]


def minute_bars(names: int, bars: int) -> Panel:
    """Return minute bars of made-up names that walk around 100."""
    rng = generator(5, "event speed")
    close = np.round(np.exp(np.cumsum(rng.standard_normal((names, bars)) * 1e-4, axis=1)) * 100, 2)
    opened = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    volume, missing, one = np.full_like(close, 1e6), np.full_like(close, np.nan), np.ones_like(close)
    made = {
        "open": opened, "high": np.maximum(opened, close), "low": np.minimum(opened, close), "close": close,
        "volume": volume, "dividend": np.zeros_like(close), "split": one, "total_factor": one, "spread": missing,
    }  # fmt: skip
    start = _FIRST + _MINUTE_NS * np.arange(bars, dtype=np.int64)
    end = start + _MINUTE_NS
    values = np.stack([made[name] for name in BAR_FIELDS], axis=2)
    ids = tuple(InstrumentId(f"sim.S01.N{i:02d}") for i in range(names))
    return Panel(values, np.isfinite(close), start, end, end.copy(), BAR_FIELDS, ids, "1m", "24/7")


def inputs_of(bars: Panel) -> BacktestInputs:
    """Return what a driver needs on these bars, without a model."""
    n, t, _ = bars.shape
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((n, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(n, t), None)
    settings = PipelineSettings(capital=Decimal(100_000), horizons=(1,), decision_horizon=1, targets=("close",))
    return BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 525_600.0)


def timed(act: Callable[[], Any]) -> tuple[float, float]:
    """Return processor and wall seconds."""
    wall, work = time.perf_counter(), time.process_time()
    act()
    return time.process_time() - work, time.perf_counter() - wall


def driven(inputs: BacktestInputs, strategy: Strategy, limits: TradingLimits | None) -> tuple[float, float]:
    """Return seconds of one pass of the history driver."""
    bars = inputs.data.bars
    parts = build_parts(bars, inputs.data.bar_set, inputs.settings, strategy=strategy, explain=None)
    driver = Driver(inputs, parts, limits)
    driver.deposit(int(bars.start[0]))
    return timed(lambda: pass_history(driver, bars, 0, 1))


def account_on(inputs: BacktestInputs, strategy: Strategy, limits: TradingLimits, folder: Path) -> AccountRun:
    """Return an account on disk."""
    bars = inputs.data.bars
    built = build_parts(bars, inputs.data.bar_set, inputs.settings, strategy=strategy, explain=None)
    parts, link = history_parts(inputs, built, account="bench", environment="paper", limits=limits)
    rules = StreamRules(
        snapshot_every=10**9, commit_every=64,
        begin=lambda core: core.begin(int(bars.start[0]), inputs.settings.capital),
    )  # fmt: skip
    return AccountRun.open(parts, link, RealDisk(folder), _SESSION, rules)


def feed(run: AccountRun, events: Sequence[Event]) -> None:
    """Apply events to an account as its process does."""
    while run.applied < len(events):
        if not run.pass_quiet(events):
            run.apply(events[run.applied])


def on_disk(
    inputs: BacktestInputs, strategy: Strategy, limits: TradingLimits, *, every: int = 1
) -> tuple[float, float, AccountRun]:
    """Return seconds of all events of an account on disk, and the account, closed."""
    events = history_events(inputs.data.bars, 0, every)
    with tempfile.TemporaryDirectory() as folder:
        run = account_on(inputs, strategy, limits, Path(folder) / "journal")
        worked, taken = timed(lambda: feed(run, events))
        run.close()
    return worked, taken, run


def free_limits() -> TradingLimits:
    """Return limits that let thousands of orders a minute pass; every rule is computed all the same."""
    wide = {
        "flow.orders_per_minute": 10**9, "flow.submitted_per_minute": 1e9, "breakers.trades_per_day": 10**9,
        "breakers.consecutive_losses": 10**9, "account.day_trade_rules": (),
    }  # fmt: skip
    return edited(TradingLimits(), wide)


def measure_bars(bars: int, repeats: int) -> dict[str, Any]:
    """Return bars a second of each kind, the median of some passes."""
    inputs, out = inputs_of(minute_bars(1, bars)), {}
    kinds: dict[str, tuple[Callable[[], Strategy], TradingLimits | None]] = {
        "rare": (Rare, None),
        "held": (lambda: Rare(held=10**9), None),
        "rare_with_limits": (Rare, free_limits()),
    }
    for kind, (strategy, limits) in kinds.items():
        seconds = [driven(inputs, strategy(), limits) for _ in range(repeats)]
        out[f"{kind}_bars_per_s"] = round(bars / statistics.median(one[0] for one in seconds))
        out[f"{kind}_bars_per_s_wall"] = round(bars / statistics.median(one[1] for one in seconds))
    worked, _ = timed(lambda: run_backtest(inputs, strategy=Rare(), first=0))
    out["rare_whole_backtest_bars_per_s"] = round(bars / worked)
    part = inputs_of(minute_bars(1, min(bars, 20_000)))
    worked, taken, _run = on_disk(part, Rare(), free_limits())
    events = len(history_events(part.data.bars, 0, 1))
    out["paper_events_per_s"], out["paper_events_per_s_wall"] = round(events / worked), round(events / taken)
    out.update(measure_hourly(min(bars, 100_000)))
    return out


def measure_hourly(bars: int) -> dict[str, Any]:
    """Return events a second of an account that decides once an hour of minute bars, quiet bars as events and not."""
    inputs, out = inputs_of(minute_bars(1, bars)), {}
    events, plain = len(history_events(inputs.data.bars, 0, _HOUR)), AccountRun.pass_quiet
    for name in ("paper_hourly_by_events", "paper_hourly"):
        AccountRun.pass_quiet = plain if name == "paper_hourly" else _pass_nothing  # type: ignore[method-assign]
        try:
            worked, _taken, _run = on_disk(inputs, Rare(held=3, every=_HOUR), free_limits(), every=_HOUR)
        finally:
            AccountRun.pass_quiet = plain  # type: ignore[method-assign]
        out[f"{name}_events_per_s"] = round(events / worked)
    return out


def _pass_nothing(_run: AccountRun, _events: Sequence[Event]) -> int:
    return 0


def measure_orders(orders: int, batch: int, repeats: int = 1) -> dict[str, Any]:
    """Return orders a second through gate, journal on disk and ledger, with the venue that fills them: medians."""
    inputs = inputs_of(minute_bars(batch, orders // batch + 1))
    inputs = replace(inputs, settings=replace(inputs.settings, capital=Decimal(10_000_000)))
    out: dict[str, Any] = {}
    for kind, round_trips in (("orders", True), ("openings", False)):
        rates = []
        for _ in range(repeats):
            worked, taken, run = on_disk(inputs, Many(round_trips), free_limits())
            sent = len(run.core.orders)
            rates.append((sent / worked, sent / taken))
        out |= {kind: sent, f"{kind[:-1]}_entries": run.core.books.entries}
        for name, place in (("per_s", 0), ("per_s_wall", 1)):
            out[f"{kind}_{name}"] = round(statistics.median(one[place] for one in rates))
    return out


def main() -> int:
    """Run the benchmark; exit 1 if a target is missed."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--bars", type=int, default=300_000)
    parser.add_argument("--orders", type=int, default=10_000)
    parser.add_argument("--batch", type=int, default=30, help="orders of one decision")
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()
    figures: dict[str, Any] = {"cores": os.cpu_count(), "bars": options.bars, "batch": options.batch}
    measure_bars(2_000, 1)  # compile
    figures |= measure_bars(options.bars, options.repeats)
    figures |= measure_orders(options.orders, options.batch, options.repeats)
    figures |= {"target_bars_per_s": BARS_TARGET, "target_orders_per_s": ORDERS_TARGET}
    print(json.dumps(figures, indent=1) if options.json else "\n".join(f"{k}: {v}" for k, v in figures.items()))
    return int(figures["rare_bars_per_s"] < BARS_TARGET or figures["orders_per_s"] < ORDERS_TARGET)


if __name__ == "__main__":
    sys.exit(main())
