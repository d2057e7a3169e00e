"""The page and the lines of the volatility benchmark, from its document."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from foresail.reporting.blocks import Notes, Table
from foresail.reporting.judged import Page, Section

__all__ = ["table_lines", "volatility_page"]

_ORDER = ("test_whole", "test", "validation_whole", "validation")
_LEDE = (
    "q-risk: twice the quantile loss over the sum of absolute log variances; low is good. Brackets: 95 % intervals, "
    "blocks of 10 days. p: Diebold-Mariano on daily means over the indices, against HAR-log-X. Set: may be the best "
    "of the table at 90 %."
)
_FULL = (
    "P10 to P90 should hold 80 % of the outcomes. The full test is the headline; the reference window is half a year."
)


def _number(value: float | None, digits: int = 4) -> str:
    return "–" if value is None else f"{value:.{digits}f}"


def _risk(row: Mapping[str, Any], key: str) -> str:
    low, high = row[f"{key}_low"], row[f"{key}_high"]
    return _number(row[key]) + ("" if low is None else f" [{low:.4f}, {high:.4f}]")


def _kept(value: bool | None) -> str:  # noqa: FBT001 a cell of the table
    return "–" if value is None else "yes" if value else "no"


def _windows(document: Mapping[str, Any]) -> list[tuple[str, Mapping[str, Any]]]:
    return [(name, document["tables"][name]) for name in _ORDER if name in document["tables"]]


def _span(one: Mapping[str, Any]) -> str:
    expected = one["reference_windows"]
    same = "as expected" if one["windows"] == expected else f"expected {expected:,}: no comparison with known figures"
    return f"{one['windows']:,} windows ({same}), {one['first']} to {one['last']}"


def table_lines(document: Mapping[str, Any]) -> list[str]:
    """Return the tables as text for a terminal."""
    lines: list[str] = []
    for _, one in _windows(document):
        lines.append(f"{one['title']}: {_span(one)}")
        lines.append(f"  {'':<30}{'P10':>8}{'P50':>8}{'P90':>8}{'cover':>8}{'p P50':>8}{'p P90':>8}{'set':>5}")
        for row in one["rows"]:
            figures = "".join(f"{_number(row[key]):>8}" for key in ("p10", "p50", "p90"))
            tests = "".join(f"{_number(row[key], 3):>8}" for key in ("coverage", "p50_p_value", "p90_p_value"))
            title = document["entrants"][row["entrant"]]
            lines.append(f"  {title:<30}{figures}{tests}{_kept(row['in_confidence_set']):>5}")
            for seed in one["seeds"].get(row["entrant"], ()):
                figures = "".join(f"{_number(seed[key]):>8}" for key in ("p10", "p50", "p90"))
                lines.append(f"  {'  ' + seed['seed']:<30}{figures}{_number(seed['coverage'], 3):>8}")
    return lines + _tuning_lines(document)


def _tuning_lines(document: Mapping[str, Any]) -> list[str]:
    lines: list[str] = []
    for name, one in document["tuning"].items():
        lines.append(f"trials of {document['entrants'][name]}: {one['objective']}")
        for trial in one["trials"]:
            figures = "".join(f"{_number(value):>8}" for value in trial["q_risk"])
            words = f"{_changes(trial['changes'], 'start'):<58}{figures}"
            lines.append(f"  {words}{_number(trial['coverage'], 3):>8}{trial['score']:>10.5f}")
        chosen = {key: value for key, value in one["chosen"].items() if value != one["start"][key]}
        lines.append(f"  chosen: {_changes(chosen, 'start')}")
    return lines


def _changes(changes: Mapping[str, Any], none: str) -> str:
    return ", ".join(f"{key} {value}" for key, value in sorted(changes.items())) or none


def volatility_page(document: Mapping[str, Any]) -> Page:
    """Return the page of the benchmark."""
    windows = _windows(document)
    head = windows[0][1]
    best = min(head["rows"], key=lambda row: float(row["p50"]))
    sections = [Section(name, one["title"], f"{_span(one)}. {_LEDE}", _tables(document, one)) for name, one in windows]
    sections += [
        Section(f"tuning-{name}", f"Trials: {document['entrants'][name]}", f"{one['objective']}.", (_trials(one),))
        for name, one in document["tuning"].items()
    ]
    sections.append(Section("notes", "What this rests on", "", (Notes(tuple(document["notes"])),)))
    hashes = [(f"Forecasts, {name} (SHA-256)", one["sha256"][:16]) for name, one in document["forecasts"].items()]
    looks = document["looks"]
    return Page(
        title="Volatility benchmark",
        subtitle=f"31 indices · 5 days ahead · data to {document['data']['last_day']}",
        word=f"lowest P50: {document['entrants'][best['entrant']]}",
        tone="cannot-tell",
        meaning=f"q-risk P50 {best['p50']:.4f}, P90 {best['p90']:.4f} on: {head['title']}.",
        reasons=(
            _FULL,
            "Forecasts were written and hashed before labels were joined; no entrant saw a label that it forecasts.",
            "The test years are not in the file." if looks is None else _looks(looks),
        ),
        facts=(
            ("Data", f"SHA-256 {document['data']['sha256'][:16]}, to {document['data']['last_day']}"),
            ("Windows to learn from", f"{document['windows']['train']:,}"),
            *hashes,
            ("Seed", str(document["seed"])),
        ),
        sections=tuple(sections),
        footer="volatility benchmark",
    )


def _looks(looks: Mapping[str, int]) -> str:
    more = looks["total"] - 1
    further = f"; {more} look{'s' if more > 1 else ''} after the first count as trials" if more else ""
    return f"Looks at the test years: {looks['total']}{further}. This is look {looks['number']}."


def _tables(document: Mapping[str, Any], one: Mapping[str, Any]) -> tuple[Table, ...]:
    seeds = [
        (
            document["entrants"][name],
            row["seed"],
            *(_number(row[key]) for key in ("p10", "p50", "p90")),
            _number(row["coverage"], 3),
        )
        for name, rows in one["seeds"].items()
        for row in rows
    ]
    own = Table("each seed by itself", ("Entrant", "Seed", "P10", "P50", "P90", "P10-P90 cover"), tuple(seeds), names=2)
    return (_table(document, one), own) if seeds else (_table(document, one),)


def _trials(one: Mapping[str, Any]) -> Table:
    rows = [
        (
            _changes(trial["changes"], "start"),
            *(_number(value) for value in trial["q_risk"]),
            _number(trial["coverage"], 3),
            _number(trial["score"], 5),
        )
        for trial in one["trials"]
    ]
    scores = [float(trial["score"]) for trial in one["trials"]]
    columns = ("Changed", "P10", "P50", "P90", "P10-P90 cover", "Score")
    return Table("trials on 2016-17", columns, tuple(rows), marked=(scores.index(min(scores)),))


def _table(document: Mapping[str, Any], one: Mapping[str, Any]) -> Table:
    columns = ("Entrant", "P10", "P50", "P90", "P50, mean of horizons", "P10-P90 cover", "p P50", "p P90", "Set")
    rows = [
        (
            document["entrants"][row["entrant"]],
            _number(row["p10"]),
            _risk(row, "p50"),
            _risk(row, "p90"),
            _number(row["p50_by_horizon"]),
            _number(row["coverage"], 3),
            _number(row["p50_p_value"], 3),
            _number(row["p90_p_value"], 3),
            _kept(row["in_confidence_set"]),
        )
        for row in one["rows"]
    ]
    values = [float(row["p50"]) for row in one["rows"]]
    return Table(one["title"], columns, tuple(rows), marked=(values.index(min(values)),))
