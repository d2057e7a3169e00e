"""The concrete stages of one backtest, built from settings: costs, venue, strategy, allocator, gate."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.bars import BarSet
from foresail.domain.calendars import bars_per_year, frame_ns
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.limits import PositionLimits, TradingLimits
from foresail.domain.panel import Panel
from foresail.engine.settings import PipelineSettings
from foresail.execution.costs import CostModel
from foresail.execution.planner import PlannerSettings
from foresail.execution.simulated.venue import SimulatedVenue
from foresail.portfolio.allocator import AllocatorSettings, VolatilityScaledTopK
from foresail.portfolio.sizing import WorstCase
from foresail.protocols import Strategy
from foresail.risk.catalogue import TradingRule, default_rules, position_rules, trading_rules
from foresail.risk.editing import edited_positions
from foresail.risk.exposure import asset_class_of
from foresail.risk.gate import RiskGate
from foresail.risk.levered import levered_positions
from foresail.risk.profiles import profile_named
from foresail.signals.strategies.rank_expected_return import Explain, RankExpectedReturn, RankSettings

_SMALL = "small-account"
_GAP = Decimal("0.01")  # allowance of SIZE-12 for a price that jumps over the stop, fraction

__all__ = ["Parts", "build_parts", "class_limits", "costs_of", "levered_parts", "round_trip_costs", "trading_gate"]


@dataclass(frozen=True, slots=True)
class Parts:
    """The stages that one backtest runs through, in the order in which they are met.

    Attributes
    ----------
    limits : what sizes are made under; of several classes the widest of each, since the gate holds each to its own
    by_class : limits of every class that is traded
    """

    instruments: tuple[Instrument, ...]
    by_id: dict[InstrumentId, Instrument]
    strategy: Strategy
    allocator: VolatilityScaledTopK
    gate: RiskGate
    venue: SimulatedVenue
    costs: CostModel
    planner: PlannerSettings
    limits: PositionLimits
    sizing: AllocatorSettings
    by_class: Mapping[AssetClass, PositionLimits]


def round_trip_costs(
    model: CostModel,
    records: dict[InstrumentId, Instrument],
    names: Sequence[InstrumentId],
    prices: FloatArray,
    now: int,
) -> FloatArray:
    """Return (n,) expected round-trip cost as a fraction of value; NaN where no price is known."""
    return np.array([model.round_trip_fraction(float(p), now, records[n]) for n, p in zip(names, prices, strict=True)])


def costs_of(bar_set: BarSet, settings: PipelineSettings) -> CostModel:
    """Return what trading a set costs: by its class, as the settings have it otherwise."""
    costs = CostModel.of_class(bar_set.asset_class, bar_set.price_basis, settings.currency)
    chosen = settings.trading.costs.applied(
        replace(costs.settings, impact=settings.trading.venue.impact, fees=settings.fees)
    )
    return costs if chosen == costs.settings else CostModel(chosen)


def build_parts(
    bars: Panel, bar_set: BarSet, settings: PipelineSettings, *, strategy: Strategy | None, explain: Explain | None
) -> Parts:
    """Return the stages for one backtest.

    Raises
    ------
    UnknownNameError
        If the panel holds an instrument that the set does not describe.
    """
    records = {one.id: one for one in bar_set.instruments}
    for name in bars.instruments:
        if name not in records:
            raise UnknownNameError("instrument", name, records)
    instruments = tuple(records[name] for name in bars.instruments)
    _check_currencies(instruments, settings.currency)
    costs = costs_of(bar_set, settings)
    by_class = class_limits(settings, instruments, bar_set.asset_class)
    limits = _widest(by_class)
    per_year = bars_per_year(bars.calendar, bars.frame)
    per_day = _bars_per_day(bars, bar_set.asset_class)
    is_given = strategy is not None
    if strategy is None:
        ranking = RankSettings(
            horizon=settings.decision_horizon,
            frame=bars.frame,
            top_k=settings.top_k,
            cost_gate=settings.cost_gate,
            minimum_multiple=1.0 if settings.trading.costs.multiple is None else settings.trading.costs.multiple,
            price_basis=bar_set.price_basis,
            bars_per_day=per_day,
            bars_per_year=per_year,
        )
        if settings.trading.exits.trailing:
            ranking = replace(ranking, exits=replace(ranking.exits, trailing=True))
        strategy = RankExpectedReturn(
            ranking, costs=lambda n, p, now: round_trip_costs(costs, records, n, p, now), explain=explain
        )
    sizing = replace(
        _sizing(settings, costs, is_given=is_given),
        frame=bars.frame,
        bars_per_year=per_year,
        bars_per_day=per_day,
        price_basis=bar_set.price_basis,
        shorting=is_given and limits.shorting,  # the built-in strategy buys only; others may want less than nothing
    )
    venue = settings.trading.venue.settings(close_only=not bars.has("open"), allow_short=limits.shorting)
    return Parts(
        instruments=instruments,
        by_id=records,
        strategy=strategy,
        allocator=VolatilityScaledTopK(limits, instruments, sizing),
        gate=RiskGate(_position_rules(by_class), records),
        venue=SimulatedVenue(instruments, costs, venue),
        costs=costs,
        planner=PlannerSettings(allow_short=limits.shorting, check_cash=bar_set.asset_class is not AssetClass.FOREX),
        limits=limits,
        sizing=sizing,
        by_class=by_class,
    )


def _bars_per_day(bars: Panel, asset_class: AssetClass) -> float:
    if asset_class is AssetClass.STOCK:
        return max(1.0, bars_per_year(bars.calendar, bars.frame) / 252.0)
    return max(1.0, NS_PER_DAY / frame_ns(bars.frame))


def _sizing(settings: PipelineSettings, costs: CostModel, *, is_given: bool) -> AllocatorSettings:
    """Return how signals are sized as far as the settings decide it."""
    trading = settings.trading
    return AllocatorSettings(
        worst_case=_worst_case(costs) if settings.profile == _SMALL else None,
        sizing=trading.sizing_of(settings.profile),
        target_volatility=trading.volatility_target or None,
        may_lever=trading.may_lever,
        exit_target=trading.exits.target_of(is_given=is_given),
    )


def levered_parts(parts: Parts, limits: TradingLimits, edited: Collection[str] = ()) -> Parts:
    """Return the stages of an account that trades: sizes and caps of positions under the leverage of their class.

    Parameters
    ----------
    edited : names of limits that the user set, which no leverage moves
    """
    levered = {own: levered_positions(one, own, limits.book, edited) for own, one in parts.by_class.items()}
    if levered == parts.by_class:
        return parts
    widest = _widest(levered)
    return replace(
        parts,
        limits=widest,
        by_class=levered,
        allocator=VolatilityScaledTopK(widest, parts.instruments, parts.sizing),
        planner=replace(parts.planner, check_cash=parts.planner.check_cash and widest.cash_floor >= 0.0),
    )


def trading_gate(parts: Parts, limits: TradingLimits) -> RiskGate:
    """Return the gate of an account that trades: the limits on positions, and every limit of trading besides.

    Beta and VIX act on the targets themselves (``trading.desk_sizes``); cutting orders as well would act twice.
    """
    market = replace(limits.market, high_beta=None, vix_cut_above=None)
    by_tier = bool(limits.profile) and parts.costs.settings.price_basis is PriceBasis.RAW
    rules = trading_rules(replace(limits, market=market), by_tier=by_tier)
    return RiskGate(_position_rules(parts.by_class), parts.by_id, trading=rules, flow=limits.flow)


def class_limits(
    settings: PipelineSettings, instruments: Sequence[Instrument], own: AssetClass
) -> dict[AssetClass, PositionLimits]:
    """Return the profile's limits of every class among the instruments; of one class only, those of the set's."""
    profile, found = profile_named(settings.profile), sorted({asset_class_of(one.id) for one in instruments})
    classes = found if len(found) > 1 else [own]
    return {one: edited_positions(profile.limits(one), dict(settings.limits)) for one in classes}


def _position_rules(by_class: Mapping[AssetClass, PositionLimits]) -> tuple[TradingRule, ...]:
    first, *others = by_class.values()
    return position_rules(by_class) if others else default_rules(first)


def _widest(by_class: Mapping[AssetClass, PositionLimits]) -> PositionLimits:
    """Return the limits of the only class, else what sizes of all of them have in common: the gate does the rest."""
    first, *others = by_class.values()
    if not others:
        return first
    every = (first, *others)
    return replace(
        first,
        risk_per_trade=max(one.risk_per_trade for one in every),
        max_position=max(one.max_position for one in every),
        sector=None,
        class_exposure=math.fsum(one.class_exposure for one in every),
        cash_floor=min(one.cash_floor for one in every),
        stop_distance=min(one.stop_distance for one in every),
        max_positions=None,
    )


def _worst_case(costs: CostModel) -> WorstCase:
    """Return what a stop of a small account may cost beyond its distance (SMALL-01, SIZE-12)."""
    s = costs.settings
    maker = Decimal(0) if s.maker_fraction is None else s.maker_fraction
    fee = max(s.commission_fraction, maker) * s.factor
    return WorstCase(slippage=costs.slippage_fraction(), fee=fee, gap=_GAP)


def _check_currencies(instruments: tuple[Instrument, ...], currency: str) -> None:
    """Refuse quote currencies that no pair of the set turns into the account's."""
    names = {one.id.partition("~")[0] for one in instruments}
    for one in instruments:
        if one.currency != currency and not {f"fx.{one.currency}-{currency}", f"fx.{currency}-{one.currency}"} & names:
            raise ConfigError(
                f"{one.id} is quoted in {one.currency}, the account is in {currency}, and the set has no such pair",
                hint=f'run with --capital "100000 {one.currency}", or add the pair to the set',
            )
