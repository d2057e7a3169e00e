"""What needs other instruments, a reference series or the calendar."""

from __future__ import annotations

from foresail.features.expressions import PRICE, Cross, Node, Ref, Series, clock_where
from foresail.features.formulas.common import rolling_pair
from foresail.features.formulas.price import log_return

__all__ = ["beta", "broadcast", "calendar", "market", "rank", "reference", "sector_residual", "series_row"]


def rank(value: Ref | Cross) -> Cross:
    """Mean rank among all instruments of the instant, 0 to 1."""
    return Cross("rank", value)


def sector_residual(value: Ref) -> Cross:
    """Value minus the mean of the instrument's sector."""
    return Cross("sector_residual", value)


def market(value: Ref, kind: str = "market_mean") -> Series:
    """Mean or deviation of a value over all instruments."""
    return Series(kind, value)


def broadcast(series: Series) -> Cross:
    """A number of the instant, given to every instrument that has a bar."""
    return Cross("broadcast", series)


def series_row(series: Series) -> Ref:
    """A series as an input of a lane step."""
    ready = max(series.source.node.ready, 1) if series.source is not None else 1
    return Node("series", series=series, ready=ready).out


def beta(window: int) -> Ref:
    """Slope of the one-bar log return on the mean of all instruments."""
    own, all_of_them = log_return(1), series_row(market(log_return(1)))
    clock = clock_where(PRICE, own, all_of_them)
    return rolling_pair("rolling_beta", own, all_of_them, window, clock)


def reference(name: str, value: Ref) -> Cross:
    """A lane formula computed on a reference series, given to every instrument."""
    return broadcast(Series("reference", value, name))


def calendar(name: str) -> Cross:
    """A number known in advance from the calendar."""
    return broadcast(Series("calendar", None, name))
