"""Array types by meaning. Shapes stand in docstrings with the axes N, T, F, K, H, Q (architecture, section 3)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["BoolArray", "FloatArray", "IntArray", "TimeArray"]

FloatArray = NDArray[np.float64]
IntArray = NDArray[np.int64]
BoolArray = NDArray[np.bool_]
TimeArray = NDArray[np.int64]  # nanoseconds since 1970-01-01 UTC
