"""What trading moves the price: the square-root law and the model of Almgren, as shares of price.

The two families differ several-fold at one per cent of a day's volume, so a backtest names both: ``almgren`` as the low
and ``square_root`` as the high estimate.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import UnknownNameError

__all__ = ["IMPACT_MODELS", "ImpactModel", "impact_fractions", "impact_model", "impact_table"]

# Almgren, Thum, Hauptmann and Li (2005), table 2: estimates and their standard errors.
_GAMMA, _GAMMA_ERROR = 0.314, 0.041
_ETA, _ETA_ERROR = 0.142, 0.0062
_BETA = 0.6


@dataclass(frozen=True, slots=True)
class ImpactModel:
    """Cost as a share of price: ``sigma * (factor * x**exponent + permanent / 2 * x * shares_per_volume**0.25)``.

    ``x`` is the quantity as a share of a day's volume, ``sigma`` the standard deviation of daily returns; the first
    term is also divided by ``days**exponent``, the time over which the order is worked.

    Attributes
    ----------
    factor, exponent : of the temporary part
    permanent : of the permanent part, of which the order itself pays half
    shares_per_volume : shares outstanding over a day's volume
    days : trading days over which an order is worked
    unknown : share of price taken where volume or volatility is not known

    References
    ----------
    [AlmgrenThumHauptmannLi2005] and [SatoKanazawa2024] in docs/REFERENCES.md.
    """

    name: str
    factor: float
    exponent: float
    permanent: float = 0.0
    shares_per_volume: float = 200.0
    days: float = 1.0
    unknown: float = 0.01


IMPACT_MODELS: dict[str, ImpactModel] = {
    model.name: model
    for model in (
        ImpactModel("almgren", _ETA, _BETA, _GAMMA),
        ImpactModel("almgren_low", _ETA - _ETA_ERROR, _BETA, _GAMMA - _GAMMA_ERROR),
        ImpactModel("almgren_high", _ETA + _ETA_ERROR, _BETA, _GAMMA + _GAMMA_ERROR),
        ImpactModel("square_root", 1.0, 0.5),
    )
}


def impact_model(name: str) -> ImpactModel | None:
    """Return a model by name, None for ``none``.

    Raises
    ------
    UnknownNameError
        If there is no such model.
    """
    if name == "none":
        return None
    if name not in IMPACT_MODELS:
        raise UnknownNameError("impact model", name, ["none", *IMPACT_MODELS])
    return IMPACT_MODELS[name]


def impact_table(model: ImpactModel, volatility: FloatArray, daily_lots: FloatArray, scale: float = 1.0) -> FloatArray:
    """Return what the compiled step needs of every instrument.

    Parameters
    ----------
    volatility : (N,), standard deviation of daily returns, fraction; NaN = unknown
    daily_lots : (N,), lots traded a day; NaN = unknown
    scale : multiplies the cost

    Returns
    -------
    (N, 5): factor and exponent of the temporary part, of the permanent part, daily lots (0 where unknown: the first
    factor is then the whole share of price)
    """
    known = np.isfinite(volatility) & np.isfinite(daily_lots) & (np.nan_to_num(daily_lots) > 0)
    sigma = np.where(known, volatility, 0.0) * scale
    table = np.zeros((len(volatility), 5))
    table[:, 0] = np.where(known, sigma * model.factor / model.days**model.exponent, model.unknown * scale)
    table[:, 1] = model.exponent
    table[:, 2] = sigma * model.permanent / 2 * model.shares_per_volume**0.25
    table[:, 3] = 1.0
    table[:, 4] = np.where(known, daily_lots, 0.0)
    return table


def impact_fractions(model: ImpactModel, volatility: FloatArray, share: FloatArray) -> FloatArray:
    """Return the expected share of price lost, (N,), for quantities as shares of a day's volume, (N,)."""
    table = impact_table(model, volatility, np.ones(len(volatility)))
    known = table[:, 4] > 0
    temporary: FloatArray = table[:, 0] * np.where(known, share ** table[:, 1], 1.0)
    return temporary + table[:, 2] * share
