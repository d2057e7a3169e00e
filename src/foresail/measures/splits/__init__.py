"""Splitters that know label spans: walk-forward, purged k-fold, combinatorial purged, and the documented splits.

All of them take ``domain.spans.LabelSpans`` and yield ``Split``. Purge and embargo are part of every split.
"""

from __future__ import annotations

from foresail.measures.splits.combinatorial import CombinatorialPurged, PurgedKFold
from foresail.measures.splits.documented import (
    Chronological,
    NamedYears,
    RollingDays,
    SharedWalkForward,
    TimeSeriesFolds,
    time_blocks,
)
from foresail.measures.splits.product import Split, Splitter, split_off
from foresail.measures.splits.purge import embargo_length, known_before, meets
from foresail.measures.splits.refused import ForeignSplitter, RandomKFold, from_sklearn, refuse_random_k_fold
from foresail.measures.splits.sklearn_cv import CrossValidation
from foresail.measures.splits.walkforward import ExpandingWalkForward, RollingWalkForward

__all__ = [
    "Chronological",
    "CombinatorialPurged",
    "CrossValidation",
    "ExpandingWalkForward",
    "ForeignSplitter",
    "NamedYears",
    "PurgedKFold",
    "RandomKFold",
    "RollingDays",
    "RollingWalkForward",
    "SharedWalkForward",
    "Split",
    "Splitter",
    "TimeSeriesFolds",
    "embargo_length",
    "from_sklearn",
    "known_before",
    "meets",
    "refuse_random_k_fold",
    "split_off",
    "time_blocks",
]
