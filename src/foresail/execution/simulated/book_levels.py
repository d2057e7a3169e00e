"""The levels of a book as a sorted table: both sides with the best price first, cut at a fixed depth."""

from __future__ import annotations

from typing import Any

import numpy as np

from foresail.core.arrays import IntArray
from foresail.execution.simulated.columns import compiled

__all__ = ["DEPTH", "best_price", "book_from_plain", "book_to_plain", "empty_book", "level_size", "set_level"]

DEPTH = 1024  # levels kept a side; what lies deeper is forgotten


def empty_book() -> tuple[IntArray, IntArray]:
    """Return an empty book: (2, DEPTH, 2) of (price times -side, lots), and (4,) bids, asks, valid, last print."""
    state = np.zeros(4, dtype=np.int64)
    state[2] = 1
    return np.zeros((2, DEPTH, 2), dtype=np.int64), state


def book_to_plain(book: tuple[IntArray, IntArray]) -> list[Any]:
    """Return a book as plain data."""
    levels, state = book
    return [levels[0, : state[0]].tolist(), levels[1, : state[1]].tolist(), state.tolist()]


def book_from_plain(plain: list[Any]) -> tuple[IntArray, IntArray]:
    """Return the book that ``book_to_plain`` wrote."""
    levels, state = empty_book()
    for side in range(2):
        levels[side, : len(plain[side])] = np.array(plain[side], dtype=np.int64).reshape(-1, 2)
    state[:] = plain[2]
    return levels, state


@compiled
def _find(levels: IntArray, count: int, side: int, key: int) -> int:
    """Return the first place whose key is not smaller."""
    low, high = 0, count
    while low < high:
        middle = (low + high) // 2
        if levels[side, middle, 0] < key:
            low = middle + 1
        else:
            high = middle
    return low


@compiled
def level_size(levels: IntArray, state: IntArray, side: int, price: int) -> int:
    """Return the lots at a price of a side (bid 1, ask -1), 0 for none."""
    s = 0 if side > 0 else 1
    key = -side * price
    place = _find(levels, state[s], s, key)
    return int(levels[s, place, 1]) if place < state[s] and levels[s, place, 0] == key else 0


@compiled
def set_level(levels: IntArray, state: IntArray, side: int, price: int, size: int) -> None:
    """Set the lots at a price of a side; 0 takes the level out."""
    s = 0 if side > 0 else 1
    key = -side * price
    count = state[s]
    place = _find(levels, count, s, key)
    found = place < count and levels[s, place, 0] == key
    if found and size > 0:
        levels[s, place, 1] = size
    elif found:
        for k in range(place, count - 1):
            levels[s, k] = levels[s, k + 1]
        state[s] = count - 1
    elif size > 0 and place < levels.shape[1]:
        last = min(count, levels.shape[1] - 1)
        for k in range(last, place, -1):
            levels[s, k] = levels[s, k - 1]
        levels[s, place, 0] = key
        levels[s, place, 1] = size
        state[s] = last + 1


@compiled
def best_price(levels: IntArray, state: IntArray, side: int) -> int:
    """Return the best price of a side (bid 1, ask -1), 0 where it is empty."""
    s = 0 if side > 0 else 1
    return int(-side * levels[s, 0, 0]) if state[s] > 0 else 0
