"""When a move counts as up or down: the threshold of the three classes (FCST-07).

1. Volatility scaled: ``k`` standard deviations of the horizon, k = 0.5 (2 % a day, 5 days: 2.24 %).
2. Fixed, where one is asked for: 1 % at every horizon, for example.
3. Never below the cost of a round trip: a move that does not pay for its own trade is neutral.

The same rule labels outcomes and reads probabilities off a quantile curve, so the two always mean the same classes.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError

__all__ = ["NEUTRAL_BAND", "ClassRule"]

NEUTRAL_BAND = 0.5  # k of FCST-07


@dataclass(frozen=True, slots=True)
class ClassRule:
    """Where neutral ends, in log return.

    Attributes
    ----------
    band : k, standard deviations of the log return over the horizon
    fixed : one threshold for every instrument and horizon instead; None = ``band`` decides
    floor : smallest threshold, the cost of a round trip as a fraction of value

    Raises
    ------
    ConfigError
        If one of them is negative or not finite, or neutral would be empty.
    """

    band: float = NEUTRAL_BAND
    fixed: float | None = None
    floor: float = 0.0

    def __post_init__(self) -> None:
        for name, value in (("neutral band", self.band), ("fixed threshold", self.fixed), ("cost", self.floor)):
            if value is not None and not (math.isfinite(value) and 0.0 <= value < 10.0):
                raise ConfigError(f"{name} of the classes: expected a number from 0 to 10, received {value:g}")
        if not max(self.band if self.fixed is None else self.fixed, self.floor) > 0.0:
            raise ConfigError("classes without a neutral one: expected a threshold above 0")

    def threshold(self, deviation: FloatArray) -> FloatArray:
        """Return (...) the log return above which a move is up, and below whose negative it is down.

        Parameters
        ----------
        deviation : (...) standard deviation of the log return over the horizon; NaN gives NaN
        """
        wanted = np.where(np.isnan(deviation), np.nan, self.band * deviation if self.fixed is None else self.fixed)
        return np.maximum(wanted, self.floor)

    def classes(self, actual: FloatArray, deviation: FloatArray) -> IntArray:
        """Return (...) 0 down, 1 neutral, 2 up (order of FCST-06); both arguments must be finite."""
        threshold = self.threshold(deviation)
        found: IntArray = 1 + (actual > threshold).astype(np.int64) - (actual < -threshold).astype(np.int64)
        return found

    def content(self) -> dict[str, Any]:
        """Return the JSON form."""
        return asdict(self)

    @classmethod
    def of(cls, content: dict[str, Any]) -> ClassRule:
        """Return what ``content`` took apart."""
        fixed = content["fixed"]
        return cls(float(content["band"]), None if fixed is None else float(fixed), float(content["floor"]))
