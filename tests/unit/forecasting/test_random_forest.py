"""The random forest: trees are averaged, not boosted; the centre is the forest's own; settings by name."""

from __future__ import annotations

import numpy as np
import pytest

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.options import build_forecaster, option_defaults
from foresail.forecasting.rows import feature_rows
from foresail.forecasting.trees.boosting import BoostingSettings, BoostingTask, Forest
from foresail.forecasting.trees.random_forest import ForestSettings, RandomForest
from foresail.testing.planted import PlantedSettings, planted_market

MARKET = planted_market(PlantedSettings(names=8, bars=330, noise=3, skill=0.3), seed=3)
END = 280
SPEC = ForecasterSpec(
    "random_forest", "1", MARKET.features.fields, MARKET.targets.names, MARKET.targets.horizons, QUANTILE_LEVELS
)


def sample_rows(count: int = 600):
    g = np.random.default_rng(4)
    x = g.normal(size=(count, 4))
    return x, x[:, 0] + g.normal(size=count)


def test_the_value_is_the_mean_of_the_trees_and_not_their_sum():
    x, y = sample_rows()
    forest = Forest(x, x[:0], np.ones(len(x)))
    grow = BoostingSettings(trees=40, leaves=15, row_share=0.6, bag_rows=len(x), feature_share=0.5)
    grown = forest.fit([BoostingTask(0.5, y, y[:0], 3)], grow, averaged=True)[0]
    assert grown.trees == 40
    import lightgbm as lgb

    booster = lgb.Booster(model_str=grown.text)
    single = [booster.predict(x, start_iteration=i, num_iteration=1) for i in range(40)]
    assert np.allclose(grown.predict(x), np.mean(single, axis=0), atol=1e-12)
    assert np.std([one.std() for one in single]) < np.mean([one.std() for one in single])  # none is a small correction
    assert np.corrcoef(grown.predict(x), x[:, 0])[0, 1] > 0.8


def test_early_stopping_has_no_say_in_a_forest():
    x, y = sample_rows()
    noise = np.random.default_rng(5).normal(size=200)
    forest = Forest(x, x[:200], np.ones(len(x)))
    task = BoostingTask(0.5, y, noise, 3)
    grow = BoostingSettings(trees=40, bag_rows=len(x))
    assert forest.fit([task], grow, averaged=True)[0].trees == 40
    assert forest.fit([task], grow)[0].trees < 40


def test_the_centre_has_no_linear_part_and_the_forest_counts_whole():
    model = RandomForest(SPEC, ForestSettings(trees=20))
    report = model.fit(MARKET.training_set(END), seed=1)
    assert any("trees per quantile: 20 to 20; share of P50 trees in the centre: 1.00" in note for note in report.notes)
    fitted = model._needed("be looked into")
    assert not fitted.location.beta.any()
    assert report.model.startswith("random_forest@1-")


def test_shares_of_features_add_up_to_what_the_forest_says():
    model = RandomForest(SPEC, ForestSettings(trees=20))
    model.fit(MARKET.training_set(END), seed=1)
    rows = MARKET.rows(END, END + 10)
    parts = model.explain(MARKET.features, rows, MARKET.targets.horizons[0])
    assert parts.shape == (len(rows), len(SPEC.features))
    fitted = model._needed("be looked into")
    key = next(name for name in sorted(fitted.trees) if name.startswith("target0_horizon0_p50"))
    told = fitted.trees[key].predict(feature_rows(MARKET.features, rows, SPEC.features))
    rest = told - parts.sum(axis=1)
    assert np.allclose(rest, rest[0], atol=1e-9)  # the constant of the forest, the same for every row
    assert np.abs(parts).sum() > 0


def test_settings_go_by_name():
    assert option_defaults("random_forest")["trees"] == 200
    built = build_forecaster("random_forest", SPEC, {"trees": "30", "leaves": "7"})
    assert built._settings.centre.trees == built._settings.spread.trees == 30
    assert built._settings.centre.leaves == 7
    with pytest.raises(UnknownNameError, match="trees"):
        build_forecaster("random_forest", SPEC, {"rate": "0.1"})
    for name, value in (("trees", "0"), ("feature_share", "1.0"), ("leaves", "1")):
        with pytest.raises(ConfigError, match=name):
            build_forecaster("random_forest", SPEC, {name: value})
