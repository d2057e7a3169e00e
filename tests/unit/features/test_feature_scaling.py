import numpy as np
import pytest

from foresail.core.errors import DataError, LookAheadError
from foresail.domain.panel import Panel
from foresail.features.scaling import CLIP, Fold, StandardScaler, clipped_standard


def features() -> Panel:
    values = np.random.default_rng(0).normal(3.0, 2.0, (4, 30, 3))
    values[:, :, 1] = 5.0
    values[0, 3, 0] = np.nan
    end = np.arange(1, 31, dtype=np.int64)
    names = tuple(f"stock.US.S{i}" for i in range(4))
    fields = ("rsi_14", "skew_60", "day_sin")
    return Panel(values, np.ones((4, 30), bool), end - 1, end, end, fields, names, "1d", "24/7")


def rows(first: int, last: int) -> np.ndarray:
    return np.array([(i, t) for t in range(first, last) for i in range(4)], dtype=np.int64)


def test_training_rows_become_standard_and_later_rows_change_nothing():
    panel = features()
    scaler = StandardScaler.fit(panel, rows(0, 20), Fold(0, 20))
    trained = scaler.transform(panel.values)[:, :20, 0]
    assert np.nanmean(trained) == pytest.approx(0.0, abs=1e-12)
    assert np.nanstd(trained, ddof=1) == pytest.approx(1.0)
    assert np.isnan(trained[0, 3])
    panel.values[:, 20:] = 1e6
    again = StandardScaler.fit(panel, rows(0, 20), Fold(0, 20))
    assert np.array_equal(again.mean, scaler.mean)


def test_a_row_outside_the_fold_is_refused():
    with pytest.raises(LookAheadError, match="asked to learn from time 20"):
        StandardScaler.fit(features(), rows(0, 21), Fold(0, 20))
    with pytest.raises(LookAheadError):
        StandardScaler.fit(features(), rows(4, 10), Fold(5, 20))


def test_values_are_clipped_at_eight_and_cyclic_ones_pass():
    panel = features()
    panel.values[1, 25] = 1e9
    scaled, scaler = clipped_standard(panel, rows(0, 20), Fold(0, 20))
    assert scaled[1, 25, 0] == CLIP
    assert scaled[1, 25, 2] == 1e9
    assert scaler.mean[2] == 0.0


def test_a_constant_feature_is_centred_not_divided_by_nothing():
    scaled, _ = clipped_standard(features(), rows(0, 20), Fold(0, 20))
    assert np.array_equal(scaled[:, :, 1], np.zeros((4, 30)))


def test_wrong_width_and_no_rows_are_refused():
    scaler = StandardScaler.fit(features(), rows(0, 5), Fold(0, 5))
    with pytest.raises(DataError, match="3 features received 2"):
        scaler.transform(np.zeros((1, 2)))
    with pytest.raises(DataError, match="at least one"):
        StandardScaler.fit(features(), np.empty((0, 2), np.int64), Fold(0, 5))
