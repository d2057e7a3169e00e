"""What joins several time frames (FEAT-32, FEAT-131); ``features.frames`` computes these on rows of one panel."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import FeatureSpec, declare
from foresail.features.formulas.temporal import agreement, direction

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield declare("trend_direction", direction(10, 50), "sign of EMA 10 minus EMA 50 of a frame", "FEAT-32",
                   group="trend", type_="category", parameters=(10, 50))  # fmt: skip
    yield declare("mtf_agreement", agreement(), "sum of the directions of a style's frames, -3 to 3", "FEAT-131",
                   group="trend", type_="category")  # fmt: skip
