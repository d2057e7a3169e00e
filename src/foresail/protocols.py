"""The interfaces of the platform, in one file: its table of contents.

Attributes are read-only properties, so that frozen dataclasses and narrower types fit. Interfaces enter with their
first implementation.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Protocol, Self, runtime_checkable

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.accounts import Account
from foresail.domain.bars import BarSet, BarTable
from foresail.domain.effects import ReplaceSend
from foresail.domain.events import VenueReport
from foresail.domain.forecast import Forecast
from foresail.domain.orders import Order, Ruling
from foresail.domain.panel import Panel
from foresail.domain.quality import QualityReport
from foresail.domain.signals import Intent, Signal, TargetWeights
from foresail.domain.training import FitReport, ForecasterSpec, TrainingSet

__all__ = [
    "Allocator",
    "EntryWriter",
    "ExplainingForecaster",
    "Forecaster",
    "MarketStore",
    "MarketView",
    "Progress",
    "RiskRule",
    "RiskView",
    "Strategy",
    "StrategySpec",
    "TradingRiskView",
    "VenueLink",
]

Progress = Callable[[str, int, int], None]  # stage, steps done, steps in all


class MarketStore(Protocol):
    """Bars, point in time: no read without saying when you stand."""

    def append(self, bars: BarTable, bar_set: BarSet, *, recorded_at: datetime) -> QualityReport:
        """Check and store bars; revisions are kept, nothing is overwritten."""
        ...

    def read(self, name: str, *, known_at: datetime, instruments: Sequence[InstrumentId] | None = None) -> Panel:
        """Return the bars of a set as they were known (``available_at`` and ``recorded_at``) at an instant."""
        ...


class Forecaster(Protocol):
    """Quantiles of log returns from features."""

    @property
    def spec(self) -> ForecasterSpec:
        """Inputs, targets, horizons, levels."""
        ...

    def fit(self, data: TrainingSet, *, seed: int) -> FitReport:
        """Learn from the training rows; validation rows may stop it early; calibration rows may only calibrate it."""
        ...

    def predict(self, features: Panel, rows: IntArray, scale: FloatArray) -> FloatArray:
        """Return (R, K, H, Q) log-return quantiles for (instrument, time) rows; ``scale`` is (N, T) as in training."""
        ...

    def save(self, folder: Path) -> None:
        """Write the fitted model as text and JSON; never pickle."""
        ...

    @classmethod
    def load(cls, folder: Path) -> Self:
        """Read a model that ``save`` wrote."""
        ...


@runtime_checkable
class ExplainingForecaster(Protocol):
    """A forecaster that can say which features moved a forecast."""

    def explain(self, features: Panel, rows: IntArray, horizon: int) -> FloatArray:
        """Return (R, F) contributions to the expected log return, in units of ``scale * sqrt(horizon)``."""
        ...


class MarketView(Protocol):
    """What a strategy sees: the past, as it was known. Asking for more raises LookAheadError."""

    @property
    def now(self) -> int:
        """Decision time, ns UTC."""
        ...

    @property
    def cause(self) -> str:
        """Name of the timer that asks."""
        ...

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """Instruments with a bar at this decision and listed now."""
        ...

    def bars(self, frame: str, n: int) -> Panel:
        """Return the last ``n`` closed bars."""
        ...

    def value(self, instrument: InstrumentId, field: str, back: int = 0) -> float:
        """Return one number of the bar that closed ``back`` bars before the newest, NaN where there is none."""
        ...

    def features(self) -> Panel:
        """Return the newest feature row of every instrument, (N, 1, F)."""
        ...

    def forecast(self) -> Forecast | None:
        """Return the newest forecast, None while no model is fitted."""
        ...

    def facts(self, kind: str) -> float:
        """Return the newest value of a reference series, NaN where none is known."""
        ...

    def account(self) -> Account:
        """Return cash, equity and positions at the last close."""
        ...


class StrategySpec(Protocol):
    """What a strategy declares."""

    @property
    def id(self) -> str:
        """``namespace/name@version``."""
        ...

    @property
    def every(self) -> int:
        """Decide every so many bars, counted from the first bar of the set."""
        ...

    @property
    def critical_inputs(self) -> tuple[str, ...]:
        """Inputs without which the strategy is disabled, with the reason."""
        ...


class Strategy(Protocol):
    """A step: an as-of view in, intents out; all memory in ``state``."""

    @property
    def spec(self) -> StrategySpec:
        """What it is and what it needs."""
        ...

    def start(self) -> Any:
        """Return the state before the first step."""
        ...

    def step(self, state: Any, view: MarketView) -> Sequence[Intent]:
        """Return intents; may change ``state``."""
        ...


class Allocator(Protocol):
    """Ranked signals to target weights, within limits."""

    def allocate(self, signals: Sequence[Signal], view: MarketView) -> TargetWeights:
        """Return fractions of equity with stops and targets, every cap noted."""
        ...


class RiskView(Protocol):
    """What a risk rule may look at."""

    @property
    def account(self) -> Account:
        """Cash, equity, positions."""
        ...

    def price(self, instrument: InstrumentId) -> float:
        """Return the last close, NaN if none is known (which refuses)."""
        ...

    def sector(self, instrument: InstrumentId) -> str:
        """Return the sector used for caps."""
        ...


class TradingRiskView(RiskView, Protocol):
    """What the rules of an account that trades may look at besides."""

    @property
    def now(self) -> int:
        """Instant of the decision, ns UTC."""
        ...

    @property
    def state(self) -> Any:
        """The fold that breakers and caps read (``risk.state.RiskState``); None refuses."""
        ...

    def price_age(self, instrument: InstrumentId) -> int:
        """Return ns since the last price was made."""
        ...

    def open_orders(self) -> Sequence[tuple[Order, Decimal]]:
        """Return open and unknown orders with the units that may still trade, levels in the account's currency."""
        ...

    def reserved(self, instrument: InstrumentId) -> tuple[Decimal, Decimal]:
        """Return units that open and unknown orders may still buy and sell."""
        ...

    def blocked(self, instrument: InstrumentId) -> str:
        """Return why an instrument may not be traded, empty where it may."""
        ...

    def fact(self, name: str) -> float:
        """Return the newest value of a fact (vix, beta:ID, clock_offset_ms ...), NaN where none is known."""
        ...

    def spread(self, instrument: InstrumentId) -> float:
        """Return ask less bid, price units, NaN where it is not measured."""
        ...

    def average_volume(self, instrument: InstrumentId) -> float:
        """Return the average daily volume in units, NaN where it is not measured."""
        ...

    def daily_returns(self, instruments: Sequence[InstrumentId]) -> FloatArray | None:
        """Return (N, T) simple returns of the last days, NaN where missing; None where no history is kept."""
        ...

    def largest_moves(self, instruments: Sequence[InstrumentId], days: int) -> FloatArray | None:
        """Return (N,) at least the largest absolute of the ``daily_returns``; None below so many days, or if unknown.

        A limit on losses that holds even if all of them came together needs no look at the days one by one.
        """
        ...


class RiskRule(Protocol):
    """May only shrink or refuse; the gate takes the strictest ruling."""

    @property
    def name(self) -> str:
        """Requirement id and row, for example RISK-01 max position."""
        ...

    def review(self, order: Order, view: RiskView) -> Ruling:
        """Return what this rule allows."""
        ...


class EntryWriter(Protocol):
    """Where the core writes what happened: a journal in memory, or the one on disk."""

    @property
    def next_sequence(self) -> int:
        """The sequence number that the next entry must carry."""
        ...

    def append(self, entry: Any) -> None:
        """Add an entry of the journal (``ledger.entries``)."""
        ...


class VenueLink(Protocol):
    """One venue as the shell sees it. No call says what became of an order; ``take_reports`` does, maybe never."""

    @property
    def name(self) -> str:
        """Name of the venue and environment."""
        ...

    def send(self, order: Order) -> None:
        """Send an order under its own id; sending an id twice never makes two orders."""
        ...

    def cancel(self, order_id: OrderId, instrument: InstrumentId) -> None:
        """Ask for an order to be taken back."""
        ...

    def replace(self, change: ReplaceSend) -> None:
        """Ask for an order to be changed."""
        ...

    def ask(self, order_id: OrderId, instrument: InstrumentId) -> None:
        """Ask what the venue knows of an order.

        ``ABSENT`` is told only as a proof: nothing that was sent under the id, before the question or after it, can
        still arrive. A late answer to a question from before another sending is ``NO_ANSWER``.
        """
        ...

    def take_reports(self) -> Sequence[VenueReport]:
        """Return and forget what the venue has told since the last call, in its order."""
        ...
