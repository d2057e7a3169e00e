"""What is worked out of a book, which numbers come at the end of a bar, and the memory before the first row."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import IntArray
from foresail.core.clock import NS_PER_S
from foresail.core.errors import ConfigError
from foresail.features.books.kernel import HIT_WIDTH, NUMBERS, PENDING, PENDING_WIDTH, SLOT_NS, SLOTS
from foresail.features.books.memory import BookMemory

__all__ = ["BASE_COLUMNS", "BookSettings", "columns_of", "grown", "new_memory"]

# In the order of the kernel; imbalances, depths and flows follow.
BASE_COLUMNS = (
    "bid",
    "ask",
    "bid_size",
    "ask_size",
    "mid",
    "microprice",
    "spread_bps",
    "hidden_liquidity",
    "trade_velocity",
    "trade_count",
    "trade_volume",
    "signed_volume",
    "average_depth",
    "whale_trade",
    "spoof_hint",
    "layer_hint",
    "iceberg_hint",
)
_MOST_LEVELS = 64


@dataclass(frozen=True, slots=True)
class BookSettings:
    """What is worked out of a book.

    Attributes
    ----------
    bar_ns : length of a bar, ns, a multiple of 100 ms; bars begin at multiples of it since 1970
    depths : levels over which imbalance and depth are taken
    flow_levels : levels of the multi-level order flow, 1 to 64
    whale_factor : a print this many times the mean of the prints before it is a whale (FEAT-356)
    large_factor : an order this many times the mean of those before it is large (``spoof_hint``)
    cancel_ns : a large order that goes sooner counts as cancelled at once (FEAT-357)
    """

    bar_ns: int = NS_PER_S
    depths: tuple[int, ...] = (1, 10, 20)
    flow_levels: int = 10
    whale_factor: float = 100.0
    large_factor: float = 10.0
    cancel_ns: int = NS_PER_S

    def __post_init__(self) -> None:
        if self.bar_ns <= 0 or self.bar_ns % SLOT_NS:
            raise ConfigError(f"a bar of {self.bar_ns} ns: expected a multiple of 100 ms, {SLOT_NS} ns")
        if not self.depths or min(self.depths) < 1 or len(set(self.depths)) != len(self.depths):
            raise ConfigError(f"expected different depths of at least one level, received {self.depths}")
        if not 1 <= self.flow_levels <= _MOST_LEVELS:
            raise ConfigError(f"order flow of {self.flow_levels} levels: expected 1 to {_MOST_LEVELS}")
        if not (self.whale_factor > 0.0 and self.large_factor > 0.0 and self.cancel_ns > 0):
            raise ConfigError("expected factors and a time limit above 0")


def new_memory(settings: BookSettings, capacity: int = 1024) -> BookMemory:
    """Return the memory before the first row, with room for some levels a side."""

    def zeros(*shape: int) -> IntArray:
        return np.zeros(shape, dtype=np.int64)

    levels = settings.flow_levels
    memory = BookMemory(
        keys=zeros(2, capacity),
        sizes=zeros(2, capacity),
        counts=zeros(2),
        top=zeros(4, levels),
        flow=zeros(levels),
        lacking=zeros(levels) + 1,
        numbers=zeros(NUMBERS),
        slots=zeros(2, SLOTS),
        pending=zeros(PENDING, PENDING_WIDTH),
        hits=zeros(2, HIT_WIDTH),
    )
    memory.slots[0] = -SLOTS - 1
    return memory


def grown(memory: BookMemory) -> BookMemory:
    """Return the memory with room for twice the levels."""
    more = np.zeros_like(memory.keys)
    return memory._replace(
        keys=np.concatenate([memory.keys, more], axis=1), sizes=np.concatenate([memory.sizes, more], axis=1)
    )


def columns_of(settings: BookSettings) -> tuple[str, ...]:
    """Return the names of the output: the base, imbalances, depths, flow of each level."""
    return (
        *BASE_COLUMNS,
        *(f"imbalance_{depth}" for depth in settings.depths),
        *(f"depth_{depth}" for depth in settings.depths),
        *(f"flow_{level}" for level in range(1, settings.flow_levels + 1)),
    )
