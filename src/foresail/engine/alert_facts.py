"""What stored facts say that somebody should hear of (ALERT-10): whale prints, extremes of funding and exchange flows.

1. ``whale_trade`` above 0 (STRAT-36: a print of more than 100 times the average size) is told with its time.
2. ``funding_rate``, also of one exchange, beyond 0.1 % per 8 hours on either side (STRAT-23); other periods count as
   their part of 8 hours.
3. ``exchange_inflow`` and ``exchange_outflow`` above twice the mean of the 30 values before (FEAT-312, STRAT-22).

An extreme that has passed is told as not known, so that its next beginning is news again. A row that came later than
one of a later time is left out: it is news no more, and must not change what was told before it came.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import numpy as np

from foresail.core.clock import NS_PER_S
from foresail.core.ids import InstrumentId
from foresail.domain.facts import FactTable

__all__ = ["EXCHANGE_FLOW", "FUNDING", "WHALE", "alert_facts"]

WHALE, FUNDING, EXCHANGE_FLOW = "whale_print", "funding_extreme", "flow_extreme"
_FLOWS = {"exchange_inflow": "inflow", "exchange_outflow": "outflow"}
_FUNDING = "funding_rate"
_MOST_FUNDING = 0.001  # per 8 hours
_EIGHT_HOURS_NS = 8 * 3600 * NS_PER_S
_FLOW_DAYS, _FLOW_LEAST, _FLOW_TIMES = 30, 10, 2.0

_Row = tuple[int, str, InstrumentId | None, float]  # available at, kind, instrument, value


def alert_facts(table: FactTable) -> Iterator[_Row]:
    """Yield what a table has to tell: (available at ns UTC, kind, instrument, value; NaN = not any more)."""
    for field in table.fields:
        if field == "whale_trade":
            yield from _whales(table)
        elif field == _FUNDING or field.startswith(f"{_FUNDING}_"):
            yield from _funding(table, field)
        elif field in _FLOWS:
            yield from _flows(table, field)


def _series(table: FactTable, field: str) -> Iterator[tuple[InstrumentId | None, list[tuple[int, int, float]]]]:
    """Yield each instrument's (event time, available at, value), first versions that came in the order of time."""
    column = table.values[:, table.index(field)]
    for code, name in enumerate(table.instruments):
        first: dict[int, tuple[int, float]] = {}
        rows = np.flatnonzero((table.code == code) & np.isfinite(column))
        for row in rows[np.argsort(table.available_at[rows], kind="stable")].tolist():
            first.setdefault(int(table.event_time[row]), (int(table.available_at[row]), float(column[row])))
        if first:
            kept: list[tuple[int, int, float]] = []
            for at in sorted(first, reverse=True):
                if not kept or first[at][0] <= kept[-1][1]:
                    kept.append((at, *first[at]))
            yield name or None, kept[::-1]


def _whales(table: FactTable) -> Iterator[_Row]:
    for name, rows in _series(table, "whale_trade"):
        for at, known, value in rows:
            if value > 0.0:
                yield known, WHALE, name, at / NS_PER_S


def _funding(table: FactTable, field: str) -> Iterator[_Row]:
    for name, rows in _series(table, field):
        before = None
        for at, known, value in rows:
            period = _EIGHT_HOURS_NS if before is None else min(at - before, _EIGHT_HOURS_NS)
            rate, before = value * _EIGHT_HOURS_NS / period, at
            yield known, f"{FUNDING}{field.removeprefix(_FUNDING)}", name, _extreme(abs(rate), _MOST_FUNDING, rate)


def _flows(table: FactTable, field: str) -> Iterator[_Row]:
    for name, rows in _series(table, field):
        for i, (_at, known, value) in enumerate(rows):
            past = [one[2] for one in rows[max(0, i - _FLOW_DAYS) : i]]
            mean = math.fsum(past) / len(past) if len(past) >= _FLOW_LEAST else math.nan
            times = value / mean if mean > 0.0 else math.nan
            yield known, f"{EXCHANGE_FLOW}_{_FLOWS[field]}", name, _extreme(times, _FLOW_TIMES, times)


def _extreme(size: float, most: float, value: float) -> float:
    return round(value, 6) if size > most else math.nan
