"""The three standardised distributions (mean 0, variance 1) that variance models hand out quantiles of.

Normal, Student's t scaled to variance 1, and the skewed t of Hansen: two halves of a t with different widths, moved and
scaled to mean 0 and variance 1.

References
----------
[Hansen1994] in docs/REFERENCES.md.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from scipy.special import gammaln, ndtri, stdtrit

from foresail.core.arrays import FloatArray
from foresail.core.errors import UnknownNameError
from foresail.forecasting.curve import check_levels
from foresail.forecasting.econometric.recursion import NORMAL, SKEW_T, STUDENT

__all__ = ["DISTRIBUTIONS", "Distribution", "distribution_code"]

DISTRIBUTIONS: Mapping[str, int] = MappingProxyType({"normal": NORMAL, "t": STUDENT, "skew_t": SKEW_T})


def distribution_code(name: str) -> int:
    """Return the code of a distribution in the compiled loops.

    Raises
    ------
    UnknownNameError
        With the known names.
    """
    if name not in DISTRIBUTIONS:
        raise UnknownNameError("distribution", name, DISTRIBUTIONS)
    return DISTRIBUTIONS[name]


@dataclass(frozen=True, slots=True)
class Distribution:
    """A standardised distribution.

    Attributes
    ----------
    name : normal, t or skew_t
    freedom : degrees of freedom, > 2; infinite for the normal
    skew : in (-1, 1), below 0 where falls are wider; 0 but for skew_t
    """

    name: str = "normal"
    freedom: float = float("inf")
    skew: float = 0.0

    def quantiles(self, levels: Sequence[float]) -> FloatArray:
        """Return (Q,) quantiles in units of the standard deviation."""
        p = check_levels(levels)
        if distribution_code(self.name) == NORMAL:
            return np.asarray(ndtri(p), dtype=np.float64)
        nu, skew = self.freedom, self.skew
        log_c = gammaln(0.5 * (nu + 1)) - gammaln(0.5 * nu) - 0.5 * np.log(np.pi * (nu - 2))
        a = 4 * skew * np.exp(log_c) * (nu - 2) / (nu - 1)
        b = np.sqrt(1 + 3 * skew**2 - a**2)
        low = (1 - skew) * stdtrit(nu, p / (1 - skew))
        high = (1 + skew) * stdtrit(nu, 0.5 + (p - 0.5 * (1 - skew)) / (1 + skew))
        raw = np.where(p < 0.5 * (1 - skew), low, high) * np.sqrt(1 - 2 / nu)
        return np.asarray((raw - a) / b, dtype=np.float64)
