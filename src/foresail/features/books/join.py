"""Numbers of books into the bar engine: at each row of a panel the newest book bar that had ended by then.

They are not carried like facts. A book bar that says nothing (invalid, crossed, too shallow) leaves nothing standing,
and one that is older than its limit says nothing any more.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.features.books.driver import BookBars
from foresail.features.context import FeatureContext
from foresail.features.givens import GIVENS

__all__ = ["BOOK_GIVENS", "join_books", "with_books"]

# What rows of the catalogue take from books.
BOOK_GIVENS: tuple[str, ...] = tuple(name for name, row in GIVENS.items() if row.form == "book")


def join_books(panel: Panel, bars: Mapping[InstrumentId, BookBars], names: tuple[str, ...]) -> FloatArray:
    """Return columns of book bars at the rows of a panel, (N, T, len(names)).

    Parameters
    ----------
    bars : by instrument; one without a book stays NaN, and so does a column that its bars do not have

    Notes
    -----
    Timing: a book bar counts from its end, and at row t if that is not after ``panel.available_at[t]``. Sums (order
    flow) are those of the book bar: take book bars as long as those of the panel.
    """
    n, t, _ = panel.shape
    out = np.full((n, t, len(names)), np.nan)
    for i, instrument in enumerate(panel.instruments):
        own = bars.get(instrument)
        if own is None or len(own) == 0:
            continue
        place = np.searchsorted(own.end, panel.available_at, side="right") - 1
        age = panel.available_at - own.end[np.maximum(place, 0)]
        for g, name in enumerate(names):
            limit = GIVENS[name].limit_ns if name in GIVENS else None
            seen = (place >= 0) & ((age <= limit) if limit is not None else True)
            if name in own.names:
                out[i, seen, g] = own.column(name)[place[seen]]
    return out


def with_books(context: FeatureContext, panel: Panel, bars: Mapping[InstrumentId, BookBars]) -> FeatureContext:
    """Return a context that also holds what books give; the integrated flow only where its weights were fitted.

    Raises
    ------
    ValueError
        If the context holds one of these numbers already.
    """
    offered = {name for own in bars.values() for name in own.names}
    names = tuple(name for name in BOOK_GIVENS if name in offered)
    twice = sorted(set(names) & set(context.given_names))
    if twice:
        raise ValueError(f"the context holds {', '.join(twice)} already")
    n, t, _ = panel.shape
    before = context.given if context.given_names else np.empty((n, t, 0))
    given = np.concatenate([before, join_books(panel, bars, names)], axis=2)
    return replace(context, given_names=(*context.given_names, *names), given=given)
