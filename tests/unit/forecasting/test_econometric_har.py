"""Designs of heterogeneous autoregressions hold nothing of the future, and least squares finds what was planted."""

from __future__ import annotations

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.forecasting.econometric.har import (
    ahead,
    cross_terms,
    fit_ols,
    har_design,
    leverage_terms,
    mean_ahead,
    trailing_mean,
)
from foresail.forecasting.econometric.proxies import (
    floored,
    garman_klass,
    parkinson,
    rogers_satchell,
    with_overnight,
)

VALUES = np.random.default_rng(1).normal(size=(3, 120))


def test_trailing_mean_counts_known_values_only():
    x = np.array([[1.0, np.nan, 3.0, 5.0]])
    assert np.array_equal(trailing_mean(x, 2, least=1), [[1.0, 1.0, 3.0, 4.0]])
    assert np.array_equal(trailing_mean(x, 2), [[np.nan, np.nan, np.nan, 4.0]], equal_nan=True)
    assert np.isnan(trailing_mean(x, 9)).all()


def test_design_rows_use_their_own_past_only():
    full = har_design(VALUES, extras=[*leverage_terms(VALUES), *cross_terms(VALUES)])
    changed = VALUES.copy()
    changed[:, 80:] = 50.0
    again = har_design(changed, extras=[*leverage_terms(changed), *cross_terms(changed)])
    assert np.array_equal(full[:, :80], again[:, :80], equal_nan=True)
    assert full.shape == (3, 120, 7)
    assert full[1, 60, :3] == pytest.approx([VALUES[1, 60], VALUES[1, 56:61].mean(), VALUES[1, 39:61].mean()])


def test_cross_terms_are_of_the_row_before():
    late, smooth = cross_terms(VALUES)
    assert late[2, 10] == pytest.approx(VALUES[:, 9].mean())
    assert smooth[0, 10] == pytest.approx(VALUES[:, 5:10].mean())


def test_targets_lie_ahead():
    assert ahead(VALUES, 3)[0, 5] == VALUES[0, 8]
    assert mean_ahead(VALUES, 3)[0, 5] == pytest.approx(VALUES[0, 6:9].mean())
    assert np.isnan(ahead(VALUES, 3)[:, -3:]).all()
    assert np.isnan(mean_ahead(VALUES, 3)[:, -3:]).all()


def test_planted_equation_is_found():
    design = har_design(VALUES)
    target = 0.3 + design @ np.array([0.5, 0.2, -0.1])
    fit = fit_ols(design, target)
    assert fit.intercept == pytest.approx(0.3)
    assert fit.beta == pytest.approx([0.5, 0.2, -0.1])
    assert fit.residual_variance < 1e-20
    assert np.allclose(fit.predict(design), target, equal_nan=True)
    assert np.abs(fit_ols(design, target, ridge=1.0).beta).sum() < 0.8


def test_only_given_rows_are_used_and_too_few_are_refused():
    design, target = har_design(VALUES), ahead(VALUES, 1)
    rows = np.zeros((3, 120), dtype=np.bool_)
    rows[0, 22:60] = True
    spoilt = target.copy()
    spoilt[1:], spoilt[0, 60:] = 99.0, 99.0
    assert np.array_equal(fit_ols(design, target, rows=rows).beta, fit_ols(design, spoilt, rows=rows).beta)
    with pytest.raises(DataError, match="at least 8 complete rows"):
        fit_ols(design[:, :24], target[:, :24], rows=rows[:, :24])


def test_range_estimators_measure_a_random_walk():
    steps = np.random.default_rng(2).normal(0, 0.01 / np.sqrt(400), size=(4_000, 400)).cumsum(axis=1)
    high, low, close = (np.maximum(steps.max(axis=1), 0), np.minimum(steps.min(axis=1), 0), steps[:, -1])
    zero = np.zeros(4_000)
    for found in (garman_klass(high - low, close), parkinson(high - low), rogers_satchell(zero, high, low, close)):
        assert found.mean() == pytest.approx(1e-4, rel=0.12)  # a little low: the range is seen 400 times a day
    assert with_overnight(np.array([1e-4]), np.array([0.01]))[0] == pytest.approx(2e-4)


def test_floor_lifts_quiet_bars_and_keeps_gaps():
    out = floored(np.array([0.0, np.nan, 1.0]), np.array([2.0, 2.0, 2.0]))
    assert out[0] == 0.02
    assert np.isnan(out[1])
    assert out[2] == 1.0
    assert np.isnan(floored(np.array([0.0]), np.array([0.0]))[0])
