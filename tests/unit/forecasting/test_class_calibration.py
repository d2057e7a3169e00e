"""Thresholds of the classes, and the calibration of class probabilities and confidence on rows held out."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from scipy.stats import norm

from foresail.core.canonical import canonical_bytes
from foresail.core.errors import ConfigError, ModelError, UnknownNameError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.forecasting.class_calibration import CalibrationRows, ClassCalibration
from foresail.forecasting.class_rule import ClassRule
from foresail.forecasting.probabilities import PlattScaling, fit_scaling, scaling_content, scaling_of
from foresail.measures.reliability import reliability_curve

Z = norm.ppf(QUANTILE_LEVELS)


def test_the_threshold_of_two_percent_a_day_over_five_days():
    """The vector of FCST-07: 0.5 x 2 % x sqrt(5) = 2.24 %."""
    deviation = np.array([0.02 * np.sqrt(5.0)])
    rule = ClassRule()
    assert float(rule.threshold(deviation)[0]) == pytest.approx(0.0224, abs=5e-5)
    moves = np.array([0.0225, 0.0223, 0.0, -0.0223, -0.0225])
    assert rule.classes(moves, np.repeat(deviation, 5)).tolist() == [2, 1, 1, 1, 0]
    fixed = ClassRule(fixed=0.01)
    assert fixed.classes(np.array([0.011, 0.009, -0.011]), np.repeat(deviation, 3)).tolist() == [2, 1, 0]
    assert float(ClassRule(band=1.0).threshold(deviation)[0]) == pytest.approx(2 * 0.02236, abs=5e-5)


def test_the_threshold_is_never_below_the_cost():
    dear = ClassRule(floor=0.007)
    assert dear.threshold(np.array([0.005, 0.05])).tolist() == [0.007, 0.025]
    assert ClassRule(fixed=0.005, floor=0.007).threshold(np.array([0.005])).tolist() == [0.007]
    assert np.isnan(ClassRule(fixed=0.01).threshold(np.array([np.nan]))).all()
    assert ClassRule.of(json.loads(canonical_bytes(dear.content()))) == dear
    for wrong in ({"band": -1.0}, {"fixed": float("nan")}, {"band": 0.0}, {"floor": 11.0}):
        with pytest.raises(ConfigError):
            ClassRule(**wrong)


def rows(seed: int, count: int, *, confidence: float) -> CalibrationRows:
    """Forecasts whose mean is ``confidence`` times the one that is true; the spread is right."""
    rng = np.random.default_rng(seed)
    mean = rng.normal(0.0, 0.012, count)
    actual = mean + rng.normal(0.0, 0.02, count)
    values = confidence * mean[:, None] + 0.02 * Z
    times = np.arange(count) // 10
    return CalibrationRows(
        values[:, None], actual[:, None], np.full((count, 1), 0.0233), times, (1,), tuple(QUANTILE_LEVELS)
    )


def errors(told: CalibrationRows, how: ClassCalibration) -> tuple[float, float]:
    """Expected calibration error of the most probable class and of the confidence."""
    values, actual, deviation = told.values[:, 0], told.actual[:, 0], told.deviation[:, 0]
    three = how.class_probabilities(values, told.levels, deviation, 0)
    right = three.argmax(axis=1) == how.rule.classes(actual, deviation)
    sure = how.confidence(values, told.levels, 0)
    agreed = (values @ np.full(7, 1 / 7) >= 0) == (actual > 0)
    return tuple(
        reliability_curve(p, r, bins=10, binning="width").expected_error
        for p, r in ((three.max(axis=1), right), (sure, agreed))
    )


@pytest.mark.parametrize("confidence", [2.5, 0.3])
def test_the_error_falls_on_rows_that_were_not_fitted_on(confidence):
    plain = ClassCalibration.nothing(ClassRule(), 1)
    how = ClassCalibration.fit(ClassRule(), rows(1, 6000, confidence=confidence))
    fresh = rows(2, 6000, confidence=confidence)
    before, after = errors(fresh, plain), errors(fresh, how)
    assert max(before) > 0.1
    assert max(after) < 0.05  # the bound of VALID-14
    assert max(after) < 0.5 * max(before)
    assert "none" not in how.methods()[0].values()
    three = how.class_probabilities(fresh.values[:, 0], fresh.levels, fresh.deviation[:, 0], 0)
    np.testing.assert_allclose(three.sum(axis=1), 1.0, atol=1e-12)


def test_honest_or_few_forecasts_are_left_alone():
    few = ClassCalibration.fit(ClassRule(), rows(3, 150, confidence=2.5))
    assert few.methods() == [{"classes": "none", "confidence": "none"}]
    honest = rows(4, 6000, confidence=1.0)
    how = ClassCalibration.fit(ClassRule(), honest)
    fresh = rows(5, 6000, confidence=1.0)
    assert max(errors(fresh, how)) < 0.03
    kinds = [ClassCalibration.fit(ClassRule(), rows(seed, 2000, confidence=1.0)).methods()[0] for seed in range(10, 16)]
    assert sum(one["confidence"] == "none" for one in kinds) >= 4  # a gain within its error is none
    long = rows(9, 2000, confidence=2.5)
    long = replace(long, horizons=(40,))  # five stretches in two hundred bars
    assert ClassCalibration.fit(ClassRule(), long).methods()[0] == {"classes": "none", "confidence": "none"}
    none = ClassCalibration.fit(ClassRule(), rows(6, 0, confidence=1.0))
    assert none.rows == (0,)


def test_labels_that_reach_into_the_other_half_are_left_out():
    from foresail.forecasting import class_calibration

    times = np.arange(40)
    older, newer = class_calibration._halves(times, 5)
    assert (older.max(), newer.min()) == (14, 20)


def test_a_calibration_survives_its_file():
    for confidence in (2.5, 1.0):
        how = ClassCalibration.fit(ClassRule(floor=0.001), rows(7, 4000, confidence=confidence))
        again = ClassCalibration.of(json.loads(canonical_bytes(how.content())), 1)
        told = rows(8, 50, confidence=confidence)
        for one in (how, again):
            assert one.rule == ClassRule(floor=0.001)
        args = (told.values[:, 0], told.levels)
        np.testing.assert_array_equal(
            how.class_probabilities(*args, told.deviation[:, 0], 0),
            again.class_probabilities(*args, told.deviation[:, 0], 0),
        )
        np.testing.assert_array_equal(how.confidence(*args, 0), again.confidence(*args, 0))
    assert ClassCalibration.of(None, 2).methods() == [{"classes": "none", "confidence": "none"}] * 2


def test_every_scaling_survives_its_file():
    rng = np.random.default_rng(0)
    told = rng.dirichlet(np.ones(3), 300)
    came = rng.integers(0, 3, 300)
    for method in ("temperature", "isotonic", "platt"):
        fitted = fit_scaling(method, told, came)
        again = scaling_of(json.loads(canonical_bytes(scaling_content(fitted))))
        np.testing.assert_allclose(again.apply(told), fitted.apply(told), atol=1e-12)
    assert isinstance(again, PlattScaling)
    assert scaling_of(scaling_content(None)) is None
    with pytest.raises(UnknownNameError, match="scaling of probabilities"):
        fit_scaling("nope", told, came)
    with pytest.raises(ModelError, match="'nope' is not known"):
        scaling_of({"method": "nope"})
