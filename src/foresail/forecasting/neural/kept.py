"""Products of parameters that inference would make anew for every bar, kept for as long as no parameter changes.

Serving one bar of one instrument costs less than multiplying the weights that it is multiplied by. With gradients they
are made each time, since the gradients pass through them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

__all__ = ["Kept"]


class Kept:
    """What was made of some parameters, and in which state they were."""

    __slots__ = ("_last",)

    def __init__(self) -> None:
        self._last: tuple[tuple[tuple[int, int], ...], tuple[Tensor, ...]] | None = None  # one name: threads read it

    def of(self, parameters: Sequence[Tensor], make: Callable[[], tuple[Tensor, ...]]) -> tuple[Tensor, ...]:
        """Return what ``make`` returns, made before if it may be.

        Parameters
        ----------
        parameters : everything that the result depends on
        """
        if torch.is_grad_enabled() or any(one.is_inference() for one in parameters):
            self._last = None
            return make()
        state = tuple((one.data_ptr(), one._version) for one in parameters)  # noqa: SLF001 counts changes of a tensor
        last = self._last
        if last is None or last[0] != state:
            last = state, make()
            self._last = last
        return last[1]

    def __deepcopy__(self, memo: object) -> Kept:
        """Return an empty one: a copy of a network has parameters of its own."""
        return Kept()
