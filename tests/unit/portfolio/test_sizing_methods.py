"""How a signal is sized is chosen (SIZE-14): by its stop, by average true ranges (SIZE-06), by Kelly (SIZE-05)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Account, Position
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.limits import PositionLimits
from foresail.domain.panel import Panel
from foresail.domain.signals import Horizon, Signal, SignalKind, TargetWeights, Weights
from foresail.engine.parts import build_parts
from foresail.engine.settings import PipelineSettings
from foresail.engine.trading_settings import TradingSettings
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.portfolio.allocator import AllocatorSettings, VolatilityScaledTopK
from foresail.portfolio.sizing import atr_units, kelly_fraction
from foresail.portfolio.volatility import average_true_range
from foresail.testing.builders import FakeView, bar_panel

NAME = InstrumentId("sim.S01.AAA")
LIMITS = PositionLimits(0.01, 1e3, None, 1e3, -1e3, shorting=False, stop_distance=0.02, profile="test")
EQUITY = Decimal(10_000)


def panel() -> Panel:
    draw = np.random.default_rng(2)
    return bar_panel({NAME: 100 * np.exp(np.cumsum(draw.normal(0, 0.02, 61)))})


def signal(confidence: float, stop: float, target: float, kind: SignalKind = SignalKind.BUY) -> Signal:
    return Signal(
        NAME, kind, Horizon.SWING_TRADE, 5, confidence, 0.01, 0.001, 100.0, target, stop,
        ("x",), "", "s", "1", "m", "", 0, 1, 1,
    )  # fmt: skip


def weight(sizing: str, one: Signal | Weights, held: int = 0) -> TargetWeights:
    bars = panel()
    positions = (Position(NAME, Decimal(held), Decimal(100), 0),) if held else ()
    view = FakeView(bars, 60, holdings=Account("a", "USD", EQUITY, EQUITY, positions, 0))
    settings = AllocatorSettings(target_volatility=None, drift_band=0.0, exit_target="none", sizing=sizing)
    found = VolatilityScaledTopK(LIMITS, [Instrument(NAME, "AAA", AssetClass.STOCK)], settings).targets([one], view)
    assert found is not None
    return found


def test_by_average_true_range() -> None:
    bars = panel()
    high, low, close = (bars.field(one) for one in ("high", "low", "close"))
    atr = float(average_true_range(high, low, close)[0])
    by_hand = [max(high[0, t], close[0, t - 1]) - min(low[0, t], close[0, t - 1]) for t in range(47, 61)]
    assert atr == pytest.approx(np.mean(by_hand))
    units = atr_units(EQUITY, Decimal(repr(atr)), risk=Decimal("0.01"))
    assert weight("atr", signal(0.6, 99.9, 102)).weights[0] == pytest.approx(float(units) * 100 / 10_000)
    assert weight("risk", signal(0.6, 95.0, 102)).weights[0] == pytest.approx(0.2)


@pytest.mark.parametrize(("confidence", "stop", "target"), [(0.6, 99.0, 102.0), (0.55, 98.0, 103.0)])
def test_by_a_quarter_of_kelly(confidence: float, stop: float, target: float) -> None:
    ratio = Decimal(repr((target - 100) / (100 - stop)))
    expected = float(kelly_fraction(Decimal(repr(confidence)), ratio, Decimal(1)))
    assert weight("kelly", signal(confidence, stop, target)).weights[0] == pytest.approx(expected)


def test_without_an_edge_or_a_confidence_kelly_buys_nothing_and_keeps_what_is_to_be_held() -> None:
    assert weight("kelly", signal(0.6, 95.0, 102.0)).weights == (0.0,)
    assert weight("kelly", signal(float("nan"), 99.0, 102.0)).weights == (0.0,)
    kept = weight("kelly", signal(float("nan"), 99.0, 102.0, SignalKind.HOLD), held=5).weights
    assert kept == weight("risk", signal(float("nan"), 99.0, 102.0, SignalKind.HOLD), held=5).weights
    assert kept[0] > 0.0


def test_weights_are_the_strategys_own_whatever_is_chosen() -> None:
    own = Weights(((NAME, 0.3),))
    assert weight("kelly", own).weights == weight("atr", own).weights == weight("risk", own).weights


@pytest.mark.parametrize(
    ("profile", "chosen", "sizing"),
    [("low-latency", "", "kelly"), ("multi-asset", "", "risk"), ("nasdaq", "atr", "atr")],
)
def test_the_choice_reaches_a_run(profile: str, chosen: str, sizing: str) -> None:
    bars = panel()
    settings = replace(PipelineSettings(), profile=profile, trading=TradingSettings(sizing=chosen))
    built = build_parts(bars, simulated_bar_set(bars), settings, strategy=None, explain=None)
    assert built.allocator._settings.sizing == sizing
    with pytest.raises(UnknownNameError, match="kelly"):
        TradingSettings(sizing="half")
    with pytest.raises(ConfigError, match="kelly"):
        VolatilityScaledTopK(LIMITS, [], AllocatorSettings(sizing="half"))


@pytest.mark.parametrize(("target", "may_lever", "factor"), [(2.0, False, 1.0), (2.0, True, 2.0), (0.5, True, 0.5)])
def test_a_calmer_name_gets_more_only_where_that_is_switched_on(target: float, may_lever: bool, factor: float) -> None:
    bars, one = panel(), signal(0.6, 90.0, 120.0)
    view = FakeView(bars, 60, holdings=Account("a", "USD", EQUITY, EQUITY, (), 0))
    moves = np.diff(np.log(bars.field("close")[0]))
    volatility = float(np.std(moves, ddof=1) * np.sqrt(252))
    settings = AllocatorSettings(target_volatility=None, drift_band=0.0, exit_target="none")
    plain = VolatilityScaledTopK(LIMITS, [Instrument(NAME, "AAA", AssetClass.STOCK)], settings)
    scaled = plain.otherwise(target_volatility=target * volatility, may_lever=may_lever)
    base, found = (each.targets([one], view) for each in (plain, scaled))
    assert base is not None
    assert found is not None
    assert found.weights[0] == pytest.approx(factor * base.weights[0], rel=0.02)


def test_the_target_volatility_reaches_a_run() -> None:
    bars = panel()
    for chosen, target in ((TradingSettings(), 0.15), (TradingSettings(volatility_target=0.0, may_lever=True), None)):
        settings = replace(PipelineSettings(), trading=chosen)
        found = build_parts(bars, simulated_bar_set(bars), settings, strategy=None, explain=None).allocator._settings
        assert (found.target_volatility, found.may_lever) == (target, chosen.may_lever)
    with pytest.raises(ConfigError, match="volatility_target"):
        TradingSettings(volatility_target=-0.1)
