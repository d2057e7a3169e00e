"""Data link, broker link and clock (RISK-31): silence for longer than a minute, or a wrong clock, blocks openings.

The shell tells the facts ``data_link_silence_s``, ``broker_link_silence_s`` and ``clock_offset_ms``.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from foresail.domain.limits import MarketLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import allow, refuse
from foresail.risk.projected import Projected

__all__ = ["Links"]


@dataclass(frozen=True, slots=True)
class Links:
    """Refuses openings while a link is silent or the clock is off; where ``needs_links``, not knowing refuses too."""

    limits: MarketLimits
    name: str = "RISK-31 links and clock"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing where a link or the clock is out of bounds."""
        checks = (
            ("data_link_silence_s", self.limits.max_link_silence_s, "s of silence on the data link"),
            ("broker_link_silence_s", self.limits.max_link_silence_s, "s of silence on the broker link"),
            ("clock_offset_ms", self.limits.max_clock_offset_ms, "ms of clock offset"),
        )
        for fact, most, words in checks:
            if most is None:
                continue
            value = view.fact(fact)
            if math.isnan(value) and not self.limits.needs_links:
                continue
            if not abs(value) <= most:
                return refuse(self.name, f"{value:g} {words}, {most:g} are allowed")
        return allow(self.name, order)
