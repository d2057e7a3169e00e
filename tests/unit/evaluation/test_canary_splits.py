"""Skill by delay and the gap of a random split: both tell an honest case from a planted leak."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import DataError
from foresail.engine.pipeline import PipelineResult, Prepared
from foresail.engine.settings import PipelineSettings
from foresail.evaluation.canary_splits import DELAYS, LagProfile, lag_profile, split_gap


def with_next_return(prepared: Prepared) -> Prepared:
    """Return the features with the first one replaced by the return of the bar to come: a planted leak."""
    values = prepared.features.values.copy()
    now = prepared.features.values[:, :, prepared.features.index("log_return_1")]
    values[:, :-1, 0] = now[:, 1:]
    return replace(prepared, features=replace(prepared.features, values=values))


def test_an_honest_signal_fades_and_a_planted_return_jumps(
    small_result: PipelineResult, small_settings: PipelineSettings
) -> None:
    honest = lag_profile(small_result.prepared, small_settings)
    assert honest.delays == DELAYS
    assert honest.falls
    assert not honest.jumps_at_once
    leaky = lag_profile(with_next_return(small_result.prepared), small_settings, delays=(0, 1))
    assert leaky.skill[0] > honest.skill[0] + 0.1
    assert leaky.jumps_at_once


@pytest.mark.parametrize(
    ("skill", "falls", "jumps"),
    [
        ((0.10, 0.09, 0.07, 0.02), True, False),
        ((0.30, 0.02, 0.02, 0.01), True, True),
        ((0.02, 0.09, 0.01, 0.00), False, False),
        ((0.01, 0.00, 0.00, 0.01), True, False),
    ],
)
def test_shape_of_a_profile(skill: tuple[float, ...], falls: bool, jumps: bool) -> None:
    profile = LagProfile(DELAYS, skill, (0.01,) * 4)
    assert (profile.falls, profile.jumps_at_once) == (falls, jumps)


def nearest(x, y):
    """Return a model that copies the outcome of the nearest row."""
    return lambda z: y[((z[:, None] - x[None]) ** 2).sum(axis=2).argmin(axis=1)].astype(float)


def test_a_random_split_lets_a_model_copy_the_day() -> None:
    draw = np.random.default_rng(1)
    day = np.repeat(np.arange(60), 10)
    mark, outcome = draw.standard_normal((60, 3)), draw.integers(0, 2, 60)
    x = mark[day] + 0.01 * draw.standard_normal((600, 3))
    found = split_gap(nearest, (x, outcome[day], day, day + 1), seed=1)
    assert found.random_split > 0.95
    assert abs(found.date_split - 0.5) < 3 * found.date_error + 0.05
    assert found.gap > 0.3
    with pytest.raises(DataError, match="at least 200 rows"):
        split_gap(nearest, (x[:50], day[:50], day[:50], day[:50]))
