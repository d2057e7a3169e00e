"""The events of a backtest, out of a panel of bars, in their one total order."""

from __future__ import annotations

import numpy as np

from foresail.domain.events import BarsClosed, Event, Fact, Rank, Timer, event_key
from foresail.domain.panel import Panel

__all__ = ["history_events"]

# Field, value that means nothing happened. A split comes first: a dividend of the same bar is cash per unit after it.
_ACTIONS = (("split", 1.0), ("dividend", 0.0))


def history_events(bars: Panel, first: int, every: int) -> tuple[Event, ...]:
    """Return the events of a backtest from position ``first`` on, sorted.

    Parameters
    ----------
    bars : (N, T, F)
    first : time position of the first bar; corporate actions count from the bar after it
    every : a decision is due at every position that is a multiple of it
    """
    events: list[Event] = [*_actions(bars, first)]
    for now in range(first, bars.shape[1]):
        end = int(bars.end[now])
        events.append(BarsClosed(end, end, Rank.VENUE_FILL, sequence=now, frame=bars.frame, position=now))
        if now % every == 0:
            events.append(Timer(int(bars.available_at[now]), end, Rank.DECISION, sequence=now, name="decision"))
    return tuple(sorted(events, key=event_key))


def _actions(bars: Panel, first: int) -> list[Fact]:
    """Return splits and dividends, each effective at the start of its bar."""
    facts = []
    for order, (kind, nothing) in enumerate(_ACTIONS):
        if kind not in bars.fields:
            continue
        values = bars.field(kind)
        for i, now in np.argwhere(np.isfinite(values) & (values != nothing)):
            if now > first:
                at, value = int(bars.start[now]), float(values[i, now])
                name = bars.instruments[i]
                facts.append(Fact(at, at, Rank.CORPORATE_ACTION, "bars", name, order, kind=kind, value=value))
    return facts
