import numpy as np
import pytest

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.panel import Panel
from foresail.features.window import WindowFeature, WindowRing, append_features, compute_windows

FIELDS = ("close", "volume", "total_factor")


def panel() -> Panel:
    close = np.array([[1.0, 2.0, np.nan, 4.0, 8.0], [np.nan, np.nan, 3.0, 3.0, 3.0]])
    values = np.stack([close, close * 10, np.where(np.isfinite(close), 2.0, np.nan)], axis=2)
    end = np.arange(1, 6, dtype=np.int64)
    return Panel(values, np.isfinite(close), end - 1, end, end, FIELDS, ("stock.US.A", "stock.US.B"), "1d", "24/7")


SPREAD = WindowFeature("x/spread", 3, lambda w: float(np.ptp(w["close"])))


def test_the_function_sees_the_last_bars_that_exist_adjusted():
    out = compute_windows(panel(), [SPREAD]).values[:, :, 0]
    np.testing.assert_array_equal(out, [[np.nan, np.nan, np.nan, 6.0, 12.0], [np.nan, np.nan, np.nan, np.nan, 0.0]])


def test_the_function_sees_no_more_than_its_window_and_cannot_spoil_the_ring():
    seen = []

    def greedy(window):
        seen.append(window["close"].copy())
        window["close"][:] = -1.0
        return window["volume"].sum()

    compute_windows(panel(), [WindowFeature("x/greedy", 2, greedy, ("close", "volume"))])
    assert [len(s) for s in seen] == [2] * 5
    assert all((s > 0).all() for s in seen)


def test_infinity_becomes_absent():
    out = compute_windows(panel(), [WindowFeature("x/inf", 1, lambda w: float("inf"))])
    assert np.isnan(out.values).all()


def test_a_restored_ring_continues():
    bars = panel()
    whole = compute_windows(bars, [SPREAD]).values[:, :, 0]
    first, second = WindowRing(SPREAD, 2), WindowRing(SPREAD, 2)
    column = (bars.field("close") * 2.0)[:, :, None]
    for t in range(3):
        first.update(column[:, t], bars.present[:, t])
    second.restore(first.snapshot())
    rows = [second.update(column[:, t], bars.present[:, t]) for t in (3, 4)]
    np.testing.assert_array_equal(np.stack(rows, axis=1), whole[:, 3:])


def test_unknown_inputs_bad_windows_and_repeated_names_are_refused():
    with pytest.raises(ConfigError, match="at least one bar"):
        WindowFeature("x", 0, lambda w: 0.0)
    with pytest.raises(UnknownNameError):
        compute_windows(panel(), [WindowFeature("x", 1, lambda w: 0.0, ("bid",))])
    one = compute_windows(panel(), [SPREAD])
    with pytest.raises(ConfigError, match="x/spread"):
        append_features(one, one)
    other = compute_windows(panel(), [WindowFeature("y", 1, lambda w: w["close"][0])])
    assert append_features(one, other).fields == ("x/spread", "y")
