"""Leaks of an experiment: a function that splits, fits and predicts, told apart by what its predictions depend on.

``experiment(data)`` is given the mapping of ``leak_frames`` and returns one of two forms.

Rows: predictions for rows of ``data["samples"]``, with the split that was used::

    {"train": rows, "test": rows, "prediction": values of the test rows}      or a list of such folds

1. No training row's label span may overlap a test row's: from ``time`` to ``label_end``, open at both ends.
2. Labels of all rows outside the training part are changed: no prediction may change.
3. Features of the later half of the test rows are changed: no prediction of the earlier half may change.

So everything fitted, selected or chosen (scaler, components, imputation, features, threshold, hyper-parameters) is
found by what it does, whatever it is called.

Table: predictions made out of sample, one per bar and instrument, NaN elsewhere; also as ``{"prediction": table}``::

4. At several times t all bars and tables after t are changed: no prediction up to t may change.
5. A ``label`` table must not be known at its own row; a ``position`` table (held during a bar) must not know that bar;
   a ``profit`` (per bar) must not be earned on a random walk.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import ConfigError
from foresail.core.seeds import generator
from foresail.evaluation.fuzz_causality import STYLES, changed_cells
from foresail.evaluation.leak_causes import explain, split_line
from foresail.evaluation.leak_frames import BarFrames
from foresail.evaluation.leak_market import HuntData, on_random_walk
from foresail.evaluation.leak_report import Leak, LeakReport, report_of, source_line
from foresail.evaluation.trace import Scope, origin, record
from foresail.evaluation.user_file import UserFile, table_of_numbers, user_code

__all__ = ["hunt_experiment"]

_FOLDS = 2  # examined at most: the first and the last
_TIMES = 3  # at which a table of predictions is examined
_TOLERANCE = 1e-9
_T_LIMIT = 4.5  # standard errors of the mean profit on a random walk
_GENERAL = "what is fitted or chosen depends on rows outside its training part"
_FORM = "expected train, test and prediction rows of data['samples'], or a table of predictions"


@dataclass(frozen=True, slots=True, eq=False)
class _Fold:
    """``train`` and ``test`` are row positions in the samples; ``prediction`` is (len(test), columns)."""

    train: IntArray
    test: IntArray
    prediction: FloatArray


@dataclass(frozen=True, slots=True, eq=False)
class _Outcome:
    folds: tuple[_Fold, ...]
    tables: dict[str, FloatArray]  # prediction, label, position: (T, N)
    profit: FloatArray | None  # (T,)


@dataclass(frozen=True, slots=True, eq=False)
class _Hunt:
    user: UserFile
    data: HuntData
    seed: int

    def run(self, data: HuntData) -> _Outcome:
        return _outcome(self.user, _call(self.user, data), data)

    def try_run(self, data: HuntData) -> _Outcome | None:
        """Return the outcome; None where the experiment refuses the changed data, as it may."""
        try:
            return self.run(data)
        except ConfigError:
            return None

    def leak(self, line: int, column: str, time: int, cause: str) -> Leak:
        return Leak(str(self.user.path), line, column, time, cause, source_line(self.user.source, line))

    def with_samples(self, table: Any) -> HuntData:
        return replace(self.data, tables={**self.data.tables, "samples": table})


def hunt_experiment(user: UserFile, data: HuntData, seed: int) -> LeakReport:
    """Return the leaks of an experiment.

    Raises
    ------
    ConfigError
        If it fails, returns something else than the forms above, or does not repeat itself.
    """
    hunt = _Hunt(user, data, seed)
    first, again = hunt.run(data), hunt.run(data)
    if not _alike(first, again):
        raise ConfigError(
            f"plug-in {user.path}, line {user.line}: experiment(data) gives different predictions on the same data",
            hint="seed every random generator and model inside the function",
        )
    checks = [_fold_leaks(hunt, number, first) for number in _examined(first)]
    checks += [_table_leaks(hunt, first), _label_leaks(hunt, first), _position_leaks(hunt, first)]
    checks.append(_profit_leaks(hunt, first))
    leaks: tuple[Leak, ...] = ()
    for check in checks:
        if not leaks:
            leaks = tuple(dict.fromkeys(check))
    times = _times(hunt, first)
    return report_of(leaks, times, f"{user.path}: no leak in {len(first.folds) or 'a table of'} predictions examined")


def _call(user: UserFile, data: HuntData) -> Any:
    function = user.renewed()
    with user_code(user.path, "experiment(data)"):
        return function(BarFrames(data.panel, data.tables))


def _outcome(user: UserFile, result: Any, data: HuntData) -> _Outcome:
    what = f"plug-in {user.path}: experiment(data)"
    if isinstance(result, dict) and isinstance(result.get("folds"), list | tuple):
        result = list(result["folds"])
    if isinstance(result, list | tuple):
        return _Outcome(tuple(_fold(what, one, data) for one in result), {}, None)
    if isinstance(result, dict) and {"train", "test", "prediction"} <= set(result):
        return _Outcome((_fold(what, result, data),), {}, None)
    given = result if isinstance(result, dict) else {"prediction": result}
    if all(given.get(name) is None for name in ("prediction", "position", "profit")):
        raise ConfigError(f"{what}: {_FORM}, received {', '.join(map(str, given)) or 'nothing'}")
    tables = {
        name: table_of_numbers(_wide(given[name]), data.panel, f"{what}[{name!r}]")
        for name in ("prediction", "label", "position")
        if given.get(name) is not None
    }
    profit = None if given.get("profit") is None else _series(given["profit"], data, what)
    return _Outcome((), tables, profit)


def _wide(value: Any) -> Any:
    """Return a series over (time, instrument) as a table."""
    if hasattr(value, "unstack") and getattr(value.index, "nlevels", 1) == 2 and not hasattr(value, "columns"):
        return value.unstack()
    return value


def _series(value: Any, data: HuntData, what: str) -> FloatArray:
    numbers = np.asarray(value, dtype=np.float64)
    if numbers.ndim == 2:
        numbers = np.nansum(numbers, axis=1)
    if numbers.ndim != 1 or len(numbers) > data.panel.shape[1]:
        raise ConfigError(f"{what}['profit']: expected one number per bar, received shape {numbers.shape}")
    return numbers


def _fold(what: str, result: Any, data: HuntData) -> _Fold:
    if not isinstance(result, dict) or not {"train", "test", "prediction"} <= set(result):
        raise ConfigError(f"{what}: {_FORM}; a fold must be a dict with train, test and prediction")
    samples = data.tables.get("samples")
    if samples is None:
        raise ConfigError(f"{what}: these bars bring no samples", hint="return a table of predictions")
    train, test = (_rows(result[name], samples, f"{what}[{name!r}]") for name in ("train", "test"))
    values = result["prediction"]
    if hasattr(values, "reindex") and hasattr(values, "index") and len(values) != len(test):
        values = values.reindex(samples.index[test])
    try:
        numbers = np.asarray(values, dtype=np.float64)
    except (TypeError, ValueError) as e:
        raise ConfigError(f"{what}['prediction']: expected numbers") from e
    if len(numbers.shape) == 0 or len(numbers) != len(test):
        raise ConfigError(f"{what}['prediction']: expected {len(test)} values, received shape {numbers.shape}")
    return _Fold(train, test, numbers.reshape(len(test), -1))


def _rows(value: Any, samples: Any, what: str) -> IntArray:
    """Return row positions from a mask, positions (the samples' index), tables with that index, or times."""
    if hasattr(value, "columns") or (hasattr(value, "index") and not callable(value.index) and value.dtype != bool):
        value = value.index
    rows = np.asarray(value)
    if rows.dtype.kind == "M" or (rows.dtype == object and len(rows) and hasattr(rows[0], "year")):
        rows = samples["time"].isin(list(value)).to_numpy()
    if rows.dtype == bool and len(rows) == len(samples):
        return np.flatnonzero(rows).astype(np.int64)
    if rows.dtype.kind not in "iu" or rows.ndim != 1 or not len(rows) or rows.min() < 0 or rows.max() >= len(samples):
        raise ConfigError(f"{what}: expected row numbers of data['samples'], a mask or times, received {rows.dtype}")
    return rows.astype(np.int64)


def _alike(a: _Outcome, b: _Outcome) -> bool:
    if len(a.folds) != len(b.folds) or set(a.tables) != set(b.tables):
        return False
    pairs = [(x.prediction, y.prediction) for x, y in zip(a.folds, b.folds, strict=True)]
    pairs += [(a.tables[name], b.tables[name]) for name in a.tables]
    return all(x.shape == y.shape and not changed_cells(x, y, tolerance=_TOLERANCE).any() for x, y in pairs)


def _examined(outcome: _Outcome) -> tuple[int, ...]:
    count = len(outcome.folds)
    return tuple(sorted({0, count - 1}))[:_FOLDS] if count else ()


def _times(hunt: _Hunt, outcome: _Outcome) -> tuple[int, ...]:
    if outcome.folds:
        stamps = _ns(hunt.data.tables["samples"]["time"])
        return tuple(int(stamps[outcome.folds[k].test].min()) for k in _examined(outcome))
    return tuple(int(hunt.data.panel.end[p]) for p in _positions(outcome))


def _ns(column: Any) -> IntArray:
    return np.asarray(column.astype("int64").to_numpy() if hasattr(column, "to_numpy") else column, dtype=np.int64)


# --- rows -------------------------------------------------------------------------------------------------------------


def _fold_leaks(hunt: _Hunt, number: int, clean: _Outcome) -> Iterator[Leak]:
    fold = clean.folds[number]
    overlap = _overlap(hunt, fold)
    if overlap is not None:
        yield overlap
        return
    by_label = tuple(_label_of_test_leaks(hunt, number, fold))
    yield from by_label or _feature_of_test_leaks(hunt, number, fold)


def _overlap(hunt: _Hunt, fold: _Fold) -> Leak | None:
    samples = hunt.data.tables["samples"]
    begin, end = _ns(samples["time"]), _ns(samples["label_end"])
    order = np.argsort(begin[fold.test], kind="stable")
    starts, ends = begin[fold.test][order], np.maximum.accumulate(end[fold.test][order])
    before = np.searchsorted(starts, end[fold.train], side="left")  # test rows that begin inside or before the span
    overlaps: BoolArray = (before > 0) & (ends[np.maximum(before - 1, 0)] > begin[fold.train])
    if not overlaps.any():
        return None
    inside = (begin[fold.train] >= starts[0]) & (begin[fold.train] <= starts[-1])
    first = int(begin[fold.train][overlaps].min())
    if inside.mean() > 0.2:
        cause = "training and test rows are mixed in time, so that both know the same outcomes"
    else:
        cause = f"the labels of {int(overlaps.sum())} training rows end after test rows begin; purge them"
    line = split_line(ast.parse(hunt.user.source), hunt.user.line)
    return hunt.leak(line, "train rows", first, cause)


def _label_of_test_leaks(hunt: _Hunt, number: int, fold: _Fold) -> Iterator[Leak]:
    outside = np.ones(len(hunt.data.tables["samples"]), dtype=np.bool_)
    outside[fold.train] = False
    rows = np.flatnonzero(outside)
    place = (number, fold, np.ones(len(fold.test), dtype=np.bool_))
    for style in ("inverted", "mixed"):
        changed = hunt.with_samples(_altered(hunt, rows, ["label"], style))
        time = _first_change(hunt, place, changed)
        if time is not None:
            yield _row_leak(hunt, changed, "label", len(rows), time)
            return


def _feature_of_test_leaks(hunt: _Hunt, number: int, fold: _Fold) -> Iterator[Leak]:
    samples = hunt.data.tables["samples"]
    begin = _ns(samples["time"])
    middle = np.quantile(begin[fold.test], 0.6)
    outside = np.ones(len(samples), dtype=np.bool_)
    outside[fold.train] = False
    early = begin[fold.test] <= middle
    outside[fold.test[early]] = False
    rows = np.flatnonzero(outside & (begin > middle))
    if not len(rows):
        return
    features = [c for c in samples.columns if c not in ("time", "instrument", "label", "label_end")]
    place = (number, fold, np.asarray(early, dtype=np.bool_))
    for style in ("inverted", "mixed", "missing"):
        everything = hunt.with_samples(_altered(hunt, rows, features, style))
        time = _first_change(hunt, place, everything)
        if time is None:
            continue
        for name in features:
            one = hunt.with_samples(_altered(hunt, rows, [name], style))
            alone = _first_change(hunt, place, one)
            if alone is not None:
                yield _row_leak(hunt, one, name, len(rows), alone)
                return
        yield _row_leak(hunt, everything, "features", len(rows), time)
        return


def _altered(hunt: _Hunt, rows: IntArray, columns: list[str], style: str) -> Any:
    """Return the samples with cells changed: turned around and stretched, exchanged among the rows, or missing."""
    table = hunt.data.tables["samples"].copy()
    for name in columns:
        draw = generator(hunt.seed, "samples", name, style)
        values = table[name].to_numpy().copy()
        spread = float(np.nanstd(values))
        if style == "inverted":
            values[rows] = -3.0 * values[rows] + spread * draw.uniform(0.5, 2.0)
        elif style == "mixed":
            values[rows] = draw.permutation(values[rows]) + spread * draw.standard_normal(len(rows))
        else:
            values[rows[: max(1, len(rows) // 2)]] = np.nan
        table[name] = values
    return table


def _first_change(hunt: _Hunt, place: tuple[int, _Fold, BoolArray], data: HuntData) -> int | None:
    """Return the time of the last watched prediction of a fold that is another on changed data, None if none is."""
    number, fold, watched = place
    other = hunt.try_run(data)
    if other is None or len(other.folds) <= number or other.folds[number].prediction.shape != fold.prediction.shape:
        return None
    differs = changed_cells(fold.prediction, other.folds[number].prediction, tolerance=_TOLERANCE).any(axis=1) & watched
    return int(_ns(hunt.data.tables["samples"]["time"])[fold.test[differs]].max()) if differs.any() else None


def _row_leak(hunt: _Hunt, data: HuntData, column: str, rows: int, time: int) -> Leak:
    found = _where(hunt, data, Scope(0, 0, 0, altered=rows))
    if found is None and column == "label":
        # The labels themselves stand among the inputs: then each changed row counts.
        found = _where(hunt, data, Scope(0, 0, 0, altered=0, ignored="label"))
    line, cause = found or (hunt.user.line, _GENERAL)
    if column == "label":
        cause = f"labels outside the training part decide what is predicted: {cause}"
    return hunt.leak(line, column, time, cause)


def _where(hunt: _Hunt, changed: HuntData, scope: Scope) -> tuple[int, str] | None:
    recordings = []
    for data in (hunt.data, changed):
        call: Callable[[], Any] = partial(_call, hunt.user, data)
        recordings.append(record(call, str(hunt.user.path), scope))
    tree = ast.parse(hunt.user.source)
    where = origin(recordings[0], recordings[1], tree)
    return None if where is None else explain(where.statement, where.line, tree=tree, general=_GENERAL)


# --- tables -----------------------------------------------------------------------------------------------------------


def _positions(outcome: _Outcome) -> tuple[int, ...]:
    table = next((outcome.tables[name] for name in ("prediction", "position") if name in outcome.tables), None)
    if table is None:
        return ()
    rows = np.flatnonzero(np.isfinite(table).any(axis=1))
    if len(rows) < 2:
        return ()
    places = {int(rows[0]), *(int(rows[int(share * (len(rows) - 1))]) for share in (0.4, 0.8))}
    return tuple(sorted(p for p in places if p < len(table) - 2))[:_TIMES]


def _changed_row(clean: FloatArray, other: _Outcome | None, name: str, until: int) -> int | None:
    if other is None or name not in other.tables:
        return None
    changed = changed_cells(clean[: until + 1], other.tables[name][: until + 1], tolerance=_TOLERANCE).any(axis=1)
    rows = np.flatnonzero(changed)
    return int(rows[-1]) if len(rows) else None


def _table_leaks(hunt: _Hunt, clean: _Outcome, name: str = "prediction", lag: int = 0) -> Iterator[Leak]:
    """Yield what changes in a table up to ``position + lag`` when everything after ``position`` is another."""
    table = clean.tables.get(name)
    if table is None:
        return
    columns = hunt.data.columns
    values = [c for c in columns if c != "presence"]
    for position in _positions(clean):
        for style in STYLES:
            everything = hunt.try_run(hunt.data.disturb(position, values, hunt.seed, style=style))
            row = _changed_row(table, everything, name, position + lag)
            if row is None:
                continue
            yield from _name_columns(hunt, clean, (name, position, lag, row), style)
            return


def _name_columns(hunt: _Hunt, clean: _Outcome, place: tuple[str, int, int, int], style: str) -> Iterator[Leak]:
    """Yield one leak per column that does it alone, or one for all of them together."""
    name, position, lag, row = place
    names = [c for c in hunt.data.columns if c != "presence"]
    found = []
    for column in names:
        changed = hunt.data.disturb(position, [column], hunt.seed, style=style)
        hit = _changed_row(clean.tables[name], hunt.try_run(changed), name, position + lag)
        if hit is not None:
            found.append((column, hit, changed))
    if not found:
        found = [("bars", row, hunt.data.disturb(position, names, hunt.seed, style=style))]
    for column, hit, changed in found[:2]:
        time = int(hunt.data.panel.end[hit])
        if lag:
            cause = "the position held during a bar knows what that bar brings: it trades at the price that it has seen"
            yield hunt.leak(hunt.user.line, column, time, cause)
            continue
        scope = Scope(position + 1, hunt.data.panel.shape[1], int(hunt.data.panel.end[position]))
        line, cause = _where(hunt, changed, scope) or (hunt.user.line, _GENERAL)
        yield hunt.leak(line, column, time, cause)


def _position_leaks(hunt: _Hunt, clean: _Outcome) -> Iterator[Leak]:
    yield from _table_leaks(hunt, clean, "position", lag=1)


def _label_leaks(hunt: _Hunt, clean: _Outcome) -> Iterator[Leak]:
    """Yield a leak where the label of a row is known at that row already: there is nothing to forecast."""
    label = clean.tables.get("label")
    places = _positions(clean)
    if label is None or not places:
        return
    values = [c for c in hunt.data.columns if c != "presence"]
    for position in places:
        other = hunt.try_run(hunt.data.disturb(position, values, hunt.seed))
        if other is None or "label" not in other.tables:
            return
        known = np.isfinite(label[position])
        if not known.any() or changed_cells(label[position], other.tables["label"][position])[known].mean() >= 0.5:
            return
    cause = "the label of a row is made of bars that are known at that row: the target is among the inputs"
    yield hunt.leak(hunt.user.line, "label", int(hunt.data.panel.end[places[0]]), cause)


def _profit_leaks(hunt: _Hunt, clean: _Outcome) -> Iterator[Leak]:
    """Yield a leak where a profit is earned on random walks, three of three, by more than luck explains."""
    if clean.profit is None:
        return
    for draw in range(3):
        outcome = hunt.try_run(on_random_walk(hunt.data, hunt.seed + draw))
        if outcome is None or outcome.profit is None:
            return
        profit = outcome.profit[np.isfinite(outcome.profit)]
        error = float(profit.std()) / np.sqrt(max(len(profit), 1))
        if error == 0.0 or float(profit.mean()) / error < _T_LIMIT:
            return
    cause = "it earns on prices that nobody can predict: the decision uses the price at which it trades"
    yield hunt.leak(hunt.user.line, "profit", int(hunt.data.panel.end[-1]), cause)
