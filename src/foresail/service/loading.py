"""Bars for a run: from a described file or folder, from the workspace's store, or from the embedded sample.

Everything ends as the same thing: a checked panel, its quality report, and the hashes by which ``verify`` finds it
again. What stands beside the bars comes along: facts and series by when each value was known, the second legs of pairs;
and where a coarser frame is asked for, the bars become those of that frame before anything sees them.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np

from foresail.adapters.embedded.sample import load_demo, load_indices, load_market_index
from foresail.adapters.files.load import load_description
from foresail.adapters.files.reader import read_bars
from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.canonical import hash_value
from foresail.core.clock import Clock, SystemClock, format_ns
from foresail.core.errors import ConfigError, DataError, UserError
from foresail.domain.bars import BarSet, BarTable
from foresail.domain.bins import assign_bins
from foresail.domain.calendars import frame_ns
from foresail.domain.facts import FactTable
from foresail.domain.panel import Panel
from foresail.domain.quality import QualityReport
from foresail.engine.settings import MarketData
from foresail.evaluation.holdout import refuse_sealed
from foresail.evaluation.registry import Lineage, TrialRegistry
from foresail.features.coarse import coarsen
from foresail.service.beside import (
    EVER,
    SeriesSet,
    found_series,
    named_pairs,
    read_series,
    reference_of,
    series_hash,
    stored_series,
    unread_series,
)
from foresail.service.reading import Reading, configured_pairs
from foresail.store.embedded import EmbeddedStore
from foresail.store.gate import check
from foresail.store.hashing import content_hash
from foresail.store.panels import cut_known, end_of_day_ns, to_panel

__all__ = ["EMBEDDED", "Loaded", "load_bars", "load_reading", "parse_until", "with_facts"]

_INDEX = "sp500"  # the reference series that serves as market index
EMBEDDED = "embedded:us20"  # how a run names the sample that ships inside installed packages

_Reference = dict[str, tuple[TimeArray, FloatArray]]


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A market ready to run.

    Attributes
    ----------
    inputs : what ``run.json`` records of it: name, content hash, how it was read, and the hashes of the facts and
        series that stood beside it, where there were any
    index : name of the reference series that serves as market index; empty where there is none
    notes : what was assumed or left out while reading
    location : by which ``load_bars`` finds the bars again; it differs between machines
    series_at : likewise, the sets of series beside them
    """

    data: MarketData
    quality: QualityReport
    inputs: dict[str, Any]
    index: str
    notes: tuple[str, ...]
    location: str = ""
    series_at: tuple[str, ...] = ()


def parse_until(text: str | None) -> int | None:
    """Return the last nanosecond of a day given as YYYY-MM-DD, None for None.

    Raises
    ------
    ConfigError
        If the text is no date.
    """
    if text is None:
        return None
    try:
        return end_of_day_ns(date.fromisoformat(text))
    except ValueError as e:
        raise ConfigError(f"--until: expected a day such as 2012-06-30, received {text!r}") from e


def load_bars(
    bars: str,
    *,
    workspace: Path,
    until_ns: int | None = None,
    timezone: str | None = None,
    names: int | None = None,
    clock: Clock | None = None,
) -> Loaded:
    """Return the market that ``--bars`` names.

    Parameters
    ----------
    bars : path, name of an imported set, or ``EMBEDDED``
    until_ns : nothing available after this instant, ns UTC
    timezone : of times in files that carry none
    names : only the first so many instruments, by id

    Raises
    ------
    UserError
        If there is neither such a path nor such a set in the store, or the bars reach into a hold-out that nobody has
        opened (``evaluation.holdout``).
    DataError
        If nothing of it can be used.
    """
    return load_reading(bars, Reading(timezone, names), workspace=workspace, until_ns=until_ns, clock=clock)


def load_reading(
    bars: str, reading: Reading, *, workspace: Path, until_ns: int | None = None, clock: Clock | None = None
) -> Loaded:
    """Return the market that ``--bars`` names, read as asked for, with what stands beside it.

    Parameters
    ----------
    bars : path, name of an imported set, or ``EMBEDDED``
    until_ns : nothing available after this instant, ns UTC

    Raises
    ------
    UserError
        As ``load_bars``; also if a frame, a set of series or an instrument of a pair cannot be had.
    DataError
        If nothing of it can be used.
    """
    watch = SystemClock() if clock is None else clock
    loaded, declared = _load(bars, reading, workspace=workspace, until_ns=until_ns, clock=watch)
    wanted = declared if reading.series is None else found_series(reading.series, workspace / "store", watch)
    loaded = _with_series(loaded, wanted, until_ns)
    if reading.pairs is None:
        loaded = _with_pairs(loaded, configured_pairs(reading.config, workspace), configured=True)
    else:
        loaded = _with_pairs(loaded, reading.pairs)
    if reading.extended:
        loaded = replace(loaded, inputs={**loaded.inputs, "extended": True})
    fine = _opened(loaded, workspace)
    if reading.frame is None or frame_ns(reading.frame) == frame_ns(loaded.data.bars.frame):
        return fine
    return _opened(_coarser(fine, reading.frame, extended=reading.extended), workspace)


def _opened(loaded: Loaded, workspace: Path) -> Loaded:
    """Refuse bars that reach into a hold-out that nobody has opened; tell of those that were."""
    panel = loaded.data.bars
    window = int(panel.end[0]), int(panel.available_at[-1]) + 1
    lineage = Lineage(tuple(panel.instruments), panel.frame, "close", *window)
    told = refuse_sealed(TrialRegistry(workspace / "trials.jsonl"), lineage)
    return replace(loaded, notes=(*loaded.notes, *told)) if told else loaded


def _load(
    bars: str, reading: Reading, *, workspace: Path, until_ns: int | None, clock: Clock
) -> tuple[Loaded, tuple[SeriesSet, ...]]:
    """Return a market of the bars' own frame, and the series that go with it unless others are named."""
    if bars == EMBEDDED:
        return _embedded(until_ns, reading.names), ()
    path = Path(bars)
    if path.exists():
        return _described(path, reading, until_ns, clock)
    return _stored(bars, reading, until_ns, EmbeddedStore(workspace / "store"), clock)


def _described(
    path: Path, reading: Reading, until_ns: int | None, clock: Clock
) -> tuple[Loaded, tuple[SeriesSet, ...]]:
    timezone = reading.timezone
    description = load_description(path, {"zone": timezone} if timezone else None)
    table, bar_set, quarantined, notes = read_bars(description)
    clean, quality = check(table, bar_set)
    quality = replace(
        quality,
        received=quality.received + len(quarantined),
        quarantined=(*quarantined, *quality.quarantined),
        notes=(*quality.notes, *notes),
    )
    _check_usable(quality, str(path.resolve()))
    kept = clean if until_ns is None else cut_known(clean, until_ns)
    panel = to_panel(clean, bar_set, known_at_ns=until_ns, extended=reading.extended)
    inputs = _inputs(bar_set.name, kept, until_ns=until_ns, names=reading.names, timezone=timezone)
    loaded = _finished(panel, bar_set, quality, inputs, location=str(path.resolve()))
    return loaded, tuple(read_series(one, clock) for one in description.series)


def _stored(
    bars: str, reading: Reading, until_ns: int | None, store: EmbeddedStore, clock: Clock
) -> tuple[Loaded, tuple[SeriesSet, ...]]:
    known = [one.name for one in store.sets()] if store.folder.is_dir() else []
    if bars not in known:
        stored = f"; stored sets: {', '.join(known)}" if known else ""
        raise UserError(
            f"--bars {bars}: there is no such file or folder, and no imported set of that name{stored}",
            hint="give a path, or: foresail import PATH --name N",
        )
    panel = store.read(bars, known_at=clock.now(), until_ns=until_ns, extended=reading.extended)
    entry = store.entry(bars)
    table = store.read_table(bars)
    _, quality = check(table, entry.bar_set)  # what is stored has passed, but flags and blocked names count here too
    inputs = _inputs(bars, table, until_ns=until_ns, names=reading.names)
    loaded = _finished(panel, entry.bar_set, quality, inputs, location=bars)
    return _beside(loaded, store, until_ns), stored_series(store)


def _beside(loaded: Loaded, store: EmbeddedStore, until_ns: int | None) -> Loaded:
    """Return a stored market with the facts of its store; they are joined by when each became available.

    Bars that are given as a path stand alone: whether its names are those of the facts, nobody has said.
    """
    facts: dict[str, FactTable] = {}
    for one in store.fact_sets():
        if one.kind != "facts":
            continue
        table = store.read_facts(one.name, as_of=EVER)
        known = table if until_ns is None else table.known(until_ns)
        if len(known):
            facts[one.name] = known
    return with_facts(loaded, facts)


def with_facts(loaded: Loaded, facts: Mapping[str, FactTable]) -> Loaded:
    """Return a market with these facts beside its bars and no others, and their hashes among its inputs."""
    inputs = {key: value for key, value in loaded.inputs.items() if key != "facts"}
    if facts:
        inputs["facts"] = {name: _hash_of(table) for name, table in facts.items()}
    return replace(loaded, data=replace(loaded.data, facts=dict(facts)), inputs=inputs)


def _with_series(loaded: Loaded, sets: Sequence[SeriesSet], until_ns: int | None) -> Loaded:
    """Return a market with these series beside its bars as well, and their hashes among its inputs.

    Parameters
    ----------
    until_ns : nothing available after this instant, ns UTC; None = everything

    Raises
    ------
    DataError
        If two sets hold one series.
    """
    known = [one if until_ns is None else replace(one, table=one.table.known(until_ns)) for one in sets]
    known = [one for one in known if len(one.table)]
    if not known:
        return loaded
    given = reference_of(known)
    reference = {**loaded.data.reference, **given}
    notes = [f"no feature reads the series {name!r}; it is there for strategies" for name in unread_series([*given])]
    return replace(
        loaded,
        data=replace(loaded.data, reference=reference),
        inputs={**loaded.inputs, "series": {one.name: series_hash(one.table) for one in known}},
        index=_INDEX if _INDEX in reference else loaded.index,
        notes=(*loaded.notes, *notes),
        series_at=tuple(one.location for one in known),
    )


def _with_pairs(loaded: Loaded, pairs: Sequence[tuple[str, str]], *, configured: bool = False) -> Loaded:
    """Return a market in which instruments have a second leg, and the pairs among its inputs.

    Parameters
    ----------
    configured : whether the pairs stand in the settings of a workspace, whose other sets may have other instruments:
        those that are not here are left out then

    Raises
    ------
    UnknownNameError
        If a pair that was asked for names an instrument that is not there.
    """
    found = named_pairs(pairs, loaded.data.bar_set, partly=configured)
    if not found:
        return loaded
    inputs = {**loaded.inputs, "pairs": [[one, other] for one, other in sorted(found.items())]}
    return replace(loaded, data=replace(loaded.data, pairs=found), inputs=inputs)


def _coarser(loaded: Loaded, frame: str, *, extended: bool = False) -> Loaded:
    """Return a market on bars of a coarser frame; incomplete ones are absent, counted, and told (DATA-41).

    Parameters
    ----------
    extended : whether the bars cover 04:00 to 20:00 New York

    Raises
    ------
    ConfigError
        If the frame is no multiple of that of the bars, or they close no bar of it.
    """
    data = loaded.data
    coarse = coarsen(data.bars, frame, extended=extended)
    seen = coarse.panel.present.any(axis=0)
    panel = replace(
        coarse.panel,
        values=np.ascontiguousarray(coarse.panel.values[:, seen]),
        present=np.ascontiguousarray(coarse.panel.present[:, seen]),
        start=coarse.panel.start[seen],
        end=coarse.panel.end[seen],
        available_at=coarse.panel.available_at[seen],
    )
    every = _begun(data.bars, frame, extended=extended)
    incomplete = every - int(panel.present.sum())
    if panel.shape[1] == 0:
        raise ConfigError(
            f"--frame {frame}: {data.bars.shape[1]} bars of {data.bars.frame} close no bar of that frame",
            hint="give a longer history or a shorter frame",
        )
    blocked = np.searchsorted(coarse.last_row[seen], data.blocked_from, side="left")
    told = f"bars of {frame} made from bars of {data.bars.frame}: {incomplete} of {every} are incomplete and left out"
    return replace(
        loaded,
        data=replace(data, bars=panel, bar_set=replace(data.bar_set, frame=frame), blocked_from=blocked),
        inputs={**loaded.inputs, "frame": frame, "fine_frame": data.bars.frame, "incomplete_bars": incomplete},
        notes=(*loaded.notes, told),
    )


def _begun(panel: Panel, frame: str, *, extended: bool) -> int:
    """Return how many coarse bars of instruments hold a bar, also where the one that would end them is absent."""
    bins = assign_bins(panel.start, panel.end, panel.calendar, panel.frame, frame, extended=extended)
    rows = np.flatnonzero(bins.end > bins.start)
    if len(rows) == 0:
        return 0
    begins = np.flatnonzero(np.r_[True, np.diff(bins.end[rows]) != 0])
    return int(np.logical_or.reduceat(panel.present[:, rows], begins, axis=1).sum())


def _hash_of(facts: FactTable) -> str:
    """Return a hash of what facts say and since when; when they were stored is no part of it."""
    rows = [facts.code, facts.event_time, facts.available_at, facts.values]
    return hash_value([list(facts.instruments), list(facts.fields), [row.tolist() for row in rows]])


def _inputs(
    name: str, table: BarTable, *, until_ns: int | None, names: int | None, timezone: str | None = None
) -> dict[str, Any]:
    """Return how the bars were read and what they are; where they lie is no part of it, so that a run can be moved."""
    return {"set": name, "content": content_hash(table), "until": until_ns, "names": names, "timezone": timezone}


def _check_usable(quality: QualityReport, name: str) -> None:
    if quality.accepted > 0:
        return
    first = quality.quarantined[0] if quality.quarantined else None
    why = "" if first is None else f"; the first one, row {first.row} of {first.file}: {first.reason}"
    raise DataError(
        f"{name}: none of {quality.received} rows can be used{why}",
        file=name if first is None else first.file,
        row=None if first is None else first.row,
        column=None if first is None else first.column,
        rule=None if first is None else first.rule,
        hint="mend the file, or say how it is to be read: foresail import --describe PATH",
    )


def _embedded(until_ns: int | None, names: int | None) -> Loaded:
    table, bar_set, reference = load_demo()
    clean, quality = check(table, bar_set)
    panel = to_panel(clean, bar_set, known_at_ns=until_ns)
    series: _Reference = {"oil" if key == "wti" else key: value for key, value in reference.items()}
    series["sp500"] = load_market_index()
    index_bars, index_set = load_indices()
    checked, _ = check(index_bars, index_set)
    indices = to_panel(checked, index_set)
    for row, identifier in enumerate(indices.instruments):
        close = indices.field("close")[row]
        seen = np.isfinite(close)
        key = "sp500" if identifier.endswith("SPX") else "nasdaq"
        series.setdefault(key, (indices.available_at[seen], close[seen]))
    inputs = _inputs(EMBEDDED, clean, until_ns=until_ns, names=names)
    return _finished(panel, bar_set, quality, inputs, location=EMBEDDED, reference=series)


def _finished(
    panel: Panel,
    bar_set: BarSet,
    quality: QualityReport,
    inputs: dict[str, Any],
    *,
    location: str,
    reference: _Reference | None = None,
) -> Loaded:
    """Return a market of the first so many names, without trading in instruments that the gate has blocked."""
    names = inputs["names"]
    if names is not None and names < len(panel.instruments):
        panel = panel.select(panel.instruments[:names])
    rows: dict[str, int] = {name: row for row, name in enumerate(panel.instruments)}
    bar_set = replace(bar_set, instruments=tuple(one for one in bar_set.instruments if one.id in rows))
    blocked = np.full(len(rows), len(panel.end), dtype=np.int64)
    for name, end in quality.blocked:
        if name in rows:
            blocked[rows[name]] = min(blocked[rows[name]], int(np.searchsorted(panel.end, end)))
    _check_enough(panel, bar_set)
    data = MarketData(bars=panel, bar_set=bar_set, reference=reference or {}, blocked_from=blocked)
    index = "sp500" if reference is not None and "sp500" in reference else ""
    return Loaded(data, quality, inputs, index, (), location)


def _check_enough(panel: Panel, bar_set: BarSet) -> None:
    n, t, _ = panel.shape
    if t < 2 or not panel.present.any():
        first = format_ns(int(panel.end[0])) if t else "never"
        raise DataError(
            f"set {bar_set.name}: {t} bar of {n} instruments (first {first}): nothing to learn from",
            hint="give a longer history",
        )
