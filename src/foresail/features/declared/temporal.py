"""The clock and the calendar of a bar (section 8.7), known for future bars too."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import ALL, FeatureSpec, declare
from foresail.features.formulas.cross import calendar
from foresail.features.formulas.given import known

__all__ = ["declared"]

_PARTS = (
    ("hour", "hour of the bar's start, 0 to 23", ("hour_of_day",)),
    ("day_of_week", "weekday of the bar, Monday is 0", ()),
    ("day_of_month", "day of the month, from 1", ()),
    ("month", "month, from 1", ()),
    ("quarter", "quarter, from 1", ()),
)


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    for name in ("day_sin", "day_cos", "hour_sin", "hour_cos"):
        what = "weekday" if name.startswith("day") else "hour of the day"
        yield declare(name, calendar(name), f"{what} on a circle", "FEAT-24", group="temporal", type_="cyclic")
    for name, what, aliases in _PARTS:
        yield declare(name, calendar(name), what, "FEAT-221", group="temporal", type_="category", aliases=aliases)
    for name in ("is_monday", "is_friday"):
        yield declare(name, calendar(name), f"1 on a {name[3:].capitalize()}, else 0", "FEAT-226",
                       group="temporal", type_="flag")  # fmt: skip
    yield declare("time_of_day", calendar("time_of_day"), "share of the session that has passed at the bar's start",
                   "FEAT-224", group="temporal", classes=ALL)  # fmt: skip
    yield declare("minutes_from_open", calendar("minutes_from_open"), "minutes from the session's open to the bar",
                   "FEAT-227", group="temporal", classes=(AssetClass.STOCK,))  # fmt: skip
    index = declare("relative_time_idx", known("relative_time_idx"), "bars from the forecast start, 1 for the first "
                    "bar to come; the window of a forecaster counts it", "FEAT-225", group="temporal")  # fmt: skip
    yield replace(index, known_in_advance=True)
