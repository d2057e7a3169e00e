"""Comparators against closed forms and a plain loop."""

from __future__ import annotations

import numpy as np
import pytest

from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.engine.comparators import SweepSettings, equal_weights, fill_position, sweep, trend_weights

FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
DAY = 86_400_000_000_000


def make_bars(close: np.ndarray, dividend: np.ndarray | None = None, split: np.ndarray | None = None) -> Panel:
    n, t = close.shape
    values = np.full((n, t, len(FIELDS)), np.nan)
    for name in ("open", "high", "low", "close"):
        values[:, :, FIELDS.index(name)] = close
    values[:, :, FIELDS.index("dividend")] = 0.0 if dividend is None else dividend
    values[:, :, FIELDS.index("split")] = 1.0 if split is None else split
    start = np.arange(t, dtype=np.int64) * DAY
    names = tuple(InstrumentId(f"sim.X.A{i}") for i in range(n))
    end = start + DAY // 2
    return Panel(values, np.isfinite(close), start, end, end, FIELDS, names, "1d", "24/7")


def test_holding_one_name_follows_its_price() -> None:
    bars = make_bars(np.array([[10.0, 10.0, 12.0, 9.0]]))
    equity = sweep(bars, np.array([[1.0]]), np.array([0]), SweepSettings(0.0, 0.0, 100.0, at_open=True))
    assert equity.tolist() == pytest.approx([100.0, 100.0, 120.0, 90.0])


def test_costs_are_paid_on_traded_value() -> None:
    bars = make_bars(np.full((1, 3), 10.0))
    equity = sweep(bars, np.array([[1.0]]), np.array([0]), SweepSettings(0.01, 0.02, 100.0, at_open=True))
    assert equity[-1] == pytest.approx(99.0)


def test_split_and_dividend_change_nothing_but_cash() -> None:
    close = np.array([[10.0, 10.0, 5.0, 4.5]])
    split = np.array([[1.0, 1.0, 2.0, 1.0]])
    dividend = np.array([[0.0, 0.0, 0.0, 0.5]])
    bars = make_bars(close, dividend, split)
    equity = sweep(bars, np.array([[1.0]]), np.array([0]), SweepSettings(0.0, 0.0, 100.0, at_open=True))
    assert equity.tolist() == pytest.approx([100.0, 100.0, 100.0, 100.0])


def test_an_ended_listing_is_sold_at_its_last_print() -> None:
    close = np.full((2, 40), 10.0)
    close[1, 5:] = np.nan
    close[0, 30:] = 20.0
    bars = make_bars(close)
    equity = sweep(bars, np.array([[0.5, 0.5]]), np.array([0]), SweepSettings(0.0, 0.0, 100.0, at_open=True))
    assert equity[29] == pytest.approx(100.0)
    assert equity[-1] == pytest.approx(150.0)


def test_equal_weights_split_the_exposure() -> None:
    weights = equal_weights(np.array([[True, True, False], [False, False, False]]), 0.6)
    assert weights.tolist() == [[0.3, 0.3, 0.0], [0.0, 0.0, 0.0]]


def test_trend_holds_rising_names_only_and_never_more_than_its_share() -> None:
    weights = trend_weights(np.array([[0.1, -0.1, 0.2, np.nan]]), np.array([[0.3, 0.1, 0.1, 0.1]]), 1.0)
    assert weights[0].tolist() == pytest.approx([0.5 / 3, 0.0, 1 / 3, 0.0])


def test_an_order_waits_for_a_bar_that_opens_after_the_decision() -> None:
    bars = make_bars(np.full((1, 4), 10.0))
    assert fill_position(bars, 0) == 1
    object.__setattr__(bars, "available_at", bars.start + DAY + 1)
    assert fill_position(bars, 0) == 2
    assert fill_position(bars, 3) == 4


def test_a_dividend_counts_per_unit_after_a_split_of_the_same_bar() -> None:
    bars = make_bars(
        np.array([[10.0, 10.0, 4.0, 4.0]]), np.array([[0.0, 0.0, 1.0, 0.0]]), np.array([[1.0, 1.0, 2.0, 1.0]])
    )
    equity = sweep(bars, np.array([[1.0]]), np.array([0]), SweepSettings(0.0, 0.0, 100.0, at_open=True))
    assert equity.tolist() == pytest.approx([100.0, 100.0, 100.0, 100.0])
