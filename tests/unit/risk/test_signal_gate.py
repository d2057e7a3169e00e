"""The signal gate and the other cells of RISK-01 that a user can ask for: off by default, then as strict as written."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal as D
from types import SimpleNamespace

import numpy as np
import pytest

from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Account, Position
from foresail.domain.forecast import ForecastBlock
from foresail.domain.signals import Horizon, Signal, SignalKind, Weights
from foresail.engine.backtest import run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.trading.parts import DeskCall
from foresail.engine.trading.signal_gate import confident_signals
from foresail.engine.trading_settings import CostChoice, TradingSettings
from foresail.engine.walkforward import WalkForward
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.risk.accounts import edited, trading_limits
from foresail.risk.alerts import AlertInputs, alerts_due
from foresail.risk.profiles import profile_named
from foresail.risk.state import RiskState
from foresail.risk.versions import limits_digest, loosened
from foresail.service.limits import LimitsRequest, show_limits
from foresail.testing.builders import bar_panel

A = InstrumentId("sim.S01.A")
ASKED = edited(trading_limits("multi-asset"), {"market.minimum_confidence": 0.7})


def signal(confidence, kind=SignalKind.BUY, stop=98.0):
    return Signal(
        A, kind, Horizon.SWING_TRADE, 5, confidence, 0.01, 0.001, 100.0, 104.0, stop,
        ("x",), "", "s", "1", "m", "", 0, 1, 1,
    )  # fmt: skip


def call(held=0, limits=ASKED):
    positions = (Position(A, D(held), D(100), 0),) if held else ()
    account = Account("a", "USD", D(1000), D(1000), positions, 0)
    return DeskCall(0, 0, account, {A: 100.0}, {}, {}, limits=limits)


def kinds(one, **asked):
    intents, notes = confident_signals([one], call(**asked))
    return intents[0].kind, len(notes)


def test_off_by_default_every_signal_passes():
    assert trading_limits("funnel").market.minimum_confidence is None
    assert kinds(signal(0.51), limits=trading_limits("funnel")) == (SignalKind.BUY, 0)
    assert kinds(signal(math.nan), limits=None) == (SignalKind.BUY, 0)


@pytest.mark.parametrize(("confidence", "passes"), [(0.7, True), (0.71, True), (0.699, False), (math.nan, False)])
def test_what_is_not_sure_enough_opens_nothing(confidence, passes):
    wanted = (SignalKind.BUY, 0) if passes else (SignalKind.HOLD, 1)
    assert kinds(signal(confidence)) == wanted
    assert kinds(signal(confidence), held=5) == wanted  # it is not added to, and it is not closed


def test_what_closes_or_asks_for_nothing_passes():
    assert kinds(signal(0.5, SignalKind.SELL), held=5) == (SignalKind.SELL, 0)
    assert kinds(signal(0.5, SignalKind.BUY, 102.0), held=-5) == (SignalKind.BUY, 0)
    assert kinds(signal(0.5, SignalKind.SELL, 102.0)) == (SignalKind.HOLD, 1)
    assert kinds(signal(0.5, SignalKind.BUY, math.nan)) == (SignalKind.BUY, 0)
    weights = Weights(((A, 0.1),))
    assert confident_signals([weights], call()) == ([weights], ())


class _Sure:
    """A signal to buy with a confidence of 0.65 at every bar."""

    spec = SimpleNamespace(id="test/sure@1", every=1, critical_inputs=())

    def start(self):
        return {}

    def step(self, state, view):
        last = float(view.bars("1d", 1).field("close")[0, -1])
        return [replace(signal(0.65, stop=0.9 * last), entry_price=last, decided_at=view.now, expires_at=view.now + 1)]


def test_an_account_that_asks_for_confidence_buys_nothing_below_it():
    closes = [100.0 + (t % 3) for t in range(90)]
    bars = bar_panel({A: closes}, fields={"volume": {A: [5e7] * 90}})
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((1, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(1, 90), None)
    asked = PipelineSettings(capital=D(100_000), horizons=(1,), decision_horizon=1, targets=("close",))
    inputs = BacktestInputs(data, asked, bars, {}, WalkForward(block, ()), 252.0)
    plain = run_backtest(inputs, strategy=_Sure(), first=0, limits=trading_limits("multi-asset"))
    gated = run_backtest(inputs, strategy=_Sure(), first=0, limits=ASKED)
    lower = edited(ASKED, {"market.minimum_confidence": 0.6})
    assert plain.fills
    assert run_backtest(inputs, strategy=_Sure(), first=0, limits=lower).fills == plain.fills
    assert not gated.fills
    assert "the confidence is 65.0%, 70.0% is asked for" in gated.notes[0][2]


class _Turning:
    """Buys surely at first, then a signal to sell."""

    spec = SimpleNamespace(id="test/turning@1", every=1, critical_inputs=())

    def __init__(self, last):
        self._last = last

    def start(self):
        return {"n": 0}

    def step(self, state, view):
        state["n"] += 1
        last = float(view.bars("1d", 1).field("close")[0, -1])
        one = signal(0.9, stop=0.9 * last) if state["n"] < 80 else replace(self._last, stop_price=1.1 * last)
        return [replace(one, entry_price=last, decided_at=view.now, expires_at=view.now + 10**18)]


@pytest.mark.parametrize(
    ("confidence", "move", "trading", "turns", "why"),
    [
        (0.9, -0.05, None, True, ""),
        (0.1, -0.05, None, False, "the confidence is 10.0%"),
        (math.nan, -0.05, None, False, "the confidence is not known"),
        (0.9, -0.001, CostChoice(multiple=3.0), False, "COST-08: a move of 0.10%"),
        (0.9, -0.05, CostChoice(multiple=3.0), True, ""),
    ],
)
def test_what_is_not_sure_or_large_enough_closes_and_does_not_turn(confidence, move, trading, turns, why):
    closes = [100.0 + (t % 3) for t in range(90)]
    bars = bar_panel({A: closes}, fields={"volume": {A: [5e7] * 90}})
    none = np.empty(0, dtype=np.int64)
    block = ForecastBlock(np.empty((1, 0, 1, 1, 1)), none, none, bars.instruments, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, simulated_bar_set(bars), {}, np.full(1, 90), None)
    asked = PipelineSettings(
        capital=D(100_000), horizons=(1,), decision_horizon=1, targets=("close",), profile="multi-asset",
        trading=TradingSettings(costs=trading or CostChoice()),
    )  # fmt: skip
    inputs = BacktestInputs(data, asked, bars, {}, WalkForward(block, ()), 252.0)
    last = replace(signal(confidence, SignalKind.SELL), expected_return=move)
    strategy = _Turning(last)
    book = run_backtest(inputs, strategy=strategy, first=0, limits=ASKED)
    held = sum(one.quantity if one.side.value == "buy" else -one.quantity for one in book.fills)
    assert any(one.side.value == "sell" for one in book.fills)
    assert held < 0 if turns else held == 0
    assert not why or any(why in text for _at, _name, text in book.notes)


def test_taking_the_gate_off_loosens_and_setting_it_changes_the_digest():
    base = trading_limits("multi-asset")
    assert loosened(ASKED, base) == ("market.minimum_confidence",)
    assert loosened(ASKED, edited(ASKED, {"market.minimum_confidence": 0.6})) == ("market.minimum_confidence",)
    assert loosened(base, ASKED) == ()
    assert limits_digest(base, {}) != limits_digest(ASKED, {})


def test_the_alert_of_a_large_position_is_where_the_account_puts_it():
    def told(limits):
        return [one.kind for one in alerts_due(RiskState(limits), limits, AlertInputs(100.0, values={A: 12.0}))]

    base = trading_limits("nasdaq")
    assert told(base) == []
    assert told(edited(base, {"book.position_alert": 0.10})) == [f"ALERT-02 {A}"]
    assert told(edited(base, {"book.position_alert": None})) == []


def test_cells_that_nothing_enforces_are_named_as_such(tmp_path):
    config = tmp_path / "foresail.toml"
    config.write_text("version = 1\n")
    told = show_limits(LimitsRequest("institutional", config, "stock")).document["told_only"]
    assert {row: one["value"] for row, one in told.items()} == {
        "beta_low": 0.8, "max_drawdown": 0.15, "target_distance": 0.04,
    }  # fmt: skip
    shown = show_limits(LimitsRequest("aggressive", config, "crypto"))
    assert profile_named("aggressive").told() == (
        ("signal_confidence", profile_named("multi-asset").signal_confidence),
    )
    row = next(one for one in shown.document["limits"] if one["name"] == "position.class_exposure")
    assert row["value"] == 0.30
    assert "RC-04" in row["origin"]
    assert any("enforced by nothing: signal_confidence 0.7" in line for line in shown.lines)
