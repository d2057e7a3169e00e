"""Rolling figures of a model in use, and the reasons to retrain it."""

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.evaluation.class_balance import class_balance
from foresail.evaluation.monitoring import Resolved, monitor_forecasts
from foresail.measures.drift import feature_drift, population_stability_index


def resolved(n: int = 300, *, width: float = 1.2816, loss: float = 1.0, seed: int = 0) -> Resolved:
    rng = np.random.default_rng(seed)
    ends = np.full(n, width)
    return Resolved(np.arange(n), -ends, ends, rng.normal(size=n), np.full(n, loss))


def test_a_healthy_model_may_stay():
    report = monitor_forecasts(resolved(), 1.0)
    assert not report.retrain
    assert np.isnan(report.coverage[98])
    assert report.coverage[99:].mean() == pytest.approx(0.8, abs=0.06)
    assert report.width[-1] == pytest.approx(2 * 1.2816)


def test_rolling_figures_equal_plain_means_and_skip_what_is_unknown():
    given = resolved(150)
    given.outcome[20] = np.nan
    report = monitor_forecasts(given, 2.0)
    inside = (np.abs(given.outcome) <= 1.2816).astype(float)
    inside[20] = np.nan
    assert report.coverage[-1] == pytest.approx(np.nanmean(inside[-100:]))
    known = [i for i in range(120) if i != 20][-100:]
    assert report.coverage[119] == pytest.approx(inside[known].mean())
    assert report.loss_ratio[-1] == 0.5


@pytest.mark.parametrize(
    ("given", "validation", "cause"),
    [
        (resolved(width=0.5), 1.0, "coverage"),
        (resolved(width=4.0), 1.0, "coverage"),
        (resolved(loss=1.26), 1.0, "loss"),
    ],
)
def test_each_limit_asks_for_retraining(given, validation, cause):
    report = monitor_forecasts(given, validation)
    assert [r.cause for r in report.rulings] == [cause]
    assert report.rulings[0].text


def test_exactly_at_a_limit_the_model_stays():
    assert not monitor_forecasts(resolved(loss=1.25), 1.0).retrain
    assert not monitor_forecasts(resolved(), 1.0, stability={"rsi_14": 0.2}).retrain
    found = monitor_forecasts(resolved(), 1.0, stability={"rsi_14": 0.21, "close": float("nan")})
    assert [r.cause for r in found.rulings] == ["feature"]
    assert "rsi_14" in found.rulings[0].text


def test_a_regime_alarm_is_passed_on_and_bad_input_refused():
    assert monitor_forecasts(resolved(), 1.0, regime_alarm="panic").rulings[0].text == "regime alarm: panic"
    with pytest.raises(DataError, match="above 0"):
        monitor_forecasts(resolved(), 0.0)
    with pytest.raises(DataError, match="sorted"):
        Resolved(np.array([2, 1]), *np.zeros((4, 2)))
    assert not monitor_forecasts(resolved(0), 1.0).retrain


def test_the_stability_index_by_hand():
    reference = np.repeat([0.0, 1.0], [50, 50])
    recent = np.repeat([0.0, 1.0], [20, 80])
    expected = (0.2 - 0.5) * np.log(0.2 / 0.5) + (0.8 - 0.5) * np.log(0.8 / 0.5)
    assert population_stability_index(reference, recent, bins=2) == pytest.approx(expected)
    same = np.random.default_rng(1).normal(size=5000)
    assert population_stability_index(same, same) == pytest.approx(0.0, abs=1e-9)
    assert population_stability_index(same, same + 1.0) > 0.2
    assert np.isnan(population_stability_index(same, np.array([np.nan])))
    with pytest.raises(DataError, match="10 reference values, received 3"):
        population_stability_index(np.ones(3), same)


def test_drift_names_the_feature_that_moved():
    rng = np.random.default_rng(2)
    old, new = rng.normal(size=(1000, 3)), rng.normal(size=(500, 3))
    new[:, 1] += 1.5
    new[:, 2] = np.nan
    found = feature_drift(("a", "b", "c"), old, new)
    assert found["a"] < 0.1 < 0.2 < found["b"]
    assert np.isnan(found["c"])


def test_class_counts_warn_and_refuse():
    train, validation = class_balance(
        {"train": np.array([0] * 30 + [1] * 20 + [2] * 10), "validation": np.array([0, 1, 2])},
        ("down", "neutral", "up"),
    )
    assert train.counts == (30, 20, 10)
    assert train.shares == (0.5, pytest.approx(1 / 3), pytest.approx(1 / 6))
    assert train.imbalance == 3.0
    assert "3.00" in train.warning
    assert validation.warning == ""
    with pytest.raises(DataError, match="test: none of the 2 rows is of class up"):
        class_balance({"test": np.array([0, 1])}, ("down", "neutral", "up"))
    with pytest.raises(DataError, match="0 to 2"):
        class_balance({"test": np.array([0, 3])}, ("down", "neutral", "up"))
