"""Pipeline: transforms one after the other, each bound to the same fold."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, ClassVar, Self

from numpy.typing import NDArray

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError
from foresail.features.transforms.base import Fitted, FoldBound
from foresail.features.transforms.fold import Fold, FoldMark

__all__ = ["Pipeline"]


@dataclass(frozen=True, eq=False)
class Pipeline(FoldBound):
    """Each step learns from what the steps before it, fitted on the same rows, make of the values.

    Attributes
    ----------
    steps : transforms, first to last
    """

    kind: ClassVar[str] = "pipeline"
    steps: tuple[FoldBound, ...] = ()

    def __post_init__(self) -> None:
        if not self.steps or not all(isinstance(step, FoldBound) for step in self.steps):
            raise ConfigError(
                f"expected at least one fold-bound transform, received {[type(s).__name__ for s in self.steps]}",
                hint="wrap a foreign estimator with bind(...)",
            )

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
        told, done = names, []
        for step in self.steps:
            own = step._bind(table, told, places, fold, mark=mark, labels=labels)  # noqa: SLF001 same room
            table, told = own.transform(table), own.outputs
            done.append(own)
        return replace(self, steps=tuple(done), fitted=Fitted(names, told, mark, {}))

    def _run(self, table: NDArray[Any], fitted: Fitted) -> FloatArray:
        values = table
        for step in self.steps:
            values = step.transform(values)
        return values
