"""Returns, gaps, places within a bar (section 8.1)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.price import log_return, momentum

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
