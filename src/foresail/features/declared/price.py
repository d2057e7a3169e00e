"""Returns, gaps, places within a bar (section 8.1)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import WITH_TICKS, FeatureSpec, declare
from foresail.features.expressions import CLOSE, HIGH, LOW, OPEN, VOLUME
from foresail.features.formulas.days import gap_direction, gap_share
from foresail.features.formulas.price import (
    acceleration,
    change,
    log_return,
    momentum,
    velocity,
)
from foresail.features.formulas.trend import price_to_sma

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    for lag in (1, 2, 5, 10, 20, 60, 120, 250):
        yield declare(
            f"log_return_{lag}",
            log_return(lag),
            f"log return over {lag} bars",
            "FEAT-104" if lag == 1 else "FEAT-103",
            group="price",
            type_="percentage",
            aliases=(f"ret_{lag}",) + (("log_return", "log_returns") if lag == 1 else ()),
            parameters=(lag,),
            critical=lag == 1,
        )
    yield declare(
        "momentum_12_1",
        momentum(),
        "log return from 252 to 21 bars ago",
        "FEAT-111",
        group="price",
        type_="percentage",
        parameters=(252, 21),
    )
    yield from _display()


def _display() -> Iterable[FeatureSpec]:
    """Return the bar itself and what the sources state in prices and percent."""
    for name, value in (("open", OPEN), ("high", HIGH), ("low", LOW), ("close", CLOSE)):
        yield declare(name, value, f"{name} of the bar, forward adjusted", "FEAT-101", group="price", type_="price",
                       scale="price", critical=name == "close",
                       model=log_return(1) if name == "close" else None)  # fmt: skip
    yield declare("volume", VOLUME, "units traded, in units of the first bar; of forex ticks", "FEAT-102",
                   group="volume", type_="volume", scale="volume", classes=WITH_TICKS, critical=True)  # fmt: skip
    for lag in (1, 5, 20, 60):
        yield declare(f"return_{lag}", change(lag), f"simple return over {lag} bars", "FEAT-103", group="price",
                       type_="percentage", parameters=(lag,), display_factor=100.0)  # fmt: skip
    yield declare("price_momentum", price_to_sma(20), "close over its mean of 20 bars, minus 1", "FEAT-105",
                   group="price", parameters=(20,))  # fmt: skip
    yield declare("price_velocity", velocity(5), "mean change of the close a bar, 5 bars", "FEAT-106", group="price",
                   scale="price_change", parameters=(5,))  # fmt: skip
    yield declare("price_acceleration", acceleration(5), "change of the velocity", "FEAT-107", group="price",
                   scale="price_change", parameters=(5,))  # fmt: skip
    classes = (AssetClass.STOCK, AssetClass.FOREX)
    yield declare("gap_percent", gap_share(), "open of the session (forex: of the week) over the close before it, "
                   "minus 1; before the open the price so far", "FEAT-109", group="price", type_="percentage",
                   classes=classes, display_factor=100.0)  # fmt: skip
    yield declare("gap_direction", gap_direction(), "1 for a gap up, -1 for a gap down, 0 for none", "FEAT-110",
                   group="price", type_="flag", classes=classes)  # fmt: skip
