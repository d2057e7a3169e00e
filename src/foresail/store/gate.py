"""The quality gate: every batch of bars passes it before anything is built on it (DATA-50 to 65).

In order: schema and key (51), equal duplicates collapse and unequal ones are set aside (53), impossible bars (52), bars
of the future (59), quotes (60), then what is only noticed: jumps (55), ratios of unrecorded splits (56), frozen feeds
(57), gaps against the calendar (54). Order is no defect. A jump is set aside only together with a recorded corporate
action at the same bar, which then contradicts the prices. On raw prices a jump that nothing explains blocks trading in
that name from there on. Nothing is backfilled, interpolated or re-adjusted. Every check looks back only, so that
cutting the batch at a date changes nothing before it.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
import pyarrow as pa

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.clock import NS_PER_S, format_ns
from foresail.domain.bars import BAR_COLUMNS, BarSet, BarTable
from foresail.domain.calendars import frame_ns
from foresail.domain.instruments import PriceBasis
from foresail.domain.quality import QualityFlag, QualityReport, QuarantinedRow
from foresail.store.checks import Jumps, count_gaps, find_frozen, find_jumps, find_wide_quotes, impossible
from foresail.store.ordering import VALUE_COLUMNS, Columns, keep_rows, sorted_columns

__all__ = ["check"]

_LATE_FRAMES = 3  # DATA-59: later than 3 x interval
_KEPT = tuple(name for name, _, _ in BAR_COLUMNS)


@dataclass(slots=True)
class _Findings:
    """What the checks found so far."""

    quarantined: list[QuarantinedRow] = field(default_factory=list)
    flags: list[QualityFlag] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    def set_aside(self, columns: Columns, which: BoolArray, column: str, rule: str, reason: str) -> None:
        """Quarantine rows of a mask, with the original as text."""
        positions = np.flatnonzero(which)
        if len(positions) == 0:
            return
        rows = columns.table.take(pa.array(positions)).to_pylist()
        for row in rows:
            original = ",".join("" if row[name] is None else str(row[name]) for name in _KEPT)
            place = row.get("row")
            self.quarantined.append(
                QuarantinedRow(
                    row.get("file") or "", 0 if place is None else int(place), column, rule, reason, original
                )
            )


def check(bars: BarTable, bar_set: BarSet) -> tuple[BarTable, QualityReport]:
    """Return the bars that pass, sorted by (instrument, end, available_at), and what happened to the others.

    Parameters
    ----------
    bars : may carry the extra columns ``file`` and ``row``, which the report names and the result no longer has

    Returns
    -------
    bars : accepted prints; several of one bar are revisions, told apart by ``available_at`` or ``recorded_at``
    report : ``expected`` and ``gaps`` count against the calendar between each instrument's first and last bar
    """
    findings = _Findings()
    columns = sorted_columns(bars)
    received = len(columns.code)
    columns, collapsed = _settle_duplicates(columns, findings)
    columns = _drop_bad_bars(columns, findings, bar_set)
    columns = _drop_bad_quotes(columns, findings)
    columns, jumps = _jumps(columns, bar_set, findings)
    blocked = _blocked(columns, jumps, bar_set)
    for position in find_frozen(columns).tolist():
        text = f"10 equal closes with zero volume up to here ({format_ns(int(columns.end[position]))})"
        findings.flags.append(_flag(columns, position, "DATA-57", text))
    gaps = count_gaps(columns, bar_set)
    findings.flags.extend(gaps.flags)
    findings.notes.extend(gaps.notes)
    report = QualityReport(
        received=received,
        accepted=len(columns.code),
        expected=gaps.expected,
        quarantined=tuple(findings.quarantined),
        collapsed=collapsed,
        gaps=gaps.missing,
        flags=tuple(findings.flags),
        blocked=blocked,
        notes=tuple(findings.notes),
    )
    return BarTable(columns.table.select(_KEPT)), report


def _flag(columns: Columns, position: int, rule: str, text: str) -> QualityFlag:
    return QualityFlag(columns.names[int(columns.code[position])], int(columns.end[position]), rule, text)


def _settle_duplicates(columns: Columns, findings: _Findings) -> tuple[Columns, int]:
    """DATA-53 as decided here: rows of one print that agree become one; rows that differ are all set aside."""
    n = len(columns.code)
    if n < 2:
        return columns, 0
    tied = np.ones(n - 1, dtype=np.bool_)
    for key in (columns.code, columns.end, columns.available, columns.recorded):
        tied &= np.diff(key) == 0
    if not tied.any():
        return columns, 0
    group = np.r_[0, np.cumsum(~tied)]
    pairs = np.flatnonzero(tied)
    differs = np.zeros(n - 1, dtype=np.bool_)
    for name in VALUE_COLUMNS:
        if name == "total_factor":
            continue  # derived from the others
        values = columns.values(name)
        left, right = values[pairs], values[pairs + 1]
        differs[pairs] |= ~((left == right) | (np.isnan(left) & np.isnan(right)))
    bad_groups = np.zeros(int(group[-1]) + 1, dtype=np.bool_)
    bad_groups[group[1:][differs]] = True
    bad = bad_groups[group]
    findings.set_aside(columns, bad, "end", "DATA-53", "several different bars of one instrument and time")
    repeated = np.r_[False, tied] & ~bad
    return keep_rows(columns, ~bad & ~repeated), int(repeated.sum())


def _drop_bad_bars(columns: Columns, findings: _Findings, bar_set: BarSet) -> Columns:
    volume = columns.values("volume")
    minus_one = volume == -1.0
    if minus_one.any():
        findings.notes.append(f"{int(minus_one.sum())} volumes of -1 read as missing")
        columns = _with_column(columns, "volume", np.where(minus_one, np.nan, volume))
    bad = np.zeros(len(columns.code), dtype=np.bool_)
    for column, reason, which in impossible(columns):
        findings.set_aside(columns, which & ~bad, column, "DATA-52", reason)
        bad |= which
    broken = ~bad & ((columns.start >= columns.end) | (columns.available < columns.end))
    findings.set_aside(columns, broken, "end", "DATA-51", "a bar must end after it starts and be known after it ends")
    bad |= broken
    future = ~bad & (columns.recorded > 0) & (columns.end > columns.recorded)
    findings.set_aside(columns, future, "end", "DATA-59", "the bar ends after it was recorded")
    bad |= future
    late = ~bad & (columns.available - columns.end > _LATE_FRAMES * max(frame_ns(bar_set.frame), 60 * NS_PER_S))
    late &= columns.first_of_key()
    if not bar_set.known_by_date:
        for position in np.flatnonzero(late).tolist():
            findings.flags.append(_flag(columns, position, "DATA-59", "known later than 3 intervals after its end"))
    return keep_rows(columns, ~bad) if bad.any() else columns


def _with_column(columns: Columns, name: str, values: FloatArray) -> Columns:
    place = columns.table.column_names.index(name)
    table = columns.table.set_column(place, name, pa.array(values, type=pa.float64(), from_pandas=True))
    return Columns(table, columns.names, columns.code, columns.start, columns.end, columns.available, columns.recorded)


def _drop_bad_quotes(columns: Columns, findings: _Findings) -> Columns:
    """DATA-60: a crossed or very wide quote loses its spread; the bar itself stays."""
    wide = find_wide_quotes(columns)
    if not wide.any():
        return columns
    findings.notes.append(f"DATA-60: spread of {int(wide.sum())} bars dropped (crossed, or above 10 x median)")
    return _with_column(columns, "spread", np.where(wide, np.nan, columns.values("spread")))


def _jumps(columns: Columns, bar_set: BarSet, findings: _Findings) -> tuple[Columns, Jumps]:
    jumps = find_jumps(columns, bar_set)
    recorded_action = columns.values("split") != 1.0
    contradicted = jumps.split_like & recorded_action
    if contradicted.any():
        findings.set_aside(
            columns, contradicted, "split", "DATA-56", "prices jump against the split recorded at this bar"
        )
    for position in np.flatnonzero((jumps.beyond | jumps.split_like) & ~contradicted).tolist():
        rule = "DATA-56" if jumps.split_like[position] else "DATA-55"
        move, overnight = float(jumps.simple_return[position]), float(jumps.overnight[position])
        text = f"close moves {move:+.1%}"
        if jumps.split_like[position]:
            text += f", overnight ratio {overnight:.3f} looks like a split that is not recorded"
        elif jumps.spike[position]:
            text = f"high or low stands {float(jumps.reach[position]):.1%} away from the close"
        findings.flags.append(_flag(columns, position, rule, text))
    if contradicted.any():
        kept = np.flatnonzero(~contradicted)
        unexplained = jumps.unexplained.copy()
        # The name is blocked although its bar is gone: the next accepted bar carries the mark.
        for position in np.flatnonzero(contradicted).tolist():
            following = min(position + 1, len(unexplained) - 1)
            if columns.code[following] == columns.code[position]:
                unexplained[following] = True
        return columns.take(kept), jumps.take(kept, unexplained[kept])
    return columns, jumps


def _blocked(columns: Columns, jumps: Jumps, bar_set: BarSet) -> tuple[tuple[str, int], ...]:
    if bar_set.price_basis is not PriceBasis.RAW or bar_set.asset_class != "stock":
        return ()
    positions = np.flatnonzero(jumps.unexplained)
    codes, first = np.unique(columns.code[positions], return_index=True)
    ends = columns.end[positions][first]
    return tuple((columns.names[int(c)], int(e)) for c, e in zip(codes, ends, strict=True))
