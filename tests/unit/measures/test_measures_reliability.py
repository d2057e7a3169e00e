import numpy as np
import pytest
from sklearn.calibration import calibration_curve

from foresail.core.errors import DataError, UnknownNameError
from foresail.measures.reliability import reliability_curve

RANDOM = np.random.default_rng(0)
SAID = RANDOM.beta(2, 3, 4000)
CAME = (RANDOM.random(4000) < SAID).astype(float)


@pytest.mark.parametrize(("binning", "oracle"), [("width", "uniform"), ("mass", "quantile")])
def test_curve_equals_scikit_learn(binning, oracle):
    found = reliability_curve(SAID, CAME, bins=10, binning=binning)
    seen, said = calibration_curve(CAME, SAID, n_bins=10, strategy=oracle)
    # the oracle interpolates its quantiles, so that a forecast at an edge can fall on the other side
    np.testing.assert_allclose(found.seen, seen, atol=1e-12 if binning == "width" else 3e-3)
    np.testing.assert_allclose(found.said, said, atol=1e-12 if binning == "width" else 1e-3)


def test_error_is_the_weighted_gap_and_small_for_honest_probabilities():
    found = reliability_curve(SAID, CAME, binning="mass")
    assert found.expected_error == pytest.approx(np.average(np.abs(found.seen - found.said), weights=found.count))
    assert found.expected_error < 0.03
    assert np.ptp(found.count) <= 1
    assert reliability_curve(np.sqrt(SAID), CAME, binning="mass").expected_error > 0.15
    np.testing.assert_array_equal(np.bincount(found.bins), found.count)


def test_hand_made_bins():
    found = reliability_curve([0.1, 0.1, 0.9, 1.0], [0, 1, 1, 1], bins=2, binning="width")
    np.testing.assert_allclose([found.said, found.seen], [[0.1, 0.95], [0.5, 1.0]])
    assert found.expected_error == pytest.approx(0.5 * 0.4 + 0.5 * 0.05)
    assert found.maximum_error == pytest.approx(0.4)


def test_equal_probabilities_stay_in_one_bin():
    found = reliability_curve([0.3] * 8 + [0.7] * 2, [0, 1] * 5, bins=5, binning="mass")
    np.testing.assert_allclose(found.said, [0.3, 0.7])
    assert found.count.tolist() == [8, 2]


def test_bad_inputs_are_refused():
    with pytest.raises(DataError, match="at least 10 values, received 2"):
        reliability_curve([0.1, 0.2], [0, 1], binning="mass")
    with pytest.raises(DataError, match=r"in \[0, 1\]"):
        reliability_curve([0.1, 1.2], [0, 1], bins=2, binning="width")
    with pytest.raises(DataError, match="0 and 1 only"):
        reliability_curve([0.1, 0.2], [0, 0.5], bins=2, binning="width")
    with pytest.raises(UnknownNameError, match="width"):
        reliability_curve([0.1, 0.2], [0, 1], bins=2, binning="heap")


def test_full_bins_weigh_more_than_thin_ones():
    found = reliability_curve([0.2, 0.2, 0.2, 0.9], [0, 0, 0, 1], bins=2, binning="width")
    assert found.expected_error == pytest.approx(0.75 * 0.2 + 0.25 * 0.1)
