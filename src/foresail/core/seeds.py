"""Randomness: every generator is derived from the run's seed and a name, so that order and threads do not matter."""

from __future__ import annotations

import hashlib

import numpy as np

__all__ = ["derive_seed", "generator"]


def derive_seed(seed: int, *names: str | int) -> int:
    """Return a 31-bit seed that depends on the run's seed and on the names only."""
    text = "\x1f".join([str(seed), *map(str, names)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:4], "big") >> 1


def generator(seed: int, *names: str | int) -> np.random.Generator:
    """Return a NumPy generator (PCG64) for one named purpose."""
    return np.random.default_rng(derive_seed(seed, *names))
