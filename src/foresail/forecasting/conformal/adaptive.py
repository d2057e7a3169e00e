"""Adaptive conformal inference: the level itself is steered by what was missed, so coverage holds when markets change.

After each outcome ``alpha <- alpha + gamma * (target - missed)``: after a miss the next interval is wider. Whatever the
data, the share of misses over T steps differs from the target by at most (1 + gamma) / (gamma * T).

References
----------
[Gibbs2021] adaptive conformal inference under distribution shift; [Gibbs2022] several speeds weighted by their loss.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError

__all__ = ["AdaptiveConformal", "AggregatedAdaptive"]


class _Scores:
    """Scores in order, the newest ``window`` of them, or those of the start for good."""

    def __init__(self, scores: FloatArray, window: int | None) -> None:
        known = np.asarray(scores, dtype=np.float64)
        known = known[np.isfinite(known)]
        self._rolls = window is not None
        self._kept: deque[float] = deque(known.tolist(), maxlen=window)
        self._sorted = np.sort(np.array(self._kept))

    def reach(self, alpha: float) -> float:
        """Return the score of rank ceil((n + 1) * (1 - alpha)).

        Infinity where the level asks for certainty, minus infinity where it asks for nothing, the widest score seen
        where there are too few scores for the level.
        """
        n = len(self._sorted)
        if alpha <= 0.0 or n == 0:
            return math.inf
        if alpha >= 1.0:
            return -math.inf
        rank = math.ceil((n + 1) * (1.0 - alpha) - 1e-9)
        return float(self._sorted[min(rank, n) - 1])

    def largest_level(self, score: float) -> float:
        """Return the largest level whose reach still holds a score: 1 for the smallest, 0 beyond all."""
        n = len(self._sorted)
        return float((n - np.searchsorted(self._sorted, score, side="left")) / (n + 1)) if n else 0.0

    def add(self, score: float) -> None:
        """Take in a score; the oldest one goes if the window is full."""
        if not self._rolls:
            return
        if len(self._kept) == self._kept.maxlen:
            self._sorted = np.delete(self._sorted, int(np.searchsorted(self._sorted, self._kept[0])))
        self._kept.append(score)
        self._sorted = np.insert(self._sorted, int(np.searchsorted(self._sorted, score)), score)


class AdaptiveConformal:
    """The reach of an interval, in units of a scale, steered through time.

    Parameters
    ----------
    coverage : wanted share of outcomes inside
    gamma : speed, 0 = the level stays
    scores : (n,) scores known at the start
    window : scores kept, the newest ones; None = the scores of the start, for good

    Raises
    ------
    ConfigError
        If a parameter is out of range.
    """

    def __init__(self, coverage: float, gamma: float, scores: FloatArray, *, window: int | None = None) -> None:
        _check(coverage, (gamma,), window)
        self.target = 1.0 - coverage
        self.gamma = gamma
        self.alpha = self.target
        self._scores = _Scores(scores, window)

    def reach(self) -> float:
        """Return the reach of the next interval; infinite where the level asks for certainty."""
        return self._scores.reach(self.alpha)

    def update(self, score: float) -> None:
        """Take in the score of an outcome that is known now; NaN changes nothing."""
        if math.isnan(score):
            return
        missed = 1.0 if score > self.reach() else 0.0
        self.alpha += self.gamma * (self.target - missed)
        self._scores.add(score)


class AggregatedAdaptive:
    """Several speeds at once, each weighted by how well its levels have done (DtACI: quantile loss, fixed share).

    Parameters
    ----------
    coverage, scores, window : as ``AdaptiveConformal``
    gammas : speeds
    memory : steps over which the weights are meant to adapt

    Raises
    ------
    ConfigError
        If a parameter is out of range or there are no speeds.
    """

    def __init__(
        self,
        coverage: float,
        scores: FloatArray,
        *,
        gammas: Iterable[float] = (0.001, 0.002, 0.004, 0.008, 0.016, 0.032, 0.064, 0.128),
        window: int | None = None,
        memory: int = 500,
    ) -> None:
        speeds = tuple(gammas)
        _check(coverage, speeds, window)
        self.target = a = 1.0 - coverage
        self._gammas = np.array(speeds)
        self._alphas = np.full(len(speeds), a)
        self._weights = np.full(len(speeds), 1.0 / len(speeds))
        self._scores = _Scores(scores, window)
        self._forget = 1.0 / (2 * memory)
        spread = (1 - a) ** 2 * a**3 + a**2 * (1 - a) ** 3
        self._rate = math.sqrt(3.0 / memory) * math.sqrt((math.log(len(speeds) * memory) + 2.0) / spread)

    @property
    def weights(self) -> FloatArray:
        """Weight of each speed, summing to 1."""
        return self._weights.copy()

    @property
    def alpha(self) -> float:
        """The level in use: the weighted mean of those of all speeds."""
        return float(self._weights @ self._alphas)

    def reach(self) -> float:
        """Return the reach of the next interval; infinite where the level asks for certainty."""
        return self._scores.reach(self.alpha)

    def update(self, score: float) -> None:
        """Take in the score of an outcome that is known now; NaN changes nothing."""
        if math.isnan(score):
            return
        apart = self._scores.largest_level(score) - self._alphas
        losses = self.target * apart - np.minimum(0.0, apart)
        grown = self._weights * np.exp(-self._rate * (losses - losses.min()))
        self._weights = (1.0 - self._forget) * grown / grown.sum() + self._forget / len(self._weights)
        missed = np.array([score > self._scores.reach(float(alpha)) for alpha in self._alphas])
        self._alphas = self._alphas + self._gammas * (self.target - missed)
        self._scores.add(score)


def _check(coverage: float, gammas: tuple[float, ...], window: int | None) -> None:
    if not gammas:
        raise ConfigError("expected at least one speed, received none")
    if not 0.0 < coverage < 1.0 or min(gammas) < 0.0 or (window is not None and window < 1):
        raise ConfigError(
            f"expected a coverage inside (0, 1), speeds of at least 0 and a window of at least 1, "
            f"received {coverage}, {gammas} and {window}"
        )
