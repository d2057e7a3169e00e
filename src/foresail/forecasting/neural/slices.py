"""What networks without a shared middle need of segments: their windows, and sequences without the absent steps."""

from __future__ import annotations

import torch
from torch import Tensor

__all__ = ["present_first", "window_slices"]


def window_slices(steps: Tensor, length: int, stride: int) -> Tensor:
    """Return the windows of a segment, (S, K, length, V) of (S, P, V), ``stride`` steps apart; no copy is made.

    Examples
    --------
    >>> window_slices(torch.arange(5.0).reshape(1, 5, 1), 3, 2)[0, :, :, 0].tolist()
    [[0.0, 1.0, 2.0], [2.0, 3.0, 4.0]]
    """
    return steps.unfold(1, length, stride).transpose(-1, -2)


def present_first(steps: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
    """Return sequences with the present steps in front, in their order, and how many there are.

    A recurrent layer whose state stays as it is at absent steps is the same layer over the present steps alone; so
    the fast layers of the library can be used, and the state is read behind the last present step.

    Parameters
    ----------
    steps : (B, C, V)
    seen : (B, C) 1.0 where there is a bar

    Examples
    --------
    >>> moved, count = present_first(torch.tensor([[[1.0], [2.0], [3.0]]]), torch.tensor([[0.0, 1.0, 1.0]]))
    >>> moved[0, :, 0].tolist(), count.tolist()
    ([2.0, 3.0, 1.0], [2])
    """
    absent = seen < 0.5
    count = (~absent).sum(dim=1)
    if not bool(absent.any()):
        return steps, count
    order = torch.argsort(absent.to(torch.int8), dim=1, stable=True)
    return steps.gather(1, order.unsqueeze(-1).expand(-1, -1, steps.shape[-1])), count
