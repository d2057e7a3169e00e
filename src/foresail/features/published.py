"""When the values of slow series were published, as numbers that stand beside the values on every row.

A daily series on hourly rows repeats its value until the next one, so its change from row to row says nothing. Which
publication a row sees is what "since the day before" needs, and it is known with the value: two days of equal values
are still two days. Each number is joined as of the row like the value itself, and goes stale with it.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from foresail.core.arrays import FloatArray, IntArray, TimeArray
from foresail.core.clock import NS_PER_DAY
from foresail.features.givens import REFERENCES, SECTOR_FUND
from foresail.measures.asof import asof_series

__all__ = ["lagged_by_days", "published_numbers"]


def published_numbers(
    series: Mapping[str, tuple[IntArray, FloatArray]], at: TimeArray, limits: Mapping[str, int | None]
) -> dict[str, FloatArray]:
    """Return what ``givens.REFERENCES`` lists under ``day_of_`` and ``time_of_`` of the series that are there.

    Parameters
    ----------
    series : name -> instants at which values became available, ns UTC, and the values; as ``asof_series`` takes them
    at : (T,) ns UTC, when decisions are taken
    limits : how long a value counts, ns; None, or absent, = the rule of ``asof_series``

    Returns
    -------
    name -> (T,) days since 1970: ``day_of_x`` the UTC day on which the newest value of x was published (midnight ends
    a day), ``time_of_x`` its instant; NaN where x says nothing
    """
    found = {}
    for name, (times, _) in sorted(series.items()):
        instants = np.asarray(times, dtype=np.int64)
        for kind, numbers in (("day_of_", (instants - 1) // NS_PER_DAY), ("time_of_", instants / NS_PER_DAY)):
            if f"{kind}{name}" in REFERENCES or (kind == "day_of_" and name.startswith(SECTOR_FUND)):
                joined = asof_series(times, numbers.astype(np.float64), at, stale_after_ns=limits.get(name))
                found[f"{kind}{name}"] = joined
    return found


def lagged_by_days(values: FloatArray, numbers: FloatArray, days: int) -> FloatArray:
    """Return at each row the last value of so many days before: what the step ``windows_before`` gives row by row.

    Parameters
    ----------
    values : (T,); NaN where unknown
    numbers : (T,) day of each row, not falling

    Returns
    -------
    (T,); NaN before so many days have passed, and where the row says nothing
    """
    lagged = np.full(len(values), np.nan)
    rows = np.flatnonzero(np.isfinite(values) & np.isfinite(numbers))
    if len(rows) == 0:
        return lagged
    place = np.cumsum(np.diff(numbers[rows], prepend=numbers[rows[0]]) != 0.0)
    lasts = values[rows[np.searchsorted(place, np.arange(place[-1] + 1), side="right") - 1]]
    seen = place >= days
    lagged[rows[seen]] = lasts[place[seen] - days]
    return lagged
