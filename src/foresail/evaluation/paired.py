"""Whether one forecast is better than another on the same rows: the test before the word (EVAL-08).

1. The loss difference of each row; rows without both forecasts and an outcome are in neither mean.
2. Forecasts of one issue time share their market, and overlapping horizons share bars: rows are summed by issue time,
   and issue times that share bars are one cluster. Instruments are never counted as independent.
3. Three looks at the mean difference: Diebold-Mariano with HAC variance, a day-clustered interval, a block bootstrap.
4. *better* or *worse* only where all three agree; otherwise *cannot tell*, with the improvement that this much data
   could have shown.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike
from scipy.special import ndtri, stdtrit

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError
from foresail.domain.runs import Interval
from foresail.measures.bootstrap import BootstrapSettings, day_clustered_standard_error, mean_interval
from foresail.measures.comparisons import diebold_mariano

__all__ = [
    "BETTER",
    "CANNOT_TELL",
    "FEWEST_CLUSTERS",
    "WORSE",
    "PairedSettings",
    "PairedTest",
    "clusters_of",
    "compare_losses",
    "detectable",
    "relative_interval",
]

BETTER, WORSE, CANNOT_TELL = "better", "worse", "cannot tell"
FEWEST_CLUSTERS = 20  # independent stretches below which no test is made
_ALPHA = 0.05
_Z_TWO_SIDED, _Z_POWER = float(ndtri(0.975)), float(ndtri(0.80))
_NAN = float("nan")
_NO_INTERVAL = Interval(_NAN, _NAN, _NAN)


@dataclass(frozen=True, slots=True)
class PairedSettings:
    """How rows depend on one another.

    Attributes
    ----------
    overlap : issue times in a row whose outcomes share bars; 1 = none
    seed : of the bootstrap
    """

    overlap: int = 1
    seed: int = 0


@dataclass(frozen=True, slots=True)
class PairedTest:
    """One forecast against another on the same rows; improvements are ``1 - loss / other_loss``, fractions.

    Attributes
    ----------
    other : name of the other forecast
    horizon : bars; 0 = all horizons together
    rows, days, clusters : pairs, issue times, and independent stretches of them
    loss, other_loss : means over the same rows
    improvement : with its day-clustered 95 % interval
    bootstrap : the same with a block-bootstrap interval
    statistic, p_value : Diebold-Mariano on sums by issue time, negative = better; NaN where too short
    detectable : smallest improvement that these rows show with 80 % power at 95 % confidence
    word : better, worse or cannot tell
    """

    other: str
    horizon: int
    rows: int
    days: int
    clusters: int
    loss: float
    other_loss: float
    improvement: Interval
    bootstrap: Interval
    statistic: float
    p_value: float
    detectable: float
    word: str

    @property
    def text(self) -> str:
        """One plain sentence."""
        if not math.isfinite(self.improvement.low):
            return f"Cannot tell from {self.other}: {self.days} issue times are too few to test."
        size = f"{100 * abs(self.improvement.value):.1f} %"
        sense = "below" if self.improvement.value >= 0 else "above"
        low, high = _percent(self.improvement.low), _percent(self.improvement.high)
        between = f"95 % interval of the improvement {low} to {high}"
        seen = f"an improvement of {100 * self.detectable:.1f} % could have been seen"
        word = {BETTER: "Better than", WORSE: "Worse than"}.get(self.word, "Cannot tell from")
        return f"{word} {self.other}: its loss is {size} {sense}, {between}; {seen}."


def _percent(value: float) -> str:
    return f"{100 * value:+.1f} %"


def clusters_of(issued_at: IntArray, *, overlap: int) -> IntArray:
    """Return the independent stretch of each row, (M,): the place of its issue time among all, over ``overlap``.

    Parameters
    ----------
    issued_at : (M,), any integers that order the issue times
    """
    _, place = np.unique(issued_at, return_inverse=True)
    result: IntArray = place.astype(np.int64) // max(1, overlap)
    return result


def compare_losses(
    loss: ArrayLike,
    other: ArrayLike,
    issued_at: IntArray,
    *,
    name: str,
    horizon: int = 0,
    settings: PairedSettings | None = None,
) -> PairedTest:
    """Return the paired test of two forecasts.

    Parameters
    ----------
    loss, other : (M,), loss of each forecast on each row, lower is better; NaN = absent
    issued_at : (M,), issue time of each row
    name : of the other forecast
    horizon : bars, for the record; 0 = several

    Raises
    ------
    DataError
        If the lengths differ or no row has both losses.
    """
    settings = settings or PairedSettings()
    ours, theirs = np.asarray(loss, dtype=np.float64), np.asarray(other, dtype=np.float64)
    if not len(ours) == len(theirs) == len(issued_at):
        raise DataError(f"expected losses and issue times of one length, received {len(ours)}, {len(theirs)}")
    known = np.isfinite(ours) & np.isfinite(theirs)
    if not known.any():
        raise DataError(f"no row has both the forecast and {name}", hint="forecast the same instruments and times")
    ours, theirs, times = ours[known], theirs[known], np.asarray(issued_at)[known]
    gain = theirs - ours
    names, place = np.unique(times, return_inverse=True)
    cluster = place // max(1, settings.overlap)
    days, clusters = len(names), int(cluster.max()) + 1
    base = float(theirs.mean())
    found = PairedTest(
        other=name,
        horizon=horizon,
        rows=len(ours),
        days=days,
        clusters=clusters,
        loss=float(ours.mean()),
        other_loss=base,
        improvement=Interval(float(gain.mean()) / base if base > 0.0 else _NAN, _NAN, _NAN),
        bootstrap=_NO_INTERVAL,
        statistic=_NAN,
        p_value=_NAN,
        detectable=_NAN,
        word=CANNOT_TELL,
    )
    if clusters < FEWEST_CLUSTERS or base <= 0.0:
        return found
    return _tested(found, gain, place, cluster, settings)


def _tested(
    found: PairedTest, gain: FloatArray, place: IntArray, cluster: IntArray, settings: PairedSettings
) -> PairedTest:
    base, days = found.other_loss, found.days
    daily = np.bincount(place, weights=gain, minlength=days) * (days / len(gain))  # its mean is the mean over rows
    overlap = min(settings.overlap, days // 2)
    test = diebold_mariano(-daily, np.zeros(days), horizon=max(1, overlap))
    clustered = relative_interval(gain, cluster, base)
    boot = mean_interval(daily, BootstrapSettings(minimum_block=max(1, overlap), seed=settings.seed))
    bootstrap = Interval(boot.value / base, boot.low / base, boot.high / base)
    word = CANNOT_TELL
    if test.p_value < _ALPHA:  # NaN is not
        if clustered.low > 0.0 and bootstrap.low > 0.0:
            word = BETTER
        elif clustered.high < 0.0 and bootstrap.high < 0.0:
            word = WORSE
    return PairedTest(
        found.other,
        found.horizon,
        found.rows,
        days,
        found.clusters,
        found.loss,
        base,
        clustered,
        bootstrap,
        test.statistic,
        test.p_value,
        detectable([clustered, bootstrap]),
        word,
    )


def relative_interval(gain: FloatArray, cluster: IntArray, base: float) -> Interval:
    """Return the mean gain over ``base`` with its clustered 95 % interval; no interval below two clusters.

    Parameters
    ----------
    gain : (M,), other loss less own loss
    cluster : (M,), see ``clusters_of``
    base : mean loss of the other forecast, > 0
    """
    value = float(gain.mean()) / base
    count = len(np.unique(cluster))
    if count < 2:
        return Interval(value, _NAN, _NAN)
    reach = float(stdtrit(count - 1.0, 0.975)) * day_clustered_standard_error(gain, cluster) / base
    return Interval(value, value - reach, value + reach)


def detectable(intervals: Sequence[Interval]) -> float:
    """Return the smallest effect seen with 80 % power at 95 % confidence, by the widest of some 95 % intervals."""
    widths = [(one.high - one.low) / 2.0 for one in intervals if math.isfinite(one.low) and math.isfinite(one.high)]
    return max(widths) / _Z_TWO_SIDED * (_Z_TWO_SIDED + _Z_POWER) if widths else _NAN
