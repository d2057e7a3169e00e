"""Business days of US stocks: against the exchange's own calendar, and by hand where banks differ from it."""

from __future__ import annotations

from datetime import date, timedelta
from decimal import Decimal

import pytest

from foresail.core.ids import OrderId
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import Fill, FillReason
from foresail.domain.signals import Side
from foresail.ledger.entries import FillBooked
from foresail.risk.accounts import proposed_profile, trading_limits
from foresail.risk.settlement_days import is_settlement_day, is_trading_day, next_settlement_day, previous_trading_day
from foresail.risk.state import RiskState


def test_trading_days_are_those_of_the_exchange() -> None:
    calendars = pytest.importorskip("exchange_calendars")
    known = calendars.get_calendar("XNYS", start="1990-01-01", end="2027-12-31")
    theirs = {stamp.date() for stamp in known.sessions}
    day, wrong = date(1990, 1, 2), []
    while day <= date(2027, 12, 30):
        if is_trading_day(day) != (day in theirs):
            wrong.append(day)
        day += timedelta(days=1)
    assert wrong == []


@pytest.mark.parametrize(
    ("sold", "settles"),
    [
        ("2026-11-20", "2026-11-23"),  # Friday to Monday
        ("2026-11-25", "2026-11-27"),  # over Thanksgiving
        ("2026-07-02", "2026-07-06"),  # Independence Day on a Saturday is Friday
        ("2026-10-09", "2026-10-13"),  # Columbus Day: the exchange trades, banks do not settle
        ("2025-11-10", "2025-11-12"),  # Veterans Day
        ("2025-12-24", "2025-12-26"),
        ("2021-12-31", "2022-01-03"),  # New Year's Day on a Saturday is not made up for
    ],
)
def test_sales_settle_on_the_next_day_on_which_banks_are_open(sold: str, settles: str) -> None:
    assert next_settlement_day(date.fromisoformat(sold)) == date.fromisoformat(settles)
    assert is_settlement_day(date.fromisoformat(settles))


def test_five_trading_days_reach_over_holidays() -> None:
    assert previous_trading_day(date(2026, 1, 2), 4) == date(2025, 12, 26)


def test_the_proceeds_of_a_sale_before_a_holiday_stay_unsettled_over_it() -> None:
    state = RiskState(TradingLimits())
    noon = 1_796_056_800 * 10**9  # Monday 30 November 2026, 18:00 UTC
    wednesday = noon - 5 * 86_400 * 10**9  # the day before Thanksgiving
    fill = Fill(
        OrderId("a" * 32), "stock.US.AAA", Side.SELL, Decimal(10), Decimal(50), Decimal(50), Decimal(0), Decimal(0),  # type: ignore[arg-type]
        wednesday, FillReason.EXIT, "x",
    )  # fmt: skip
    state.apply(FillBooked(wednesday, 0, fill))
    assert state.unsettled(wednesday + 86_400 * 10**9) == 500
    assert state.unsettled(wednesday + 2 * 86_400 * 10**9) == 0


def test_a_small_account_gets_its_own_limits() -> None:
    limits = trading_limits(proposed_profile(999.0))
    assert limits.profile == "small-account"
    assert (limits.breakers.trades_per_day, limits.breakers.daily_loss_r, limits.book.averaging_down) == (3, 2.0, False)
