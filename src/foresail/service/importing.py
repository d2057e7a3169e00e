"""Bars of a user into the workspace's store: what a described set of files holds, what was kept, what was set aside.

``describe_set`` only looks and proposes; ``import_set`` reads, checks and stores. Both the reader and the quality gate
set rows aside; the report that a user gets has all of them, with file, row, column and rule.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from foresail.adapters.files.load import describe, load_description
from foresail.adapters.files.reader import read_bars
from foresail.adapters.lean.reader import read_lean
from foresail.adapters.lean.tables import is_lean_folder
from foresail.core.canonical import plain
from foresail.core.clock import Clock, SystemClock, format_ns
from foresail.core.errors import ConfigError, DataError
from foresail.domain.bars import BarSet, BarTable
from foresail.domain.calendars import frame_ns
from foresail.domain.quality import QualityReport, QuarantinedRow
from foresail.service.fact_import import describes_facts, import_facts
from foresail.service.outcome import Outcome
from foresail.service.workspace import find_workspace
from foresail.store.embedded import EmbeddedStore
from foresail.store.gate import check
from foresail.store.resample import resample

__all__ = ["describe_set", "import_set", "open_store", "store_bars"]

_STORE = "store"
_SHOWN = 5  # rows, flags and names that a terminal shows of each list; the JSON document has all


def describe_set(path: Path) -> Outcome:
    """Return the ``foresail-set.toml`` that the files suggest; nothing is stored.

    Raises
    ------
    DataError
        If there is no file to look at, or the first one cannot be read.
    """
    proposal, text = describe(path)
    fields = None if proposal is None else plain(proposal)
    return Outcome({"toml": text, "proposal": fields}, text.rstrip("\n").splitlines())


def import_set(
    path: Path,
    *,
    name: str | None = None,
    timezone: str | None = None,
    frame: str | None = None,
    extended: bool = False,
    clock: Clock | None = None,
) -> Outcome:
    """Read, check and store the bars at a path, or the facts or series; and the series that bars name beside them.

    Parameters
    ----------
    path : folder with ``foresail-set.toml``, that file, or one Parquet or CSV file
    name : of the stored set, over what the description says
    timezone : IANA zone of times that carry none
    frame : store bars of this coarser frame, made from those of the files
    extended : whether the files hold bars of a US exchange from 04:00 to 20:00 New York, which 6h needs
    clock : tells when the bars were recorded

    Raises
    ------
    DataError
        If the files, or all of their bars, cannot be used; file, row, column and rule are named where known.
    ConfigError
        If the description is wrong, or contradicts the set that is stored under that name.
    """
    if frame is not None and (describes_facts(path) or is_lean_folder(path)):
        raise ConfigError(f"--frame {frame}: {path} holds no described bars", hint="leave --frame out")
    if describes_facts(path):
        return import_facts(path, open_store(), clock=clock or SystemClock(), name=name)
    if is_lean_folder(path):
        return _import_lean(path, name, clock or SystemClock())
    said = {key: value for key, value in (("name", name), ("zone", timezone)) if value is not None}
    description = load_description(path, said)
    bars, bar_set, quarantined, notes = read_bars(description)
    if frame is not None and frame != bar_set.frame:
        bars, bar_set, more = _coarser(bars, bar_set, frame, extended=extended)
        quarantined, notes = (*quarantined, *more.quarantined), (*notes, *more.notes)
    watch = clock or SystemClock()
    outcome = store_bars(bars, bar_set, quarantined, notes, clock=watch)
    beside = [import_facts(one, open_store(), clock=watch) for one in description.series]
    if not beside:
        return outcome
    told = [line for one in beside for line in one.lines[:-1]]
    return Outcome(
        {**outcome.document, "series": [one.document for one in beside]},
        [*outcome.lines[:-2], *told, *outcome.lines[-2:]],
    )


def _coarser(bars: BarTable, bar_set: BarSet, frame: str, *, extended: bool) -> tuple[BarTable, BarSet, QualityReport]:
    """Return bars of a coarser frame, and what the gate said of the fine ones; incomplete bars are left out."""
    if frame_ns(frame) > frame_ns("1d"):
        raise ConfigError(f"--frame {frame} is longer than a day", hint="import daily bars")
    clean, report = check(bars, bar_set)
    coarse, coarse_set, incomplete = resample(clean, bar_set, frame, extended=extended)
    if coarse.table.num_rows == 0:
        raise DataError(
            f"--frame {frame}: {report.accepted} bars of {bar_set.frame} close no complete bar of that frame",
            hint="give a longer history or a shorter frame",
        )
    every = incomplete + coarse.table.num_rows
    told = f"bars of {frame} made from bars of {bar_set.frame}: {incomplete} of {every} are incomplete and left out"
    return coarse, coarse_set, replace(report, notes=(*report.notes, told))


def _import_lean(path: Path, name: str | None, clock: Clock) -> Outcome:
    """Store raw bars with their actions, and the dated tickers."""
    found = read_lean(path) if name is None else read_lean(path, name=name)
    outcome = store_bars(found.bars, found.bar_set, found.quarantined, found.notes, clock=clock)
    open_store().append_aliases(found.directory.aliases)
    return outcome


def open_store() -> EmbeddedStore:
    """Return the store of the workspace that the present folder belongs to."""
    return EmbeddedStore(find_workspace() / _STORE)


def store_bars(
    bars: BarTable, bar_set: BarSet, quarantined: Sequence[QuarantinedRow], notes: Sequence[str], *, clock: Clock
) -> Outcome:
    """Store bars that an adapter has read and return the whole quality report.

    Parameters
    ----------
    quarantined, notes : what the adapter set aside and assumed
    """
    store = open_store()
    report = store.append(bars, bar_set, recorded_at=clock.now())
    report = replace(
        report,
        received=report.received + len(quarantined),
        quarantined=(*quarantined, *report.quarantined),
        notes=(*notes, *report.notes),
    )
    document = {"set": _set_document(bar_set), "store": str(store.folder), **plain(report)}
    return Outcome(
        document, [*_lines(report, bar_set), f"stored in {store.folder}", f"next: foresail run --bars {bar_set.name}"]
    )


def _set_document(bar_set: BarSet) -> dict[str, Any]:
    shown = {key: value for key, value in plain(bar_set).items() if key != "instruments"}
    return shown | {"instruments": [str(instrument.id) for instrument in bar_set.instruments]}


def _lines(report: QualityReport, bar_set: BarSet) -> list[str]:
    return [
        f"set {bar_set.name}: {len(bar_set.instruments)} instruments, {bar_set.asset_class.value} {bar_set.frame}, "
        f"calendar {bar_set.calendar}, price basis {bar_set.price_basis.value}, universe {bar_set.universe_basis}",
        f"received {report.received} rows, accepted {report.accepted}, set aside {len(report.quarantined)}, "
        f"equal repeats {report.collapsed}",
        f"gaps: {report.gaps} of {report.expected} bars that the calendar asks for are absent",
        *_shown("set aside (file, row, column, rule: reason)", [_row_text(r) for r in report.quarantined]),
        *_flag_lines(report),
        *_shown("not traded after an unexplained jump", [f"{i} from {format_ns(end)}" for i, end in report.blocked]),
        *(f"note: {note}" for note in report.notes),
    ]


def _row_text(row: QuarantinedRow) -> str:
    return f"{row.file}, {row.row}, {row.column or '-'}, {row.rule}: {row.reason}"


def _flag_lines(report: QualityReport) -> list[str]:
    if not report.flags:
        return []
    counts = ", ".join(f"{rule} {n} times" for rule, n in sorted(Counter(flag.rule for flag in report.flags).items()))
    texts = [f"{f.instrument} {format_ns(f.end)} {f.rule}: {f.text}" for f in report.flags]
    return _shown(f"noticed and kept ({counts})", texts)


def _shown(title: str, texts: Sequence[str]) -> list[str]:
    if not texts:
        return []
    more = [f"  ... and {len(texts) - _SHOWN} more (--json lists all)"] if len(texts) > _SHOWN else []
    return [f"{title}:", *(f"  {text}" for text in texts[:_SHOWN]), *more]
