"""Forecasters by name. One line here makes a forecaster known; the contract suite then tests it."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from foresail.core.errors import UnknownNameError
from foresail.domain.training import ForecasterSpec

if TYPE_CHECKING:
    from foresail.protocols import Forecaster

__all__ = ["FORECASTERS", "forecaster"]


def _trees(spec: ForecasterSpec) -> Forecaster:
    from foresail.forecasting.trees.quantile_trees import QuantileTrees

    return QuantileTrees(spec)


def _ridge(spec: ForecasterSpec) -> Forecaster:
    from foresail.forecasting.linear import Ridge

    return Ridge(spec)


FORECASTERS: dict[str, Callable[[ForecasterSpec], Forecaster]] = {"quantile_trees": _trees, "ridge": _ridge}


def forecaster(name: str, spec: ForecasterSpec) -> Forecaster:
    """Return a forecaster that is not fitted yet.

    Raises
    ------
    UnknownNameError
        With the known names.
    """
    if name not in FORECASTERS:
        raise UnknownNameError("forecaster", name, FORECASTERS)
    return FORECASTERS[name](spec)
