"""A fixed number of threads: sums of a network are made in the same pieces on every machine."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch

__all__ = ["fixed_threads"]


@contextmanager
def fixed_threads(count: int) -> Iterator[None]:
    """Run a block with ``count`` threads inside PyTorch's operations, and restore what was set before."""
    before = torch.get_num_threads()
    torch.set_num_threads(count)
    try:
        yield
    finally:
        torch.set_num_threads(before)
