"""An estimator of another library, bound to a fold: it is handed the training rows and nothing else.

What it learned is its own and has no plain record; for models that are saved, use our transforms.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Self

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import CapabilityError, ConfigError
from foresail.features.transforms.base import Fitted, FoldBound
from foresail.features.transforms.fold import Fold, FoldMark

__all__ = ["Bound", "bind"]


@dataclass(frozen=True, eq=False)
class Bound(FoldBound):
    """A copy of an estimator with ``fit(x[, y])`` and ``transform(x)``; made by ``bind``."""

    kind: ClassVar[str] = "bound"
    estimator: Any = field(default=None)

    def _bind(
        self,
        table: NDArray[Any],
        names: tuple[str, ...],
        places: IntArray,
        fold: Fold,
        *,
        mark: FoldMark,
        labels: FloatArray | None,
    ) -> Self:
        own, where = deepcopy(self.estimator), tuple(places.T)
        given = (table[where],) if labels is None else (table[where], labels[where])
        own.fit(*given)
        width = np.shape(own.transform(table[where][:1]))[-1]
        outputs = names if width == len(names) else tuple(f"{type(own).__name__}_{j + 1}" for j in range(width))
        return replace(self, estimator=own, fitted=Fitted(names, outputs, mark, {}))

    def _run(self, table: NDArray[Any], fitted: Fitted) -> FloatArray:
        flat = table.reshape(-1, table.shape[-1])
        made = np.asarray(self.estimator.transform(flat), dtype=np.float64)
        return made.reshape(*table.shape[:-1], made.shape[-1])

    def settings(self) -> dict[str, Any]:
        """Refuse: what another library learned is not written as plain data.

        Raises
        ------
        CapabilityError
            Always.
        """
        raise CapabilityError(
            f"{type(self.estimator).__name__} of another library has no plain record",
            hint="use a transform of foresail.features.transforms",
        )


def bind(estimator: Any) -> Bound:
    """Return an estimator of another library as a fold-bound transform; the given one stays unfitted.

    Raises
    ------
    ConfigError
        If it lacks ``fit`` or ``transform``.
    """
    for name in ("fit", "transform"):
        if not callable(getattr(estimator, name, None)):
            raise ConfigError(f"expected an estimator with fit and transform, {type(estimator).__name__} lacks {name}")
    return Bound(estimator)
