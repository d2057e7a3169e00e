"""Bars for a run: from a described file or folder, from the workspace's store, or from the embedded sample.

Everything ends as the same thing: a checked panel, its quality report, and the hashes by which ``verify`` finds it
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
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
from foresail.domain.facts import FactTable
from foresail.domain.panel import Panel
from foresail.domain.quality import QualityReport
from foresail.engine.settings import MarketData
from foresail.evaluation.holdout import refuse_sealed
from foresail.evaluation.registry import Lineage, TrialRegistry
from foresail.store.embedded import EmbeddedStore
from foresail.store.gate import check
from foresail.store.hashing import content_hash
from foresail.store.panels import cut_known, end_of_day_ns, to_panel

__all__ = ["EMBEDDED", "Loaded", "load_bars", "parse_until", "with_facts"]

EMBEDDED = "embedded:us20"  # how a run names the sample that ships inside installed packages

_Reference = dict[str, tuple[TimeArray, FloatArray]]
_ALL_TIMES = datetime(2262, 1, 1, tzinfo=UTC)  # the last year that nanoseconds since 1970 reach


@dataclass(frozen=True, slots=True, eq=False)
class Loaded:
    """A market ready to run.

    Attributes
    ----------
    inputs : what ``run.json`` records of it: name, content hash, how it was read, and the hashes of the facts that
        stood beside it, where there were any
    index : name of the reference series that serves as market index; empty where there is none
    notes : what was assumed or left out while reading
    location : by which ``load_bars`` finds the bars again; it differs between machines
    """

    data: MarketData
    quality: QualityReport
    inputs: dict[str, Any]
    index: str
    notes: tuple[str, ...]
    location: str = ""


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
    loaded = _load(bars, workspace=workspace, until_ns=until_ns, timezone=timezone, names=names, clock=clock)
    panel = loaded.data.bars
    window = int(panel.end[0]), int(panel.available_at[-1]) + 1
    lineage = Lineage(tuple(panel.instruments), panel.frame, "close", *window)
    told = refuse_sealed(TrialRegistry(workspace / "trials.jsonl"), lineage)
    return replace(loaded, notes=(*loaded.notes, *told)) if told else loaded


def _load(
    bars: str,
    *,
    workspace: Path,
    until_ns: int | None,
    timezone: str | None,
    names: int | None,
    clock: Clock | None,
) -> Loaded:
    if bars == EMBEDDED:
        return _embedded(until_ns, names)
    path = Path(bars)
    if path.exists():
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
        panel = to_panel(clean, bar_set, known_at_ns=until_ns)
        inputs = _inputs(bar_set.name, kept, until_ns=until_ns, names=names, timezone=timezone)
        return _finished(panel, bar_set, quality, inputs, location=str(path.resolve()))
    store = EmbeddedStore(workspace / "store")
    known = [one.name for one in store.sets()] if (workspace / "store").is_dir() else []
    if bars not in known:
        stored = f"; stored sets: {', '.join(known)}" if known else ""
        raise UserError(
            f"--bars {bars}: there is no such file or folder, and no imported set of that name{stored}",
            hint="give a path, or: foresail import PATH --name N",
        )
    now = (SystemClock() if clock is None else clock).now()
    panel = store.read(bars, known_at=now, until_ns=until_ns)
    entry = store.entry(bars)
    table = store.read_table(bars)
    _, quality = check(table, entry.bar_set)  # what is stored has passed, but flags and blocked names count here too
    inputs = _inputs(bars, table, until_ns=until_ns, names=names)
    loaded = _finished(panel, entry.bar_set, quality, inputs, location=bars)
    return _beside(loaded, store, until_ns)


def _beside(loaded: Loaded, store: EmbeddedStore, until_ns: int | None) -> Loaded:
    """Return a stored market with the facts of its store; they are joined by when each became available.

    Bars that are given as a path stand alone: whether its names are those of the facts, nobody has said.
    """
    facts: dict[str, FactTable] = {}
    for one in store.fact_sets():
        table = store.read_facts(one.name, as_of=_ALL_TIMES)
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
