"""A LEAN-style folder to bars, dated aliases and corporate actions.

Bars stay raw. An action stands at the first bar on or after its ex-date; where bars are missing in between (a ticker
whose file was not kept) the cash of several actions adds up there, and each counts as reinvested at the close that its
factor row names.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from foresail.adapters.lean.directory import Identities, identities
from foresail.adapters.lean.factors import FactorRow, actions_of
from foresail.adapters.lean.tables import BARS_FILE, LeanTables, read_tables
from foresail.core.arrays import FloatArray, IntArray
from foresail.core.clock import NS_PER_S
from foresail.core.errors import DataError
from foresail.core.ids import InstrumentId
from foresail.domain.actions import CorporateAction
from foresail.domain.bars import BarSet, BarTable, bar_table
from foresail.domain.calendars import sessions
from foresail.domain.instruments import AssetClass, Directory, Instrument, PriceBasis
from foresail.domain.quality import QuarantinedRow
from foresail.domain.sectors import Sector, sector_of

__all__ = ["LeanSet", "read_lean"]

_CALENDAR = "XNYS"
_GRACE_S = 1.0
_LAST_DAY = date(2030, 1, 1)
_EPOCH = date(1970, 1, 1)
_PRICES = ("open", "high", "low", "close", "volume")


@dataclass(frozen=True, slots=True, eq=False)
class LeanSet:
    """Everything such a folder says.

    Attributes
    ----------
    bars : raw, with dividend, split and forward factor
    directory : which ticker meant whom when
    actions : instrument -> actions by ex-date, those without a bar included
    factors : instrument -> rows of its factor file, the reference result for adjustment
    quarantined : rows on days without a session
    notes : what was assumed
    """

    bars: BarTable
    bar_set: BarSet
    directory: Directory
    actions: Mapping[InstrumentId, tuple[CorporateAction, ...]]
    factors: Mapping[InstrumentId, tuple[FactorRow, ...]]
    quarantined: tuple[QuarantinedRow, ...]
    notes: tuple[str, ...]


class _Sessions:
    """Sessions of the exchange by day number."""

    def __init__(self) -> None:
        labels, self.open_ns, self.close_ns = sessions(_CALENDAR, date(1990, 1, 1), _LAST_DAY)
        self.labels: IntArray = labels.astype(np.int64)

    def after(self, day: date) -> date:
        """Return the session after a day; beyond the calendar the next day."""
        place = int(np.searchsorted(self.labels, (day - _EPOCH).days, side="right"))
        return _EPOCH + timedelta(days=int(self.labels[place])) if place < len(self.labels) else day + timedelta(days=1)


def read_lean(folder: Path, *, name: str = "us_corporate_actions") -> LeanSet:
    """Return the set in a folder.

    Parameters
    ----------
    name : of the set of bars

    Raises
    ------
    DataError
        If a file or column is absent, or the factors contradict themselves.
    """
    tables, calendar = read_tables(folder), _Sessions()
    known = identities(tables)
    factors = _factor_rows(tables, known)
    actions = {one: actions_of(one, rows, calendar.after) for one, rows in sorted(factors.items())}
    rows, quarantined = _rows(tables, known.directory, calendar)
    notes: list[str] = []
    instruments = tuple(sorted(set(rows["instrument"].tolist())))
    bars = _with_actions(rows, actions, notes)
    return LeanSet(
        bars,
        _bar_set(name, instruments, known.directory),
        known.directory,
        actions,
        factors,
        quarantined,
        (*notes, *_without_map(known.directory)),
    )


def _factor_rows(tables: LeanTables, known: Identities) -> dict[InstrumentId, tuple[FactorRow, ...]]:
    content = tables.factors.to_pydict()
    columns = [content[key] for key in ("symbol", "date", "price_factor", "split_factor", "reference_price")]
    found: dict[InstrumentId, list[FactorRow]] = {}
    for symbol, *values in zip(*columns, strict=True):
        found.setdefault(known.of_symbol[symbol], []).append(FactorRow(*values))
    return {one: tuple(rows) for one, rows in found.items()}


def _rows(
    tables: LeanTables, directory: Directory, calendar: _Sessions
) -> tuple[dict[str, Any], tuple[QuarantinedRow, ...]]:
    """Return the rows of the bars with instrument and span, sorted by (instrument, day)."""
    tickers = np.asarray(tables.bars.column("symbol").to_pylist(), dtype=object)
    days = np.asarray(tables.bars.column("date").cast(pa.int32()), dtype=np.int64)
    names = np.full(len(days), "", dtype=object)
    for alias in directory.aliases:
        last = _LAST_DAY if alias.last is None else alias.last
        inside = (days >= (alias.first - _EPOCH).days) & (days <= (last - _EPOCH).days)
        names[(tickers == alias.ticker) & inside] = alias.instrument
    place = np.minimum(np.searchsorted(calendar.labels, days), len(calendar.labels) - 1)
    good = calendar.labels[place] == days
    quarantined = []
    for row in np.flatnonzero(~good).tolist():
        day = _EPOCH + timedelta(days=int(days[row]))
        text = f"{day} is no session of calendar {_CALENDAR}"
        original = ",".join(str(value) for value in tables.bars.slice(row, 1).to_pylist()[0].values())
        quarantined.append(QuarantinedRow(BARS_FILE, row + 1, "ts", "DATA-54", text, original))
    order = np.lexsort((days, np.unique(names, return_inverse=True)[1]))
    order = order[good[order]]
    rows: dict[str, Any] = {"instrument": names[order], "day": days[order], "row": order + 1}
    rows |= {"start": calendar.open_ns[place[order]], "end": calendar.close_ns[place[order]]}
    rows |= {key: np.asarray(tables.bars.column(key), dtype=np.float64)[order] for key in _PRICES}
    return rows, tuple(quarantined)


def _with_actions(
    rows: dict[str, Any], actions: Mapping[InstrumentId, tuple[CorporateAction, ...]], notes: list[str]
) -> BarTable:
    n = len(rows["end"])
    dividend, split, growth = np.zeros(n), np.ones(n), np.ones(n)
    factor: FloatArray = np.ones(n)
    borders = np.flatnonzero(np.r_[True, rows["instrument"][1:] != rows["instrument"][:-1], True])
    for first, stop in zip(borders[:-1].tolist(), borders[1:].tolist(), strict=True):
        name = rows["instrument"][first]
        for action in actions.get(name, ()):
            row = first + int(np.searchsorted(rows["day"][first:stop], (action.ex_date - _EPOCH).days))
            if not first < row < stop:
                continue  # before the first bar or after the last
            _check_close(rows, row - 1, action, notes)
            dividend[row] = dividend[row] / action.split + action.dividend
            split[row] *= action.split
            growth[row] *= action.growth
        factor[first:stop] = np.cumprod(growth[first:stop])
    columns = {key: rows[key] for key in (*_PRICES, "start", "end", "row")}
    columns["available_at"] = rows["end"] + round(_GRACE_S * NS_PER_S)
    columns |= {"dividend": dividend, "split": split, "total_factor": factor}
    columns["instrument"] = pa.array(rows["instrument"].tolist(), pa.string())
    columns["file"] = pa.array([BARS_FILE] * n, pa.string())
    return bar_table(columns)


def _check_close(rows: dict[str, Any], before: int, action: CorporateAction, notes: list[str]) -> None:
    """Say where an action's close before is not the bar's; a bar long before it is another day's and says nothing."""
    age = (action.ex_date - _EPOCH).days - int(rows["day"][before])
    close = float(rows["close"][before])
    if age <= 5 and abs(close - action.close_before) > 0.0051:
        notes.append(
            f"{action.instrument} {action.ex_date}: the factor file names a close before of {action.close_before}, the "
            f"bar says {close}; dividends are counted on the former"
        )


def _bar_set(name: str, instruments: tuple[InstrumentId, ...], directory: Directory) -> BarSet:
    made = []
    for one in instruments:
        ticker = directory.history(one)[-1].ticker
        sector = sector_of(ticker)
        made.append(Instrument(one, ticker, AssetClass.STOCK, sector=one if sector is Sector.UNKNOWN else sector.value))
    if not made:
        raise DataError(f"{BARS_FILE}: no bar on a session of {_CALENDAR}", file=BARS_FILE, rule="DATA-51")
    return BarSet(
        name=name,
        asset_class=AssetClass.STOCK,
        frame="1d",
        calendar=_CALENDAR,
        price_basis=PriceBasis.RAW,
        universe_basis="hindsight",
        currency="USD",
        grace_s=_GRACE_S,
        known_by_date=False,
        close_only=False,
        instruments=tuple(made),
        source=BARS_FILE,
    )


def _without_map(directory: Directory) -> list[str]:
    return [
        f"{alias.ticker} {alias.span}: an instrument of its own, {alias.instrument} ({alias.source})"
        for alias in directory.aliases
        if alias.source != "map file"
    ]
