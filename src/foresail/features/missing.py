"""What stands where a feature has no value (FEAT-17, FEAT-35 to 38): a mask beside it, and never a zero by accident.

1. What the panel cannot give is no column, its reason is kept beside it (``catalogue.resolve``).
2. Where articles are read and there are none, the sentiment rows take the values of "no news" (FEAT-35).
3. Trees are given the gaps as they are. Networks take the training median and the mask as a second column (FEAT-36);
   a feature that too few training rows know is dropped first (FEAT-38), and said so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from foresail.core.errors import UnknownNameError
from foresail.domain.bins import FRAMES
from foresail.domain.panel import Panel
from foresail.features.transforms.base import FoldBound
from foresail.features.transforms.gaps import DropSparse, MedianImputer

__all__ = ["AUDIENCES", "NO_NEWS", "dropped_notes", "gap_steps", "with_no_news"]

AUDIENCES = ("trees", "network")

# FEAT-35, on the stored scale, on any frame: a score of 50 of 100 is 0 of -1 to 1.
NO_NEWS: Mapping[str, float] = MappingProxyType(
    {
        f"{name}{frame}": 0.0
        for name in ("sentiment_score", "sentiment_momentum", "sentiment_volatility", "news_volume")
        for frame in ("", *(f"@{frame}" for frame in FRAMES))
    }
)


def with_no_news(features: Panel) -> Panel:
    """Return features with the values of "no news" at bars where the news are read and there are none (FEAT-35).

    News are read from the first value of a series on; before it nobody has looked. A ``news_volume`` of 0 beside a
    score of 0 tells no news from neutral news.
    """
    wanted = [j for j, name in enumerate(features.fields) if name in NO_NEWS]
    if not wanted:
        return features
    values = features.values.copy()
    for j in wanted:
        column = values[:, :, j]
        read = np.maximum.accumulate(np.isfinite(column).any(axis=0))
        column[np.isnan(column) & features.present & read] = NO_NEWS[features.fields[j]]
    return replace(features, values=values)


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
