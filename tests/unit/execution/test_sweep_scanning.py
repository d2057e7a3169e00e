"""The look of the sweep at many bars, against the search bar by bar, at every length, with gaps and touches."""

from __future__ import annotations

import numpy as np
import pytest
from numba import njit
from numba.core.errors import TypingError

from foresail.execution.simulated.scanning import (
    LOOK,
    LOOK_WISHES,
    place_of_wish,
    place_out_of_long,
    place_out_of_short,
)


@njit
def _long(top, bottom, wishes, t, low, high, bits):
    return place_out_of_long((top, bottom), wishes, t, (low, high, bits))


@njit
def _short(top, bottom, wishes, t, low, high, bits):
    return place_out_of_short((top, bottom), wishes, t, (low, high, bits))


@njit
def _wish(top, bottom, wishes, t, bits):
    return place_of_wish((top, bottom), wishes, t, bits)


@pytest.mark.parametrize("seed", range(40))
def test_a_look_finds_what_a_search_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    bars = 4 * LOOK_WISHES
    top, bottom = rng.integers(10, 14, bars).astype(float), rng.integers(6, 10, bars).astype(float)
    gone = rng.random(bars) < 0.2
    top[gone] = bottom[gone] = np.nan
    wishes = np.where(rng.random(bars) < 0.02, rng.integers(0, 16, bars), 0).astype(np.uint8)
    low, high, bits = float(rng.integers(5, 8)), float(rng.integers(12, 15)), int(rng.integers(1, 16))
    for t in range(bars - LOOK_WISHES):
        own = slice(t, t + LOOK)
        asked = wishes[own] & bits != 0
        for look, met in (
            (_long, (bottom[own] <= low) | (top[own] > high) | asked),
            (_short, (bottom[own] < low) | (top[own] >= high) | asked),
        ):
            assert look(top, bottom, wishes, t, low, high, bits) == (int(met.argmax()) if met.any() else LOOK)
        wished = wishes[t : t + LOOK_WISHES] & bits != 0
        expected = int(wished.argmax()) if wished.any() else LOOK_WISHES
        assert _wish(top, bottom, wishes, t, bits) == expected


def test_the_last_look_ends_with_the_array() -> None:
    top, bottom, wishes = np.full(LOOK, 2.0), np.full(LOOK, 1.0), np.zeros(LOOK, dtype=np.uint8)
    assert _long(top, bottom, wishes, 0, 0.5, 3.0, 15) == LOOK
    wishes[-1] = 8
    assert _long(top, bottom, wishes, 0, 0.5, 3.0, 8) == LOOK - 1
    assert _long(top, bottom, wishes, 0, 0.5, 3.0, 7) == LOOK


def test_columns_with_gaps_in_memory_are_refused() -> None:
    top, bottom, wishes = np.full(2 * LOOK, 2.0)[::2], np.full(LOOK, 1.0), np.zeros(LOOK, dtype=np.uint8)
    with pytest.raises(TypingError, match="contiguous"):
        _long(top, bottom, wishes, 0, 0.5, 3.0, 15)
