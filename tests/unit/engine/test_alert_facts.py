"""What ALERT-10 hears of besides signals: whale prints, extremes of funding and flows, shifts of the VIX's regime."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import numpy as np
import pytest
from tests.unit.engine.test_risk_facts import data_of
from tests.unit.engine.trading_tens import kinds, make

from foresail.core.clock import to_ns
from foresail.core.ids import InstrumentId
from foresail.domain.events import Fact, Rank
from foresail.domain.facts import fact_table
from foresail.engine.alert_facts import alert_facts
from foresail.engine.risk_facts import risk_facts
from foresail.engine.trading.parts import NO_DECISION
from foresail.ledger.entries import AlertRaised
from foresail.risk.accounts import trading_limits
from foresail.testing.builders import bar_panel

BTC = InstrumentId("crypto.X.BTC-USDT.perp")
OTHER = InstrumentId("sim.S01.N1")
START = datetime(2024, 1, 1, tzinfo=UTC)
HOUR = 3600 * 10**9


def table(field: str, values: list[float], hours: float = 24.0, name: str = BTC) -> Any:
    times = [to_ns(START + timedelta(hours=hours * i)) for i in range(len(values))]
    at = np.array(times)
    return fact_table([name] * len(values), at, {field: np.array(values)}, available_at=at)


def rows(found: Any) -> list[tuple[str, float]]:
    return [(kind, value) for _at, kind, _name, value in alert_facts(found) if not np.isnan(value)]


def test_funding_counts_for_eight_hours() -> None:
    assert rows(table("funding_rate", [0.0005, 0.0012, 0.0009, -0.0011], 8.0)) == [
        ("funding_extreme", 0.0012),
        ("funding_extreme", -0.0011),
    ]
    assert rows(table("funding_rate_bybit", [0.0002] * 3, 1.0)) == [("funding_extreme_bybit", 0.0016)] * 2


def test_a_flow_is_measured_by_the_month_before_it() -> None:
    flat = [100.0] * 40
    assert rows(table("exchange_inflow", flat)) == []
    assert rows(table("exchange_inflow", [*flat, 200.0, 250.0])) == [("flow_extreme_inflow", 2.419355)]
    assert rows(table("exchange_outflow", [1.0, 1.0, 9.0])) == []  # too short a past


def test_a_print_is_told_with_its_time() -> None:
    found = list(alert_facts(table("whale_trade", [0.0, 1.0, 1.0])))
    assert [one[3] for one in found] == [one[0] / 1e9 for one in found]
    assert len({one[3] for one in found}) == 2


def test_they_are_facts_of_a_run() -> None:
    bars = bar_panel({OTHER: [100.0] * 30}, frame="1d", first_day="2024-01-02")
    given = table("funding_rate", [0.0002] * 3 + [0.002, 0.002, 0.0001], name=OTHER)
    data = replace(data_of(bars), facts={"funding": given})
    told = [(one.kind, one.value) for one in risk_facts(data, trading_limits("multi-asset"), 0)]
    extremes = [one for one in told if one[0] == "funding_extreme"]
    assert extremes[0] == ("funding_extreme", 0.002)
    assert len(extremes) == 2
    assert np.isnan(extremes[1][1])


def core_of(*, audited: bool = True) -> Any:
    core = make(lambda call: NO_DECISION, limits=trading_limits("multi-asset"), is_audited=audited)
    core.begin(to_ns(START), Decimal(1000))
    return core


def tell(core: Any, hour: int, kind: str, value: float, name: InstrumentId | None = None) -> None:
    at = to_ns(START) + hour * HOUR
    core.step(Fact(at, at, Rank.FEATURES, "risk", name, 0, kind=kind, value=value))


def said(core: Any) -> list[str]:
    return [one.kind for one in kinds(core, AlertRaised) if one.kind.startswith("ALERT-10")]


def test_each_is_told_once_where_it_begins() -> None:
    core = core_of()
    tell(core, 1, "vix", 14.0)
    tell(core, 2, "vix", 14.5)
    assert said(core) == []
    tell(core, 3, "vix", 21.0)
    tell(core, 4, "vix", 24.0)
    assert said(core) == ["ALERT-10 regime"]
    tell(core, 5, "whale_print", 1.0, BTC)
    tell(core, 6, "funding_extreme", 0.002, BTC)
    tell(core, 7, "funding_extreme", float("nan"), BTC)
    tell(core, 8, "flow_extreme_inflow", 2.5, BTC)
    assert said(core)[1:] == [f"ALERT-10 {what} {BTC}" for what in ("whale", "funding", "flow")]


@pytest.mark.parametrize("kind", ["whale_print", "funding_extreme"])
def test_a_backtest_is_told_nothing(kind: str) -> None:
    core = core_of(audited=False)
    tell(core, 1, kind, 1.0, BTC)
    assert said(core) == []


@pytest.mark.parametrize(("field", "hours", "values"), [("funding_rate", 8.0, 0.0009), ("exchange_inflow", 24.0, 9.0)])
def test_a_row_that_came_late_changes_nothing(field: str, hours: float, values: float) -> None:
    whole = table(field, [values, 2.0 * values] * 12, hours)
    late = whole.available_at.copy()
    late[14] = late[-1] + HOUR
    gone = np.arange(24) != 14
    at = whole.event_time
    with_late = fact_table([BTC] * 24, at, {field: whole.values[:, 0]}, available_at=late)
    without = fact_table([BTC] * 23, at[gone], {field: whole.values[gone, 0]}, available_at=at[gone])
    assert repr(list(alert_facts(with_late))) == repr(list(alert_facts(without)))
