"""When described facts were known: a column, a stated lag, the close of their session, or the moment of storing.

Exactly one of the four keys is given. A source that says nothing is refused, since any date would be a guess that a
back-test turns into knowledge of the future (DATA-70).
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date, timedelta
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, TimeArray
from foresail.core.clock import NS_PER_DAY, NS_PER_S, format_ns
from foresail.core.errors import ConfigError, DataError, LookAheadError
from foresail.domain.calendars import frame_ns, sessions

__all__ = ["AVAILABILITY_KEYS", "close_of_session", "grace_ns", "said_availability", "stated_lag"]

AVAILABILITY_KEYS = ("known_at", "publication_lag", "at_close", "snapshot")
_LAG = re.compile(r"0d|[1-9]\d*[smhdw]")


def said_availability(raw: Mapping[str, Any], where: str) -> str:
    """Return which of ``AVAILABILITY_KEYS`` a description gives.

    Raises
    ------
    LookAheadError
        If it gives none, or several.
    """
    said = [key for key in AVAILABILITY_KEYS if raw.get(key)]
    if len(said) != 1:
        raise LookAheadError(
            f"{where}: expected one of known_at, publication_lag, at_close or snapshot, received "
            f"{', '.join(said) or 'none'}",
            column="known_at",
            rule="DATA-70",
            hint='known_at = "column with the date of publication"; publication_lag = "45d"; at_close = true, known '
            "when the session of its date closes; or snapshot = true",
        )
    return said[0]


def stated_lag(raw: Mapping[str, Any], where: str) -> timedelta | None:
    """Return the publication lag of a description, None where another key says when values were known.

    Raises
    ------
    ConfigError
        If the text is no duration.
    """
    if not raw.get("publication_lag"):
        return None
    text = str(raw["publication_lag"])
    if _LAG.fullmatch(text) is None:
        raise ConfigError(f'{where}: expected publication_lag such as "45d" or "24h", received {text!r}')
    return timedelta(0) if text == "0d" else timedelta(seconds=frame_ns(text) // NS_PER_S)


def grace_ns(raw: Mapping[str, Any], where: str) -> int:
    """Return how long after the close of its session a value is known, ns.

    Raises
    ------
    ConfigError
        If it is no number of seconds, or is given without ``at_close``.
    """
    value = raw.get("grace_s", 1.0)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0.0 <= value < float("inf"):
        raise ConfigError(f"{where}: expected grace_s = seconds from the close, received {value!r}")
    if "grace_s" in raw and not raw.get("at_close"):
        raise ConfigError(f"{where}: grace_s counts from the close of a session", hint="it goes with at_close = true")
    return round(value * NS_PER_S)


def close_of_session(days: TimeArray, calendar: str, grace: int) -> tuple[TimeArray, BoolArray]:
    """Return when values dated by their session were known, and which dates are sessions.

    Parameters
    ----------
    days : (R,) ns UTC, midnight of the date of the session
    grace : ns after the close

    Raises
    ------
    DataError
        If a stamp has a time of day: then it names no session.
    """
    timed = np.flatnonzero(days % NS_PER_DAY)
    if len(timed):
        raise DataError(
            f"at_close expects dates of sessions, received {format_ns(int(days[timed[0]]))}",
            column="event_time",
            rule="DATA-70",
            hint="values with a time of day need a column or a lag: known_at or publication_lag",
        )
    if len(days) == 0:
        return days, np.zeros(0, dtype=np.bool_)
    wanted = (days // NS_PER_DAY).astype("datetime64[D]")
    first, last = _day(wanted.min()), _day(wanted.max())
    labels, _, closes = sessions(calendar, first, last)
    if len(labels) == 0:
        return days, np.zeros(len(days), dtype=np.bool_)
    place = np.clip(np.searchsorted(labels, wanted), 0, len(labels) - 1)
    return closes[place] + grace, np.asarray(labels[place] == wanted)


def _day(label: Any) -> date:
    day: date = label.astype(object)
    return day
