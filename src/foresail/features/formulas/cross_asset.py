"""Numbers of several reference series, computed once for all instruments (RGM-07, section 8.12).

Each runs on the clock of one series and reads the others beside it, so it does not depend on which instruments a panel
holds. Correlations are those of log returns (FC-11); a bar counts where both series are known.
"""

from __future__ import annotations

from collections.abc import Sequence

from foresail.features.expressions import CLOSE, PRICE, Cross, Ref, Series, clock_where, node
from foresail.features.formulas.common import subtract
from foresail.features.formulas.cross import broadcast, series_row
from foresail.features.formulas.market import correlation, simple_return
from foresail.features.formulas.price import log_return

__all__ = ["basket_return", "lead_correlation", "level_change", "pair_correlation"]


def _of(name: str, value: Ref) -> Ref:
    return series_row(Series("reference", value, name))


def level_change(lag: int) -> Ref:
    """Close minus the close ``lag`` bars ago."""
    return subtract(CLOSE, node("lag", CLOSE, window=lag, needs=lag + 1, history=lag).out)


def pair_correlation(first: str, second: str, window: int, *, sign: float = 1.0, first_level: bool = False) -> Cross:
    """Correlation of two reference series; ``sign`` -1 takes the inverse of the second, ``first_level`` differences."""
    own = level_change(1) if first_level else log_return(1)
    other = _of(second, log_return(1) if sign > 0.0 else node("scaled", log_return(1), real=-1.0).out)
    return broadcast(Series("reference", correlation(own, other, window), first))


def lead_correlation(leader: str, follower: str, window: int) -> Cross:
    """Correlation of the leader's return one bar before with the follower's."""
    leading = _of(leader, log_return(1))
    clock = clock_where(PRICE, leading)
    before = node("lag", leading, clock=clock, window=1, needs=2, history=1).out
    return broadcast(Series("reference", correlation(log_return(1), before, window), follower))


def basket_return(members: Sequence[tuple[str, float]]) -> Cross:
    """Mean one-bar return of reference series; sign -1 = of the inverse quotation, 1 / (1 + r) - 1."""
    (first, sign), *others = members
    total = _signed(simple_return(1), sign)
    for name, direction in others:
        total = node("combine", total, _of(name, _signed(simple_return(1), direction)), real=1.0).out
    return broadcast(Series("reference", node("scaled", total, real=1.0 / len(members)).out, first))


def _signed(value: Ref, sign: float) -> Ref:
    if sign > 0.0:
        return value
    before = node("lag", CLOSE, window=1, needs=2, history=1).out
    return node("add", node("divide", before, CLOSE, real=float("nan")).out, real=-1.0).out
