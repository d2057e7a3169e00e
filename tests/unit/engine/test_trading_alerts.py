"""What the core tells by itself, how urgently, and that it does not say the same thing every bar."""

from __future__ import annotations

import math
from dataclasses import replace
from decimal import Decimal
from typing import Any

import numpy as np
from tests.unit.engine.trading_tens import A, B, S, bar, decide, filled, kinds, make, order, signal, told

from foresail.domain.alerts import Severity
from foresail.domain.effects import Notify, Send
from foresail.domain.events import VenueOutcome
from foresail.domain.limits import BreakerLimits, TradingLimits
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side, SignalKind
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.parts import Attach, Decision
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


def test_near_the_stop_is_told_and_through_it_is_sold() -> None:
    core = holding(trading_limits("multi-asset"), 100, stop_price=Decimal("9.5"))
    bar(core, NOON + MINUTE, 1, a=9.9)
    assert said(core, "ALERT-07") == said(core, "ALERT-03") == []
    bar(core, NOON + 2 * MINUTE, 2, a=9.55)
    assert [(one.kind, one.severity) for one in said(core, "ALERT-07")] == [(f"ALERT-07 {A}", "INFO")]
    effects = bar(core, NOON + 3 * MINUTE, 3, a=9.4)
    assert [one.severity for one in said(core, "ALERT-03")] == ["ALERT"]
    (sent,) = [one.order for one in effects if isinstance(one, Send)]
    assert (sent.instrument, sent.side, sent.quantity, sent.reduce_only) == (A, Side.SELL, Decimal(100), True)
    assert sent.reason is FillReason.STOP
    effects = bar(core, NOON + 4 * MINUTE, 4, a=9.3)
    assert [one for one in effects if isinstance(one, Send)] == []  # all of it is leaving already
    assert len(said(core, "ALERT-03")) == 1


def test_what_the_venue_is_filling_by_its_stop_is_left_to_it() -> None:
    core = holding(trading_limits("multi-asset"), 100, stop_price=Decimal("9.5"))
    part = Fill(
        order(A, 7).id, A, Side.SELL, Decimal(40), Decimal("9.5"), Decimal("9.5"), Decimal(0), Decimal(0), NOON + 1,
        FillReason.STOP, "y",
    )  # fmt: skip
    told(core, part.order_id, VenueOutcome.FILLED, NOON + 1, fill=part)
    effects = bar(core, NOON + MINUTE, 1, a=9.4)
    assert [one for one in effects if isinstance(one, Send)] == []
    assert said(core, "ALERT-03") == []


def test_a_stop_set_later_counts_and_one_that_fell_away_does_not() -> None:
    core = holding(trading_limits("multi-asset"), 100)
    core.parts.desks[0].decides = lambda call: Decision(levels=(Attach(A, 9.9, None),))  # type: ignore[attr-defined]
    decide(core, NOON + S)
    bar(core, NOON + MINUTE, 1, a=9.95)
    assert len(said(core, "ALERT-07")) == 1
    core.parts.desks[0].decides = lambda call: Decision(levels=(Attach(A, None, None),))  # type: ignore[attr-defined]
    decide(core, NOON + MINUTE + S)
    bar(core, NOON + 2 * MINUTE, 2, a=9.8)
    assert said(core, "ALERT-03") == []


def test_value_at_risk_and_margin_are_told_at_a_decision() -> None:
    core = holding(trading_limits("multi-asset"), 900)
    core.parts.market.daily_returns = lambda names: np.tile([[-0.2, 0.1]], (1, 60))  # type: ignore[attr-defined]
    decide(core, NOON + S)
    assert [one.kind for one in said(core, "ALERT-05")] == ["ALERT-05 value at risk"]
    quiet = BreakerLimits(
        daily_loss=None, weekly_loss=None, drawdown_warning=None, drawdown_cut=None, drawdown_close=None
    )
    core = make(lambda call: Decision(), limits=TradingLimits(breakers=quiet))
    core.begin(NOON - 2 * MINUTE, Decimal(10_000))
    one = order(A, NOON - MINUTE, Side.SELL, quantity=1000)
    core.intend(NOON - MINUTE, [one])
    filled(core, one, NOON - MINUTE)
    bar(core, NOON, 0, a=12.0)
    decide(core, NOON + S)  # 8,000 of equity stand behind 6,000 of margin
    assert said(core, "ALERT-05") == []
    bar(core, NOON + MINUTE, 1, a=18.0)
    decide(core, NOON + MINUTE + S)  # 2,000 behind 9,000
    assert [one.kind for one in said(core, "ALERT-05")] == ["ALERT-05 margin"]


def test_confident_signals_and_missing_inputs_are_told() -> None:
    core = holding(trading_limits("nasdaq"))
    sure, unsure = signal(A, NOON, 0.75), signal(B, NOON, 0.65)
    blind = replace(unsure, kind=SignalKind.HOLD, rule="SIG-21", confidence=math.nan, missing=("close", "beta"))
    core.parts.desks[0].decides = lambda call: Decision(signals=(sure, unsure, blind))  # type: ignore[attr-defined]
    for k in range(3):
        decide(core, NOON + S + k)
    assert [(one.kind, one.severity) for one in said(core, "ALERT-10")] == [(f"ALERT-10 {A}", "INFO")]
    assert [(one.kind, one.severity) for one in said(core, "ALERT-08")] == [("ALERT-08 close", "WARNING")]


def test_a_backtest_is_told_nothing_of_all_this() -> None:
    core = make(
        lambda call: Decision(signals=(signal(A, NOON, 0.9),)), limits=trading_limits("nasdaq"), is_audited=False
    )
    core.begin(NOON - 2 * MINUTE, Decimal(10_000))
    one = order(A, NOON - MINUTE, quantity=100, stop_price=Decimal("9.5"))
    core.intend(NOON - MINUTE, [one])
    filled(core, one, NOON - MINUTE)
    effects = bar(core, NOON, 0, a=9.4)
    decide(core, NOON + S)
    assert said(core, "ALERT-03") == said(core, "ALERT-10") == []
    assert [(one.order.reason, one.order.quantity) for one in effects if isinstance(one, Send)] == [
        (FillReason.STOP, 100)  # and yet what is through its stop is sold, as in an account (EXIT-01)
    ]
    assert [one for one in bar(core, NOON + MINUTE, 1, a=9.3) if isinstance(one, Send)] == []  # it is leaving
