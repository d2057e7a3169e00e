"""The walk-forward plan: borders anchored at the first bar, labels purged, no future in a training set."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from foresail.engine.folds import plan_folds, rows_between
from foresail.engine.settings import WalkForwardSettings

SETTINGS = WalkForwardSettings(train_bars=100, minimum_train_bars=40, refit_bars=25)


def test_folds_cover_every_bar_after_the_minimum_once() -> None:
    folds = plan_folds(200, SETTINGS)
    assert folds[0].test_from == 40
    assert folds[-1].test_to == 200
    assert all(a.test_to == b.test_from for a, b in itertools.pairwise(folds))


def test_later_bars_move_no_border() -> None:
    short, long = plan_folds(130, SETTINGS), plan_folds(200, SETTINGS)
    for a, b in zip(short[:-1], long, strict=False):
        assert a == b
    last = short[-1]
    assert (last.train_from, last.test_from) == (long[len(short) - 1].train_from, long[len(short) - 1].test_from)


def test_too_short_a_history_has_no_fold() -> None:
    assert plan_folds(40, SETTINGS) == ()


def test_parts_of_a_fold_are_in_order() -> None:
    for fold in plan_folds(400, SETTINGS):
        assert fold.train_from < fold.validation_from < fold.calibration_from < fold.test_from < fold.test_to


@pytest.mark.parametrize("horizon", [1, 5])
def test_rows_end_before_the_border(horizon: int) -> None:
    rows = rows_between(np.ones((3, 50), dtype=bool), 10, 30, horizon)
    assert rows[:, 1].min() == 10
    assert rows[:, 1].max() + horizon < 30
    assert (np.diff(rows[:, 1]) >= 0).all()
    assert len(rows) == 3 * (20 - horizon)


def test_rows_of_an_empty_stretch() -> None:
    assert len(rows_between(np.ones((3, 50), dtype=bool), 10, 12, 5)) == 0
