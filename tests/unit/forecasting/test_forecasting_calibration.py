from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from foresail.core.errors import UnknownNameError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.forecasting.calibration import ConformalState, calibrate_block, symmetric_pairs
from foresail.forecasting.confidence import expected_return
from foresail.testing.planted import PlantedSettings, planted_market

Z = norm.ppf(QUANTILE_LEVELS)
MARKET = planted_market(PlantedSettings(names=25, bars=900, noise=1, skill=0.0), seed=2)
POSITIONS = np.arange(100, 890, 2)


def raw(width):
    unit = MARKET.scale[:, POSITIONS, None] * np.sqrt(MARKET.targets.horizons)
    return width * unit[:, :, None, :, None] * Z


def coverage(values, first):
    label = MARKET.targets.values[:, POSITIONS[first:]]
    inside = (label >= values[:, first:, ..., 1]) & (label <= values[:, first:, ..., 5])
    return inside[np.isfinite(label)].reshape(-1, 2).mean(axis=0)


def test_pairs_are_levels_that_mirror():
    assert symmetric_pairs(QUANTILE_LEVELS) == ((0, 6), (1, 5), (2, 4))
    assert symmetric_pairs((0.1, 0.5, 0.8)) == ()


@pytest.mark.parametrize("width", [0.5, 1.0, 2.0])
def test_coverage_of_clustered_heavy_tails_reaches_eighty_percent(width):
    """VALID-22: 80 +- 3 %, from intervals half as wide, and twice as wide, as a normal would make them."""
    before = coverage(raw(width), 60)
    after = coverage(calibrate_block(raw(width), MARKET.targets, MARKET.scale, POSITIONS), 60)
    assert np.all(np.abs(after - 0.8) <= 0.03)
    if width != 1.0:
        assert np.all(np.abs(before - 0.8) > 0.1)


def test_mean_of_each_curve_and_so_every_rank_is_kept():
    shifted = raw(0.7) + 0.003 * np.random.default_rng(0).standard_normal((25, len(POSITIONS), 1, 2, 1))
    after = calibrate_block(shifted, MARKET.targets, MARKET.scale, POSITIONS)
    assert np.allclose(expected_return(after, QUANTILE_LEVELS), expected_return(shifted, QUANTILE_LEVELS), atol=2e-6)


@pytest.mark.parametrize("cut", [150, 501])
def test_a_forecast_learns_only_from_labels_known_when_it_is_issued(cut):
    values = MARKET.targets.values.copy()
    for h, horizon in enumerate(MARKET.targets.horizons):
        values[:, max(0, cut - horizon + 1) :, :, h] = 9.9  # labels that end after ``cut``
    later = replace(MARKET.targets, values=values)
    before = calibrate_block(raw(1.0), MARKET.targets, MARKET.scale, POSITIONS)
    after = calibrate_block(raw(1.0), later, MARKET.scale, POSITIONS)
    known = cut >= POSITIONS
    assert np.array_equal(before[:, known], after[:, known])
    assert not np.array_equal(before[:, ~known], after[:, ~known])


def test_adding_later_positions_changes_nothing_before():
    short = calibrate_block(raw(1.0)[:, :50], MARKET.targets, MARKET.scale, POSITIONS[:50])
    assert np.array_equal(short, calibrate_block(raw(1.0), MARKET.targets, MARKET.scale, POSITIONS)[:, :50])


def test_without_outcomes_nothing_moves_and_missing_stays_missing():
    values = raw(1.0)
    values[4] = np.nan
    out = calibrate_block(values, MARKET.targets, MARKET.scale, POSITIONS)
    assert np.allclose(out[0, 0], values[0, 0], atol=1e-6)
    assert np.isnan(out[4]).all()
    assert np.isfinite(out[:4]).all()


def test_window_forgets_and_shift_equals_the_sorted_quantile():
    g = np.random.default_rng(1)
    unit = np.full((40, 1, 1, 1), 0.02)
    state = ConformalState((1, 1), window=50)
    curve = np.tile(0.02 * Z, (40, 1, 1, 1))
    for _ in range(60):
        state.update(curve, np.full((40, 1, 1), 3.0), unit, 0)
    labels = 0.03 * g.standard_normal((50, 40, 1, 1))
    for row in labels:
        state.update(curve, row, unit, 0)
    y = labels.ravel() / 0.02
    score = np.sort(np.maximum(Z[1] - y, y - Z[5]))
    expected = score[int(np.ceil((len(score) + 1) * 0.8)) - 1]
    assert state.shifts()[0, 0, 1] == pytest.approx(expected, abs=0.004)


def test_starting_from_calibration_rows_equals_updating_by_issue_time():
    unit = np.full((30, 1, 1, 1), 0.02)
    curve = np.tile(0.02 * Z, (30, 1, 1, 1))
    labels = 0.03 * np.random.default_rng(2).standard_normal((30, 1, 1))
    times = np.repeat(np.arange(3), 10)
    one, two = ConformalState((1, 1)), ConformalState((1, 1))
    one.start(curve, labels, unit, times)
    for t in range(3):
        two.update(curve[times == t], labels[times == t], unit[times == t], 0)
    assert np.array_equal(one.shifts(), two.shifts())
    assert one.shifts().any()


def test_the_adaptive_method_repairs_what_a_wrong_start_left_and_none_changes_nothing():
    narrow = raw(0.3)
    fixed = calibrate_block(narrow, MARKET.targets, MARKET.scale, POSITIONS)
    steered = calibrate_block(narrow, MARKET.targets, MARKET.scale, POSITIONS, method="adaptive")
    assert not np.array_equal(steered, fixed, equal_nan=True)
    assert np.abs(coverage(steered, 60) - 0.8).max() < 0.06
    untouched = calibrate_block(narrow, MARKET.targets, MARKET.scale, POSITIONS, method="none")
    assert np.abs(coverage(untouched, 60) - 0.8).min() > 0.2


def test_the_adaptive_level_uses_only_outcomes_known_at_issue():
    short = calibrate_block(raw(1.0)[:, :50], MARKET.targets, MARKET.scale, POSITIONS[:50], method="adaptive")
    whole = calibrate_block(raw(1.0), MARKET.targets, MARKET.scale, POSITIONS, method="adaptive")
    assert np.array_equal(short, whole[:, :50], equal_nan=True)


def test_an_unknown_method_is_refused_with_the_known_ones():
    with pytest.raises(UnknownNameError, match="online"):
        calibrate_block(raw(1.0), MARKET.targets, MARKET.scale, POSITIONS, method="magic")
