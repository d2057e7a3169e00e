"""The same splits for tools that take a ``cv`` object, such as a grid search of scikit-learn.

The object has ``split(X, y, groups)`` and ``get_n_splits``; nothing of scikit-learn is imported here.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from foresail.core.arrays import IntArray
from foresail.core.errors import DataError
from foresail.domain.spans import LabelSpans
from foresail.measures.splits.product import Splitter

__all__ = ["CrossValidation"]


@dataclass(frozen=True, slots=True)
class CrossValidation:
    """A splitter bound to the spans of the rows that it will be asked to split.

    Attributes
    ----------
    splitter : any of ours
    spans : (R,) one a row of X, in the order of X

    Notes
    -----
    Where a split keeps validation rows apart, they are what a search is scored on: the test part stays closed while
    something is being chosen (VALID-09).
    """

    splitter: Splitter
    spans: LabelSpans

    def split(self, X: Any, y: Any = None, groups: Any = None) -> Iterator[tuple[IntArray, IntArray]]:
        """Yield (rows to train on, rows to score).

        Parameters
        ----------
        X : (R, ...) table; only its length is read
        y, groups : not used: the spans say all that matters

        Raises
        ------
        DataError
            If X has another number of rows than there are spans.
        """
        rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if rows != len(self.spans):
            raise DataError(
                f"the table has {rows} rows, the label spans are of {len(self.spans)} samples",
                hint="give the spans of exactly these rows, in their order",
            )
        for one in self.splitter.split(self.spans):
            yield one.train, one.validation if len(one.validation) else one.test

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits; the arguments are not used."""
        return sum(1 for _ in self.splitter.split(self.spans))
