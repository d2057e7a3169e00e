"""QLIKE of volatility models on their test part: by hand, on a registered model, and absent for others (EVAL-05)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from scipy.stats import norm
from tests.unit.service.trained_ridge import train

from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.forecasting.curve import curve_variance
from foresail.forecasting.registry import FORECASTERS, is_of_volatility
from foresail.service.training_lines import metric_lines
from foresail.service.training_variance import variance_figures

NORMAL = norm.ppf(QUANTILE_LEVELS)


def test_qlike_by_hand():
    own, other = np.stack([0.01 * NORMAL, 0.02 * NORMAL]), np.stack([0.02 * NORMAL, 0.02 * NORMAL])
    came = np.array([0.01, -0.03])
    found = variance_figures(own, other, came, QUANTILE_LEVELS)
    unit = float(curve_variance(NORMAL, QUANTILE_LEVELS))
    ratios = came**2 / (unit * np.array([0.01, 0.02]) ** 2)
    assert found["qlike"] == pytest.approx(np.mean(ratios - np.log(ratios) - 1))
    others = came**2 / (unit * 0.02**2)
    assert found["no_change_qlike"] == pytest.approx(np.mean(others - np.log(others) - 1))
    assert found["realised_over_forecast"] == pytest.approx(1e-3 / (unit * 5e-4))
    assert (found["rows"], found["unmoved"]) == (2, 0)


def test_unknown_rows_and_those_without_a_move_are_left_out():
    told = np.tile(0.01 * NORMAL, (4, 1))
    told[1] = np.nan
    came = np.array([0.01, 0.01, 0.0, np.nan])
    found = variance_figures(told, np.tile(0.02 * NORMAL, (4, 1)), came, QUANTILE_LEVELS)
    assert (found["rows"], found["unmoved"]) == (1, 1)
    unit = float(curve_variance(NORMAL, QUANTILE_LEVELS))
    assert found["realised_over_forecast"] == pytest.approx(0.5 / unit)  # of both known rows: QLIKE alone needs a move
    assert variance_figures(told[1:2], told[:1], came[:1], QUANTILE_LEVELS) is None


def test_the_better_variance_has_the_lower_loss():
    g = np.random.default_rng(5)
    sigma = np.exp(g.normal(size=4000) * 0.5) * 0.01
    came = sigma * g.normal(size=4000)
    right, flat = sigma[:, None] * NORMAL, np.sqrt((sigma**2).mean()) * np.tile(NORMAL, (4000, 1))
    found = variance_figures(right, flat, came, QUANTILE_LEVELS)
    assert found["qlike"] < found["no_change_qlike"] - 0.05


def test_which_forecasters_are_of_volatility():
    of = {name for name in FORECASTERS if is_of_volatility(name)}
    assert {"garch", "har_x", "ewma_volatility", "har_volatility", "variance_combination"} <= of
    assert not of & {"ridge", "tft", "quantile_trees", "random_forest", "no_change", "drift"}


@pytest.mark.usefixtures("workspace", "same_code")
def test_a_registered_volatility_model_tells_it():
    document = train(forecaster="ewma", features="log_return_1", targets="close")
    scores = document["record"]["metrics"]["scores"]
    assert all(one["variance"]["qlike"] > 0 for one in scores)
    assert sum("QLIKE" in line for line in metric_lines(document["record"])) == len(scores) == 2
    assert "QLIKE" in Path(document["card"]).read_text(encoding="utf-8")
    assert all(one["variance"] is None for one in train()["record"]["metrics"]["scores"] if "variance" in one)
