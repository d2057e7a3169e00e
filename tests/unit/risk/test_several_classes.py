"""One account with stocks, crypto and forex: the class of each order chooses its limits (RISK-05, RISK-07)."""

from __future__ import annotations

import dataclasses
from decimal import Decimal as D
from types import SimpleNamespace

import numpy as np
import pytest

from foresail.core.ids import InstrumentId
from foresail.domain.forecast import ForecastBlock
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.signals import Weights
from foresail.engine.backtest import run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.parts import build_parts, levered_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.risk.accounts import edited, trading_limits
from foresail.testing.builders import bar_panel

STOCKS = tuple(InstrumentId(f"stock.US.S{i:02d}") for i in range(8))
COINS = tuple(InstrumentId(f"crypto.X.{name}-USD") for name in ("BTC", "ETH", "SOL"))
PAIR = InstrumentId("fx.EUR-USD")
NAMES = (*STOCKS, *COINS, PAIR)
BARS = 20
KIND = {"stock": AssetClass.STOCK, "crypto": AssetClass.CRYPTO, "fx": AssetClass.FOREX}


class _Even:
    """Wants the same share of equity in every name of a class."""

    spec = SimpleNamespace(id="test/even@1", every=1, critical_inputs=())

    def __init__(self, names=NAMES):
        self._names = names

    def start(self):
        return {}

    def step(self, state, view):
        return [Weights(tuple((name, 0.14) for name in self._names))]


def inputs(profile):
    closes = {name: [100.0 + (t % 2) * 0.01 for t in range(BARS)] for name in NAMES}
    bars = bar_panel(closes, fields={"volume": {name: [5e7] * BARS for name in NAMES}})
    records = tuple(
        Instrument(n, n, KIND[n.partition(".")[0]], sector=n, tick=D("0.01"), lot=D(1)) for n in bars.instruments
    )
    bar_set = dataclasses.replace(simulated_bar_set(bar_panel({InstrumentId("sim.S01.A"): [1.0]})), instruments=records)
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(
        np.empty((len(NAMES), 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ()
    )
    data = MarketData(bars, bar_set, {}, np.full(len(NAMES), BARS), None)
    asked = PipelineSettings(capital=D(100_000), horizons=(1,), decision_horizon=1, targets=("close",), profile=profile)
    return BacktestInputs(data, asked, bars, {}, WalkForward(block, ()), 252.0)


def share(profile, names, *, trades):
    """Return the value that a class reaches, fraction of the capital, and the rules that cut an order."""
    limits = edited(trading_limits(profile), {"breakers.trades_per_day": None}) if trades else None
    book = run_backtest(inputs(profile), strategy=_Even(names), first=0, limits=limits)
    assert {fill.instrument for fill in book.fills} <= set(names)
    return float(book.exposure.max()), {ruling.rule for one in book.orders for ruling in one.rulings}


@pytest.mark.parametrize("trades", [False, True], ids=["research", "account"])
@pytest.mark.parametrize(
    ("profile", "stocks", "crypto"),
    [("multi-asset", 0.60, 0.30), ("conservative", 0.60, 0.10), ("aggressive", 0.40, 0.30)],
)
def test_every_class_stops_at_its_own_cap(profile, stocks, crypto, trades):
    for names, most in ((STOCKS, stocks), (COINS, crypto)):
        reached, rules = share(profile, names, trades=trades)
        assert most - 0.03 < reached < most + 0.01
        assert "RISK-05 class exposure" in rules


def test_forex_beside_other_classes_has_its_leverage_and_they_have_none():
    asked = inputs("multi-asset")
    parts = build_parts(asked.data.bars, asked.data.bar_set, asked.settings, strategy=_Even(), explain=None)
    levered = levered_parts(parts, trading_limits("multi-asset")).by_class
    assert [levered[one].class_exposure for one in KIND.values()] == [0.60, 0.30, 2.0]
    assert levered[AssetClass.STOCK] == parts.by_class[AssetClass.STOCK]


def test_the_loss_at_a_stop_is_measured_with_the_stop_of_the_class():
    asked = inputs("multi-asset")
    parts = build_parts(asked.data.bars, asked.data.bar_set, asked.settings, strategy=_Even(), explain=None)
    assert sorted(parts.by_class) == sorted(KIND.values())
    assert [parts.by_class[one].stop_distance for one in KIND.values()] == [0.02, 0.08, 0.006]
