"""What the core tells by itself, how urgently, and that it does not say the same thing every bar."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from tests.unit.engine.trading_tens import A, S, bar, filled, kinds, make, order, told

from foresail.domain.alerts import Severity
from foresail.domain.effects import Notify
from foresail.domain.events import VenueOutcome
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import Decision
from foresail.ledger.entries import AlertRaised
from foresail.risk.accounts import trading_limits

MINUTE = 60 * S
NOON = 1_704_283_200 * S  # Wednesday 2024-01-03, 12:00 UTC


def holding(limits: Any, units: int = 500, **order_levels: Any) -> TradingCore:
    """A core on 10,000 that holds some of A, bought at 10."""
    core = make(lambda call: Decision(), limits=limits)
    core.begin(NOON - 2 * MINUTE, Decimal(10_000))
    one = order(A, NOON - MINUTE, quantity=units, **order_levels)
    core.intend(NOON - MINUTE, [one])
    filled(core, one, NOON - MINUTE)
    bar(core, NOON, 0, a=10.0)
    return core


def said(core: TradingCore, kind: str) -> list[Any]:
    return [one for one in kinds(core, AlertRaised) if one.kind.startswith(kind)]


def test_a_daily_loss_is_told_once_a_quarter_of_an_hour() -> None:
    core = holding(trading_limits("nasdaq"))
    for minute in range(1, 11):
        bar(core, NOON + minute * MINUTE, minute, a=8.8)  # six in a hundred are lost
    (alert,) = said(core, "ALERT-01")
    assert alert.severity == "CRITICAL"
    bar(core, NOON + 16 * MINUTE, 11, a=8.8)
    assert len(said(core, "ALERT-01")) == 2


def test_the_limit_of_a_profile_raises_alert_01_too() -> None:
    core = holding(trading_limits("multi-asset"))
    effects = bar(core, NOON + MINUTE, 1, a=8.0)
    assert [one.kind for one in effects if isinstance(one, Notify)][-1] == "ALERT-01 daily loss"
    assert said(core, "ALERT-01")[0].severity == "CRITICAL"
    assert len(said(core, "ALERT-06 RISK-24")) == 1


def test_what_the_venue_tells_of_orders_that_are_not_ours_has_a_severity_that_exists() -> None:
    core = holding(None)
    (effect,) = told(core, order(A, 5).id, VenueOutcome.ACCEPTED, NOON)
    assert isinstance(effect, Notify)
    assert Severity(effect.severity) is Severity.ALERT
    assert Severity(kinds(core, AlertRaised)[0].severity) is Severity.ALERT
