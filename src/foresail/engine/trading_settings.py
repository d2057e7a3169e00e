"""How an account trades what a strategy wants, besides limits: its stops, its sizes, the venue that fills it."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, fields, replace
from decimal import Decimal
from typing import Any

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.impact import IMPACT_MODELS
from foresail.execution.simulated.settings import VenueSettings
from foresail.portfolio.allocator import EXIT_TARGETS, SIZINGS

__all__ = ["COST_MODELS", "STOPS", "CostChoice", "ExitChoice", "TradingSettings", "VenueChoice", "trading_of_plain"]

STOPS = ("class", "class_and_target", "none")
COST_MODELS = ("class", "flat")
_KELLY_PROFILES = frozenset({"low-latency"})  # RISK-01: its risk per trade is a quarter of Kelly (SIZE-05)
_MS = 1_000_000  # ns
_GOOD_FOR = VenueSettings().good_for_bars
_HOLDING = frozenset(
    {"borrow_per_year", "funding_per_8h", "transfer_fraction", "factor"}
)  # what costs apart from trades
_COST_FIELDS = {  # key of [costs] -> field of the cost model's settings
    "commission": "commission_fraction",
    "maker": "maker_fraction",
    "per_unit": "commission_per_unit",
    "minimum": "commission_minimum",
    "slippage": "slippage_fraction",
    "half_spread": "half_spread_fraction",
    "major_pips": "major_pips",
    "cross_pips": "cross_pips",
    "exotic_pips": "exotic_pips",
    "spread_legs": "spread_legs",
    "borrow_per_year": "borrow_per_year",
    "funding_per_8h": "funding_per_8h",
    "transfer": "transfer_fraction",
    "factor": "factor",
}


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
class ExitChoice:
    """Where positions are left, as ``[exits]`` says it.

    Attributes
    ----------
    target : the target of a signal (RC-13): "signal", its own, else a reward of twice the risk; "ratio", the latter
        always; "none"; "" = "signal" for strategies of one's own, "ratio" for the built-in one
    may_exceed : whether a strategy's own stop may lie beyond the maximum of its tier or class (EXIT-02); a strategy
        says so for itself with ``stops_may_exceed`` in its spec
    trailing : whether stops follow the best price at three average true ranges (EXIT-05); a strategy says so for
        itself with ``trailing`` in its spec
    ladder : whether crypto is sold by thirds, at +10 %, +20 % and behind a trail (EXIT-06); an order may ask for itself
    """

    target: str = ""
    may_exceed: bool = False
    trailing: bool = False
    ladder: bool = False

    def __post_init__(self) -> None:
        if self.target and self.target not in EXIT_TARGETS:
            raise UnknownNameError("target in [exits]", self.target, EXIT_TARGETS)

    def target_of(self, *, is_given: bool) -> str:
        """Return which target signals get: of a strategy of one's own (given), or of the built-in one."""
        return self.target or ("signal" if is_given else "ratio")


@dataclass(frozen=True, slots=True)
class CostChoice:
    """What trading costs, as ``[costs]`` says it; None = as the table of the asset class has it (COST-01 to 03).

    Attributes
    ----------
    model : "class", that table; "flat", one fraction of value a round trip and nothing besides (COST-04, RC-14)
    round_trip : of ``flat``, fraction of value
    commission, maker, per_unit, minimum : of a fill: fraction of value, of an order that rested, money a unit, money
    slippage, half_spread : against an order that takes liquidity, fraction of price and side
    major_pips, cross_pips, exotic_pips : forex spread, ask less bid
    spread_legs : forex spreads paid in a round trip, 2 or 1 (COST-06)
    borrow_per_year, funding_per_8h : of what is held, where no series is known (COST-10)
    transfer : of money that is withdrawn, the network's fee (COST-02a)
    factor : multiplies all of it
    multiple : round-trip costs that an expected move must exceed (COST-08); None = 1 for the built-in strategy, and
        signals of one's own are not asked
    """

    model: str = "class"
    round_trip: float = 0.0005
    commission: float | None = None
    maker: float | None = None
    per_unit: float | None = None
    minimum: float | None = None
    slippage: float | None = None
    half_spread: float | None = None
    major_pips: float | None = None
    cross_pips: float | None = None
    exotic_pips: float | None = None
    spread_legs: int | None = None
    borrow_per_year: float | None = None
    funding_per_8h: float | None = None
    transfer: float | None = None
    factor: float | None = None
    multiple: float | None = None

    def __post_init__(self) -> None:
        if self.model not in COST_MODELS:
            raise UnknownNameError("model in [costs]", self.model, COST_MODELS)
        for one in fields(self):
            value = getattr(self, one.name)
            if isinstance(value, int | float) and not (math.isfinite(value) and value >= 0.0):
                raise ConfigError(f"[costs] {one.name}: expected a finite number of at least 0, received {value}")
        if self.model == "flat" and self._edits():
            raise ConfigError(
                f"[costs] {', '.join(self._edits())}: the flat model takes round_trip and nothing besides",
                hint='leave them out, or set model = "class"',
            )

    def applied(self, costs: CostSettings) -> CostSettings:
        """Return the costs of an asset class as the settings change them."""
        if self.model == "flat":
            flat = CostModel.flat(costs.asset_class, Decimal(repr(self.round_trip))).settings
            flat = replace(flat, price_basis=costs.price_basis, currency=costs.currency, impact=costs.impact)
            return replace(flat, **{key: value for key, value in self._values().items() if key in _HOLDING})
        return replace(costs, **self._values()) if self._values() else costs

    def _edits(self) -> list[str]:
        """Return the keys of what a trade costs that are set."""
        return [key for key, name in _COST_FIELDS.items() if name not in _HOLDING and getattr(self, key) is not None]

    def _values(self) -> dict[str, Any]:
        told = {name: getattr(self, key) for key, name in _COST_FIELDS.items()}
        return {
            name: value if name == "spread_legs" else Decimal(repr(value))
            for name, value in told.items()
            if value is not None
        }


@dataclass(frozen=True, slots=True)
class TradingSettings:
    """How an account trades.

    Attributes
    ----------
    stops : what becomes of a position without a stop where a profile's limits hold (EXIT-01): "class" hangs the stop of
        its price tier or class on it, "class_and_target" a target of twice that distance besides, "none" leaves it
    sizing : what limits the size of a signal (``portfolio.allocator``): "risk", "atr" or "kelly"; "" = as the profile
        says, a quarter of Kelly under ``low-latency``, else risk
    volatility_target : annualised, fraction; a more volatile name gets proportionally less (SIZE-07); 0 = off
    may_lever : whether a calmer name gets proportionally more
    """

    stops: str = "class"
    sizing: str = ""
    volatility_target: float = 0.15
    may_lever: bool = False
    venue: VenueChoice = field(default_factory=VenueChoice)
    exits: ExitChoice = field(default_factory=ExitChoice)
    costs: CostChoice = field(default_factory=CostChoice)

    def __post_init__(self) -> None:
        if self.stops not in STOPS:
            raise UnknownNameError("stops", self.stops, STOPS)
        if self.sizing and self.sizing not in SIZINGS:
            raise UnknownNameError("sizing", self.sizing, SIZINGS)
        if not (math.isfinite(self.volatility_target) and self.volatility_target >= 0.0):
            raise ConfigError(f"expected volatility_target >= 0 (0 = off), received {self.volatility_target}")

    def sizing_of(self, profile: str) -> str:
        """Return how signals are sized under a profile: as chosen, else as the profile says."""
        return self.sizing or ("kelly" if profile in _KELLY_PROFILES else "risk")


def trading_of_plain(plain: Mapping[str, Any]) -> TradingSettings:
    """Return settings as a record keeps them; what it does not name is as it was before it could be chosen."""
    venue, exits = VenueChoice(**plain.get("venue", {})), ExitChoice(**plain.get("exits", {"target": "ratio"}))
    costs = CostChoice(**plain.get("costs", {}))
    return TradingSettings(**{**plain, "venue": venue, "exits": exits, "costs": costs})
