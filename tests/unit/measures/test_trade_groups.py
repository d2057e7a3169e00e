"""Trade figures by group, with the figures of the specification's sample panel."""

from __future__ import annotations

import pytest

from foresail.core.errors import DataError
from foresail.measures.performance import trade_statistics
from foresail.measures.trade_groups import grouped_trade_statistics


def test_profit_factor_of_the_sample_panel() -> None:
    figures = trade_statistics([285.0] * 35 + [-142.0] * 25)
    assert round(figures.profit_factor, 2) == 2.81
    assert round(figures.payoff_ratio, 2) == 2.01
    assert figures.win_rate == 35 / 60


def test_groups_are_told_apart_and_add_up() -> None:
    groups = grouped_trade_statistics(
        [10.0, -4.0, 6.0, -2.0], ["trend", "mean", "trend", ""], holding=[1.0, 2.0, 3.0, 4.0]
    )
    assert list(groups) == ["", "mean", "trend"]
    assert (groups["trend"].trades, groups["trend"].gross_win, groups["trend"].average_holding) == (2, 16.0, 2.0)
    assert sum(one.gross_win - one.gross_loss for one in groups.values()) == 10.0


def test_lengths_must_agree() -> None:
    with pytest.raises(DataError, match="one group"):
        grouped_trade_statistics([1.0, 2.0], ["a"])
    with pytest.raises(DataError, match="holding"):
        grouped_trade_statistics([1.0], ["a"], holding=[1.0, 2.0])
