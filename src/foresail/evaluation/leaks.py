"""The leak hunter: does a feature or strategy use bars that it could not have had, and on which line?

1. Run the file on the bars; on a part of them twice: it must repeat itself.
2. At several times t cut everything after t away. Values at or before t that change have used the future; nothing else
   can change them.
3. At the first of the times disturb each column alone after t (open, high, low, close, volume, and which bars exist),
   at the last of them all columns together.
4. For what changed: find the columns that do it, and, with the trace of a clean and a disturbed run, the line.
5. Without any such change, values that correlate above 0.5 with the next bar's return are still refused: no honest
   signal is that good, so the file knows the bars from elsewhere.

A step strategy sees the market through a view that refuses later bars, so there is nothing to disturb.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.clock import format_ns
from foresail.core.errors import ConfigError, DataError
from foresail.core.seeds import generator
from foresail.domain.panel import Panel
from foresail.evaluation.leak_causes import explain
from foresail.evaluation.trace import Scope, origin, record
from foresail.evaluation.user_file import UserFile, call_vectorised, read_user_file

__all__ = ["Leak", "LeakReport", "hunt", "hunt_file", "naive_sharpe"]

_MINIMUM_BARS = 60
_TOO_GOOD = 0.5  # information coefficient against the next bar's return
_SHARES = (0.3, 0.5, 0.7, 0.9)
_COLUMNS = ("open", "high", "low", "close", "volume", "presence")
_TOLERANCE = 1e-9  # relative: sums over tables of another length may round differently
_REACH = 60  # bars after the position in a disturbed run


@dataclass(frozen=True, slots=True)
class Leak:
    """One use of the future.

    Attributes
    ----------
    line : 1-based line of the file
    column : the bar column whose later values are used; "presence" = which bars exist, "rows" = how many bars follow,
        "next return" = values too good to be true
    time : ns UTC, end of a bar whose value changes when later bars change
    cause : one sentence
    source_line : text of that line
    """

    file: str
    line: int
    column: str
    time: int
    cause: str
    source_line: str

    def __str__(self) -> str:
        return (
            f"{self.file}, line {self.line}: `{self.source_line}`: {self.cause}; the value at {format_ns(self.time)} "
            + (f"changes with later {self.column}" if self.column != "next return" else "matches the next return")
        )


@dataclass(frozen=True, slots=True)
class LeakReport:
    """What a hunt found; an empty ``leaks`` means that nothing changed at any checked time (ns UTC)."""

    leaks: tuple[Leak, ...]
    checked_times: tuple[int, ...]
    text: str


@dataclass(frozen=True, slots=True, eq=False)
class _Difference:
    position: int  # t: bars up to here were left as they were
    column: str
    time: int
    clean: Panel
    disturbed: Panel


def hunt(path: Path, panel: Panel, *, seed: int) -> LeakReport:
    """Return the leaks of a plug-in file on a panel of real or simulated bars.

    Parameters
    ----------
    path : a plug-in file (``foresail.evaluation.user_file`` tells its form)
    panel : bar panel with at least 60 bars
    seed : of the disturbances and times

    Raises
    ------
    ConfigError
        If the file is no valid plug-in, fails, gives no value, or does not repeat itself.
    DataError
        If the panel is too short to check anything.
    """
    return hunt_file(read_user_file(path), panel, seed=seed)


def hunt_file(user: UserFile, panel: Panel, *, seed: int) -> LeakReport:
    """Return the leaks of a plug-in that was read already; see ``hunt``."""
    if user.kind == "strategy":
        text = f"{user.path}: a step strategy sees only bars that are known at its decision; nothing can leak"
        return LeakReport((), (), text)
    n, t, _ = panel.shape
    if t < _MINIMUM_BARS:
        raise DataError(f"a leak hunt needs at least {_MINIMUM_BARS} bars, received {t}")
    clean = _clean_values(user, panel)
    positions = _positions(t, seed)
    times = tuple(int(panel.end[p]) for p in positions)
    found = list(_differences(user, panel, clean, positions, seed))
    leaks = _named(user, panel, found)
    if not leaks:
        leaks = _too_good(user, panel, clean)
    count = f"{len(times)} times, {n} instruments, {t} bars"
    text = f"{user.path}: no leak at {count}" if not leaks else "\n".join(str(leak) for leak in leaks)
    return LeakReport(leaks, times, text)


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


def _clean_values(user: UserFile, panel: Panel) -> FloatArray:
    first = call_vectorised(user.renewed(), panel, user.path)[0]
    if not np.isfinite(first).any():
        raise ConfigError(
            f"plug-in {user.path}, line {user.line}: {user.kind}(bars) gives no finite value on {panel.shape[1]} bars",
            hint="a panel longer than the warm-up is needed",
        )
    part = panel.cut(0, max(_MINIMUM_BARS, panel.shape[1] // 3))
    twice = [_run_part(user, part) for _ in range(2)]
    if _changed(twice[0], twice[1]).any():
        raise ConfigError(
            f"plug-in {user.path}, line {user.line}: {user.kind}(bars) gives different values on the same bars",
            hint="seed every random generator inside the function",
        )
    return first


def _positions(t: int, seed: int) -> tuple[int, ...]:
    """Return the positions after which the future is changed: spread over the history, and just before its end."""
    draw = generator(seed, "leak times")
    spread = max(1, t // 20)
    middle = [int(share * t) + int(draw.integers(-spread, spread + 1)) for share in _SHARES]
    return tuple(sorted({*middle, t - 2}))


def _changed(a: FloatArray, b: FloatArray) -> BoolArray:
    result: BoolArray = ~np.isclose(a, b, rtol=_TOLERANCE, atol=_TOLERANCE, equal_nan=True)
    return result


def _last_change(clean: FloatArray, other: FloatArray, position: int) -> int | None:
    rows = np.flatnonzero(_changed(clean[: position + 1], other[: position + 1]).any(axis=1))
    return int(rows[-1]) if len(rows) else None


def _differences(
    user: UserFile, panel: Panel, clean: FloatArray, positions: tuple[int, ...], seed: int
) -> Iterator[_Difference]:
    """Yield one difference per column that the values depend on ahead of time.

    Disturbed bars end ``_REACH`` bars after the position and are compared with the clean run of that length, so that
    a slow function is not run on the whole history each time, and a column is not blamed for the number of bars.
    """
    columns = [c for c in _COLUMNS if c == "presence" or panel.has(c)]
    seen: set[str] = set()
    for position in positions:
        row = None if seen else _compare(user, clean, panel.cut(0, position + 1), position)
        disturbs = position in (positions[0], positions[-1])
        if row is None and not disturbs:
            continue
        stretch = panel.cut(0, min(panel.shape[1], position + 1 + _REACH))
        base = _run_part(user, stretch)
        unseen = [c for c in columns if c not in seen]
        if row is None and position != positions[0]:
            row = _compare(user, base, _disturb(stretch, position, unseen, seed), position)
            if row is None:
                continue
        for column in unseen:
            disturbed = _disturb(stretch, position, [column], seed)
            changed = _compare(user, base, disturbed, position)
            if changed is not None:
                seen.add(column)
                yield _Difference(position, column, int(panel.end[changed]), stretch, disturbed)
        if row is None and not seen:
            row = _compare(user, base, _disturb(stretch, position, unseen, seed), position)
        if row is not None and not seen:
            seen.add("rows")  # no column alone does it: how many bars follow, or several columns at once
            yield _Difference(position, "rows", int(panel.end[row]), panel, panel.cut(0, position + 1))


def _compare(user: UserFile, clean: FloatArray, panel: Panel, position: int) -> int | None:
    """Return the last row at or before ``position`` that differs from the clean run, None if none does.

    A function may rightly refuse wild prices; then the bars cut off at the same place tell. Those it must accept.
    """
    if panel.shape[1] == position + 1:
        return _last_change(clean, _run_part(user, panel), position)
    try:
        values = call_vectorised(user.renewed(), panel, user.path)[0]
    except ConfigError:
        return None
    return _last_change(clean, values, position)


def _run_part(user: UserFile, panel: Panel) -> FloatArray:
    """Return the values on the first part of a history; failing there, after the whole history worked, is told so."""
    try:
        return call_vectorised(user.renewed(), panel, user.path)[0]
    except ConfigError as e:
        raise ConfigError(
            f"{e.text}; it ran on the whole history but not on the bars up to {format_ns(int(panel.end[-1]))}",
            hint="a function must work on any stretch of history",
        ) from e


def _disturb(panel: Panel, position: int, columns: Sequence[str], seed: int) -> Panel:
    """Return the panel with columns changed after a position: wild moves for prices and volume, or absent bars."""
    n, t, _ = panel.shape
    later = t - position - 1
    values = panel.values.copy()
    present = panel.present.copy()
    for column in columns:
        draw = generator(seed, "disturb", column, position)
        if column == "presence":
            gone = draw.random((n, later)) < 0.1
            gone[draw.permutation(n)[: max(1, n // 3)]] = True
            present[:, position + 1 :] &= ~gone
        elif column in panel.fields:
            # A level of its own for each instrument moves means and ranks, noise moves every single bar.
            level = draw.choice([0.25, 0.5, 2.0, 4.0], size=(n, 1))
            values[:, position + 1 :, panel.index(column)] *= level * np.exp(0.3 * draw.standard_normal((n, later)))
    if {"open", "high", "low", "close"} <= set(columns) & set(panel.fields):
        _order_prices(values[:, position + 1 :], panel)
    values[~present] = np.nan
    return replace(panel, values=values, present=present)


def _order_prices(values: FloatArray, panel: Panel) -> None:
    """Make high the highest and low the lowest price again, in place; NaN stays NaN."""
    opening, high, low, close = (values[:, :, panel.index(name)] for name in ("open", "high", "low", "close"))
    upper, lower = np.maximum(np.maximum(opening, close), high), np.minimum(np.minimum(opening, close), low)
    high[:], low[:] = np.maximum(upper, low), np.minimum(lower, high)


def _named(user: UserFile, panel: Panel, found: list[_Difference]) -> tuple[Leak, ...]:
    tree = ast.parse(user.source)
    lines = user.source.splitlines()
    leaks: dict[tuple[int, str], Leak] = {}
    for difference in found:
        line, cause = _locate(user, panel, difference, tree)
        source = lines[line - 1].strip() if 0 < line <= len(lines) else ""
        leak = Leak(str(user.path), line, difference.column, difference.time, cause, source)
        leaks.setdefault((line, difference.column), leak)
    by_value = {line for line, column in leaks if column != "presence"}
    # Prices that are used ahead of time are also missed ahead of time: say that only where it is the whole leak.
    return tuple(leaks[key] for key in sorted(leaks) if key[1] != "presence" or key[0] not in by_value)


def _locate(user: UserFile, panel: Panel, difference: _Difference, tree: ast.AST) -> tuple[int, str]:
    """Return line and cause; where the trace tells nothing, the line of the function."""
    recordings = []
    for bars in (difference.clean, difference.disturbed):
        scope = Scope(difference.position + 1, bars.shape[1], int(panel.end[difference.position]))
        call = partial(call_vectorised, user.renewed(), bars, user.path)
        recordings.append(record(call, str(user.path), scope))
    where = origin(recordings[0], recordings[1], tree)
    if where is None:
        return user.line, "the value at or before this time depends on later bars"
    return explain(where.statement, where.line)


def _next_returns(panel: Panel) -> FloatArray:
    """Return the simple return from each close to the next, (N, T); NaN at the end."""
    price = panel.field("close")
    if panel.has("total_factor"):
        price = price * panel.field("total_factor")
    result = np.full(price.shape, np.nan)
    result[:, :-1] = price[:, 1:] / price[:, :-1] - 1.0
    return result


def _too_good(user: UserFile, panel: Panel, values: FloatArray) -> tuple[Leak, ...]:
    returns = _next_returns(panel).T
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
    source = user.source.splitlines()[user.line - 1].strip()
    return (Leak(str(user.path), user.line, "next return", int(panel.end[row]), cause, source),)
