"""Principal components of the training rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError, DataError
from foresail.features.transforms.base import Lesson, State, Transform

__all__ = ["PCA"]


@dataclass(frozen=True, eq=False)
class PCA(Transform):
    """Projections on the directions in which the training rows vary most.

    Attributes
    ----------
    components : how many, at most F

    Notes
    -----
    Learned on rows without a hole; a row with one gives NaN. The largest loading of a component is positive, so that
    the sign is no matter of the machine. Scale first: the directions depend on the units.
    """

    kind: ClassVar[str] = "pca"
    components: int = 5

    def __post_init__(self) -> None:
        if self.components < 1:
            raise ConfigError(f"expected at least one component, received {self.components}")

    def learn(self, lesson: Lesson) -> State:
        """Return mean, loadings (F, G) and the share of variance of each component."""
        x = lesson.values[np.isfinite(lesson.values).all(axis=1)]
        if self.components > x.shape[1] or len(x) <= self.components:
            raise DataError(
                f"{self.components} components need as many features and more complete rows, received {x.shape[1]} "
                f"features and {len(x)} complete training rows",
                hint="put an imputer before the components, or ask for fewer",
            )
        mean = x.mean(axis=0)
        apart = x - mean
        covariance = np.einsum("rf,rg->fg", apart, apart) / (len(x) - 1)  # no threads: the same bits everywhere
        value, vector = np.linalg.eigh(covariance)
        vector = vector[:, ::-1][:, : self.components]
        largest = vector[np.abs(vector).argmax(axis=0), np.arange(self.components)]
        total = float(value.sum())
        share = value[::-1][: self.components] / total if total > 0.0 else np.zeros(self.components)
        return {"mean": mean, "loadings": vector * np.where(largest < 0.0, -1.0, 1.0), "share": share}

    def apply(self, values: NDArray[Any], state: State) -> FloatArray:
        """Return the projections."""
        apart, loadings = values - state["mean"], state["loadings"]
        out = np.zeros((*values.shape[:-1], loadings.shape[1]))
        for j in range(loadings.shape[0]):  # one feature after the other, so that no row depends on the size of a batch
            out += apart[..., j, None] * loadings[j]
        return out

    def names(self, inputs: tuple[str, ...], state: State) -> tuple[str, ...]:
        """Return component_1 and so on."""
        return tuple(f"component_{k + 1}" for k in range(self.components))
