"""Reference series are joined as they were known, and fall silent when they end."""

from __future__ import annotations

import numpy as np

from foresail.engine.pipeline import asof_join

DAY = 86_400_000_000_000


def test_the_newest_known_value_is_taken_and_none_before_the_first() -> None:
    times = np.array([10, 11, 12], dtype=np.int64) * DAY
    joined = asof_join(times, np.array([1.0, 2.0, 3.0]), np.array([9, 10, 11.5, 12]).astype(np.float64) * DAY)
    assert np.isnan(joined[0])
    assert joined[1:].tolist() == [1.0, 2.0, 3.0]


def test_a_series_that_ended_says_nothing() -> None:
    times = np.arange(100, dtype=np.int64) * DAY
    joined = asof_join(times, np.arange(100.0), np.array([99, 109, 110], dtype=np.int64) * DAY)
    assert joined[:2].tolist() == [99.0, 99.0]
    assert np.isnan(joined[2])


def test_a_monthly_series_stays_fresh_between_its_values() -> None:
    times = np.arange(24, dtype=np.int64) * 30 * DAY
    joined = asof_join(times, np.arange(24.0), np.array([5 * 30 + 29], dtype=np.int64) * DAY)
    assert joined.tolist() == [5.0]
