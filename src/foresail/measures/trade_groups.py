"""Figures of closed trades by group: asset class, strategy, signal source, model version (ATTR-02, ATTR-03)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.errors import DataError
from foresail.measures.performance import TradeStatistics, trade_statistics

__all__ = ["grouped_trade_statistics"]


def grouped_trade_statistics(
    profits: ArrayLike, groups: Sequence[str], *, holding: ArrayLike | None = None
) -> dict[str, TradeStatistics]:
    """Return the figures of each group's trades, groups in ascending order of their names.

    Parameters
    ----------
    profits : (M,), profit of each closed trade after its costs, money or fraction
    groups : (M,), the group of each trade; "" is a group of its own, so that nothing is lost from the sum
    holding : (M,), how long each was held, any unit

    Raises
    ------
    DataError
        If the lengths differ or a value is not finite.
    """
    profit = np.asarray(profits, dtype=float)
    held = None if holding is None else np.asarray(holding, dtype=float)
    if profit.ndim != 1 or len(profit) != len(groups) or (held is not None and held.shape != profit.shape):
        raise DataError(
            f"expected one group and holding time a trade, received {profit.shape} profits, {len(groups)} groups and "
            f"{'no' if held is None else held.shape} holding times"
        )
    out = {}
    for group in sorted(set(groups)):
        mine = np.array([one == group for one in groups])
        out[group] = trade_statistics(profit[mine], holding=None if held is None else held[mine])
    return out
