"""The events of a backtest, out of a panel of bars, in their one total order."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from foresail.domain.events import BarsClosed, Event, Fact, Rank, Timer, event_key
from foresail.domain.panel import Panel

__all__ = ["bar_events", "history_events", "history_pieces"]

# Field, value that means nothing happened. A split comes first: a dividend of the same bar is cash per unit after it.
_ACTIONS = (("split", 1.0), ("dividend", 0.0))


def history_events(bars: Panel, first: int, every: int, facts: Sequence[Fact] = ()) -> tuple[Event, ...]:
    """Return the events of a backtest from position ``first`` on, sorted.

    Parameters
    ----------
    bars : (N, T, F)
    first : time position of the first bar; corporate actions count from the bar after it
    every : a decision is due at every position that is a multiple of it
    facts : further facts of the run, none before the first bar (``risk_facts``)
    """
    events: list[Event] = [*_actions(bars, first), *facts]
    for now in range(first, bars.shape[1]):
        events += bar_events(bars, now, every)
    return tuple(sorted(events, key=event_key))


def bar_events(bars: Panel, now: int, every: int) -> tuple[Event, ...]:
    """Return the close of one bar and the decision that is due then."""
    end = int(bars.end[now])
    closed = BarsClosed(end, end, Rank.VENUE_FILL, sequence=now, frame=bars.frame, position=now)
    if now % every:
        return (closed,)
    return closed, Timer(int(bars.available_at[now]), end, Rank.DECISION, sequence=now, name="decision")


def history_pieces(bars: Panel, first: int, every: int, facts: Sequence[Fact] = ()) -> Iterator[Event | range]:
    """Yield what ``history_events`` returns, in the same order, with stretches of plain bars as ranges of positions.

    A stretch holds bars each followed by its own decision, with nothing between them: ``bar_events`` has its events.
    """
    last = bars.shape[1]
    if not bool(np.all(bars.available_at[first : last - 1] < bars.end[first + 1 :])):
        yield from history_events(bars, first, every, facts)
        return
    told = [*_actions(bars, first), *facts]
    places = np.searchsorted(bars.end, [fact.available_at for fact in told], side="left").clip(first, last - 1)
    touched = sorted({int(one) for place in places for one in (place - 1, place) if first <= one < last})
    plain = first
    for begin, end in _runs(touched):
        if begin > plain:
            yield range(plain, begin)
        here = [fact for fact, place in zip(told, places, strict=True) if begin <= place < end]
        events = [event for now in range(begin, end) for event in bar_events(bars, now, every)]
        yield from sorted([*here, *events], key=event_key)
        plain = end
    if last > plain:
        yield range(plain, last)


def _runs(positions: list[int]) -> Iterator[tuple[int, int]]:
    """Yield stretches of consecutive numbers as half-open pairs."""
    begin = None
    for i, one in enumerate(positions):
        begin = one if begin is None else begin
        if i + 1 == len(positions) or positions[i + 1] != one + 1:
            yield begin, one + 1
            begin = None


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
