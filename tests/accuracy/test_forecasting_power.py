"""How much of a planted skill the default forecaster keeps, and what online calibration makes of its coverage.

``benchmarks/forecast_power.py`` prints the same figures for more markets and rival recipes.
"""

import numpy as np
import pytest
from scipy.stats import rankdata

from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.calibration import calibrate_block
from foresail.forecasting.confidence import expected_return
from foresail.forecasting.registry import forecaster
from foresail.testing.planted import PlantedSettings, planted_market

pytestmark = pytest.mark.accuracy
END, BARS, NAMES = 1_000, 500, 70


def rank_ic(predicted, label):
    pairs = zip(rankdata(predicted, axis=1), rankdata(label, axis=1), strict=True)
    return float(np.mean([np.corrcoef(a, b)[0, 1] if np.ptp(a) > 0 else 0.0 for a, b in pairs]))


def judged(skill, seed):
    settings = PlantedSettings(names=NAMES, bars=END + BARS + 10, noise=25, skill=skill)
    market = planted_market(settings, seed=seed)
    shape = (market.features.fields, market.targets.names, market.targets.horizons, QUANTILE_LEVELS)
    model = forecaster("quantile_trees", ForecasterSpec("quantile_trees", "1", *shape))
    model.fit(market.training_set(END), seed=1)
    raw = model.predict(market.features, market.rows(END, END + BARS), market.scale)
    block = raw.reshape(BARS, NAMES, *raw.shape[1:]).transpose(1, 0, 2, 3, 4)
    q = calibrate_block(block, market.targets, market.scale, np.arange(END, END + BARS))[:, :, 0]
    label = market.targets.values[:, END : END + BARS, 0]
    mean = expected_return(q, QUANTILE_LEVELS)
    truth = rank_ic((market.signal * market.scale)[:, END : END + BARS].T, label[:, :, 1].T)
    inside = (label >= q[..., 1]) & (label <= q[..., 5])
    return truth, rank_ic(mean[:, :, 1].T, label[:, :, 1].T), inside.mean(axis=(0, 1))


def test_four_fifths_of_a_tiny_skill_survive():
    table = [judged(0.05, seed) for seed in range(6)]
    truth, found = np.mean([t[0] for t in table]), np.mean([t[1] for t in table])
    assert truth > 0.04
    assert found > 0.8 * truth
    coverage = np.mean([t[2] for t in table], axis=0)
    assert np.all(np.abs(coverage - 0.8) <= 0.03)


def test_nothing_is_found_where_nothing_is_planted():
    found = [judged(0.0, seed)[1] for seed in range(100, 108)]
    # Overlapping labels: 500 bars are worth about 100 days of 70 names each.
    assert abs(np.mean(found)) < 2.5 / np.sqrt(8 * 100 * 70 / 2)
