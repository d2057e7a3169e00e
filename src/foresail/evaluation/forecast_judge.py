"""The judge of forecasts made elsewhere: better than trivial forecasts on the same rows, or not, in plain words.

1. Read and check the table (``forecast_table``).
2. Make what trivial forecasters would have said from outcomes known at each issue time (``forecast_baselines``).
3. Test the pairs at every horizon (``paired``): *better* and *worse* need three tests that agree.
4. Cut the gain over the hurdle, the baseline with the lowest loss, by year, shock, fold, regime, instrument and every
   attribute of the table (``slices``).
5. The word: *better* where every baseline is beaten at every horizon; *worse* where one of them is better at some
   horizon and none is beaten anywhere; *mixed* between; else *cannot tell*. Other forecasts of the table are compared,
   but decide nothing. Calibration is told beside the word: a forecast can be better and still promise too much.

A test against each baseline at its own level needs no correction where all must be beaten.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.canonical import hash_file, plain
from foresail.core.clock import format_ns
from foresail.core.errors import DataError
from foresail.evaluation.forecast_baselines import TRIVIAL, baseline_forecasts
from foresail.evaluation.forecast_scores import (
    LOSS_NAMES,
    CalibrationReport,
    calibration_of,
    figures_of,
    row_losses,
)
from foresail.evaluation.forecast_table import ATTRIBUTES, OWN, ForecastTable, TableOptions, read_forecasts
from foresail.evaluation.paired import (
    BETTER,
    CANNOT_TELL,
    WORSE,
    PairedSettings,
    PairedTest,
    clusters_of,
    compare_losses,
)
from foresail.evaluation.slices import Slices, shock_labels, slice_gain, time_parts, year_labels

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["MIXED", "ForecastJudgeSettings", "ForecastReport", "HorizonResult", "judge_forecast_table"]

MIXED = "mixed"
_PARTS = 5  # stretches of the record where the table has no folds
_CALIBRATED = 0.05  # largest calibration error that counts as calibrated (VALID-14), fraction
_NOW, _PAST, _HIGH = 20, 250, 1.5  # issue times of current and usual size of outcomes, and their ratio (RGM-02)


@dataclass(frozen=True, slots=True)
class ForecastJudgeSettings:
    """How forecasts are read and judged.

    Attributes
    ----------
    table : kind, crossing quantiles, target
    universe_basis : how the names were chosen: point_in_time, hindsight or unknown
    price_basis : raw, split_adjusted, total_return or unknown
    seed : of the bootstrap
    """

    table: TableOptions = field(default_factory=TableOptions)
    universe_basis: str = "unknown"
    price_basis: str = "unknown"
    seed: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class HorizonResult:
    """Everything at one horizon.

    Attributes
    ----------
    figures : forecast name -> EVAL-01 to 05; "" is the tested one, others are judged on their own rows
    tests : against each baseline, then each other forecast of the table
    hurdle : name of the baseline with the lowest loss on the same rows; empty without one
    slices : of the gain over the hurdle
    series : issue times and the gain over the hurdle summed so far, in mean losses of the hurdle, for drawing
    """

    horizon: int
    rows: int
    figures: Mapping[str, Any]
    tests: tuple[PairedTest, ...]
    hurdle: str
    calibration: CalibrationReport | None
    slices: tuple[Slices, ...]
    series: tuple[IntArray, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class ForecastReport:
    """The verdict on a table of forecasts with the figures behind it.

    Attributes
    ----------
    word : better, mixed, cannot tell or worse
    line : the verdict in one sentence
    reasons : the sentences behind it
    baselines, others : names of what was compared
    """

    file: str
    file_hash: str
    kind: str
    loss: str
    rows: int
    open_rows: int
    instruments: int
    issue_times: int
    first: str
    last: str
    levels: tuple[float, ...]
    word: str
    line: str
    reasons: tuple[str, ...]
    horizons: tuple[HorizonResult, ...]
    baselines: tuple[str, ...]
    others: tuple[str, ...]
    universe_basis: str
    price_basis: str
    notes: tuple[str, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON data; an undefined figure is None."""
        data: dict[str, Any] = plain(self)
        for one in data["horizons"]:
            del one["series"]
        return data


def judge_forecast_table(source: Path | pd.DataFrame, settings: ForecastJudgeSettings | None = None) -> ForecastReport:
    """Return the verdict on forecasts made elsewhere.

    Parameters
    ----------
    source : CSV, Parquet, or a pandas frame; see ``forecast_table.FORECAST_KINDS``

    Raises
    ------
    DataError
        If the table cannot be judged; file, row and column are named.
    """
    settings = settings or ForecastJudgeSettings()
    table = read_forecasts(source, settings.table)
    trivial = baseline_forecasts(table)
    results = tuple(
        _at_horizon(table, trivial, horizon, settings.seed) for horizon in np.unique(table.horizon).tolist()
    )
    baselines = tuple(TRIVIAL[name] for name in trivial)
    word, line, reasons = _verdict(results, baselines)
    times = table.issued_at
    return ForecastReport(
        file=table.file,
        file_hash=hash_file(source) if isinstance(source, Path) else "",
        kind=table.kind,
        loss=LOSS_NAMES[table.kind],
        rows=table.rows,
        open_rows=table.open_rows,
        instruments=len(set(table.instrument.tolist())),
        issue_times=len(np.unique(times)),
        first=format_ns(int(times[0])),
        last=format_ns(int(times[-1])),
        levels=table.levels,
        word=word,
        line=line,
        reasons=reasons,
        horizons=results,
        baselines=baselines,
        others=tuple(name for name in table.forecasts if name != OWN),
        universe_basis=settings.universe_basis,
        price_basis=settings.price_basis,
        notes=(*table.notes, *_notes(table, settings)),
    )


def _at_horizon(whole: ForecastTable, trivial: Mapping[str, FloatArray], horizon: int, seed: int) -> HorizonResult:
    rows = np.flatnonzero(whole.horizon == horizon)
    table = whole.where(rows)
    own = row_losses(table, table.forecasts[OWN])
    overlap = _overlap(table, horizon)
    settings = PairedSettings(overlap=overlap, seed=seed)
    losses = {TRIVIAL[name]: row_losses(table, values[rows]) for name, values in trivial.items()}
    baselines = list(losses)
    figures = {OWN: figures_of(table, table.forecasts[OWN])}
    for name, values in table.forecasts.items():
        if name != OWN and np.isfinite(values).all(axis=1).any():
            losses[name] = row_losses(table, values)
            figures[name] = figures_of(table, values)
    tests = tuple(
        compare_losses(own, other, table.issued_at, name=name, horizon=horizon, settings=settings)
        for name, other in losses.items()
        if np.isfinite(other).any()
    )
    clusters = clusters_of(table.issued_at, overlap=overlap)
    hurdle = _hurdle(own, {name: losses[name] for name in baselines})
    return HorizonResult(
        horizon=horizon,
        rows=len(rows),
        figures=figures,
        tests=tests,
        hurdle=hurdle,
        calibration=calibration_of(table, clusters),
        slices=_slices(whole, table, (own, losses[hurdle]), overlap) if hurdle else (),
        series=_series(table.issued_at, own, losses[hurdle]) if hurdle else _series(table.issued_at, own, own),
    )


def _overlap(table: ForecastTable, horizon: int) -> int:
    """Return how many issue times in a row share bars of their outcome, as far as the table tells."""
    if table.known_at is None:
        return horizon  # exact for one issue time a bar, too wide for fewer
    times, place = np.unique(table.issued_at, return_inverse=True)
    ahead = np.searchsorted(times, table.known_at, side="left") - place
    return max(1, int(np.median(ahead)))


def _hurdle(own: FloatArray, losses: Mapping[str, FloatArray]) -> str:
    """Return the baseline with the lowest loss on the rows that all of them have; empty where there is none."""
    known = np.isfinite(own)
    usable = {name: values for name, values in losses.items() if np.isfinite(values).any()}
    for values in usable.values():
        known &= np.isfinite(values)
    if not known.any():
        return ""
    return min(usable, key=lambda name: (float(usable[name][known].mean()), name))


def _slices(
    whole: ForecastTable, table: ForecastTable, pair: tuple[FloatArray, FloatArray], overlap: int
) -> tuple[Slices, ...]:
    own, other = pair
    known = np.isfinite(own) & np.isfinite(other)
    part, losses = table.where(known), (own[known], other[known])
    clusters = clusters_of(part.issued_at, overlap=overlap)
    found = []
    if "fold" not in part.attributes:
        found.append(slice_gain("By stretch of the record", losses, clusters, time_parts(part.issued_at, _PARTS)))
    found.append(slice_gain("By year", losses, clusters, year_labels(part.issued_at)))
    shocks = shock_labels(part.issued_at)
    if any(shocks):
        found.append(slice_gain("Named shocks", losses, clusters, shocks))
    for name in ATTRIBUTES:
        if name in part.attributes:
            title = "By " + name.replace("_", " ")
            found.append(
                slice_gain(title, losses, clusters, part.attributes[name], order=_order(part.attributes[name]))
            )
    if "regime" not in part.attributes:
        found.append(_by_regime(whole, part, losses, clusters))
    found.append(slice_gain("By instrument", losses, clusters, part.instrument))
    return tuple(found)


def _order(labels: Any) -> list[str]:
    """Return labels in their order: numbers by value, others by letter."""
    names = sorted(set(labels.tolist()))
    return sorted(
        names, key=lambda name: (0, float(name), "") if name.replace(".", "", 1).isdigit() else (1, 0.0, name)
    )


def _by_regime(
    whole: ForecastTable, part: ForecastTable, losses: tuple[FloatArray, FloatArray], clusters: IntArray
) -> Slices:
    """Return the gain in calm and volatile times, by the size of outcomes known before (RGM-02)."""
    title = "By regime: size of the outcomes before"
    if whole.kind in ("classes", "variance"):
        return Slices(title, (), "Outcomes of this kind have no size; add a column regime.")
    shortest = whole.where(whole.horizon == whole.horizon.min())
    move = shortest.outcome if shortest.last is None else np.log(shortest.outcome / shortest.last)
    times, place = np.unique(shortest.issued_at, return_inverse=True)
    size = np.bincount(place, weights=np.abs(move)) / np.bincount(place)
    lag = int(shortest.horizon[0])  # an outcome is known that many issue times later
    labels = np.full(len(times), "", dtype=object)
    for now in range(_PAST + lag - 1, len(times)):
        known = size[: now + 1 - lag]
        labels[now] = "volatile" if known[-_NOW:].mean() > _HIGH * known[-_PAST:].mean() else "calm"
    if not any(labels):
        return Slices(title, (), f"Regimes need {_PAST} issue times before the first.")
    at = np.searchsorted(times, part.issued_at)
    told = np.where(times[np.minimum(at, len(times) - 1)] == part.issued_at, labels[np.minimum(at, len(times) - 1)], "")
    return slice_gain(title, losses, clusters, told)


def _series(issued_at: IntArray, own: FloatArray, other: FloatArray) -> tuple[IntArray, FloatArray]:
    """Return issue times and the mean gain of each, summed so far, in mean losses of the other."""
    known = np.isfinite(own) & np.isfinite(other)
    times, place = np.unique(issued_at[known], return_inverse=True)
    gain = np.bincount(place, weights=(other - own)[known]) / np.bincount(place)
    scale = float(other[known].mean()) if known.any() else 1.0
    return times, np.cumsum(gain) / (scale if scale > 0.0 else 1.0)


def _verdict(results: tuple[HorizonResult, ...], baselines: tuple[str, ...]) -> tuple[str, str, tuple[str, ...]]:
    words: list[str] = []
    parts, sentences = [], []
    for one in results:
        tests = [test for test in one.tests if test.other in baselines]
        if not tests:
            raise DataError(f"no baseline could be made at horizon {one.horizon}", hint="give a longer record")
        words += [test.word for test in tests]
        ahead = f"{one.horizon} bar{'s' if one.horizon > 1 else ''} ahead"
        groups = {word: [t.other for t in tests if t.word == word] for word in (BETTER, WORSE, CANNOT_TELL)}
        said = [
            f"{lead} {_listed(groups[word])}"
            for word, lead in ((BETTER, "better than"), (WORSE, "worse than"), (CANNOT_TELL, "cannot tell from"))
            if groups[word]
        ]
        parts.append(f"{ahead}: {'; '.join(said)}")
        sentences += [f"{ahead[:1].upper()}{ahead[1:]}. {test.text}" for test in tests]
    word = _word(words)
    sentences += [_calibration_text(one.calibration) for one in results if one.calibration is not None]
    return (
        word,
        f"{word[:1].upper()}{word[1:]}. " + ". ".join(p[:1].upper() + p[1:] for p in parts) + ".",
        tuple(sentences),
    )


def _word(words: list[str]) -> str:
    if all(word == BETTER for word in words):
        return BETTER
    better, worse = BETTER in words, WORSE in words
    if worse:
        return MIXED if better else WORSE
    return MIXED if better else CANNOT_TELL


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else ", ".join(names[:-1]) + " and " + names[-1]


def _calibration_text(found: CalibrationReport) -> str:
    ahead = f"{found.horizon} bar{'s' if found.horizon > 1 else ''} ahead"
    judged = "within" if found.error < _CALIBRATED else "beyond"
    text = f"Calibration {ahead}: error {100 * found.error:.1f} points, {judged} the 5 that are asked"
    if found.bands:
        band = min(found.bands, key=lambda b: abs(b.nominal - 0.8))
        text += f"; {band.label} promises {100 * band.nominal:.0f} % and holds {100 * band.coverage.value:.1f} %"
    return text + "."


def _notes(table: ForecastTable, settings: ForecastJudgeSettings) -> list[str]:
    notes = []
    if table.open_rows:
        notes.append(f"{table.open_rows:,} of {table.rows:,} rows have no outcome yet and were left out")
    if table.known_at is None:
        notes.append(
            "the file does not say when outcomes were known (column known_at): h bars ahead is taken to mean h issue "
            "times later, and a forecast issued too late cannot be seen"
        )
    notes.append(
        "whether the forecasts were made before their outcomes cannot be seen in a table; a leak would look like skill"
    )
    names = {"hindsight": "afterwards: survivors are in", "point_in_time": "beforehand"}.get(settings.universe_basis)
    notes.append(f"names chosen {names}" if names else "it is not known how the names were chosen")
    prices = settings.price_basis.replace("_", " ")
    notes.append(f"prices behind the outcomes: {prices}")
    return notes
