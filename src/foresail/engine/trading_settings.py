"""How an account trades what a strategy wants, besides limits: its stops, its sizes, the venue that fills it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.execution.impact import IMPACT_MODELS
from foresail.execution.simulated.settings import VenueSettings
from foresail.portfolio.allocator import SIZINGS

__all__ = ["STOPS", "TradingSettings", "VenueChoice", "trading_of_plain"]

STOPS = ("class", "class_and_target", "none")
_KELLY_PROFILES = frozenset({"low-latency"})  # RISK-01: its risk per trade is a quarter of Kelly (SIZE-05)
_MS = 1_000_000  # ns
_GOOD_FOR = VenueSettings().good_for_bars


@dataclass(frozen=True, slots=True)
class VenueChoice:
    """How the simulated venue fills, as ``[venue]`` says it.

    Attributes
    ----------
    impact : what large orders move the price by: none, square_root, almgren
    volume_share : most of a bar's volume that is filled, fraction; 0 = no cap
    latency_ms : an order acts from the first bar that starts so long after its decision
    latency_bars : and lets so many bars pass besides
    good_for_bars : bars that an order without an end of its own waits; 0 = no bound
    """

    impact: str = "none"
    volume_share: float = 0.0
    latency_ms: float = 0.0
    latency_bars: int = 0
    good_for_bars: int = _GOOD_FOR

    def __post_init__(self) -> None:
        if self.impact not in ("none", *IMPACT_MODELS):
            raise UnknownNameError("impact", self.impact, ("none", *IMPACT_MODELS))
        if not (math.isfinite(self.latency_ms) and self.latency_ms >= 0.0):
            raise ConfigError(f"expected latency_ms >= 0, received {self.latency_ms}")
        if not 0.0 <= self.volume_share <= 1.0:
            raise ConfigError(f"expected volume_share from 0 (no cap) to 1, received {self.volume_share}")
        self.settings(close_only=False, allow_short=False)

    def settings(self, *, close_only: bool, allow_short: bool) -> VenueSettings:
        """Return what the venue is told.

        Parameters
        ----------
        close_only : the bars are single prints at the close
        allow_short : a sale may open a position
        """
        return VenueSettings(
            close_only=close_only,
            allow_short=allow_short,
            volume_share=self.volume_share or None,
            latency_ns=round(self.latency_ms * _MS),
            latency_bars=self.latency_bars,
            good_for_bars=self.good_for_bars,
        )


@dataclass(frozen=True, slots=True)
class TradingSettings:
    """How an account trades.

    Attributes
    ----------
    stops : what becomes of a position without a stop where a profile's limits hold (EXIT-01): "class" hangs the stop of
        its price tier or class on it, "class_and_target" a target of twice that distance besides, "none" leaves it
    sizing : what limits the size of a signal (``portfolio.allocator``): "risk", "atr" or "kelly"; "" = as the profile
        says, a quarter of Kelly under ``low-latency``, else risk
    """

    stops: str = "class"
    sizing: str = ""
    venue: VenueChoice = field(default_factory=VenueChoice)

    def __post_init__(self) -> None:
        if self.stops not in STOPS:
            raise UnknownNameError("stops", self.stops, STOPS)
        if self.sizing and self.sizing not in SIZINGS:
            raise UnknownNameError("sizing", self.sizing, SIZINGS)

    def sizing_of(self, profile: str) -> str:
        """Return how signals are sized under a profile: as chosen, else as the profile says."""
        return self.sizing or ("kelly" if profile in _KELLY_PROFILES else "risk")


def trading_of_plain(plain: Mapping[str, Any]) -> TradingSettings:
    """Return settings as a record keeps them; what it does not name is as it was before it could be chosen."""
    return TradingSettings(**{**plain, "venue": VenueChoice(**plain.get("venue", {}))})
