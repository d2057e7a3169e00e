"""A loop whose clock never waits: the next event's instant is the present. One thread, one order, one seed."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from foresail.core.seeds import generator
from foresail.testing.simulation.trace import Trace

__all__ = ["MS", "SECOND", "Chance", "VirtualLoop"]

MS = 1_000_000  # ns
SECOND = 1_000 * MS
_BLOCK = 128
_T = TypeVar("_T")


class Chance:
    """Draws of one seed and one purpose, a block at a time because single ones are slow."""

    def __init__(self, seed: int, *names: str | int) -> None:
        self._generator = generator(seed, *names)
        self._block: list[float] = []

    def unit(self) -> float:
        """Return a number in [0, 1)."""
        if not self._block:
            self._block = self._generator.random(_BLOCK).tolist()
        return self._block.pop()

    def happens(self, rate: float) -> bool:
        """Return whether something of a given rate happens; nothing is drawn for a rate of zero."""
        return rate > 0.0 and self.unit() < rate

    def below(self, n: int) -> int:
        """Return a whole number in [0, n)."""
        return int(self.unit() * n)

    def between(self, low: int, high: int) -> int:
        """Return a whole number in [low, high]."""
        return low + int(self.unit() * (high - low + 1))

    def one_of(self, choices: Sequence[_T]) -> _T:
        """Return one of several things."""
        return choices[self.below(len(choices))]

    def some_of(self, choices: Sequence[_T], count: int) -> list[_T]:
        """Return so many different ones of several things, in the order of a draw."""
        left = list(choices)
        return [left.pop(self.below(len(left))) for _ in range(count)]


class VirtualLoop:
    """Events in the order of their instants, ties in the order in which they were planned.

    Attributes
    ----------
    now : ns UTC, virtual
    """

    def __init__(self, start: int, trace: Trace) -> None:
        self.now = start
        self._trace = trace
        self._heap: list[tuple[int, int, Callable[..., None], tuple[Any, ...]]] = []
        self._planned = 0

    def plan(self, delay: int, act: Callable[..., None], *arguments: Any) -> None:
        """Call something after a delay in ns."""
        self._planned += 1
        heapq.heappush(self._heap, (self.now + delay, self._planned, act, arguments))

    def run_until(self, instant: int) -> None:
        """Let everything happen that was planned before an instant, then stand there."""
        heap = self._heap
        while heap and heap[0][0] < instant:
            self.now, _, act, arguments = heapq.heappop(heap)
            act(*arguments)
        self.now = instant
