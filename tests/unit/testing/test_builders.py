"""The test kit itself: builders make what they say, fakes refuse what a strategy may not see."""

from __future__ import annotations

import numpy as np
import pytest

from foresail.core.errors import LookAheadError
from foresail.domain.bars import BAR_COLUMNS
from foresail.domain.signals import Weights
from foresail.protocols import MarketView
from foresail.testing.builders import (
    FakeView,
    bar_panel,
    bar_set,
    bar_table,
    feature_panel,
    fixed_clock,
    flat_account,
    small_panel,
)
from foresail.testing.contracts import check_prefix_invariance, check_strategy


def test_bar_panel_from_closes():
    panel = bar_panel(
        {"stock.US.B": [10.0, np.nan, 12.0], "stock.US.A": [1.0, 2.0, 3.0]},
        fields={"open": {"stock.US.A": [1.0, 1.5, 2.5]}},
    )
    assert panel.instruments == ("stock.US.A", "stock.US.B")
    assert panel.present.tolist() == [[True, True, True], [True, False, True]]
    assert panel.field("open")[0].tolist() == [1.0, 1.5, 2.5]
    assert panel.field("open")[1, 2] == 12.0
    assert panel.field("total_factor")[0].tolist() == [1.0, 1.0, 1.0]


def test_bar_table_has_the_columns_and_only_present_bars():
    panel = small_panel(3, 50, close_only=True)
    table = bar_table(panel).table
    assert table.column_names == [name for name, _, _ in BAR_COLUMNS]
    assert table.num_rows == 150
    assert table["open"].null_count == 150
    assert bar_set(panel).close_only
    pairs = list(zip(table["instrument"].to_pylist(), table["end"].to_pylist(), strict=True))
    assert pairs == sorted(pairs)


def test_fake_view_shows_the_past_only():
    panel = small_panel(4, 60)
    view: MarketView = FakeView(panel, 20, features_panel=feature_panel(panel.values[:, :, :2], ("a", "b"), panel))
    assert view.now == panel.available_at[20]
    assert view.bars("1d", 5).end.tolist() == panel.end[16:21].tolist()
    assert view.bars("1d", 500).shape[1] == 21
    assert view.features().shape == (4, 1, 2)
    assert view.forecast() is None
    assert np.isnan(view.facts("vix"))
    assert view.account() == flat_account(at=view.now)
    with pytest.raises(LookAheadError):
        view.bars("1d", -1)
    with pytest.raises(LookAheadError):
        view.bars("1h", 1)


def test_fixed_clock_stands():
    clock = fixed_clock("2024-03-01T12:00:00+01:00")
    assert clock.now() == clock.now()
    assert clock.now().isoformat() == "2024-03-01T12:00:00+01:00"


def test_prefix_check_passes_a_trailing_and_fails_a_centred_mean():
    panel = small_panel(4, 100)

    def trailing(p):
        total = np.cumsum(p.field("close"), axis=1)
        return np.diff(total, n=1, axis=1, prepend=0.0) + 0.0

    check_prefix_invariance(lambda p: p.field("close") / p.field("open"), panel)
    with pytest.raises(AssertionError, match="depends on later bars"):
        check_prefix_invariance(lambda p: p.field("close") - p.field("close").mean(axis=1, keepdims=True), panel)
    with pytest.raises(AssertionError, match="depends on later bars"):
        check_prefix_invariance(lambda p: np.roll(p.field("close"), -1, axis=1), panel)
    check_prefix_invariance(trailing, panel)


class _Spec:
    id, every, critical_inputs = "test/strategy@1", 1, ("close",)


class _Forgetful:
    spec = _Spec()
    made = 0

    def start(self):
        _Forgetful.made += 1

    def step(self, state, view):
        return [Weights(((view.instruments[0], float(_Forgetful.made)),))]


class _Foreign(_Forgetful):
    def step(self, state, view):
        return [Weights((("stock.US.NONE", 1.0),))]


class _NotFinite(_Forgetful):
    def step(self, state, view):
        return [Weights(((view.instruments[0], float("nan")),))]


@pytest.mark.parametrize(
    ("strategy", "text"),
    [(_Forgetful, "decide differently"), (_Foreign, "unknown instrument"), (_NotFinite, "not finite")],
)
def test_strategy_check_catches(strategy, text):
    with pytest.raises(AssertionError, match=text):
        check_strategy(strategy, small_panel(3, 30))
