"""What a run of the main job is asked to do, resolved and frozen; ``service.settings`` reads it from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any

__all__ = ["InputSettings", "MarketData", "PipelineSettings", "WalkForwardSettings"]

from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet
from foresail.domain.facts import FactTable
from foresail.domain.panel import Panel
from foresail.domain.universe import Universe
from foresail.engine.strategy_choices import StrategyChoices
from foresail.engine.trading_settings import TradingSettings


@dataclass(frozen=True, slots=True)
class WalkForwardSettings:
    """How models are refitted through time; all counts are bars of the panel.

    Attributes
    ----------
    train_bars : longest training window before a refit
    minimum_train_bars : bars needed before the first fit
    refit_bars : bars that one model serves
    validation_share, calibration_share : newest parts of the window, for early stopping and for conformal scores
    conformal_window : issue times whose resolved forecasts keep the intervals calibrated
    """

    train_bars: int = 1260
    minimum_train_bars: int = 504
    refit_bars: int = 252
    validation_share: float = 0.15
    calibration_share: float = 0.15
    conformal_window: int = 250


@dataclass(frozen=True, slots=True)
class InputSettings:
    """How features become the inputs of a model. What is learned here is learned on the training rows of each fold.

    Attributes
    ----------
    selection : method of ``features.selection``; "" = as the sets say: 50 features of ``multi``, all of the others
    keep : features that a selection keeps
    without : groups of features left out whole: "sentiment", "order_flow" or a group of the catalogue (SEL-11)
    normalise : "none", or how each instrument is scaled by its own numbers: "standard" or "min_max" (NORM-01)
    row_weights : how much training rows count: "none", "recency", "uniqueness" or "recency+uniqueness" (TRAIN-07)
    """

    selection: str = ""
    keep: int = 50
    without: tuple[str, ...] = ()
    normalise: str = "none"
    row_weights: str = "none"


@dataclass(frozen=True, slots=True)
class PipelineSettings:
    """Everything that decides the outcome of a run apart from its data.

    Attributes
    ----------
    horizons : bars ahead that are forecast
    decision_horizon : the one that is traded; decisions are taken every so many bars
    targets : of close, high, low; empty means all that the data have
    forecaster_options : (name, value) of the forecaster's own settings; empty means its defaults
    features : sets and names; empty means the default set, as far as the data allow
    inputs : what becomes of the features before a model sees them
    calibration : how intervals are corrected by outcomes: "online", "adaptive" or "none"
    strategy : "rank_expected_return" or the id of a plug-in
    capital : money at the first decision, in ``currency``
    top_k : names held; 0 means max(3, min(20, a fifth of the names))
    cost_gate : whether an expected move must exceed the round-trip cost
    delisting_return : simple return from the last print to what a holder gets when a listing ends, fraction
    fees : dated regulatory fees beside the recorded ones (``execution.dated_fees``)
    limits : (name, value) of limits that differ from the profile's (``risk.editing``); None = off
    trading : stops, sizes and venue
    strategies : (id, caps) of single strategies of an account (RISK-09)
    beside : forecasters that the report compares this one with on the same rows; they decide nothing (BASE-09)
    """

    horizons: tuple[int, ...] = (1, 5)
    decision_horizon: int = 5
    targets: tuple[str, ...] = ()
    walk_forward: WalkForwardSettings = field(default_factory=WalkForwardSettings)
    features: tuple[str, ...] = ()
    inputs: InputSettings = field(default_factory=InputSettings)
    forecaster: str = "quantile_trees"
    forecaster_options: tuple[tuple[str, bool | int | float | str], ...] = ()
    calibration: str = "online"
    strategy: str = "rank_expected_return"
    profile: str = "multi-asset"
    capital: Decimal = Decimal(100_000)
    currency: str = "USD"
    top_k: int = 0
    cost_gate: bool = True
    delisting_return: float = 0.0
    fees: tuple[tuple[str, str, str, str], ...] = ()
    limits: tuple[tuple[str, Any], ...] = ()
    trading: TradingSettings = field(default_factory=TradingSettings)
    strategies: StrategyChoices = ()
    beside: tuple[str, ...] = ()
    seed: int = 7


@dataclass(frozen=True, slots=True, eq=False)
class MarketData:
    """Input of a run.

    Attributes
    ----------
    bars : (N, T, F) panel as the store gave it
    reference : name -> (available_at ns, value), each ascending in time; joined as-of
    blocked_from : (N,) time position from which an instrument may not be traded; T where never
    universe : who was listed when; what falls silent while listed is a gap and stays held. None = not known: ten bars
        of silence end a listing
    facts : name of a set -> its facts, every vintage; joined as-of
    pairs : instrument -> the second leg of its pair, another instrument of the bars
    """

    bars: Panel
    bar_set: BarSet
    reference: dict[str, tuple[TimeArray, FloatArray]]
    blocked_from: TimeArray
    universe: Universe | None = None
    facts: Mapping[str, FactTable] = field(default_factory=dict)
    pairs: Mapping[InstrumentId, InstrumentId] = field(default_factory=dict)
