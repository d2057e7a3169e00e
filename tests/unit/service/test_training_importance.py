"""Permutation importance finds the feature that carries the outcome; ridge's parts are its forecast."""

from __future__ import annotations

import numpy as np
import pytest

from foresail.core.errors import ModelError, NotFittedError
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec, Targets, TrainingSet
from foresail.forecasting.linear import Ridge
from foresail.service.training_importance import PermutationSettings, permutation_importance
from foresail.testing.builders import feature_panel, small_panel

N, T = 12, 200
SPEC = ForecasterSpec("ridge", "1", ("noise", "signal", "gaps"), ("close",), (1,), QUANTILE_LEVELS)


@pytest.fixture(scope="module")
def data() -> TrainingSet:
    rng = np.random.default_rng(1)
    values = rng.normal(0.0, 1.0, (N, T, 3))
    values[:, :, 2][rng.random((N, T)) < 0.1] = np.nan
    labels = (0.01 * values[:, :, 1] + rng.normal(0.0, 0.01, (N, T)))[:, :, None, None]
    rows = np.array([(i, t) for t in range(T) for i in range(N)], dtype=np.int64)
    train, held, calibration = rows[: N * 100], rows[N * 100 : N * 150], rows[N * 150 :]
    return TrainingSet(
        features=feature_panel(values, SPEC.features, small_panel(N, T)),
        targets=Targets(labels, np.arange(T)[:, None] + 1, ("close",), (1,)),
        scale=np.full((N, T), 0.014),
        train_rows=train,
        validation_rows=held,
        calibration_rows=calibration,
        weights=np.ones(len(train)),
    )


@pytest.fixture(scope="module")
def ridge(data: TrainingSet) -> Ridge:
    model = Ridge(SPEC)
    model.fit(data, seed=0)
    return model


def test_the_feature_that_matters_comes_first(data, ridge):
    found = permutation_importance(ridge, data, PermutationSettings(seed=1))
    assert found[0][0] == "signal"
    assert found[0][1] > 0.95
    assert sum(share for _, share in found) == pytest.approx(1.0, abs=1e-6)
    assert found == permutation_importance(ridge, data, PermutationSettings(seed=1))
    fewer = permutation_importance(ridge, data, PermutationSettings(rows=100, seed=1))
    assert fewer[0][0] == "signal"


def test_parts_and_drift_are_the_centre(data, ridge):
    rows = data.validation_rows[:200]
    parts = ridge.explain(data.features, rows, 1)
    assert parts.shape == (200, 3)
    unit = np.full((200, 1, 1), 0.014)
    location = ridge.fitted_location("test")
    centre = ridge.centre(location, data.features, rows, unit)[:, 0, 0]
    np.testing.assert_allclose(parts.sum(axis=1) + location.base(unit)[:, 0, 0], centre, atol=1e-12)
    assert np.corrcoef(parts[:, 1], data.features.values[rows[:, 0], rows[:, 1], 1])[0, 1] > 0.99
    with pytest.raises(ModelError, match="not 7"):
        ridge.explain(data.features, rows, 7)
    with pytest.raises(NotFittedError, match="asked to explain"):
        Ridge(SPEC).explain(data.features, rows, 1)
