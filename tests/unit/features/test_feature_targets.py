import numpy as np
import pytest

from foresail.core.errors import ConfigError
from foresail.domain.panel import Panel
from foresail.features.targets import compute_targets, label_scale

DAY = 86_400_000_000_000
FIELDS = ("high", "low", "close", "total_factor")


def panel(close: list[float], high=None, low=None, factor=None) -> Panel:
    c = np.array([close], dtype=float)
    nothing = np.full(c.shape, np.nan)
    columns = [nothing if x is None else np.array([x], dtype=float) for x in (high, low)]
    f = np.ones(c.shape) if factor is None else np.array([factor], dtype=float)
    start = np.arange(c.shape[1], dtype=np.int64) * DAY
    values = np.stack([*columns, c, f], axis=2)
    return Panel(values, np.isfinite(c), start, start + DAY, start + DAY, FIELDS, ("stock.US.A",), "1d", "24/7")


def test_close_labels_by_hand_with_a_gap_and_a_dividend():
    targets = compute_targets(panel([10, 11, np.nan, 12], factor=[1, 1.1, np.nan, 1.1]), [1, 2])
    assert targets.names == ("close",)
    expected = [[np.log(12.1 / 10), np.nan], [np.nan, np.log(13.2 / 12.1)], [np.nan, np.nan], [np.nan, np.nan]]
    np.testing.assert_allclose(targets.values[0, :, 0], expected)
    assert targets.label_end.tolist() == [[1, 2], [2, 3], [3, 4], [4, 5]]


def test_high_and_low_are_the_extremes_after_t_only():
    bars = panel([10, 10, 10, 10], high=[99, 12, 11, 10.5], low=[1, 9, 9.5, 8])
    targets = compute_targets(bars, [1, 3])
    assert targets.names == ("close", "high", "low")
    np.testing.assert_allclose(np.exp(targets.values[0, 0, 1]) * 10, [12, 12])
    np.testing.assert_allclose(np.exp(targets.values[0, 0, 2]) * 10, [9, 8])
    assert np.isnan(targets.values[0, 1:, 1, 1]).all()


def test_no_label_without_a_bar_at_both_ends_even_if_highs_exist_between():
    bars = panel([10, 10, np.nan], high=[11, 11, 11], low=[9, 9, 9])
    assert np.isnan(compute_targets(bars, [2]).values).all()


@pytest.mark.parametrize("horizons", [[], [0], [2, 1], [1, 1]])
def test_horizons_must_ascend(horizons):
    with pytest.raises(ConfigError):
        compute_targets(panel([1, 2]), horizons)


def test_a_horizon_beyond_the_panel_gives_no_label():
    assert np.isnan(compute_targets(panel([1, 2]), [5]).values).all()


def test_scaling_prices_by_a_constant_changes_no_label_beyond_noise():
    close = list(np.exp(np.random.default_rng(0).normal(0, 0.01, 50).cumsum()))
    a = compute_targets(panel(close), [1, 5]).values
    b = compute_targets(panel([c * 8 for c in close]), [1, 5]).values
    assert np.array_equal(a, b, equal_nan=True)


def walk(n: int = 200, seed: int = 1) -> list[float]:
    return list(100 * np.exp(np.random.default_rng(seed).normal(0, 0.02, n).cumsum()))


def test_label_scale_against_a_plain_loop():
    close = walk()
    scale = label_scale(panel(close))[0]
    assert np.isnan(scale[:20]).all()
    squares = np.diff(np.log(close)) ** 2
    for t in (20, 59, 61, 150):
        known = squares[:t]
        weights = 0.94 ** np.arange(t)[::-1]
        expected = np.sqrt((np.sum(weights * known) / weights.sum() + known[-60:].mean()) / 2)
        assert scale[t] == pytest.approx(expected, rel=1e-12)


def test_label_scale_sees_no_future():
    close = walk()
    whole = label_scale(panel(close))[0]
    for t in (25, 90, 130):
        assert np.array_equal(label_scale(panel(close[:t]))[0], whole[:t], equal_nan=True)


def test_label_scale_is_floored_and_absent_in_gaps():
    flat = panel([5.0] * 40)
    assert (label_scale(flat)[0, 20:] > 0).all()
    gap = walk(60)
    gap[30] = np.nan
    scale = label_scale(panel(gap))[0]
    assert np.isnan(scale[30])
    assert np.isfinite(scale[31])


def test_label_scale_of_one_bar_is_absent():
    assert np.isnan(label_scale(panel([5.0]))).all()
