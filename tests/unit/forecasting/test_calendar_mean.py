"""The forecast that knows only the date."""

from dataclasses import replace

import numpy as np

from foresail.core.clock import NS_PER_DAY
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.registry import forecaster
from foresail.testing.planted import PlantedSettings, planted_market


def test_a_planted_weekday_is_found_and_nothing_else_moves_it(tmp_path):
    market = planted_market(PlantedSettings(names=20, bars=700, noise=1, skill=0.0), seed=4)
    data = market.training_set(600)
    spec = ForecasterSpec(
        "calendar", "1", market.features.fields, market.targets.names, market.targets.horizons, QUANTILE_LEVELS
    )
    bars = len(data.features.end)
    time = np.arange(bars)
    start = (time // 5 * 7 + time % 5) * NS_PER_DAY + 4 * NS_PER_DAY  # Mondays to Fridays
    panel = replace(data.features, start=start, end=start + NS_PER_DAY)
    values = data.targets.values.copy()
    monday = time % 5 == 0
    unit = data.scale[:, : data.targets.values.shape[1]]
    length = values.shape[1]
    values[:, monday[:length], 0, 0] += 0.5 * unit[:, monday[:length]]
    labelled = replace(data, features=panel, targets=replace(data.targets, values=values))
    model = forecaster("calendar", spec)
    model.fit(labelled, seed=1)
    rows = np.array([[0, t] for t in range(590, 600)])
    middle = model.predict(panel, rows, unit)[:, 0, 0, list(spec.levels).index(0.5)] / unit[0, 590:600]
    on_monday = monday[590:600]
    assert middle[on_monday].mean() - middle[~on_monday].mean() > 0.3
    model.save(tmp_path)
    again = type(model).load(tmp_path)
    assert np.array_equal(again.predict(panel, rows, unit), model.predict(panel, rows, unit))
