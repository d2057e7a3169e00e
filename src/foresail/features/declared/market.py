"""Reference series of the market (section 8.10) and the weekday."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.cross import calendar, reference
from foresail.features.formulas.price import log_return
from foresail.features.formulas.statistical import zscore

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield declare("vix_zscore_250", reference("vix", zscore(250)), "VIX in deviations from its 250-bar mean",
                   "FEAT-271", group="market", type_="index", parameters=(250,))  # fmt: skip
    for name, lags in (("vix", (1, 5)), ("sp500", (5, 20)), ("nasdaq", (5, 20)), ("oil", (20,))):
        for lag in lags:
            yield declare(f"{name}_change_{lag}", reference(name, log_return(lag)),
                           f"log change of {name} over {lag} bars", "FEAT-272" if name == "vix" else "FEAT-275",
                           group="market", type_="index", parameters=(lag,))  # fmt: skip
    for name in ("day_sin", "day_cos", "hour_sin", "hour_cos"):
        what = "weekday" if name.startswith("day") else "hour of the day"
        yield declare(name, calendar(name), f"{what} on a circle", "FEAT-24", group="temporal", type_="cyclic")
