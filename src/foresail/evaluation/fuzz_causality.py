"""Causality fuzz: nothing computed at or before a time t may change when what comes after t changes or is missing.

One idea for everything that computes: features, strategies, forecasters, plug-ins.

1. Compute on the data.
2. At several times t change everything after t (wildly; with mirrored returns): all values up to t must stay as they
   are, bit for bit.
3. Cut everything after t away: the values up to t, the last one included, must stay as they are.

``disturb_panel`` makes the changed bars; the leak hunter (``foresail.evaluation.leaks``) uses the same.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.core.clock import format_ns
from foresail.core.errors import LookAheadError
from foresail.core.seeds import generator
from foresail.domain.panel import Panel
from foresail.domain.training import Targets, TrainingSet
from foresail.protocols import Forecaster

__all__ = [
    "PANEL_COLUMNS",
    "STYLES",
    "Breach",
    "changed_cells",
    "disturb_panel",
    "fuzz_forecaster",
    "fuzz_panel_function",
    "fuzz_positions",
    "require_causal",
]

PANEL_COLUMNS = ("open", "high", "low", "close", "volume", "dividend", "split", "presence")
STYLES = ("wild", "mirrored")  # of change, see ``disturb_panel``
_PRICES = ("open", "high", "low", "close")
_SHARES = (0.3, 0.5, 0.7, 0.9)


@dataclass(frozen=True, slots=True)
class Breach:
    """One dependence on the future.

    Attributes
    ----------
    what : "changed future", "cut history", "fit" or "forecast"
    position : everything after this position was changed
    row : position at or before it at which a value changed
    index : the rest of the place: instrument, column ...
    time : ns UTC, end of the bar at ``row``
    """

    what: str
    position: int
    row: int
    index: tuple[int, ...]
    time: int

    def __str__(self) -> str:
        return (
            f"{self.what} after position {self.position}: the value at position {self.row} "
            f"({format_ns(self.time)}), place {self.index}, is another"
        )


def changed_cells(a: FloatArray, b: FloatArray, *, tolerance: float = 0.0) -> BoolArray:
    """Return where two arrays differ; a tolerance of 0 compares bits (NaN equals NaN)."""
    if tolerance == 0.0:
        same = (a == b) | (np.isnan(a) & np.isnan(b))
    else:
        same = np.isclose(a, b, rtol=tolerance, atol=tolerance, equal_nan=True)
    return np.asarray(~same, dtype=np.bool_)


def fuzz_positions(t: int, seed: int) -> tuple[int, ...]:
    """Return the positions after which the future is changed: spread over the history, and just before its end."""
    draw = generator(seed, "leak times")
    spread = max(1, t // 20)
    middle = [int(share * t) + int(draw.integers(-spread, spread + 1)) for share in _SHARES]
    return tuple(sorted({*middle, t - 2}))


def fuzz_panel_function(
    compute: Callable[[Panel], FloatArray],
    panel: Panel,
    *,
    seed: int,
    positions: Sequence[int] | None = None,
    tolerance: float = 0.0,
) -> tuple[Breach, ...]:
    """Return every breach of causality of a function of bars, at most one for each position and way of changing.

    Parameters
    ----------
    compute : panel -> (N, T, ...) values on its time axis
    positions : after which everything is changed; five places unless told
    tolerance : relative; 0 = bit for bit
    """
    whole = compute(panel)
    breaches = []
    for position in positions if positions is not None else fuzz_positions(panel.shape[1], seed):
        altered = [("changed future", disturb_panel(panel, position, PANEL_COLUMNS, seed, style=s)) for s in STYLES]
        for what, other in (*altered, ("cut history", panel.cut(0, position + 1))):
            later = compute(other)[:, : position + 1]
            differs = changed_cells(whole[:, : position + 1], later, tolerance=tolerance)
            if differs.any():
                cells = np.argwhere(differs)
                place = cells[np.argmax(cells[:, 1])]
                row, rest = int(place[1]), (int(place[0]), *map(int, place[2:]))
                breaches.append(Breach(what, position, row, rest, int(panel.end[row])))
    return tuple(breaches)


def fuzz_forecaster(
    make: Callable[[], Forecaster], data: TrainingSet, end: int, *, seed: int, bars: int = 30
) -> tuple[Breach, ...]:
    """Return the breaches of a forecaster: its fit against rows after its window, its forecasts against later rows.

    Parameters
    ----------
    make : returns an unfitted forecaster
    data : training set whose rows and labels end before position ``end``
    end : first position that the model serves
    bars : positions that are forecast
    """
    rows = _all_rows(data.features, end, end + bars)
    model = make()
    model.fit(data, seed=seed)
    first = model.predict(data.features, rows, data.scale)
    altered = _altered_after(data, end, seed)
    other = make()
    other.fit(altered, seed=seed)
    breaches = []
    again = other.predict(data.features, rows, data.scale)
    if changed_cells(first, again).any():
        breaches.append(_row_breach("fit", end, rows, changed_cells(first, again), data.features))
    for cut in (end, end + bars // 2, end + bars - 2):
        future = _altered_after(data, cut + 1, seed)
        later = model.predict(future.features, rows, future.scale)
        shorter = rows[rows[:, 1] <= cut]
        part = model.predict(data.features.cut(0, cut + 1), shorter, data.scale[:, : cut + 1].copy())
        known = rows[:, 1] <= cut
        for candidate in (later[known], part):
            differs = changed_cells(first[known], candidate)
            if differs.any():
                breaches.append(_row_breach("forecast", cut, shorter, differs, data.features))
    return tuple(breaches)


def require_causal(breaches: Sequence[Breach], what: str) -> None:
    """Refuse what looked ahead.

    Raises
    ------
    LookAheadError
        With the first breach.
    """
    if breaches:
        raise LookAheadError(
            f"{what}: {breaches[0]}" + (f" (and {len(breaches) - 1} more)" if len(breaches) > 1 else ""),
            rule="look-ahead",
            hint="a value may depend only on what was known at its own time",
        )


def disturb_panel(panel: Panel, position: int, columns: Sequence[str], seed: int, *, style: str = "wild") -> Panel:
    """Return the panel with columns changed after a position.

    Parameters
    ----------
    columns : of ``PANEL_COLUMNS``; "presence" takes bars away
    style : "wild" multiplies by a level and noise of its own for each instrument; "mirrored" turns every later rise of
        prices into a fall, which upsets choices that wild moves leave alone
    """
    n, t, _ = panel.shape
    later = t - position - 1
    values, present = panel.values.copy(), panel.present.copy()
    for column in columns:
        draw = generator(seed, "disturb", column, position)
        if column == "presence":
            gone = draw.random((n, later)) < 0.1
            gone[draw.permutation(n)[: max(1, n // 3)]] = True
            present[:, position + 1 :] &= ~gone
        elif column in panel.fields:
            after = values[:, position + 1 :, panel.index(column)]
            if column in ("dividend", "split"):
                _add_actions(after, column, draw)
            elif style == "mirrored" and column in _PRICES:
                _mirror(after, panel, position, draw)
            else:
                # A level of its own for each instrument moves means and ranks, noise moves every single bar.
                level = draw.choice([0.25, 0.5, 2.0, 4.0], size=(n, 1))
                after *= level * np.exp(0.3 * draw.standard_normal((n, later)))
    if set(_PRICES) <= set(columns) & set(panel.fields):
        _order_prices(values[:, position + 1 :], panel)
    values[~present] = np.nan
    return replace(panel, values=values, present=present)


def _add_actions(after: FloatArray, column: str, draw: np.random.Generator) -> None:
    strange = draw.random(after.shape) < 0.1
    added = draw.uniform(0.1, 2.0, after.shape) if column == "dividend" else draw.choice([0.5, 2.0, 3.0], after.shape)
    after[strange] = added[strange]


def _mirror(after: FloatArray, panel: Panel, position: int, draw: np.random.Generator) -> None:
    """Reflect later prices at the last close, in place: p becomes close^2 / p, times a little noise."""
    close = panel.field("close")[:, : position + 1]
    finite = np.isfinite(close)
    last = np.where(finite.any(axis=1), close[np.arange(len(close)), _last_true(finite)], np.nan)[:, None]
    start = np.where(np.isfinite(last), last, 1.0)
    after[:] = start**2 / after * np.exp(0.01 * draw.standard_normal(after.shape))


def _last_true(flags: BoolArray) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    return np.asarray(flags.shape[1] - 1 - flags[:, ::-1].argmax(axis=1), dtype=np.int64)


def _order_prices(values: FloatArray, panel: Panel) -> None:
    """Make high the highest and low the lowest price again, in place; NaN stays NaN."""
    opening, high, low, close = (values[:, :, panel.index(name)] for name in _PRICES)
    upper, lower = np.maximum(np.maximum(opening, close), high), np.minimum(np.minimum(opening, close), low)
    high[:], low[:] = np.maximum(upper, low), np.minimum(lower, high)


def _all_rows(panel: Panel, first: int, last: int) -> np.ndarray[tuple[int, ...], np.dtype[np.int64]]:
    n = panel.shape[0]
    time = np.repeat(np.arange(first, min(last, panel.shape[1])), n)
    return np.column_stack([np.tile(np.arange(n), len(time) // n), time]).astype(np.int64)


def _altered_after(data: TrainingSet, first: int, seed: int) -> TrainingSet:
    """Return the training set with features, labels and scale changed from a position on."""
    draw = generator(seed, "fuzz training set", first)
    values, labels, scale = data.features.values.copy(), data.targets.values.copy(), data.scale.copy()
    values[:, first:] = values[:, first:] * -3.0 + draw.standard_normal(values[:, first:].shape)
    labels[:, first:] = -2.0 * labels[:, first:] + 0.1
    scale[:, first:] *= 3.0
    targets = Targets(labels, data.targets.label_end, data.targets.names, data.targets.horizons)
    return replace(data, features=replace(data.features, values=values), targets=targets, scale=scale)


def _row_breach(
    what: str,
    position: int,
    rows: np.ndarray[tuple[int, ...], np.dtype[np.int64]],
    differs: BoolArray,
    features: Panel,
) -> Breach:
    place = np.argwhere(differs)[-1]
    instrument, row = (int(v) for v in rows[place[0]])
    return Breach(what, position, row, (instrument, *map(int, place[1:])), int(features.end[row]))
