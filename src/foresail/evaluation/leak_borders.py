"""Leaks that no changed future shows: windows across instruments, and values that only survivors have.

A function that treats instruments alike may look at all of them at once (a rank, a mean), and then a change of one
reaches names before and after it in the table. A window that runs over stacked rows reaches only the names after it,
whatever the order of the names: that is how it is told apart.
"""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
from foresail.domain.panel import Panel
from foresail.evaluation.fuzz_causality import changed_cells

__all__ = ["crosses_instruments", "stacking_line", "survivors_only"]

_STACKING = {"stack", "melt", "ravel", "flatten", "reshape", "unstack", "concatenate", "to_frame"}
_SHARES = (0.25, 0.5, 0.55, 0.75)
_LEAST_HITS = 3


def crosses_instruments(compute: Callable[[Panel], FloatArray], panel: Panel) -> int | None:
    """Return a position at which a value hangs on the neighbour in the table, None if none does.

    Parameters
    ----------
    compute : panel -> (T, N) values
    """
    n, t, _ = panel.shape
    if n < 4:
        return None
    row, hits = int(0.6 * t), 0
    for order in (np.arange(n), np.arange(n)[::-1]):
        ordered = replace(
            panel,
            values=panel.values[order].copy(),
            present=panel.present[order].copy(),
            instruments=tuple(panel.instruments[i] for i in order),
        )
        clean = compute(ordered)
        for share in _SHARES:
            name = int(share * n)
            values = ordered.values.copy()
            values[
                name, row, [ordered.index(f) for f in ("open", "high", "low", "close", "volume") if panel.has(f)]
            ] *= 1.7
            after = compute(replace(ordered, values=values))
            changed = changed_cells(clean[row], after[row], tolerance=1e-9)
            if changed[:name].any():
                return None
            hits += int(changed[name + 1 :].any())
    return row if hits >= _LEAST_HITS else None


def stacking_line(tree: ast.AST, default: int) -> int:
    """Return the first line that puts the rows of several instruments under each other."""
    lines = [
        node.func.end_lineno or node.lineno
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _STACKING
    ]
    return min(lines, default=default)


def survivors_only(values: FloatArray, panel: Panel) -> int | None:
    """Return the last position of a name that ended and never had a value while all lasting names had; None otherwise.

    Parameters
    ----------
    values : (T, N)
    """
    t = panel.shape[1]
    present = panel.present
    first, last = present.argmax(axis=1), t - 1 - present[:, ::-1].argmax(axis=1)
    has_value: BoolArray = np.asarray(np.isfinite(values).any(axis=0))
    lasting = present.any(axis=1) & (last >= t - 20)
    if not lasting.any() or not has_value[lasting].all():
        return None
    warm_up = int(np.max(np.isfinite(values).argmax(axis=0)[lasting] - first[lasting]))
    ended = present.any(axis=1) & ~lasting & (last - first > warm_up + 50)
    if ended.sum() < 2 or has_value[ended].any():
        return None
    return int(last[ended].min())
