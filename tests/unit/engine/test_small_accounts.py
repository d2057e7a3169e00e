"""Accounts under 1,000: the proposal, its limits and worst-case sizes (RISK-01, SMALL-01, SIZE-12)."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal

import numpy as np
import pytest

from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.accounts import Account
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Horizon, Side, Signal, SignalKind
from foresail.engine.parts import build_parts
from foresail.engine.settings import PipelineSettings
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import DeskCall, TradingParts
from foresail.engine.trading.protection import warn_of_cost
from foresail.evaluation.simulated_market import simulated_bar_set
from foresail.ledger.entries import AlertRaised
from foresail.ledger.journal import Journal
from foresail.risk.accounts import trading_limits
from foresail.testing.builders import FakeView, bar_panel

D = Decimal


def begun(capital: str, limits: TradingLimits) -> list[str]:
    class Still:
        position = -1

        def rates(self, prices: object = None) -> dict[str, Decimal]:
            return {}

    journal = Journal()
    core = TradingCore(TradingParts("test", "t", "USD", {}, Still(), (), None, limits=limits), journal)  # type: ignore[arg-type]
    core.begin(0, D(capital))
    return [one.text for one in journal if isinstance(one, AlertRaised)]


def test_below_a_thousand_the_small_profile_is_proposed_and_journalled() -> None:
    (text,) = begun("999.99", trading_limits("multi-asset"))
    assert "small-account is proposed" in text
    assert begun("1000", trading_limits("multi-asset")) == []
    assert begun("500", trading_limits("small-account")) == []


@pytest.mark.parametrize("profile", ["small-account", "multi-asset"])
def test_only_the_small_profile_sizes_for_the_worst(profile: str) -> None:
    bars = bar_panel({"sim.S01.AAA": 10 * np.exp(0.001 * np.array([(-1.0) ** t for t in range(70)]))})
    settings = PipelineSettings(capital=D(1000), horizons=(1,), decision_horizon=1, targets=("close",), profile=profile)
    built = build_parts(bars, simulated_bar_set(bars), settings, strategy=object(), explain=None)  # type: ignore[arg-type]
    name = bars.instruments[0]
    signal = Signal(
        name, SignalKind.BUY, Horizon.SWING_TRADE, 5, 0.6, 0.01, 0.001, 10.0, 11.0, 8.0,
        ("x",), "", "s", "1", "m", "", 0, 1, 1,
    )  # fmt: skip
    account = Account("a", "USD", D(1000), D(1000), (), 0)
    view = FakeView(bars, 69, holdings=account)
    weight = built.allocator.allocate([signal], view).weights[0]
    risk = built.limits.risk_per_trade
    loss = weight * (0.20 + 0.0005 + 0.80 * (0.0005 + 0.01)) if profile == "small-account" else weight * 0.20
    cap = built.limits.max_position
    assert weight == pytest.approx(min(cap, risk / (loss / weight)))
    if profile == "small-account":
        assert loss == pytest.approx(0.005)  # half a percent of the account, costs and gap included


def test_limits_of_the_small_profile_reach_the_account() -> None:
    limits = trading_limits("small-account")
    assert limits == replace(limits, profile="small-account")
    assert (limits.breakers.daily_loss_r, limits.breakers.risk_per_trade) == (2.0, 0.005)
    assert not limits.book.averaging_down


@pytest.mark.parametrize(
    ("profile", "stop", "told"),
    [("small-account", "9.99", 1), ("small-account", "9.00", 0), ("multi-asset", "9.99", 0)],
)
def test_a_small_account_is_told_where_cost_eats_the_risk(profile: str, stop: str, told: int) -> None:
    name = InstrumentId("stock.US.AAA")
    order = Order(OrderId("a" * 32), name, Side.BUY, D(5), OrderKind.MARKET, 7, stop_price=D(stop))
    journal = Journal()
    parts = TradingParts(
        "test", "t", "USD", {}, None, (), None, limits=trading_limits(profile),  # type: ignore[arg-type]
        round_trip=lambda _name, _price, _at: 0.001,
    )  # fmt: skip
    core = TradingCore(parts, journal)
    call = DeskCall(7, 0, Account("t", "USD", D(500), D(500), (), 7), {name: 10.0}, {}, {})
    effects = [*warn_of_cost(core, [order], call), *warn_of_cost(core, [order], call)]
    assert len(effects) == told  # and once only within 15 minutes
    assert [one.kind for one in journal if isinstance(one, AlertRaised)] == [f"SMALL-06 {name}"] * told
