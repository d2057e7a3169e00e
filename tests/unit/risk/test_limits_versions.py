"""Limits of an account: by profile, edited with their origin, versioned; and the gate between paper and real money."""

from __future__ import annotations

import dataclasses
import math
from decimal import Decimal as D

import numpy as np
import pytest
from tests.unit.risk.trading_world import BTC, KNOWN, A, order, world

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import TradingLimits
from foresail.measures.value_at_risk import expected_shortfall, simulated_value_at_risk, value_at_risk
from foresail.risk.accounts import edited, origins, proposed_profile, rows, trading_limits
from foresail.risk.catalogue import inactive_rules, position_rules, trading_rules
from foresail.risk.gate import RiskGate
from foresail.risk.paper_gate import paper_gate
from foresail.risk.profiles import PROFILES, profile_named
from foresail.risk.versions import confirm_change, limits_digest, loosened


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_every_profile_gives_a_full_set(name):
    limits = trading_limits(name)
    assert limits.profile == name
    assert set(origins(limits).values()) <= {"house default", *(f"{k}" for k in set(origins(limits).values()))}
    assert limits.breakers.daily_loss == profile_named(name).daily_loss.value
    assert len(rows(limits)) == len(origins(limits)) > 40


def test_values_of_the_table():
    small, institutional, multi = (trading_limits(n) for n in ("small-account", "institutional", "multi-asset"))
    assert (small.breakers.daily_loss_r, small.breakers.trades_per_day, small.book.averaging_down) == (2.0, 3, False)
    assert (institutional.market.portfolio_beta, institutional.market.vix_stop) == (1.2, 35.0)
    assert (multi.breakers.weekly_loss, multi.book.crypto_exposure, multi.book.value_at_risk) == (0.05, 0.30, 0.15)
    assert (proposed_profile(999.99), proposed_profile(1000.0)) == ("small-account", "multi-asset")


def test_editing_shows_its_origin_and_refuses_nonsense():
    limits = edited(trading_limits("multi-asset"), {"breakers.daily_loss": 0.01})
    assert origins(limits)["breakers.daily_loss"] == "set by the user"
    assert origins(limits)["breakers.weekly_loss"] == "RISK-25"
    with pytest.raises(UnknownNameError, match=r"breakers\.daily_loss"):
        edited(limits, {"breakers.daily_los": 0.01})
    for value in (math.nan, math.inf, -0.1):
        with pytest.raises(ConfigError, match="finite"):
            edited(limits, {"breakers.daily_loss": value})


@pytest.mark.parametrize(
    ("name", "stricter", "looser"),
    [
        ("breakers.daily_loss", 0.01, 0.03),
        ("breakers.daily_loss", 0.01, None),
        ("breakers.pause_days", 40, 20),
        ("market.vix_cut", 0.5, 0.1),
        ("market.needs_links", True, None),
        ("book.averaging_down", False, None),
        ("book.leverage", (0.5, 1.0, 2.0), (0.5, 1.0, 3.0)),
        ("account.maintenance", 0.3, 0.2),
        ("account.is_margin", False, None),
    ],
)
def test_loosening_needs_consent(name, stricter, looser):
    old = TradingLimits()
    assert loosened(old, edited(old, {name: stricter})) == ()
    new = edited(edited(old, {name: stricter}), {name: looser}) if looser is not None else edited(old, {name: looser})
    assert confirm_change(old, edited(old, {name: stricter}), confirmed=False) == ()
    if loosened(old, new):
        with pytest.raises(ConfigError, match=name.replace(".", r"\.")):
            confirm_change(old, new, confirmed=False)
        assert confirm_change(old, new, confirmed=True) == (name,)
    assert loosened(old, new) == (name,)


@pytest.mark.parametrize(
    ("new", "is_looser"),
    [((2, 2), True), ((0, 0), True), ((3, 6), True), ((2, 5), True), ((7, 9), True), ((0, 5), True), (None, True),
     ((2, 7), False), ((0, 6), False), ((0, 24), False), ((2, 6), False)],
)  # fmt: skip
def test_thin_hours_are_strict_where_the_window_holds_the_old_one(new, is_looser):
    old = TradingLimits()
    assert old.market.thin_hours == (2, 6)
    assert loosened(old, edited(old, {"market.thin_hours": new})) == (("market.thin_hours",) if is_looser else ())


def test_thin_hours_that_are_none_are_held_by_any():
    empty = edited(TradingLimits(), {"market.thin_hours": (4, 4)})
    assert loosened(empty, edited(empty, {"market.thin_hours": (9, 10)})) == ()


def test_the_digest_covers_every_limit():
    limits = trading_limits("multi-asset")
    positions = {c.value: profile_named("multi-asset").limits(c) for c in AssetClass}
    first = limits_digest(limits, positions)
    assert first == limits_digest(trading_limits("multi-asset"), positions)
    assert first != limits_digest(edited(limits, {"flow.cancel_allowance": 51}), positions)
    changed = {**positions, "stock": dataclasses.replace(positions["stock"], cash_floor=0.0)}
    assert first != limits_digest(limits, changed)


def test_what_is_off_shrinks_to_what_waits_for_models():
    assert len(inactive_rules(trading=True)) == 2
    assert all(why.startswith("off: ") for _, why in inactive_rules(trading=True))
    assert len(trading_rules(TradingLimits())) == len({rule.name for rule in trading_rules(TradingLimits())}) == 26


def test_an_account_of_several_classes_takes_each_orders_own_row():
    limits = {c: profile_named("multi-asset").limits(c) for c in (AssetClass.STOCK, AssetClass.CRYPTO)}
    gate = RiskGate(position_rules(limits), KNOWN)
    orders = [order(quantity="500"), order(BTC, "500", number=1), order("fx.EUR-USD", "5", number=2)]
    out = [(o.quantity, rulings[0].rule) for o, rulings in gate.review(orders, world())]
    assert out == [
        (150, "RISK-01 max position"),
        (D(125), "RISK-01 risk per trade"),  # 1 % of 100,000 over a class stop of 8 %
        (0, "RISK-01 shorting"),
    ]
    with pytest.raises(ConfigError):
        position_rules({})


def test_thousand_dollar_scenarios_of_small_accounts():
    limits = {AssetClass.STOCK: profile_named("small-account").limits(AssetClass.STOCK)}
    gate = RiskGate(position_rules(limits), KNOWN)
    seen = world(cash="1000", prices={A: 5.0})
    ((after, rulings),) = gate.review([order(quantity="100", stop_price=D("4.50"))], seen)
    assert after.quantity == 10  # 0.5 % of 1,000 is 5, at 0.50 a unit
    assert rulings[0].rule == "RISK-01 risk per trade"
    one_percent = {AssetClass.STOCK: dataclasses.replace(limits[AssetClass.STOCK], risk_per_trade=0.01)}
    ((after, _),) = RiskGate(position_rules(one_percent), KNOWN).review(
        [order(quantity="100", stop_price=D("4.50"))], seen
    )
    assert after.quantity == 20  # SIZE-03: 1,000 x 1 % / 0.50


def test_value_at_risk_vectors():
    returns = np.arange(-50, 50) / 1000.0
    assert value_at_risk(returns) == pytest.approx(0.04505, abs=1e-12)
    assert expected_shortfall(returns) == pytest.approx(0.048, abs=1e-12)
    rng = np.random.default_rng(3)
    drawn = rng.standard_normal((2, 4000)) * 0.01
    simulated = simulated_value_at_risk(drawn, [0.5, 0.5], seed=1)
    assert simulated == pytest.approx(1.645 * 0.01 * math.sqrt(0.5 * 10), rel=0.08)
    assert simulated == simulated_value_at_risk(drawn, [0.5, 0.5], seed=1)


def test_the_gate_between_paper_and_real_money():
    good = np.tile([0.004, -0.001, 0.002], 10)
    verdict = paper_gate(good, days=30, trades=30, open_critical=0)
    assert verdict.is_passed
    for change in ({"days": 29}, {"trades": 29}, {"open_critical": 1}):
        asked = {"days": 30, "trades": 30, "open_critical": 0, **change}
        failed = [name for name, passed, _ in paper_gate(good, **asked).conditions if not passed]
        assert len(failed) == 1
    worst = paper_gate([*good, -0.0301], days=30, trades=30, open_critical=0)
    assert "worst day" in [name for name, passed, _ in worst.conditions if not passed]
    assert not paper_gate([], days=30, trades=30, open_critical=0).is_passed
    assert not paper_gate([0.01, math.nan], days=30, trades=30, open_critical=0).is_passed
