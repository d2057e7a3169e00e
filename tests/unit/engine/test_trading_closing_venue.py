"""Forced exits at the simulated venue: cancels and closes beside resting exits, whatever the next prices are."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from decimal import Decimal
from types import SimpleNamespace

import numpy as np
import pytest

from foresail.core.ids import InstrumentId
from foresail.domain.events import Operator, Rank, Timer
from foresail.domain.forecast import ForecastBlock
from foresail.domain.signals import Intent, OrderIntent, Side
from foresail.engine.driver import BacktestInputs, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.closing import close_orders, send_closing
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.shell import Shell
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.journal import Journal
from foresail.protocols import MarketView
from foresail.risk.gate import RiskGate
from foresail.testing.builders import bar_panel


class Guarded:
    """Buys 100 at once; a stop, a target that could turn the position and an entry far below rest besides."""

    id = "test/g@1"
    spec = SimpleNamespace(id="test/g@1", every=1, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        (name,) = view.instruments
        sell, units = Side.SELL, Decimal(100)
        return {
            1: [OrderIntent(name, Side.BUY, units)],
            3: [
                OrderIntent(name, sell, units, "stop", stop_price=Decimal(90), leg="stop", reduce_only=True),
                OrderIntent(name, sell, units, "limit", Decimal(130), leg="target"),
                OrderIntent(name, Side.BUY, units, "limit", Decimal(20), leg="far"),
            ],
        }.get(state["n"], [])


@pytest.mark.parametrize("after", [100.0, 80.0, 140.0], ids=["still", "through the stop", "beyond the target"])
@pytest.mark.parametrize("part", [1.0, 0.4])
def test_at_the_venue_nothing_overshoots_whatever_the_next_prices_are(after: float, part: float) -> None:
    bars = bar_panel({InstrumentId("sim.S01.A"): [100.0] * 6 + [after] * 4})
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((1, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    settings = PipelineSettings(
        capital=Decimal(100_000), horizons=(1,), decision_horizon=1, targets=("close",), profile="multi-asset"
    )
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(1, 10), None)
    case = BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)
    parts, link = history_parts(case, build_parts(data.bars, data.bar_set, settings, strategy=Guarded(), explain=None))
    core = TradingCore(replace(parts, limits=None, gate=RiskGate((), parts.instruments)), Journal())
    core.begin(int(bars.start[0]), Decimal(100_000))
    shell, held = Shell(core, link), []
    for event in history_events(bars, 0, 1):
        shell.apply(event)
        held.append(core.books.quantity(bars.instruments[0]))
        if isinstance(event, Timer) and int(np.searchsorted(bars.end, event.available_at)) == 5:
            at = core.books.at
            assert held[-1] == 100
            assert len(list(core.orders.open())) == 3
            if part == 1.0:
                shell.apply(Operator(at, at, Rank.DECISION, source="ada", command="kill close"))
            else:
                shell.settle(send_closing(core, at, close_orders(core, at, "reduction", part)))
    assert min(held) >= 0
    if part < 1.0 and after >= 100.0:  # the target, which could turn what is left, was taken back
        assert held[-1] == 60
    else:
        assert held[-1] == 0
