"""Why nothing may be forecast from these inputs (FCST-19): a set that has stopped, an instrument that is not there."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from foresail.core.clock import NS_PER_DAY, format_ns
from foresail.domain.bars import BarSet
from foresail.domain.calendars import bars_per_session, frame_ns, is_daily
from foresail.engine.row_rules import LONGEST_GAP

if TYPE_CHECKING:
    from foresail.service.predicting_rows import Standing

__all__ = ["ENOUGH", "stale_reasons"]

ENOUGH = 0.5  # share of the features that a row needs, as in training
_AGE_LIMIT = 3  # bars that the calendar asks for and that are absent (JOB-26)
_DAYS_BACK = 40  # calendar days in which bars are counted one by one for the age of the newest


def stale_reasons(standing: Standing, bar_set: BarSet, now: int, context: int = 1) -> list[str]:
    """Return for each instrument why nothing may be forecast, empty where it may (FCST-19).

    Parameters
    ----------
    context : bars that a forecast sees; where a gap lies within them nothing was learned from such a window (TRAIN-03)
    """
    age, absent = (now - standing.end) // NS_PER_DAY, _absent_bars(standing, bar_set, now)
    if absent >= _AGE_LIMIT:
        since = (
            f"{absent} bars of {standing.frame} have closed since" if age <= _DAYS_BACK else f"that is {age} days ago"
        )
        return [f"the newest bar ended {format_ns(standing.end)}; {since}"] * len(standing.instruments)
    known = np.isfinite(standing.features).mean(axis=1)
    whole = standing.gaps.whole(context)
    found = []
    for i, own in enumerate(standing.seen_end.tolist()):
        if not standing.present[i]:
            seen = "never" if own < 0 else format_ns(own)
            found.append(f"no bar where the set has its last; its own last bar ended {seen}")
        elif not np.isfinite(standing.scale[i]):
            found.append("too few bars to tell its volatility")
        elif known[i] < ENOUGH:
            found.append(f"{known[i]:.0%} of the features are known, {ENOUGH:.0%} are needed")
        elif not whole[i]:
            more = context - int(standing.gaps.since_gap[i])
            seen = f"the {context} bars that the model sees"
            found.append(f"a gap of more than {LONGEST_GAP} bars lies within {seen}; {more} more to come")
        else:
            found.append("")
    return found


def _absent_bars(standing: Standing, bar_set: BarSet, now: int) -> int:
    """Return how many bars the calendar asks for after the newest one, within 40 days and until ``now``."""
    end, frame = standing.end, standing.frame
    grace = round(bar_set.grace_s * 1e9)
    now = min(now, end + _DAYS_BACK * NS_PER_DAY)
    first, final = (np.datetime64(t // NS_PER_DAY, "D").astype(object) for t in (end, now))
    (_, opens, closes), _ = bars_per_session(standing.calendar, frame, first, final)
    step = frame_ns(frame)
    if is_daily(frame):
        count = int(((closes > end) & (closes + grace <= now)).sum())
        return count // max(1, step // NS_PER_DAY)
    total = 0
    for begin, close in zip(opens.tolist(), closes.tolist(), strict=True):
        ends = np.minimum(np.arange(begin + step, close + step, step), close)
        total += int(((ends > end) & (ends + grace <= now)).sum())
    return total
