"""The leak hunter: does a file use bars, rows or tables that it could not have had, and on which line?

1. Run the file on the bars; on a part of them twice: it must repeat itself.
2. At several times t cut everything after t away. Values at or before t that change have used the future; nothing else
   can change them.
3. At the first of the times disturb each column alone after t (open, high, low, close, volume, dividends, splits, which
   bars exist), at the last of them all columns together; tables at more times, since their rows are rare.
4. For what changed: find the columns that do it, and, with the trace of a clean and a disturbed run, the line.
5. Without any such change, values that correlate above 0.5 with the next bar's return are still refused: no honest
   signal is that good, so the file knows the bars from elsewhere. Nor may a value be traded at a price that it has
   used, hang on the neighbour in the table, or exist for survivors only.

Experiments, models and step strategies have hunts of their own (``leak_experiment``, ``leak_models``).
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import format_ns
from foresail.core.errors import ConfigError, DataError
from foresail.domain.panel import Panel
from foresail.evaluation.fuzz_causality import changed_cells, fuzz_positions
from foresail.evaluation.leak_borders import crosses_instruments, stacking_line, survivors_only
from foresail.evaluation.leak_causes import ADJUSTED_BACKWARDS, explain
from foresail.evaluation.leak_experiment import hunt_experiment
from foresail.evaluation.leak_market import HuntData, hunt_data
from foresail.evaluation.leak_models import hunt_model, hunt_strategy
from foresail.evaluation.leak_report import Leak, LeakReport, report_of, source_line
from foresail.evaluation.trace import Scope, origin, record
from foresail.evaluation.user_file import UserFile, call_vectorised, read_user_file

__all__ = ["hunt", "hunt_file", "hunt_on_simulated_markets", "naive_sharpe"]

_MINIMUM_BARS = 60
_TOO_GOOD = 0.5  # information coefficient against the next bar's return
_TOLERANCE = 1e-9  # relative: sums over tables of another length may round differently
_SECONDARY = ("presence", "dividend", "split")
_REACH = 60  # bars after the position in a disturbed run
_TABLE_TIMES = 12  # times at which a table is disturbed
_SHORT = 300  # bars on which the checks that need many runs are made


@dataclass(frozen=True, slots=True, eq=False)
class _Difference:
    position: int  # t: bars up to here were left as they were
    column: str
    time: int
    clean: HuntData
    disturbed: HuntData


def hunt(path: Path, data: Panel | HuntData, *, seed: int) -> LeakReport:
    """Return the leaks of a plug-in file on real or simulated bars.

    Parameters
    ----------
    path : a plug-in file (``foresail.evaluation.user_file`` tells its form); it need not say ``api`` and ``id``
    data : bars, at least 60, perhaps with point-in-time tables (``foresail.evaluation.leak_market``)
    seed : of the disturbances and times

    Raises
    ------
    ConfigError
        If the file is no valid plug-in, fails, gives no value, or does not repeat itself.
    DataError
        If there are too few bars to check anything.
    """
    return hunt_file(read_user_file(path, is_examined_only=True), data, seed=seed)


def hunt_on_simulated_markets(path: Path, *, seed: int) -> LeakReport:
    """Return the leaks of a file on simulated days and, where there are none, on simulated hours.

    An error of a clock or a zone shows on hours only. A function that is made for days and fails on hours is left at
    what the days say.
    """
    user = read_user_file(path, is_examined_only=True)
    report = hunt_file(user, hunt_data(seed), seed=seed)
    if report.leaks or user.kind not in ("weights", "feature"):
        return report
    try:
        hours = hunt_file(user, hunt_data(seed, hourly=True), seed=seed)
    except ConfigError:
        return report
    if hours.leaks:
        return hours
    times = (*report.checked_times, *hours.checked_times)
    return LeakReport((), times, f"{report.text}; none in hours either")


def hunt_file(user: UserFile, data: Panel | HuntData, *, seed: int) -> LeakReport:
    """Return the leaks of a plug-in that was read already; see ``hunt``.

    A step strategy is examined in a small run of its own where ``data`` has tables, as in ``foresail leaks``. On bare
    bars it is left to the perturbed-future canary of the run that is about to use it.
    """
    if user.kind == "strategy":
        text = f"{user.path}: a step strategy sees only bars that are known at its decision"
        return LeakReport((), (), text) if isinstance(data, Panel) else hunt_strategy(user, seed)
    market = HuntData(data) if isinstance(data, Panel) else data
    if market.panel.shape[1] < _MINIMUM_BARS:
        raise DataError(f"a leak hunt needs at least {_MINIMUM_BARS} bars, received {market.panel.shape[1]}")
    if user.kind == "experiment":
        return hunt_experiment(user, market, seed)
    if user.kind in ("transform", "forecaster"):
        return hunt_model(user, market, seed)
    return _hunt_vectorised(user, market, seed)


def _hunt_vectorised(user: UserFile, data: HuntData, seed: int) -> LeakReport:
    n, t, _ = data.panel.shape
    clean, accessed = _clean_values(user, data)
    positions = fuzz_positions(t, seed)
    leaks = _named(user, data, list(_differences(user, data, clean, positions, seed)))
    tables = [name for name in data.columns if name in data.tables and name in accessed]
    if not leaks and tables:
        leaks = _named(user, data, list(_table_differences(user, data, tables, seed)))
    for check in (_too_good, _own_price, _other_hindsight):
        if not leaks:
            leaks = check(user, data, clean, seed)
    times = tuple(int(data.panel.end[p]) for p in positions)
    return report_of(leaks, times, f"{user.path}: no leak at {len(times)} times, {n} instruments, {t} bars")


def naive_sharpe(path: Path, panel: Panel) -> float:
    """Return the annualised Sharpe ratio that a naive backtest claims for a vectorised strategy.

    Weights of one bar times close-to-close returns of the next, no costs, weights computed once on the whole history:
    what most first backtests do. It is shown beside the truth, never as a result.
    """
    user = read_user_file(path)
    if user.kind != "weights":
        raise ConfigError(f"plug-in {path}: expected a function weights(bars), found a {user.kind}")
    values, _ = call_vectorised(user.renewed(), panel, path)
    returns = np.nan_to_num(_next_returns(panel))
    daily = (np.nan_to_num(values.T) * returns).sum(axis=0)[:-1]
    spread = float(daily.std())
    years = (int(panel.end[-1]) - int(panel.end[0])) / (365.25 * 86_400e9)
    return float(daily.mean()) / spread * float(np.sqrt((len(panel.end) - 1) / years)) if spread > 0 else 0.0


def _clean_values(user: UserFile, data: HuntData) -> tuple[FloatArray, frozenset[str]]:
    """Return the values on all bars, (T, N), and the columns and tables that were asked for."""
    first, accessed = call_vectorised(user.renewed(), data, user.path)
    t = data.panel.shape[1]
    if not np.isfinite(first).any():
        raise ConfigError(
            f"plug-in {user.path}, line {user.line}: {user.kind}(bars) gives no finite value on {t} bars",
            hint="a panel longer than the warm-up is needed",
        )
    part = data.cut(max(_MINIMUM_BARS, t // 3))
    twice = [_run_part(user, part) for _ in range(2)]
    if changed_cells(twice[0], twice[1], tolerance=_TOLERANCE).any():
        raise ConfigError(
            f"plug-in {user.path}, line {user.line}: {user.kind}(bars) gives different values on the same bars",
            hint="seed every random generator inside the function",
        )
    return first, frozenset(accessed)


def _last_change(clean: FloatArray, other: FloatArray, position: int) -> int | None:
    changed = changed_cells(clean[: position + 1], other[: position + 1], tolerance=_TOLERANCE)
    rows = np.flatnonzero(changed.any(axis=1))
    return int(rows[-1]) if len(rows) else None


def _differences(
    user: UserFile, data: HuntData, clean: FloatArray, positions: tuple[int, ...], seed: int
) -> Iterator[_Difference]:
    """Yield one difference per column that the values depend on ahead of time.

    Disturbed bars end ``_REACH`` bars after the position and are compared with the clean run of that length, so that
    a slow function is not run on the whole history each time, and a column is not blamed for the number of bars.
    """
    ends = data.panel.end
    seen: set[str] = set()
    for position in positions:
        row = None if seen else _compare(user, clean, data.cut(position + 1), position)
        disturbs = position in (positions[0], positions[-1])
        if row is None and not disturbs:
            continue
        stretch = data.cut(min(data.panel.shape[1], position + 1 + _REACH))
        base = _run_part(user, stretch)
        unseen = [c for c in data.columns if c not in seen]
        if row is None and position != positions[0]:
            row = _compare(user, base, stretch.disturb(position, unseen, seed), position)
            if row is None:
                continue
        for column in unseen:
            disturbed = stretch.disturb(position, [column], seed)
            changed = _compare(user, base, disturbed, position)
            if changed is not None:
                seen.add(column)
                yield _Difference(position, column, int(ends[changed]), stretch, disturbed)
        if row is None and not seen:
            row = _compare(user, base, stretch.disturb(position, unseen, seed), position)
        if row is not None and not seen:
            seen.add("rows")  # no column alone does it: how many bars follow, or several columns at once
            yield _Difference(position, "rows", int(ends[row]), data, data.cut(position + 1))


def _table_differences(user: UserFile, data: HuntData, tables: list[str], seed: int) -> Iterator[_Difference]:
    """Yield one difference per table that is used ahead of time."""
    t = data.panel.shape[1]
    for name in tables:
        for position in np.linspace(t // 5, t - _REACH // 2, _TABLE_TIMES).astype(int).tolist():
            stretch = data.cut(min(t, position + 1 + _REACH))
            disturbed = stretch.disturb(position, [name], seed)
            row = _compare(user, _run_part(user, stretch), disturbed, position)
            if row is not None:
                yield _Difference(position, name, int(data.panel.end[row]), stretch, disturbed)
                break


def _compare(user: UserFile, clean: FloatArray, data: HuntData, position: int) -> int | None:
    """Return the last row at or before ``position`` that differs from the clean run, None if none does.

    A function may rightly refuse wild prices; then the bars cut off at the same place tell. Those it must accept.
    """
    if data.panel.shape[1] == position + 1:
        return _last_change(clean, _run_part(user, data), position)
    try:
        values = call_vectorised(user.renewed(), data, user.path)[0]
    except ConfigError:
        return None
    return _last_change(clean, values, position)


def _run_part(user: UserFile, data: HuntData) -> FloatArray:
    """Return the values on the first part of a history; failing there, after the whole history worked, is told so."""
    try:
        return call_vectorised(user.renewed(), data, user.path)[0]
    except ConfigError as e:
        raise ConfigError(
            f"{e.text}; it ran on the whole history but not on the bars up to {format_ns(int(data.panel.end[-1]))}",
            hint="a function must work on any stretch of history",
        ) from e


def _named(user: UserFile, data: HuntData, found: list[_Difference]) -> tuple[Leak, ...]:
    tree = ast.parse(user.source)
    leaks: dict[tuple[int, str], Leak] = {}
    for difference in found:
        line, cause = _locate(user, data, difference, tree)
        column = "adjusted_close" if cause == ADJUSTED_BACKWARDS else difference.column
        leaks.setdefault((line, column), _leak(user, line, column, difference.time, cause))
    # Prices that are used ahead of time are also missed ahead of time, and volume counts shares of today: say that only
    # where it is the whole leak.
    for minor in _SECONDARY:
        lines = {line for line, column in leaks if column not in _SECONDARY[: _SECONDARY.index(minor) + 1]}
        leaks = {key: leak for key, leak in leaks.items() if key[1] != minor or key[0] not in lines}
    return tuple(leaks[key] for key in sorted(leaks))


def _leak(user: UserFile, line: int, column: str, time: int, cause: str) -> Leak:
    return Leak(str(user.path), line, column, time, cause, source_line(user.source, line))


def _locate(user: UserFile, data: HuntData, difference: _Difference, tree: ast.AST) -> tuple[int, str]:
    """Return line and cause; where the trace tells nothing, the line of the function."""
    recordings = []
    for bars in (difference.clean, difference.disturbed):
        scope = Scope(difference.position + 1, bars.panel.shape[1], int(data.panel.end[difference.position]))
        call = partial(call_vectorised, user.renewed(), bars, user.path)
        recordings.append(record(call, str(user.path), scope))
    where = origin(recordings[0], recordings[1], tree)
    if where is None:
        return user.line, "the value at or before this time depends on later " + _noun(data, difference.column)
    table = difference.column if difference.column in data.tables else ""
    return explain(where.statement, where.line, table=table, tree=tree)


def _noun(data: HuntData, column: str) -> str:
    return f"rows of {column}" if column in data.tables else "bars"


def _next_returns(panel: Panel) -> FloatArray:
    """Return the simple return from each close to the next, (N, T); NaN at the end."""
    price = panel.field("close")
    if panel.has("total_factor"):
        price = price * panel.field("total_factor")
    result = np.full(price.shape, np.nan)
    result[:, :-1] = price[:, 1:] / price[:, :-1] - 1.0
    return result


def _too_good(user: UserFile, data: HuntData, values: FloatArray, seed: int) -> tuple[Leak, ...]:
    del seed
    returns = _next_returns(data.panel).T
    usable = np.isfinite(values) & np.isfinite(returns)
    scores = [
        abs(float(np.corrcoef(values[usable[:, i], i], returns[usable[:, i], i])[0, 1]))
        for i in range(values.shape[1])
        if usable[:, i].sum() >= 30 and np.ptp(values[usable[:, i], i]) > 0 and np.ptp(returns[usable[:, i], i]) > 0
    ]
    score = float(np.mean(scores)) if scores else 0.0
    if score <= _TOO_GOOD:
        return ()
    row = int(np.flatnonzero(usable.any(axis=1))[-1])
    cause = f"its values correlate {score:.2f} with the next bar's return, which no honest signal does"
    return (_leak(user, user.line, "next return", int(data.panel.end[row]), cause),)


def _own_price(user: UserFile, data: HuntData, values: FloatArray, seed: int) -> tuple[Leak, ...]:
    """Return a leak where a value is traded at a price of its own bar and changes with what that bar brings."""
    if user.trades_at == "next_open":
        return ()
    columns = [c for c in ("close", "high", "low", "volume", "open") if c in data.columns]
    if user.trades_at == "close":
        columns = columns[:4]
    for position in fuzz_positions(data.panel.shape[1], seed):
        for column in columns:
            row = _compare(user, values, data.disturb(position - 1, [column], seed), position)
            if row == position:
                cause = f"the decision uses the {column} of the bar at whose {user.trades_at} it trades"
                return (_leak(user, user.line, column, int(data.panel.end[row]), cause),)
    return ()


def _other_hindsight(user: UserFile, data: HuntData, values: FloatArray, seed: int) -> tuple[Leak, ...]:
    del seed
    ended = survivors_only(values, data.panel)
    if ended is not None:
        cause = "names that ended later never have a value while all names that last have one"
        return (_leak(user, user.line, "survivors", int(data.panel.end[ended]), cause),)
    row = _crossing(user, data)
    if row is None:
        return ()
    line = stacking_line(ast.parse(user.source), user.line)
    cause = "a window runs across the border between two instruments"
    return (_leak(user, line, "instrument order", int(data.panel.end[row]), cause),)


def _crossing(user: UserFile, data: HuntData) -> int | None:
    """Return where a window crosses instruments, on a short stretch; None where the function fails there."""
    part = data.cut(min(data.panel.shape[1], _SHORT))

    def compute(panel: Panel) -> FloatArray:
        return call_vectorised(user.renewed(), HuntData(panel, part.tables), user.path)[0]

    try:
        return crosses_instruments(compute, part.panel)
    except ConfigError:
        return None
