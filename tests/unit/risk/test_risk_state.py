"""The fold that breakers read: days, weeks, peak, streaks, busts, restarts; and what is due."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal as D

import pytest
from tests.unit.risk.trading_world import DAY, NOON, A, B, order

from foresail.core.errors import UnknownNameError
from foresail.core.ids import OrderId
from foresail.domain.alerts import Alert, Severity
from foresail.domain.limits import BreakerLimits, TradingLimits
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side
from foresail.ledger.entries import (
    AlertRaised,
    BreakerReset,
    BreakerTripped,
    Deposited,
    FillBooked,
    FillBusted,
    FillCorrected,
    Marked,
    OrderIntended,
    SplitApplied,
    TradingHalted,
)
from foresail.risk.accounts import trading_limits
from foresail.risk.alerts import AlertInputs, alerts_due, as_effects, cost_share_alert, unsaid
from foresail.risk.breakers import due, exit_quantity
from foresail.risk.days import day_span
from foresail.risk.settlement_days import next_settlement_day, previous_trading_day
from foresail.risk.state import RiskState

LIMITS = TradingLimits(breakers=BreakerLimits(daily_loss_money=5_000.0, daily_loss_r=2.0))


class Journal:
    """Feeds a state as the core would: every trip that is due becomes an entry."""

    def __init__(self, limits=LIMITS, equity="100000", at=NOON - DAY):
        self.limits, self.state, self.number = limits, RiskState(limits), 0
        self.add(Deposited, at, D(equity))
        self.mark(at, equity)

    def add(self, kind, at, *content, **named):
        self.state.apply(kind(at, self.number, *content, **named))
        self.number += 1

    def mark(self, at, equity):
        self.state.apply(Marked(at, self.number, ()), D(equity))
        self.number += 1
        action = due(self.state, self.limits, at)
        for trip in action.trips:
            self.add(BreakerTripped, at, trip.rule, trip.until, trip.text)
        return action

    def fill(self, at, side, price, quantity="10", number=0, name=A):
        fill = Fill(
            OrderId(f"{number:032d}"), name, side, D(quantity), D(price), D(price), D(0), D(0), at,
            FillReason.ENTRY, f"e{self.number}",
        )  # fmt: skip
        self.add(FillBooked, at, fill)
        return fill


def rules(action):
    return [trip.rule for trip in action.trips]


def test_daily_loss_of_two_percent_stops_and_closes_until_the_next_day():
    journal = Journal()
    assert rules(journal.mark(NOON, "98000.01")) == []
    action = journal.mark(NOON + 1, "98000")
    assert rules(action) == ["RISK-24 daily loss", "RISK-29 daily loss in R"]
    assert (action.close_fraction, action.cancels_entries) == (1.0, True)
    assert journal.mark(NOON + 2, "97500").trips == ()  # once per breach
    assert set(journal.state.breakers_in_force(NOON + 3)) == {"RISK-24 daily loss", "RISK-29 daily loss in R"}
    assert journal.state.breakers_in_force(NOON + DAY // 2) == {}
    assert journal.mark(NOON + DAY, "97500").trips == ()  # a new day begins at 97,500


def test_closing_can_be_switched_off():
    limits = TradingLimits(breakers=BreakerLimits(closes_on_loss=False))
    assert Journal(limits).mark(NOON, "97000").close_fraction == 0.0


def test_daily_loss_in_money_is_critical():
    journal = Journal(trading_limits("nasdaq"))
    action = journal.mark(NOON, "95000")
    assert rules(action) == ["RISK-28 daily loss in money"]
    assert [(a.kind, a.severity) for a in action.conditions] == [("ALERT-01 daily loss", Severity.CRITICAL)]
    small = Journal(trading_limits("nasdaq"), equity="10000")
    assert rules(small.mark(NOON, "9501")) == []
    assert rules(small.mark(NOON + 1, "9500")) == ["RISK-28 daily loss in money"]


@pytest.mark.parametrize(
    ("profile", "quiet", "loud"), [("multi-asset", "98001", "98000"), ("funnel", "98001", "98000")]
)
def test_the_limit_of_a_profile_is_critical_as_the_one_in_money_is(profile, quiet, loud):
    journal = Journal(trading_limits(profile))
    assert journal.mark(NOON, quiet).conditions == ()
    assert [(a.kind, a.severity) for a in journal.mark(NOON + 1, loud).conditions] == [
        ("ALERT-01 daily loss", Severity.CRITICAL)
    ]


def test_weekly_loss_pauses_seven_days():
    journal = Journal()  # Monday; the week began there
    for day, equity in enumerate(("98500", "97000", "95600")):
        assert "RISK-25 weekly loss" not in rules(journal.mark(NOON + day * DAY, equity))
    action = journal.mark(NOON + 3 * DAY, "95000")
    assert rules(action) == ["RISK-25 weekly loss"]
    assert journal.state.breakers_in_force(NOON + 9 * DAY)
    assert not journal.state.breakers_in_force(NOON + 10 * DAY)


def test_five_losses_in_a_row_and_a_win_resets():
    journal = Journal()
    for i in range(4):
        journal.fill(NOON + 10 * i, Side.BUY, "100", number=i)
        journal.fill(NOON + 10 * i + 1, Side.SELL, "99", number=10 + i)
    assert journal.state.memory.losing_streak == 4
    journal.fill(NOON + 50, Side.BUY, "100", number=20)
    journal.fill(NOON + 51, Side.SELL, "101", number=21)
    assert journal.state.memory.losing_streak == 0
    for i in range(5):
        journal.fill(NOON + 60 + i, Side.SELL, "100", number=30 + i, name=B)
        journal.fill(NOON + 60 + i, Side.BUY, "100.5", number=40 + i, name=B)
    assert "RISK-26 consecutive losses" in rules(journal.mark(NOON + 100, "100000"))
    assert journal.state.memory.losing_streak == 0
    assert "RISK-26 consecutive losses" not in rules(journal.mark(NOON + DAY, "100000"))


def test_ten_trades_a_day_and_three_in_a_small_account():
    for limits, most in ((LIMITS, 10), (trading_limits("small-account"), 3)):
        journal = Journal(limits)
        for i in range(most):
            assert "RISK-27 trades per day" not in rules(journal.mark(NOON + i, "100000"))
            journal.fill(NOON + i, Side.BUY, "100", quantity="1", number=i)
        assert "RISK-27 trades per day" in rules(journal.mark(NOON + 50, "100000"))
        assert journal.state.trades_today(NOON + DAY) == 0


def test_the_drawdown_ladder_acts_once_a_breach_and_re_arms():
    limits = TradingLimits(breakers=BreakerLimits(daily_loss=None, weekly_loss=None))
    journal = Journal(limits)
    step = journal.mark(NOON, "89999")
    assert (rules(step), step.close_fraction) == (["RISK-19 drawdown 10%"], 0.0)
    assert not journal.state.breakers_in_force(NOON + 1)  # a warning stops nothing
    step = journal.mark(NOON + 1, "84999")
    assert (rules(step), step.close_fraction) == (["RISK-19 drawdown 15%"], 0.5)
    assert journal.mark(NOON + 2, "84000").trips == ()
    assert journal.state.breakers_in_force(NOON + 3)
    assert journal.mark(NOON + 4, "86000").trips == ()  # recovered above 15 %: entries again
    assert not journal.state.breakers_in_force(NOON + 5)
    assert rules(journal.mark(NOON + 6, "84999")) == ["RISK-19 drawdown 15%"]
    step = journal.mark(NOON + 7, "79999")
    assert (rules(step), step.close_fraction) == (["RISK-19 drawdown 20%"], 1.0)
    assert journal.state.memory.breakers["RISK-19 drawdown 20%"].until == NOON + 7 + 30 * DAY
    assert "RISK-19 drawdown 15%" in journal.state.breakers_in_force(NOON + 40 * DAY)  # until somebody reassesses
    for rule in ("RISK-19 drawdown 15%", "RISK-19 drawdown 20%"):
        journal.add(BreakerReset, NOON + 40 * DAY, rule, "ann")
    assert journal.state.drawdown == 0.0
    assert not journal.state.breakers_in_force(NOON + 40 * DAY)


def test_money_paid_in_or_out_is_no_profit_and_no_loss():
    journal = Journal()
    journal.mark(NOON, "110000")
    journal.add(Deposited, NOON + 1, D(-50000))
    assert (journal.state.drawdown, journal.state.memory.peak) == (0.0, 60000)
    assert journal.mark(NOON + 2, "60000").trips == ()
    journal.state.apply(Deposited(NOON + 3, 99, D(1000), "EUR"), D(1100))
    assert journal.state.memory.peak == 61100


def test_busts_and_corrections_undo_what_a_fill_did():
    journal = Journal()
    first = journal.fill(NOON, Side.BUY, "100", number=1)
    again = journal.fill(NOON + 1, Side.BUY, "100", number=2)
    journal.add(FillBusted, NOON + 2, again.order_id, again.execution)
    assert journal.state.memory.trips[A].quantity == 10
    fixed = Fill(first.order_id, A, Side.BUY, D(4), D(100), D(100), D(0), D(0), NOON, FillReason.ENTRY, "x")
    journal.add(FillCorrected, NOON + 3, first.execution, fixed)
    assert journal.state.memory.trips[A].quantity == 4
    journal.add(SplitApplied, NOON + 4, A, D(2), D(50))
    assert (journal.state.memory.trips[A].quantity, journal.state.average_price(A)) == (8, 50.0)


def test_a_restart_knows_everything():
    journal = Journal()
    journal.fill(NOON, Side.BUY, "100", number=1)
    journal.add(OrderIntended, NOON, order(number=5))
    journal.add(TradingHalted, NOON, "", "RISK-31", "kill")
    journal.add(AlertRaised, NOON, "ALERT-02 x", "CRITICAL", "text")
    journal.mark(NOON + 1, "97000")
    again = RiskState.from_plain(journal.state.to_plain(), LIMITS)
    assert again.to_plain() == journal.state.to_plain()
    for state in (again, journal.state):
        state.apply(Marked(NOON + DAY, 50, ()), D(96000))
    assert again.to_plain() == journal.state.to_plain()
    assert again.halted(B) == ("RISK-31", "kill")


@pytest.mark.parametrize(
    ("boundary", "text", "day"),
    [
        ("utc", "2024-01-02T23:59:59", "2024-01-02"),
        ("utc", "2024-01-03T00:00:00", "2024-01-03"),
        ("new_york", "2024-01-03T04:59:59", "2024-01-02"),
        ("new_york", "2024-01-03T05:00:00", "2024-01-03"),
        ("new_york", "2024-07-03T04:00:00", "2024-07-03"),
        ("forex", "2024-01-02T21:59:59", "2024-01-02"),
        ("forex", "2024-01-02T22:00:00", "2024-01-03"),
        ("forex", "2024-07-02T21:00:00", "2024-07-03"),
    ],
)
def test_where_days_begin(boundary, text, day):
    at = int(datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()) * 10**9
    label, start, end = day_span(at, boundary)
    assert label.isoformat() == day
    assert start <= at < end
    assert day_span(end, boundary)[1] == end


def test_business_days_and_unknown_boundaries():
    friday = datetime(2024, 1, 5, tzinfo=UTC).date()
    assert next_settlement_day(friday).isoformat() == "2024-01-08"
    assert previous_trading_day(friday, 5).isoformat() == "2023-12-28"
    with pytest.raises(UnknownNameError, match="new_york"):
        day_span(NOON, "tokyo")


def test_exit_quantity_is_capped_by_what_is_held_less_other_exits():
    assert exit_quantity(D(11), D(0), 0.5, D(1)) == 5
    assert exit_quantity(D(-11), D(8), 0.5, D(1)) == 3
    assert exit_quantity(D("1.5"), D(0), 1.0, D(1)) == D("1.5")
    assert exit_quantity(D(5), D(9), 1.0, D(1)) == 0


def test_alerts_are_due_and_said_once_in_fifteen_minutes():
    journal = Journal()
    journal.mark(NOON, "84000")
    inputs = AlertInputs(
        equity=84000.0,
        values={A: 12601.0, B: 12600.0, "crypto.X.BTC-USD": 100.0},
        prices={A: 94.9, B: 95.9},
        stops={A: 95.0, B: 95.0},
        value_at_risk=0.151,
        margin=0.49,
        pairs=((A, B, 0.8),),
        missing=("RSI", "weather"),
        news=(("whale", "a block of 10,000"),),
        facts={"btc_volatility_30d": 0.81},
    )
    found = {alert.kind: alert.severity.value for alert in alerts_due(journal.state, LIMITS, inputs)}
    assert found == {
        f"ALERT-02 {A}": "WARNING",
        f"ALERT-03 {A}": "ALERT",
        f"ALERT-07 {B}": "INFO",
        "ALERT-04 15%": "ALERT",
        "ALERT-05 value at risk": "WARNING",
        "ALERT-05 margin": "WARNING",
        f"ALERT-05 {A} {B}": "WARNING",
        "SIZE-10 crypto": "WARNING",
        "ALERT-08 RSI": "WARNING",
        "ALERT-10 whale": "INFO",
    }
    alert = Alert("ALERT-02 x", Severity.WARNING, "text")
    assert unsaid([alert, alert], journal.state, NOON) == (alert,)
    journal.add(AlertRaised, NOON, alert.kind, alert.severity.value, alert.text)
    assert unsaid([alert], journal.state, NOON + 15 * 60 * 10**9 - 1) == ()
    assert unsaid([alert], journal.state, NOON + 15 * 60 * 10**9) == (alert,)
    assert as_effects([alert])[0].severity == "WARNING"


def test_cost_above_a_fifth_of_the_risk_is_said():
    assert cost_share_alert(A, cost=2.0, risk=10.0, limits=LIMITS) == ()
    assert cost_share_alert(A, cost=2.01, risk=10.0, limits=LIMITS)[0].kind == f"SMALL-06 {A}"
    assert cost_share_alert(A, cost=1.0, risk=0.0, limits=LIMITS)
