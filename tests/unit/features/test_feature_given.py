"""Numbers per instrument that come from outside: funding rates, earnings yields."""

import numpy as np
import pytest

from foresail.core.errors import CapabilityError
from foresail.features.context import FeatureContext
from foresail.features.expressions import PRICE, clock_where, given
from foresail.features.formulas.common import mean
from foresail.features.plan import make_plan
from foresail.features.runner import field_positions, fresh_memory, run

FIELDS = ("open", "high", "low", "close", "volume")


def _bars(n: int, t: int):
    rng = np.random.default_rng(3)
    values = np.repeat(rng.uniform(10, 20, (n, t, 1)), 5, axis=2)
    present = rng.random((n, t)) > 0.2
    return field_positions(FIELDS), values, present


def _context(n: int, t: int, names: tuple[str, ...], values: np.ndarray) -> FeatureContext:
    return FeatureContext(
        np.full(n, -1, np.int64), calendar=np.zeros((4, t)), given_names=names, given=values, reference=np.empty((0, t))
    )


def test_a_given_number_reaches_its_instrument_and_windows_skip_what_is_absent():
    n, t = 70, 12
    fields, values, present = _bars(n, t)
    numbers = np.random.default_rng(5).normal(size=(n, t, 2))
    numbers[:, 4, 1] = np.nan
    numbers[3, 5, 1] = np.inf
    funding = given("funding")
    plan = make_plan([funding, mean(funding, 3, clock_where(PRICE, funding))])
    out = run(plan, (fields, values, present), _context(n, t, ("other", "funding"), numbers))
    # the first column is the number itself where it is one
    known = np.where(np.abs(numbers[:, :, 1]) < np.inf, numbers[:, :, 1], np.nan)
    assert np.array_equal(out[:, :, 0][present], known[present], equal_nan=True)
    for i in (0, 3, 69):
        use = [k for k in range(t) if present[i, k] and np.isfinite(numbers[i, k, 1])]
        for position, k in enumerate(use):
            expected = np.nan if position < 2 else np.mean(known[i, use[position - 2 : position + 1]])
            np.testing.assert_allclose(out[i, k, 1], expected, rtol=1e-12)


def test_live_equals_history_with_given_numbers():
    n, t = 5, 30
    fields, values, present = _bars(n, t)
    numbers = np.random.default_rng(6).normal(size=(n, t, 1))
    funding = given("funding")
    plan = make_plan([mean(funding, 4, clock_where(PRICE, funding))])
    whole = run(plan, (fields, values, present), _context(n, t, ("funding",), numbers))
    memory = fresh_memory(plan, n)
    for k in range(t):
        bar = (fields, np.ascontiguousarray(values[:, k : k + 1]), np.ascontiguousarray(present[:, k : k + 1]))
        row = run(plan, bar, _context(n, 1, ("funding",), numbers[:, k : k + 1]), memory=memory)
        assert np.array_equal(row[:, 0], whole[:, k], equal_nan=True)


def test_a_series_that_was_not_given_is_refused_by_name():
    fields, values, present = _bars(2, 3)
    with pytest.raises(CapabilityError, match="funding"):
        run(make_plan([given("funding")]), (fields, values, present), _context(2, 3, (), np.empty((2, 3, 0))))
