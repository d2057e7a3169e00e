"""Conditions that take sizes down (SIZE-10, RISK-11): held positions once, targets as long as the condition lasts."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.canonical import canonical_bytes
from foresail.domain.events import Event, Fact, Rank, event_key
from foresail.domain.forecast import ForecastBlock
from foresail.domain.limits import TradingLimits
from foresail.domain.panel import Panel
from foresail.domain.signals import Cancel, Intent, OrderIntent, Side, Weights
from foresail.engine.driver import BacktestInputs, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import TradingParts
from foresail.engine.trading.shell import Shell
from foresail.engine.trading.simulated import SimulatedLink
from foresail.engine.trading_settings import TradingSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.entries import AlertRaised, OrderIntended, ReductionBegun, ReductionEnded
from foresail.ledger.journal import Journal
from foresail.protocols import MarketView
from foresail.testing.builders import bar_panel

D = Decimal
BARS = 80
ONE, TWO = "sim.S01.AAA", "sim.S02.BBB"


@dataclass
class Holder:
    """Wants fixed weights at every decision, or buys once and keeps."""

    weights: tuple[tuple[str, float], ...] = ()
    buys: tuple[tuple[str, int], ...] = ()
    id: str = "test/holder@1"
    every: int = 1
    cancels: tuple[str, ...] = ()

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id=self.id, every=self.every, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        if state["n"] == 1 and self.buys:
            return [OrderIntent(name, Side.BUY, D(units), leg=name) for name, units in self.buys]  # type: ignore[arg-type]
        taken_back: list[Intent] = [Cancel(name) for name in self.cancels]  # type: ignore[arg-type]
        return [*taken_back, Weights(self.weights)] if self.weights else taken_back  # type: ignore[arg-type]


def panel(*, together: bool) -> Panel:
    draw = np.random.default_rng(3)
    own = draw.normal(0, 0.01, (2, BARS))
    moves = own[[0, 0]] + 0.1 * own[[1, 1]] * [[1], [-1]] if together else own
    closes = 100 * np.exp(np.cumsum(moves, axis=1))
    volumes = {name: np.full(BARS, 5e6).tolist() for name in (ONE, TWO)}  # as much as RISK-04 asks for
    return bar_panel({ONE: closes[0], TWO: closes[1]}, fields={"volume": volumes})


def make(bars: Panel, strategy: Holder) -> tuple[TradingParts, SimulatedLink]:
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((2, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(2, BARS), None)
    wide = PipelineSettings(
        capital=D(100_000), horizons=(1,), decision_horizon=1, targets=("close",), profile="multi-asset",
        trading=TradingSettings(stops="none"),
    )  # fmt: skip
    inputs = BacktestInputs(data, wide, bars, {}, WalkForward(block, ()), 252.0)
    built = build_parts(bars, data.bar_set, wide, strategy=strategy, explain=None)
    limits = TradingLimits(profile="multi-asset")
    limits = replace(limits, breakers=replace(limits.breakers, trades_per_day=None, daily_loss=None, weekly_loss=None))
    return history_parts(inputs, built, account="t", limits=limits)


def run(
    strategy: Holder, facts: Sequence[tuple[int, str, float]] = (), *, together: bool = False
) -> tuple[TradingCore, list[dict[str, float]]]:
    """Run to the end; return the core and the value of every position after each decision, fractions of equity."""
    bars = panel(together=together)
    parts, link = make(bars, strategy)
    core = TradingCore(parts, Journal())
    core.begin(int(bars.start[0]), D(100_000))
    shell, shares = Shell(core, link), []
    events: list[Event] = list(history_events(bars, 0, 1))
    for bar, kind, value in facts:
        at = int(bars.start[bar])
        events.append(Fact(at, at, Rank.CORPORATE_ACTION, "facts", kind=kind, value=value))
    for event in sorted(events, key=event_key):
        shell.apply(event)
        if event.rank is Rank.DECISION:
            equity = float(core.books.equity())
            marks = core.books.marks
            shares.append(
                {p.instrument: float(p.quantity * marks[p.instrument]) / equity for p in core.books.positions()}
            )
    return core, shares


def kinds(core: TradingCore, kind: Any) -> list[Any]:
    return [one for one in core._writer if isinstance(one, kind)]  # type: ignore[attr-defined]


def test_fear_takes_targets_down_while_it_lasts_and_only_once() -> None:
    _core, calm = run(Holder(((ONE, 0.10),)))
    core, shares = run(Holder(((ONE, 0.10),)), [(20, "vix", 30.0), (50, "vix", 20.0)])
    assert calm[19][ONE] == pytest.approx(0.10, abs=0.02)
    assert shares[19] == calm[19]
    for bar in range(23, 49):
        assert shares[bar][ONE] == pytest.approx(0.07, abs=0.012)
    assert shares[60][ONE] == pytest.approx(0.10, abs=0.02)
    (begun,) = kinds(core, ReductionBegun)
    assert (begun.rule, begun.factors) == ("SIZE-10 VIX", ((ONE, 0.7),))
    assert [one.rule for one in kinds(core, ReductionEnded)] == ["SIZE-10 VIX"]
    assert [one.kind for one in kinds(core, AlertRaised) if one.kind.startswith("SIZE")] == ["SIZE-10 VIX"]
    assert sum(one.order.strategy == "reduction" for one in kinds(core, OrderIntended)) == 1


def test_a_strategy_that_takes_its_orders_back_sells_nothing_a_second_time() -> None:
    for at in (20, 50):
        _core, plain = run(Holder(((ONE, 0.10),)), [(at, "vix", 30.0)])
        core, shares = run(Holder(((ONE, 0.10),), cancels=(ONE,)), [(at, "vix", 30.0)])
        assert shares == plain  # the exit of the reduction stays on order, and what it sells counts
        assert sum(one.order.strategy == "reduction" for one in kinds(core, OrderIntended)) == 1


def test_what_a_strategy_bought_itself_is_cut_once_and_kept() -> None:
    core, _shares = run(Holder(buys=((ONE, 100),)), [(20, "vix", 30.0), (30, "vix", 40.0), (40, "vix", float("nan"))])
    assert core.books.quantity(ONE) == 70  # type: ignore[arg-type]
    assert len(kinds(core, ReductionBegun)) == 1
    assert list(core.reductions.active) == ["SIZE-10 VIX"]  # a fear that nobody measures any more has not ended


def test_a_fearful_start_buys_less() -> None:
    core, shares = run(Holder(((ONE, 0.10),)), [(1, "vix", 30.0)])
    assert shares[10][ONE] == pytest.approx(0.07, abs=0.005)
    core, _shares = run(Holder(buys=((ONE, 100),)), [(0, "vix", 30.0)])
    assert core.books.quantity(ONE) == 70  # type: ignore[arg-type]


def test_a_volatile_stock_keeps_seven_tenths_of_its_size() -> None:
    core, shares = run(Holder(((ONE, 0.10), (TWO, 0.10))), [(1, f"beta:{ONE}", 1.8), (1, f"beta:{TWO}", 1.2)])
    assert shares[10][ONE] == pytest.approx(0.07, abs=0.005)
    assert shares[10][TWO] == pytest.approx(0.10, abs=0.005)
    assert not kinds(core, ReductionBegun)


def test_a_pair_that_moves_together_and_is_large_loses_thirty_percent_each_once() -> None:
    weights = ((ONE, 0.10), (TWO, 0.10))
    _apart, alone = run(Holder(weights))
    core, shares = run(Holder(weights), together=True)
    begun = kinds(core, ReductionBegun)
    assert [one.rule for one in begun] == [f"RISK-11 pair {ONE} {TWO}"]
    assert begun[0].factors == ((ONE, 0.7), (TWO, 0.7))
    assert alone[-1][ONE] + alone[-1][TWO] == pytest.approx(0.20, abs=0.04)
    assert shares[-1][ONE] + shares[-1][TWO] == pytest.approx(0.14, abs=0.025)
    cut = [one.order for one in kinds(core, OrderIntended) if one.order.strategy == "reduction"]
    assert sorted(one.instrument for one in cut) == [ONE, TWO]


def test_reductions_are_folds_of_the_journal() -> None:
    bars, strategy = panel(together=True), Holder(((ONE, 0.10), (TWO, 0.10)))
    core, _shares = run(strategy, [(20, "vix", 30.0)], together=True)
    other = TradingCore(make(bars, Holder(strategy.weights))[0], Journal(core._writer))  # type: ignore[call-overload]
    other.recover(None, core._writer)  # type: ignore[arg-type]
    assert len(other.reductions.active) == 2
    assert canonical_bytes(other.to_plain()) == canonical_bytes(core.to_plain())


def test_a_position_that_drifts_beyond_fifteen_percent_is_told_and_a_drawdown_too() -> None:
    bars = panel(together=False)
    values = bars.values.copy()
    for name, field in (
        (ONE, place) for place, field in enumerate(bars.fields) if field in ("open", "high", "low", "close")
    ):
        row = bars.instruments.index(name)  # type: ignore[arg-type]
        values[row, 30:, field] *= 2.0
        values[row, 60:, field] *= 0.25
    rising = replace(bars, values=values)
    parts, link = make(rising, Holder(buys=((ONE, 100),)))
    core = TradingCore(parts, Journal())
    core.begin(int(rising.start[0]), D(100_000))
    shell = Shell(core, link)
    for event in history_events(rising, 0, 1):
        shell.apply(event)
    told = kinds(core, AlertRaised)
    drifted = [one for one in told if one.kind == f"ALERT-02 {ONE}"]
    assert drifted
    assert all(later.at - earlier.at >= 15 * 60 * 10**9 for earlier, later in pairwise(drifted))
    assert any(one.kind.startswith("ALERT-04") for one in told)
