"""What stands where a feature has no value (FEAT-17, FEAT-35 to 38): a mask beside it, and never a zero by accident.

1. A member of a set that the panel cannot give is a column of NaN, its mask set, its reason kept.
2. Where articles are read and there are none, the sentiment rows take the values of "no news" (FEAT-35). The mask stays
   set there, so that a model can tell no news from neutral news.
3. Trees are given the gaps as they are. Networks take the training median and the mask as a second column (FEAT-36);
   a feature that too few training rows know is dropped first (FEAT-38), and said so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType

import numpy as np

from foresail.core.arrays import BoolArray
from foresail.core.errors import UnknownNameError
from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import SetColumns, expand_set
from foresail.features.context import FeatureContext
from foresail.features.transforms.base import FoldBound
from foresail.features.transforms.gaps import DropSparse, MedianImputer

__all__ = ["AUDIENCES", "NO_NEWS", "SetTable", "compute_set", "dropped_notes", "gap_steps", "with_no_news"]

AUDIENCES = ("trees", "network")

# FEAT-35, on the stored scale: a score of 50 of 100 is 0 of -1 to 1.
NO_NEWS: Mapping[str, float] = MappingProxyType(
    {"sentiment_score": 0.0, "sentiment_momentum": 0.0, "sentiment_volatility": 0.0, "news_volume": 0.0}
)


@dataclass(frozen=True, slots=True, eq=False)
class SetTable:
    """The values of a set over a panel.

    Attributes
    ----------
    columns : the features, which of them the panel cannot give, and why
    panel : (N, T, F) values in the order of the set; NaN where there is none
    missing : (N, T, F) true where no value was measured, also where a rule has put one in its place
    """

    columns: SetColumns
    panel: Panel
    missing: BoolArray


def compute_set(
    names: Sequence[str] | str,
    panel: Panel,
    context: FeatureContext,
    *,
    threads: int = 2,
    form: str = "display",
    no_news: bool = True,
) -> SetTable:
    """Return all columns of a set over a panel of bars, absent ones as NaN with their mask.

    Parameters
    ----------
    names : the name of a set, or names and aliases
    panel : (N, T, fields) bars
    context : sectors, reference and given series of the same panel
    form : "display" or "model", as in ``features.batch.compute``
    no_news : whether the rows of ``NO_NEWS`` take their value where a bar has no news (FEAT-35)

    Raises
    ------
    UnknownNameError
        If there is no such set or feature.

    Notes
    -----
    Timing: that of ``compute``.
    """
    columns = expand_set(names, panel, context.reference_names, context.given_names)
    here = [spec.name for spec in columns.available]
    n, t, _ = panel.shape
    values = np.full((n, t, len(columns.columns)), np.nan)
    if here:
        values[:, :, ~columns.mask] = compute(panel, here, context, threads=threads, form=form).values
    whole = replace(panel, values=values, present=panel.present.copy(), fields=columns.names)
    table = SetTable(columns, whole, np.isnan(values))
    return with_no_news(table) if no_news else table


def with_no_news(table: SetTable) -> SetTable:
    """Return the table with the values of "no news" at bars where the news are read and there are none (FEAT-35).

    A feature that the panel cannot give at all stays NaN: nobody has looked for news.
    """
    values = table.panel.values.copy()
    for j, name in enumerate(table.panel.fields):
        if name in NO_NEWS and not table.columns.mask[j]:
            column = values[:, :, j]
            column[np.isnan(column) & table.panel.present] = NO_NEWS[name]
    return SetTable(table.columns, replace(table.panel, values=values), table.missing)


def gap_steps(audience: str, *, most_missing: float = 0.2) -> tuple[FoldBound, ...]:
    """Return the transforms for gaps, to be fitted on training rows: what is too sparse goes, networks get medians.

    Parameters
    ----------
    audience : "trees", which take gaps, or "network"
    most_missing : share of the training rows that may lack a feature

    Raises
    ------
    UnknownNameError
        If the audience is neither.
    """
    if audience not in AUDIENCES:
        raise UnknownNameError("audience of features", audience, AUDIENCES)
    sparse = DropSparse(share=most_missing)
    return (sparse,) if audience == "trees" else (sparse, MedianImputer(marks=True))


def dropped_notes(fitted: DropSparse) -> tuple[str, ...]:
    """Return one line for each feature that was dropped for its gaps (FEAT-38).

    Raises
    ------
    NotFittedError
        If nothing was learned yet.
    """
    kept = set(fitted.outputs)
    if fitted.fitted is None:  # ``outputs`` has refused this already
        return ()
    told = zip(fitted.fitted.fields, fitted.fitted.state["missing"], strict=True)
    return tuple(
        f"{name} is missing in {share:.1%} of the training rows (at most {fitted.share:.0%} allowed): left out"
        for name, share in told
        if name not in kept
    )
