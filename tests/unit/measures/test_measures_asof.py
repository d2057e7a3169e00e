"""Facts are joined as they were known: by availability, in the vintage of the time, and silent once they end."""

from __future__ import annotations

from datetime import timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from foresail.core.errors import DataError, LookAheadError, UnknownNameError
from foresail.core.ids import instrument_id
from foresail.domain.facts import FactBasis, fact_table, next_session, snapshot_facts
from foresail.measures.asof import asof_join, asof_series

DAY = 86_400_000_000_000
A, B = instrument_id("stock.US.A"), instrument_id("stock.US.B")


def days(*numbers: float) -> np.ndarray:
    return (np.array(numbers) * DAY).astype(np.int64)


def reports():
    """A: quarter 90 published on 120, restated on 200; quarter 180 published on 210, 90 restated on 260."""
    return fact_table(
        [A, A, A, A, B],
        days(90, 90, 180, 90, 90),
        {"income": np.array([1.0, 1.1, 2.0, 1.2, 7.0]), "debt": np.array([5.0, np.nan, np.nan, 6.0, 8.0])},
        available_at=days(120, 200, 210, 260, 121),
    )


def test_the_newest_period_known_counts_in_its_newest_vintage() -> None:
    found = asof_join(reports(), days(119, 120, 199, 200, 209, 210, 300), field="income", instruments=[A, B])
    np.testing.assert_array_equal(found.values[0], [np.nan, 1.0, 1.0, 1.1, 1.1, 2.0, 2.0])
    np.testing.assert_array_equal(found.values[1], [np.nan, np.nan, 7, 7, 7, 7, 7])
    assert (found.event_time[0, 1:] == days(90, 90, 90, 90, 180, 180)).all()
    assert (found.available_at[0, 1:] == days(120, 120, 200, 200, 210, 210)).all()


def test_a_vintage_that_says_nothing_of_a_field_leaves_the_value_before() -> None:
    found = asof_join(reports(), days(250, 300), field="debt", instruments=[A])
    assert found.values[0].tolist() == [5.0, 6.0]


def test_a_value_may_fall_silent_and_unknown_instruments_are_missing() -> None:
    found = asof_join(reports(), days(220, 222), field="income", instruments=[A, instrument_id("stock.US.Z")],
                      stale_after_ns=11 * DAY)  # fmt: skip
    np.testing.assert_array_equal(found.values, [[2.0, np.nan], [np.nan, np.nan]])
    with pytest.raises(UnknownNameError, match=r"unknown fact field 'incme'. Did you mean 'income'"):
        asof_join(reports(), days(1), field="incme", instruments=[A])


@settings(max_examples=100, deadline=None)
@given(st.data())
def test_what_arrives_later_never_changes_what_a_decision_saw(data) -> None:
    rows = data.draw(st.integers(1, 12))
    event = np.array(data.draw(st.lists(st.integers(0, 5), min_size=rows, max_size=rows)), dtype=np.int64) * 90 * DAY
    lag = np.array(data.draw(st.lists(st.integers(0, 400), min_size=rows, max_size=rows)), dtype=np.int64) * DAY
    names = data.draw(st.lists(st.sampled_from([A, B]), min_size=rows, max_size=rows))
    values = np.arange(rows, dtype=np.float64)
    decision = data.draw(st.integers(0, 900)) * DAY
    whole = fact_table(names, event, {"x": values}, available_at=event + lag)
    kept = event + lag <= decision
    then = fact_table([n for n, k in zip(names, kept, strict=True) if k], event[kept], {"x": values[kept]},
                      available_at=(event + lag)[kept])  # fmt: skip
    at = np.array([decision], dtype=np.int64)
    seen = asof_join(whole, at, field="x", instruments=[A, B])
    np.testing.assert_array_equal(seen.values, asof_join(then, at, field="x", instruments=[A, B]).values)
    for i, name in enumerate((A, B)):  # the plain reading of the rule
        mine = [
            (e, a, v)
            for n, e, a, v in zip(names, event, event + lag, values, strict=True)
            if n == name and a <= decision
        ]
        newest = max((e for e, _, _ in mine), default=None)
        known = max(((a, v) for e, a, v in mine if e == newest), default=(0, np.nan))[1]
        np.testing.assert_equal(seen.values[i, 0], known)


def test_the_audit_sees_only_what_was_recorded_by_then() -> None:
    table = fact_table([A, A], days(90, 90), {"x": np.array([1.0, 9.0])}, available_at=days(100, 100),
                       recorded_at=days(101, 400))  # fmt: skip
    now = asof_join(table, days(150), field="x", instruments=[A])
    then = asof_join(table, days(150), field="x", instruments=[A], recorded_by_ns=300 * DAY)
    assert (now.values[0, 0], then.values[0, 0]) == (9.0, 1.0)


def test_facts_without_availability_are_refused_unless_a_lag_is_stated() -> None:
    with pytest.raises(LookAheadError, match=r"either available_at or a stated publication lag, received neither"):
        fact_table([A], days(90), {"x": np.ones(1)})
    with pytest.raises(LookAheadError, match="received both"):
        fact_table([A], days(90), {"x": np.ones(1)}, available_at=days(91), publication_lag=timedelta(1))
    with pytest.raises(LookAheadError, match="cannot be negative"):
        fact_table([A], days(90), {"x": np.ones(1)}, publication_lag=timedelta(-1))
    with pytest.raises(LookAheadError, match="available_at is empty in row 1"):
        fact_table([A], days(90), {"x": np.ones(1)}, available_at=np.array([np.iinfo(np.int64).min]))
    lagged = fact_table([A], days(90), {"x": np.ones(1)}, publication_lag=timedelta(45))
    assert (lagged.basis, lagged.available_at.tolist()) == (FactBasis.LAGGED, days(135).tolist())


def test_a_date_without_a_time_is_known_after_the_next_session_opens() -> None:
    friday = np.datetime64("2015-04-24", "ns").astype(np.int64)
    opening = np.datetime64("2015-04-27T13:30:01", "ns").astype(np.int64)
    assert next_session(np.array([friday, friday]), "XNYS").tolist() == [opening, opening]
    with pytest.raises(DataError, match="expected dates, received 2015-04-24T00:00:01Z in row 1"):
        next_session(np.array([friday + 1_000_000_000]), "XNYS")


def test_a_snapshot_counts_from_when_it_is_stored() -> None:
    table = snapshot_facts([A], {"employees": np.array([100.0])}, stored_at_ns=500 * DAY)
    found = asof_join(table, days(499, 500), field="employees", instruments=[A])
    np.testing.assert_array_equal(found.values, [[np.nan, 100.0]])


def test_the_newest_known_value_of_a_series_is_taken_and_none_before_the_first() -> None:
    joined = asof_series(days(10, 11, 12), np.array([1.0, 2.0, 3.0]), days(9, 10, 11.5, 12))
    assert np.isnan(joined[0])
    assert joined[1:].tolist() == [1.0, 2.0, 3.0]


def test_a_series_that_ended_says_nothing() -> None:
    times = np.arange(100, dtype=np.int64) * DAY
    joined = asof_series(times, np.arange(100.0), np.array([99, 109, 110], dtype=np.int64) * DAY)
    assert joined[:2].tolist() == [99.0, 99.0]
    assert np.isnan(joined[2])


def test_a_monthly_series_stays_fresh_between_its_values() -> None:
    times = np.arange(24, dtype=np.int64) * 30 * DAY
    joined = asof_series(times, np.arange(24.0), np.array([5 * 30 + 29], dtype=np.int64) * DAY)
    assert joined.tolist() == [5.0]
