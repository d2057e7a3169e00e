"""Horizons by name: "4h", "1d", "1w" to bars of a class and frame, and back (FCST-02, FCST-15).

Names are calendar time for crypto and forex. For stocks they count sessions: of hourly bars, 1d is 7 bars, 1w is 35.
"""

from __future__ import annotations

import re

from foresail.core.errors import ConfigError
from foresail.domain.instruments import AssetClass
from foresail.forecasting.horizons import bars_per_session

__all__ = ["horizon_bars", "horizon_name", "is_horizon"]

_NAME = re.compile(r"^(\d+)(m|h|d|w)$")
_MINUTES = {"m": 1, "min": 1, "h": 60}
_SESSIONS_PER_WEEK = {AssetClass.STOCK: 5, AssetClass.CRYPTO: 7, AssetClass.FOREX: 5}


def _frame(frame: str) -> tuple[int, str]:
    match = re.match(r"^(\d+)(m|min|h|d|w)$", frame)
    if match is None or int(match[1]) == 0:
        raise ConfigError(f"expected a frame such as 1d, 1h or 15m, received {frame!r}")
    return int(match[1]), match[2]


def _session_bars(asset_class: AssetClass, frame: str) -> int:
    """Return the bars of one session, 0 where a bar is a week."""
    count, unit = _frame(frame)
    if unit in ("d", "w"):
        return 1 if (count, unit) == (1, "d") else 0
    return bars_per_session(asset_class, frame)


def is_horizon(text: str) -> bool:
    """Return whether a text is a number of bars or a span, whatever bars it may come to."""
    text = text.strip()
    match = _NAME.match(text)
    return (text.isdigit() and int(text) > 0) or (match is not None and int(match[1]) > 0)


def horizon_bars(text: str, asset_class: AssetClass, frame: str) -> int:
    """Return how many bars a horizon is.

    Parameters
    ----------
    text : a number of bars such as "5", or a span such as "30m", "4h", "1d" or "1w"

    Raises
    ------
    ConfigError
        If the text is neither, or the span is no whole number of bars.

    Examples
    --------
    >>> [horizon_bars(t, AssetClass.STOCK, "1h") for t in ("4h", "1d", "3d", "1w")]
    [4, 7, 21, 35]
    >>> [horizon_bars(t, AssetClass.CRYPTO, "1h") for t in ("4h", "1d", "3d", "1w")]
    [4, 24, 72, 168]
    """
    text = text.strip()
    if text.isdigit() and int(text) > 0:
        return int(text)
    match = _NAME.match(text)
    if match is None or not is_horizon(text):
        raise ConfigError(f"expected a horizon in bars such as 5, or a span such as 4h, 1d or 1w, received {text!r}")
    count, unit = int(match[1]), match[2]
    size, frame_unit = _frame(frame)
    if unit in ("d", "w"):
        session = _session_bars(asset_class, frame)
        days = count if unit == "d" else count * _SESSIONS_PER_WEEK[asset_class]
        if session:
            return days * session
        if (unit, frame_unit) == ("w", "w") and count % size == 0:
            return count // size
    elif frame_unit in _MINUTES:
        bars, rest = divmod(count * _MINUTES[unit], size * _MINUTES[frame_unit])
        if not rest and bars <= _session_bars(asset_class, frame):
            return bars
    raise ConfigError(
        f"a horizon of {text} is no whole number of {frame} bars within a session of {asset_class.value}",
        hint="give the horizon in bars, for example 5",
    )


def horizon_name(bars: int, asset_class: AssetClass, frame: str) -> str:
    """Return the name of a horizon; "24 bars" where it has none.

    Examples
    --------
    >>> [horizon_name(h, AssetClass.STOCK, "1h") for h in (1, 4, 7, 24, 35)]
    ['1h', '4h', '1d', '24 bars', '1w']
    """
    size, unit = _frame(frame)
    session = _session_bars(asset_class, frame)
    if session and bars % session == 0:
        days, week = bars // session, _SESSIONS_PER_WEEK[asset_class]
        return f"{days // week}w" if days % week == 0 else f"{days}d"
    if unit in _MINUTES and bars < session:
        minutes = bars * size * _MINUTES[unit]
        return f"{minutes // 60}h" if minutes % 60 == 0 else f"{minutes}m"
    return f"{bars * size}w" if unit == "w" else f"{bars} bar{'s' if bars != 1 else ''}"
