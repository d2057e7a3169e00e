"""Reasons: the largest contributions of the best ranked names, in log return, with the features' values."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.domain.panel import Panel
from foresail.engine import explaining
from foresail.engine.explaining import Explained, explain_best, told
from foresail.testing.builders import feature_panel, small_panel

FIELDS = ("a", "b", "c", "d")


class Telling:
    """Says that each feature moves a forecast by a fixed multiple of its value."""

    spec = SimpleNamespace(horizons=(1, 4), levels=(0.1, 0.5, 0.9))

    def explain(self, features: Panel, rows: IntArray, horizon: int) -> FloatArray:
        assert horizon == 4
        return features.values[rows[:, 0], rows[:, 1]] * np.array([1.0, -3.0, 2.0, 0.5])


def scene(names: int = 3) -> tuple[Panel, IntArray, FloatArray]:
    """Features of 1 at times 5 and 6, and forecasts that rise with the row number."""
    bars = small_panel(names, 10)
    features = feature_panel(np.ones((names, 10, 4)), FIELDS, bars)
    rows = np.array([(i, t) for t in (5, 6) for i in range(names)])
    predicted = np.zeros((len(rows), 1, 2, 3))
    predicted[:, 0, 1, 1] = rows[:, 0]
    return features, rows, predicted


def reasons(forecaster: Any, names: int = 3) -> tuple[Explained, Panel]:
    features, rows, predicted = scene(names)
    scale = np.full((names, 10), 0.02)
    return explain_best(forecaster, features, rows, predicted, scale=scale, horizon=4), features


def test_the_largest_contributions_come_first_in_log_return() -> None:
    found, features = reasons(Telling())
    texts = told(found, features)
    assert len(texts) == 6
    first = texts[int(features.available_at[5]), features.instruments[0]]
    assert [name for name, _, _ in first] == ["b", "c", "a"]
    np.testing.assert_allclose([share for _, share, _ in first], np.array([-3.0, 2.0, 1.0]) * 0.02 * 2.0)


def test_only_the_best_of_each_decision_are_told(monkeypatch: Any) -> None:
    monkeypatch.setattr(explaining, "_BEST", 1)
    found, _ = reasons(Telling())
    assert found.rows.tolist() == [[2, 5], [2, 6]]


def test_a_feature_that_was_absent_is_left_out() -> None:
    found, features = reasons(Telling())
    values = found.values.copy()
    values[0, 0] = np.nan
    first = told(replace(found, values=values), features)[int(features.available_at[5]), features.instruments[0]]
    assert [name for name, _, _ in first] == ["c", "a"]


def test_a_model_that_cannot_say_gives_nothing() -> None:
    found, features = reasons(SimpleNamespace(spec=Telling.spec))
    assert found.rows.shape == (0, 2)
    assert told(found, features) == {}
