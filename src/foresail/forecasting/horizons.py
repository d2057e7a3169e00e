"""How far ahead is forecast: horizons in bars by asset class and frame (FCST-03a, 15), and the one that is traded.

Stock horizons count sessions: an XNYS day of 6.5 hours is 7 hourly bars, so one day is 7 bars and not 24.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from foresail.core.errors import ConfigError, UserError
from foresail.domain.instruments import AssetClass

__all__ = ["bars_per_session", "decision_horizon", "default_horizons"]

_SESSION_MINUTES = {AssetClass.STOCK: 390, AssetClass.CRYPTO: 1440, AssetClass.FOREX: 1440}
_UNIT_MINUTES = {"m": 1, "min": 1, "h": 60}
_FRAME = re.compile(r"^(\d+)(m|min|h|d|w)$")


def _split(frame: str) -> tuple[int, str]:
    match = _FRAME.match(frame)
    if match is None or int(match[1]) == 0:
        raise ConfigError(f"expected a frame such as 1d, 1h or 15m, received {frame!r}")
    return int(match[1]), match[2]


def bars_per_session(asset_class: AssetClass, frame: str) -> int:
    """Return how many bars of an intraday frame make one session (a day for crypto and forex), the last one possibly
    short.

    Raises
    ------
    ConfigError
        If the frame is unknown or is not shorter than a session.
    """
    count, unit = _split(frame)
    if unit not in _UNIT_MINUTES or count * _UNIT_MINUTES[unit] >= _SESSION_MINUTES[asset_class]:
        raise ConfigError(f"expected a frame shorter than a session, such as 1h or 15m, received {frame!r}")
    return -(-_SESSION_MINUTES[asset_class] // (count * _UNIT_MINUTES[unit]))


def default_horizons(asset_class: AssetClass, frame: str) -> tuple[int, ...]:
    """Return the horizons of a frame in bars, ascending.

    Daily and weekly frames: 1 and 5 bars. Intraday frames: one bar, four hours and one session; for hourly bars that is
    (1, 4, 24) for crypto and forex and (1, 4, 7) for stocks.

    Raises
    ------
    ConfigError
        If the frame is unknown.
    """
    count, unit = _split(frame)
    if unit not in _UNIT_MINUTES or count * _UNIT_MINUTES[unit] >= _SESSION_MINUTES[asset_class]:
        return (1, 5)
    session = bars_per_session(asset_class, frame)
    four_hours = max(1, 240 // (count * _UNIT_MINUTES[unit]))
    return tuple(sorted({1, min(four_hours, session), session}))


def decision_horizon(horizons: Sequence[int]) -> int:
    """Return the horizon that decisions are taken on: the longest, which pays the fewest round trips per unit of move.

    Raises
    ------
    UserError
        If there is no horizon.
    """
    if not horizons:
        raise UserError("expected at least one horizon, received none", hint="give for example horizons = [1, 5]")
    return max(horizons)
