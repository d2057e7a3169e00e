"""Sizes on their way to orders: forex by pips (SIZE-08), worst case (SIZE-12), conditions (SIZE-10)."""

from __future__ import annotations

from decimal import ROUND_DOWN, Decimal

import numpy as np
import pytest

from foresail.domain.accounts import Account
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.limits import PositionLimits
from foresail.domain.signals import Horizon, Signal, SignalKind, TargetWeights
from foresail.execution.planner import PlannerSettings, PlanRequest, plan_weights
from foresail.portfolio.allocator import AllocatorSettings, VolatilityScaledTopK
from foresail.portfolio.multipliers import Conditions, condition_factor, under_conditions
from foresail.portfolio.sizing import WorstCase, pip_size, worst_case_units
from foresail.testing.builders import FakeView, bar_panel

BARS = 61
# only the loss at the stop binds
LIMITS = PositionLimits(0.01, 1e3, None, 1e3, -1e3, shorting=False, stop_distance=0.02, profile="test")
NAN = float("nan")


def _weights(name: str, entry: float, stop: float, rates: dict[str, Decimal], worst: WorstCase | None = None):
    closes = entry * np.exp(0.001 * np.array([(-1.0) ** t for t in range(BARS)]))
    account = Account("a", "USD", Decimal(10_000), Decimal(10_000), (), 0)
    view = FakeView(bar_panel({name: closes}), BARS - 1, holdings=account)
    record = _record(name)
    settings = AllocatorSettings(target_volatility=None, drift_band=0.0, exit_target="none", worst_case=worst)
    signal = Signal(
        name, SignalKind.BUY, Horizon.SWING_TRADE, 5, 0.6, 0.01, 0.001, entry, entry * 1.02, stop,
        ("x",), "", "s", "1", "m", "", 0, 1, 1,
    )  # fmt: skip
    targets = VolatilityScaledTopK(LIMITS, [record], settings).allocate([signal], view, rates=rates)
    return targets, account, record


def _record(name: str) -> Instrument:
    if not name.startswith("fx."):
        return Instrument(name, name, AssetClass.STOCK, tick=Decimal("0.01"))
    return Instrument(name, name, AssetClass.FOREX, currency=name[-3:], tick=Decimal("0.00001"), lot=Decimal(1000))


@pytest.mark.parametrize(
    ("name", "entry", "stop", "pips", "rate"),
    [
        ("fx.EUR-USD", 1.1000, 1.0970, 30, Decimal(1)),
        ("fx.USD-JPY", 150.00, 149.70, 30, Decimal("0.00666667")),
    ],
)
def test_forex_weights_and_lots_are_those_of_the_pip_rule(name, entry, stop, pips, rate) -> None:
    rates = {} if rate == 1 else {"JPY": rate}
    targets, account, record = _weights(name, entry, stop, rates)
    request = PlanRequest(account, {name: entry}, {name: record}, 7, "s", "1", rates=rates)
    (order,) = plan_weights(targets, request, PlannerSettings(check_cash=False)).orders
    pip_of_a_lot = pip_size(record.currency) * 100_000 * rate  # SIZE-08: 10 dollars of EUR/USD
    lots = (Decimal(10_000) * Decimal("0.01") / (pips * pip_of_a_lot)).quantize(Decimal("0.01"), ROUND_DOWN)
    assert order.quantity == lots * 100_000
    if rate == 1:
        assert (pip_of_a_lot, lots, order.quantity) == (10, Decimal("0.33"), 33_000)


def test_worst_case_counts_costs_and_gap_at_the_stop() -> None:
    worst = WorstCase(Decimal("0.001"), Decimal("0.0005"), Decimal("0.01"))
    plain, account, _record_of = _weights("stock.US.AAA", 100.0, 95.0, {})
    targets, _account, _same = _weights("stock.US.AAA", 100.0, 95.0, {}, worst)
    units = worst_case_units(account.equity * Decimal("0.01"), Decimal(100), Decimal(95), worst)
    assert targets.weights[0] * 10_000 / 100 == pytest.approx(float(units))
    assert targets.weights[0] < plain.weights[0] == pytest.approx(0.2)


def test_conditions_shrink_weights_and_close_the_door() -> None:
    targets = TargetWeights(("a", "b"), (0.2, 0.1), (NAN, NAN), (NAN, NAN))
    calm = condition_factor(AssetClass.CRYPTO, Conditions(vix=20.0, bitcoin_volatility=0.5))
    assert under_conditions(targets, calm, ()) == targets
    wild = condition_factor(AssetClass.CRYPTO, Conditions(vix=30.0, bitcoin_volatility=0.9))
    changed = under_conditions(targets, wild, {"a"})
    assert changed.weights == (pytest.approx(0.2 * 0.35), 0.0)
    assert [name for name, _text in changed.notes] == ["a", "b"]
    assert "VIX 30.0" in changed.notes[0][1]
