"""What the report shows of the inside of a network: plain frozen data, filled by the use case, drawn by ``inside``."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["AttentionRow", "InsideBlock", "InsideForecast", "NearDay", "Shares"]


@dataclass(frozen=True, slots=True)
class NearDay:
    """A past day with a similar state: its name, time (ns UTC), distance, and the simple return that followed."""

    symbol: str
    at: int
    distance: float
    followed: float


@dataclass(frozen=True, slots=True)
class InsideForecast:
    """One of the best ranked forecasts.

    Attributes
    ----------
    expected, quantiles : simple returns; levels of the quantiles stand in the block
    reasons : (feature, contribution in log return, value), the largest first
    features : what all features add together, log return
    whole : expected log return before calibration and centring across names
    near : the nearest first
    """

    symbol: str
    expected: float
    quantiles: tuple[float, ...]
    reasons: tuple[tuple[str, float, float], ...]
    features: float
    whole: float
    near: tuple[NearDay, ...]


@dataclass(frozen=True, slots=True)
class AttentionRow:
    """Weight of each past bar in the forecast of a horizon, the oldest first, and of the steps ahead together."""

    horizon: int
    past: tuple[float, ...]
    ahead: float


@dataclass(frozen=True, slots=True)
class Shares:
    """Selection weights, means over the names of a decision; shares are fractions, the largest first.

    Attributes
    ----------
    over_time : (group, shares of the past bars, the oldest first), in the order of ``groups``
    """

    names: int
    groups: tuple[tuple[str, float], ...]
    variables: tuple[tuple[str, float], ...]
    statics: tuple[tuple[str, float], ...]
    over_time: tuple[tuple[str, tuple[float, ...]], ...]
    attention: tuple[AttentionRow, ...]


@dataclass(frozen=True, slots=True)
class InsideBlock:
    """The newest decision of a network, looked into.

    Attributes
    ----------
    issued_at : ns UTC
    horizon : the traded one, bars
    levels : of the quantiles of each forecast
    shares : None where the network selects nothing
    """

    forecaster: str
    issued_at: int
    horizon: int
    levels: tuple[float, ...]
    forecasts: tuple[InsideForecast, ...]
    shares: Shares | None
