"""A backtest of several strategies: one alone is the plain backtest, to the cent; the profits of all add up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.errors import ConfigError
from foresail.domain.forecast import ForecastBlock
from foresail.domain.limits import TradingLimits
from foresail.domain.signals import Cancel, Intent, OrderIntent, Side, Weights
from foresail.engine.backtest import run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.netted_backtest import run_netted_backtest
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.netted import Sleeve
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.protocols import MarketView
from foresail.testing.builders import small_panel

D = Decimal


@dataclass
class Mixed:
    """Weights by momentum, market and limit orders of its own, cancels."""

    id: str
    turn: int = 1
    every: int = 1
    orders: bool = True

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id=self.id, every=self.every, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        n, names = state["n"], view.instruments
        out: list[Intent] = []
        if n % 3 != 2:
            out.append(Weights(((names[n * self.turn // 2 % len(names)], 0.12), (names[-1], 0.05))))
        if self.orders and n % 4 == 0:
            out.append(OrderIntent(names[n % len(names)], Side.BUY, D(1 + n % 5), "limit", D("1.00"), leg="far"))
        if self.orders and n % 6 == 0:
            out.append(Cancel(names[n % len(names)]))
        return out


def inputs_of(seed: int) -> BacktestInputs:
    bars = small_panel(4, 90, seed=seed)
    bars.values[:, :, bars.index("volume")] = 5e6  # as much as the price tiers of RISK-04 ask for
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((4, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(4, 90), None)
    settings = PipelineSettings(capital=D(80_000), horizons=(1,), decision_horizon=1, targets=("close",))
    return BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)


@pytest.mark.parametrize("seed", [1, 2, 3])
@pytest.mark.parametrize("limits", [None, TradingLimits(profile="multi-asset")])
def test_one_strategy_alone_trades_as_without_netting(seed: int, limits: TradingLimits | None) -> None:
    plain = run_backtest(inputs_of(seed), strategy=Mixed("test/m@1", orders=False), first=0, limits=limits)
    netted = run_netted_backtest(inputs_of(seed), [Sleeve(Mixed("test/m@1", orders=False), D(1))], limits=limits)
    assert len(plain.fills) > 20
    told = [(one.instrument, one.side, one.quantity, one.price, one.fee, one.filled_at) for one in plain.fills]
    assert [(one.instrument, one.side, one.quantity, one.price, one.fee, one.filled_at) for one in netted.fills] == told
    assert netted.totals == plain.totals
    np.testing.assert_array_equal(netted.net, plain.net)


def test_the_profits_of_all_strategies_add_up_to_the_accounts() -> None:
    sleeves = [Sleeve(Mixed("test/a@1"), D("0.5")), Sleeve(Mixed("test/b@1", turn=3, every=2), D("0.4"))]
    result = run_netted_backtest(inputs_of(5), sleeves)
    assert set(result.profits) == {"", "test/a@1", "test/b@1"}
    whole = np.diff(np.concatenate(([80_000.0], result.net)))
    np.testing.assert_allclose(np.sum(list(result.profits.values()), axis=0), whole, atol=1e-6)
    assert all(np.abs(result.profits[name]).sum() > 10.0 for name in ("test/a@1", "test/b@1"))
    cash = sum((result.books.money(name).cash for name in result.books.names()), D(0))
    assert cash == result.totals.cash


def test_the_same_backtest_gives_the_same_journal() -> None:
    def run() -> Any:
        sleeves = [Sleeve(Mixed("test/b@1", turn=3), D("0.4")), Sleeve(Mixed("test/a@1"), D("0.5"))]
        return run_netted_backtest(inputs_of(6), sleeves).journal

    assert run() == run()


def test_no_strategy_is_refused() -> None:
    with pytest.raises(ConfigError, match="at least one strategy"):
        run_netted_backtest(inputs_of(1), [])
