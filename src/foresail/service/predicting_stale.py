"""Why nothing may be forecast from these inputs (FCST-19): a set that has stopped, an instrument that is not there."""

from __future__ import annotations

import numpy as np

from foresail.core.clock import NS_PER_DAY, format_ns
from foresail.domain.calendars import bars_per_session, frame_ns, is_daily
from foresail.engine.settings import MarketData
from foresail.engine.training_sets import ForecastInputs

__all__ = ["ENOUGH", "stale_reasons"]

ENOUGH = 0.5  # share of the features that a row needs, as in training
_AGE_LIMIT = 3  # bars that the calendar asks for and that are absent (JOB-26)
_DAYS_BACK = 40  # calendar days in which bars are counted one by one for the age of the newest


def stale_reasons(data: MarketData, inputs: ForecastInputs, now: int) -> list[str]:
    """Return for each instrument why nothing may be forecast, empty where it may (FCST-19)."""
    bars, last = data.bars, data.bars.shape[1] - 1
    age, absent = (now - int(bars.end[last])) // NS_PER_DAY, _absent_bars(data, now)
    if absent >= _AGE_LIMIT:
        since = f"{absent} bars of {bars.frame} have closed since" if age <= _DAYS_BACK else f"that is {age} days ago"
        return [f"the newest bar ended {format_ns(int(bars.end[last]))}; {since}"] * len(bars.instruments)
    known = np.isfinite(inputs.features.values[:, last]).mean(axis=1)
    found = []
    for i in range(len(bars.instruments)):
        if not bars.present[i, last]:
            when = np.flatnonzero(bars.present[i])
            seen = format_ns(int(bars.end[when[-1]])) if len(when) else "never"
            found.append(f"no bar where the set has its last; its own last bar ended {seen}")
        elif not np.isfinite(inputs.scale[i, last]):
            found.append("too few bars to tell its volatility")
        elif known[i] < ENOUGH:
            found.append(f"{known[i]:.0%} of the features are known, {ENOUGH:.0%} are needed")
        else:
            found.append("")
    return found


def _absent_bars(data: MarketData, now: int) -> int:
    """Return how many bars the calendar asks for after the newest one, within 40 days and until ``now``."""
    bars, end = data.bars, int(data.bars.end[-1])
    grace = round(data.bar_set.grace_s * 1e9)
    now = min(now, end + _DAYS_BACK * NS_PER_DAY)
    first, final = (np.datetime64(t // NS_PER_DAY, "D").astype(object) for t in (end, now))
    (_, opens, closes), _ = bars_per_session(bars.calendar, bars.frame, first, final)
    step = frame_ns(bars.frame)
    if is_daily(bars.frame):
        count = int(((closes > end) & (closes + grace <= now)).sum())
        return count // max(1, step // NS_PER_DAY)
    total = 0
    for begin, close in zip(opens.tolist(), closes.tolist(), strict=True):
        ends = np.minimum(np.arange(begin + step, close + step, step), close)
        total += int(((ends > end) & (ends + grace <= now)).sum())
    return total
