"""Golden runs: small backtests whose decisions and money are kept in ``runs.json``; a change of any is a change of
results.

After a change that is meant: ``FORESAIL_RENEW_GOLDEN=1 pytest tests/golden``, and say why in the change log.
"""

from __future__ import annotations

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from foresail.core.canonical import hash_value
from foresail.domain.forecast import ForecastBlock
from foresail.domain.limits import TradingLimits
from foresail.domain.signals import Cancel, Intent, OrderIntent, Side, Weights
from foresail.engine.backtest import Backtest, run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.protocols import MarketView
from foresail.testing.builders import small_panel

KEPT = Path(__file__).parent / "runs.json"


@dataclass
class Scripted:
    """Weights by momentum, limit orders below the market with stop and target, and cancels."""

    every: int

    @property
    def spec(self) -> Any:
        return SimpleNamespace(id=f"golden/scripted{self.every}@1", every=self.every, critical_inputs=())

    def start(self) -> dict[str, int]:
        return {"n": 0}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        state["n"] += 1
        bars = view.bars("1d", 6)
        close = bars.field("close")
        rise = {name: row[-1] / row[0] for name, row in zip(bars.instruments, close, strict=True)}
        best = sorted(view.instruments, key=lambda name: (-rise[name], name))
        out: list[Intent] = [Weights(((best[0], 0.10), (best[1], 0.05)))]
        if state["n"] % 3 == 0:
            last = Decimal(str(round(float(close[bars.instruments.index(best[-1]), -1]), 2)))
            low, stop, target = (last * one // 100 for one in (99, 90, 110))
            if stop < low < target:
                out.append(OrderIntent(best[-1], Side.BUY, Decimal(7), "limit", low, stop, target, leg="dip"))
        if state["n"] % 7 == 0:
            out.append(Cancel(best[-1]))
        return out


def golden(seed: int, every: int, limits: TradingLimits | None) -> dict[str, Any]:
    bars = small_panel(5, 160, seed=seed)
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((5, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(5, 160), None)
    settings = PipelineSettings(capital=Decimal(50_000), horizons=(1,), decision_horizon=1, targets=("close",))
    inputs = BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)
    return figures(run_backtest(inputs, strategy=Scripted(every), first=5, limits=limits))


def figures(result: Backtest) -> dict[str, Any]:
    fills = [
        [
            one.instrument,
            one.side.value,
            str(one.quantity),
            str(one.price),
            str(one.fee),
            one.filled_at,
            one.reason.value,
        ]
        for one in result.fills
    ]
    return {
        "cash": str(result.totals.cash),
        "fees": str(result.totals.fees),
        "orders": len(result.orders),
        "fills": len(fills),
        "fills_hash": hash_value(fills),
    }


RUNS: dict[str, tuple[int, int, TradingLimits | None]] = {
    "every bar": (1, 1, None),
    "every third bar": (2, 3, None),
    "every bar, limits of trading": (1, 1, TradingLimits()),
}


@pytest.mark.parametrize("name", sorted(RUNS))
def test_a_run_is_what_it_was(name: str) -> None:
    found = golden(*RUNS[name])
    kept = json.loads(KEPT.read_text()) if KEPT.exists() else {}
    if os.environ.get("FORESAIL_RENEW_GOLDEN"):
        KEPT.write_text(json.dumps(dict(sorted({**kept, name: found}.items())), indent=1) + "\n")
        return
    assert found["fills"] > 20
    assert found == kept[name]
