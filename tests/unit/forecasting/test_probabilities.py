"""Class probabilities after calibration."""

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.forecasting.probabilities import IsotonicScaling, PlattScaling, TemperatureScaling
from foresail.measures.reliability import reliability_curve


def too_sure(n: int, seed: int, heat: float = 3.0):
    """A model whose logits are ``heat`` times too large."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(size=(n, 3))
    honest = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    classes = (honest.cumsum(axis=1) < rng.random((n, 1))).sum(axis=1)
    told = np.exp(heat * logits)
    return told / told.sum(axis=1, keepdims=True), classes, honest


def calibration_error(p: np.ndarray, classes: np.ndarray) -> float:
    return reliability_curve(p[:, 2], classes == 2, binning="width").expected_error


def test_the_temperature_of_an_over_confident_model_is_found_and_no_choice_changes():
    p, classes, honest = too_sure(20_000, 1)
    fitted = TemperatureScaling.fit(p, classes)
    assert fitted.temperature == pytest.approx(3.0, rel=0.05)
    fresh, came, truth = too_sure(5000, 2)
    calibrated = fitted.apply(fresh)
    assert np.array_equal(calibrated.argmax(axis=1), fresh.argmax(axis=1))
    np.testing.assert_allclose(calibrated, truth, atol=0.03)
    assert calibration_error(calibrated, came) < 0.02 < calibration_error(fresh, came)
    assert honest.shape == p.shape


@pytest.mark.parametrize("method", [IsotonicScaling, PlattScaling])
def test_other_scalings_lower_the_calibration_error_and_keep_rows_summing_to_one(method):
    p, classes, _ = too_sure(20_000, 3)
    fresh, came, _ = too_sure(5000, 4)
    fitted = method.fit(p, classes)
    calibrated = fitted.apply(fresh)
    np.testing.assert_allclose(calibrated.sum(axis=1), 1.0, rtol=1e-12)
    assert calibration_error(calibrated, came) < 0.5 * calibration_error(fresh, came)
    fresh[0] = np.nan
    assert np.isnan(fitted.apply(fresh)[0]).all()


def test_isotonic_equals_the_library_on_one_class_against_the_rest():
    from sklearn.isotonic import IsotonicRegression

    p, classes, _ = too_sure(500, 5)
    two = np.column_stack([1 - p[:, 1], p[:, 1]])
    came = (classes == 1).astype(int)
    fitted = IsotonicScaling.fit(two, came)
    library = IsotonicRegression(y_min=0, y_max=1, out_of_bounds="clip").fit(two[:, 1], came)
    both = np.interp(two[:, 1], fitted.given[1], fitted.wanted[1])
    np.testing.assert_allclose(both, library.predict(two[:, 1]), atol=1e-12)


@pytest.mark.parametrize("method", [TemperatureScaling, IsotonicScaling, PlattScaling])
def test_a_class_that_never_came_and_wrong_sums_are_refused(method):
    p, classes, _ = too_sure(200, 6)
    with pytest.raises(DataError, match="class 1"):
        method.fit(p, np.where(classes == 1, 0, classes))
    wrong = p.copy()
    wrong[3] *= 2
    with pytest.raises(DataError, match="row 3"):
        method.fit(wrong, classes)
    with pytest.raises(DataError, match="outcomes"):
        method.fit(p[:5], classes)
