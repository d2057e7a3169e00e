"""The gate between paper and real money (PAPER-01, PAPER-02, RC-09): figures in, a verdict with reasons out."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from foresail.measures.performance import sharpe_ratio

__all__ = ["PaperGateSettings", "PaperVerdict", "paper_gate"]


@dataclass(frozen=True, slots=True)
class PaperGateSettings:
    """What paper trading must have shown.

    Attributes
    ----------
    days : calendar days of paper trading
    sharpe : annual, of daily returns; must be exceeded
    worst_day : loss of one day, fraction; must not be exceeded
    trades : round trips
    """

    days: int = 30
    sharpe: float = 1.2
    worst_day: float = 0.03
    trades: int = 30


@dataclass(frozen=True, slots=True)
class PaperVerdict:
    """Whether the gate is passed, and one sentence a condition: (name, passed, sentence)."""

    conditions: tuple[tuple[str, bool, str], ...]

    @property
    def is_passed(self) -> bool:
        """Whether every condition holds."""
        return all(passed for _, passed, _ in self.conditions)


def paper_gate(
    daily_returns: ArrayLike,
    *,
    days: int,
    trades: int,
    open_critical: int,
    bars_per_year: float = 252.0,
    settings: PaperGateSettings | None = None,
) -> PaperVerdict:
    """Return the verdict on a stretch of paper trading; what cannot be computed does not pass.

    Parameters
    ----------
    daily_returns : (T,), simple returns of equity, fraction
    days : calendar days from the first to the last
    trades : round trips that ended
    open_critical : CRITICAL alerts that nobody has closed
    """
    wanted = PaperGateSettings() if settings is None else settings
    values = np.asarray(daily_returns, dtype=np.float64)
    usable = values.size > 1 and bool(np.isfinite(values).all())
    sharpe = sharpe_ratio(values, bars_per_year=bars_per_year) if usable else math.nan
    worst = float(-values.min()) if usable else math.nan
    return PaperVerdict(
        (
            ("period", days >= wanted.days, f"{days} days, {wanted.days} are asked for"),
            ("sharpe", sharpe > wanted.sharpe, f"Sharpe ratio {sharpe:.2f}, more than {wanted.sharpe:g} is asked for"),
            ("worst day", worst <= wanted.worst_day, f"worst day {worst:.2%}, {wanted.worst_day:.0%} are allowed"),
            ("trades", trades >= wanted.trades, f"{trades} trades, {wanted.trades} are asked for"),
            ("alerts", open_critical == 0, f"{open_critical} critical alerts are open"),
        )
    )
