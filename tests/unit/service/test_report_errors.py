"""Squared and price errors beside no change, and breaches of the value at risk, by hand (EVAL-02, EVAL-05)."""

from __future__ import annotations

import math

import numpy as np
import pytest
from scipy.stats import norm

from foresail.core.ids import InstrumentId
from foresail.domain.forecast import QUANTILE_LEVELS, ForecastBlock
from foresail.service.report_exceedances import value_at_risk
from foresail.service.report_scores import Score, score

Z = norm.ppf(QUANTILE_LEVELS)


def scored(actual: list[list[float]], curve: np.ndarray, *, times: slice | None = None, target: str = "close") -> Score:
    realised = np.array(actual)[:, :, None, None]
    n, p = realised.shape[:2]
    block = ForecastBlock(
        values=np.broadcast_to(curve, (n, p, 1, 1, 7)),
        position=np.arange(p),
        issued_at=np.arange(p) * 86_400 * 10**9,
        instruments=tuple(InstrumentId(f"sim.{i}") for i in range(n)),
        targets=(target,),
        horizons=(1,),
        levels=QUANTILE_LEVELS,
        model=("m",) * p,
    )
    return score(block, realised, 0, 0, times=times)


def test_errors_of_the_median_stand_beside_no_change():
    found = scored([[0.03, -0.01, math.nan]], 0.01 + 0.02 * Z)
    assert found.rmse == pytest.approx(0.02)
    assert found.no_change_rmse == pytest.approx(math.sqrt((0.03**2 + 0.01**2) / 2))
    prices = [math.exp(0.03), math.exp(-0.01)]
    assert found.mape == pytest.approx(np.mean([abs(math.exp(0.01) - p) / p for p in prices]))
    assert found.no_change_mape == pytest.approx(np.mean([abs(1.0 - p) / p for p in prices]))


def test_value_at_risk_lies_between_the_levels_beside_it():
    curve = np.array([-0.08, -0.04, -0.02, 0.0, 0.02, 0.04, 0.08])
    assert float(value_at_risk(curve, QUANTILE_LEVELS)) == pytest.approx(-0.08 + 0.04 * (0.05 - 0.02) / 0.08)
    assert float(value_at_risk(curve[:3], (0.01, 0.05, 0.5))) == -0.04
    assert np.isnan(value_at_risk(curve[:3], (0.1, 0.5, 0.9)))
    assert np.isnan(value_at_risk(curve[:2], (0.01, 0.02)))


def test_breaches_are_counted_and_tested_by_instrument():
    rng = np.random.default_rng(0)
    calm, wild = rng.normal(0.0, 0.02, 400), rng.normal(0.0, 0.05, 400)
    var = scored([calm.tolist(), wild.tolist(), [0.0] * 50 + [math.nan] * 350], 0.02 * Z).value_at_risk
    assert var is not None
    line = float(value_at_risk(0.02 * Z, QUANTILE_LEVELS))
    assert var.breaches == int((calm < line).sum() + (wild < line).sum())
    assert var.share == pytest.approx(var.breaches / 850)
    assert (var.tested, var.kupiec) == (2, 1)
    assert scored([calm.tolist()], 0.02 * Z, times=slice(0, 100)).value_at_risk is None
    assert scored([calm.tolist()], 0.02 * Z, target="high").value_at_risk is None
