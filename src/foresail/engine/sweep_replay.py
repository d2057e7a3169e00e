"""The same signals once more through the event engine: what turns a screening result into something to be judged.

``SignalStrategy`` asks for the orders that a sweep assumes; ``replay`` runs it through view, gate, journal, venue and
ledger. With no limits the trades equal those of ``sweep.simulate`` on the same grid, which the tests hold it to; with
the limits of a profile the gate says what would not have been allowed.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from foresail.core.errors import ConfigError
from foresail.domain.bars import BarSet
from foresail.domain.forecast import ForecastBlock
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.limits import PositionLimits
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, OrderIntent, Side
from foresail.engine.backtest import pass_history
from foresail.engine.driver import BacktestInputs, Driver
from foresail.engine.parts import Parts, build_parts
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.sweep_inputs import REASONS, Signals, SweepBars, SweepRule, TradeLog
from foresail.engine.walkforward import WalkForward
from foresail.execution.costs import CostModel, CostSettings
from foresail.execution.simulated.settings import VenueSettings
from foresail.execution.simulated.sweep_signals import distance_at, levels_at, units_at
from foresail.execution.simulated.venue import SimulatedVenue
from foresail.ledger.entries import Entry, FillBooked, Marked
from foresail.protocols import MarketView, Strategy
from foresail.risk.catalogue import default_rules
from foresail.risk.gate import RiskGate

__all__ = [
    "NO_LIMITS",
    "Replay",
    "ReplayCase",
    "SignalStrategy",
    "free_parts",
    "replay",
    "replay_inputs",
    "trade_log",
]

_FIELDS = ("open", "high", "low", "close", "volume", "spread")
_HUGE = 1e9

#: Limits that cut nothing, so that what is compared is the engine and not the profile.
NO_LIMITS = PositionLimits(
    risk_per_trade=_HUGE,
    max_position=_HUGE,
    sector=None,
    class_exposure=_HUGE,
    cash_floor=-_HUGE,
    shorting=True,
    stop_distance=0.02,
    profile="none",
)


@dataclass(frozen=True, slots=True)
class _Spec:
    """What the strategy declares."""

    id: str = "foresail/signals@1"
    every: int = 1
    critical_inputs: tuple[str, ...] = ("close",)


class SignalStrategy:
    """Given signals as a strategy of the event engine (implements ``protocols.Strategy``).

    Parameters
    ----------
    case : bars, signals and rule; of the bars only their ends are read
    """

    def __init__(self, case: ReplayCase) -> None:
        self._ends = case.panel.end
        self._columns = case.signals.columns(len(self._ends))
        self._rule, self._name = case.rule, case.panel.instruments[0]
        self._tick, self._lot = case.tick, Decimal(repr(case.rule.lot))

    @property
    def spec(self) -> _Spec:
        """What the strategy declares."""
        return _Spec()

    def start(self) -> dict[str, int]:
        """Return the memory: the side held after the last bar, and the bar since when."""
        return {"side": 0, "since": -1}

    def step(self, state: dict[str, int], view: MarketView) -> Sequence[Intent]:
        """Return the orders that the signals ask for at this close."""
        account = view.account()
        held = next((one.quantity for one in account.positions if one.instrument == self._name), Decimal(0))
        t = int(np.searchsorted(self._ends, view.now))
        side = (held > 0) - (held < 0)
        if side != state["side"]:
            state["side"], state["since"] = side, t
        if self._name not in view.instruments:
            return ()
        long_entry, long_exit, short_entry, short_exit = (bool(one[t]) for one in self._columns)
        up, leave_up = long_entry and not long_exit, long_exit and not long_entry
        down, leave_down = short_entry and not short_exit, short_exit and not short_entry
        up, down = up and not down, down and not up
        hold = self._rule.hold_bars
        leaves = (side > 0 and (leave_up or down)) or (side < 0 and (leave_down or up))
        leaves = leaves or (side != 0 and 0 < hold <= t - state["since"] + 1)
        out: list[Intent] = []
        if leaves:
            leaving = OrderIntent(self._name, Side.SELL if side > 0 else Side.BUY, abs(held), leg="exit")
            out.append(replace(leaving, reduce_only=True, joins="trail") if self._rule.trail > 0.0 else leaving)
        if (up and side <= 0) or (down and side >= 0):
            entry = self._entry(view, 1.0 if up else -1.0, float(account.equity))
            out += [] if entry is None else [entry, *self._trailing(view, entry)]
        return out

    def _trailing(self, view: MarketView, entry: OrderIntent) -> list[OrderIntent]:
        """Return the trailing stop that comes to life with an entry, none where the rule has no trail."""
        if self._rule.trail <= 0.0:
            return []
        close = float(np.rint(view.value(self._name, "close") / self._tick))
        distance = int(distance_at(close, self._rule.trail, 1)) * Decimal(repr(self._tick))
        side = Side.SELL if entry.side is Side.BUY else Side.BUY
        child = OrderIntent(self._name, side, entry.quantity, "trailing", leg="trail", trail=distance)
        return [replace(child, reduce_only=True, parent=entry.leg, group="trail")]

    def _entry(self, view: MarketView, side: float, equity: float) -> OrderIntent | None:
        """Return the order that opens, with its levels; None where the share buys nothing."""
        rule, tick = self._rule, self._tick
        close = float(np.rint(view.value(self._name, "close") / tick))
        low, high = levels_at(close, (rule.stop, rule.target), side, 1)
        lots = round(rule.units / rule.lot) if rule.units else units_at(equity, rule.share, close * tick * rule.lot, 1)
        if lots <= 0:
            return None
        step = Decimal(repr(tick))
        below = int(low) * step if low > 0.0 else None
        above = int(high) * step if np.isfinite(high) else None
        stop, target = (below, above) if side > 0.0 else (above, below)
        order = OrderIntent(self._name, Side.BUY if side > 0.0 else Side.SELL, int(lots) * self._lot)
        return replace(order, stop_price=stop, target_price=target)


@dataclass(frozen=True, slots=True, eq=False)
class ReplayCase:
    """One run to be repeated.

    Attributes
    ----------
    panel : of one instrument
    tick : price step; the event engine always works on a grid
    limits : of the gate
    """

    panel: Panel
    signals: Signals
    rule: SweepRule
    tick: float = 0.01
    limits: PositionLimits = NO_LIMITS

    def __post_init__(self) -> None:
        if len(self.panel.instruments) != 1:
            raise ConfigError(f"expected a panel of one instrument, received {len(self.panel.instruments)}")
        if self.tick <= 0.0 or self.rule.fill != "next_open":
            raise ConfigError("the event engine needs a tick > 0 and fills at the next open")

    @property
    def bars(self) -> SweepBars:
        """The bars as the sweep takes them, on the same grid."""
        return SweepBars.of_panel(self.panel, self.panel.instruments[0], tick=self.tick)


@dataclass(frozen=True, slots=True, eq=False)
class Replay:
    """What came of a replay.

    Attributes
    ----------
    trades : as the sweep tells them
    cut : (decided_at ns, sentence) for every order that the gate cut or refused
    """

    trades: TradeLog
    cut: tuple[tuple[int, str], ...]
    journal: tuple[Entry, ...]


def replay_inputs(panel: Panel, rule: SweepRule, tick: float) -> BacktestInputs:
    """Return what the driver needs to run a strategy without forecasts on the bars of a panel."""
    bars, names = _whole(panel), panel.instruments
    step, lot = Decimal(repr(tick)), Decimal(repr(rule.lot))
    bar_set = BarSet(
        name="sweep",
        asset_class=AssetClass.STOCK,
        frame=bars.frame,
        calendar=bars.calendar,
        price_basis=PriceBasis.RAW,
        universe_basis="point_in_time",
        currency="USD",
        grace_s=0.0,
        known_by_date=False,
        close_only=False,
        instruments=tuple(Instrument(one, one, AssetClass.STOCK, tick=step, lot=lot, sector=one) for one in names),
        source="sweep",
    )
    none, n = np.empty(0, dtype=np.int64), len(names)
    block = ForecastBlock(np.empty((n, 0, 1, 1, 1)), none, none, names, ("close",), (1,), (0.5,), ())
    data = MarketData(bars, bar_set, {}, np.full(n, bars.shape[1]), None)
    capital = Decimal(repr(rule.capital))
    settings = PipelineSettings(capital=capital, horizons=(1,), decision_horizon=1, targets=("close",))
    return BacktestInputs(data, settings, bars, {}, WalkForward(block, ()), 252.0)


def _whole(panel: Panel) -> Panel:
    """Return a panel with the columns that the venue reads; volume and spread may be missing."""
    lacking = [name for name in _FIELDS if name not in panel.fields]
    if not lacking:
        return panel
    n, t, _f = panel.shape
    values = np.concatenate((panel.values, np.full((n, t, len(lacking)), np.nan)), axis=2)
    return replace(panel, values=values, fields=(*panel.fields, *lacking))


def free_parts(
    inputs: BacktestInputs, rule: SweepRule, strategy: Strategy, limits: PositionLimits = NO_LIMITS
) -> Parts:
    """Return the stages around a strategy: costs and venue as a rule says, and a gate with the given limits."""
    built = build_parts(inputs.data.bars, inputs.data.bar_set, inputs.settings, strategy=strategy, explain=None)
    costs = CostModel(
        CostSettings(
            AssetClass.STOCK,
            commission_fraction=Decimal(repr(rule.fee)),
            maker_fraction=None if rule.maker_fee is None else Decimal(repr(rule.maker_fee)),
            slippage_fraction=Decimal(repr(rule.slippage)),
            borrow_per_year=Decimal(0),
        )
    )
    venue = VenueSettings(allow_short=limits.shorting, good_for_bars=rule.good_for_bars)
    return replace(
        built,
        costs=costs,
        limits=limits,
        gate=RiskGate(default_rules(limits), built.by_id),
        venue=SimulatedVenue(built.instruments, costs, venue),
        planner=replace(built.planner, allow_short=limits.shorting),
    )


def replay(case: ReplayCase) -> Replay:
    """Run the signals through the event engine."""
    inputs = replay_inputs(case.panel, case.rule, case.tick)
    driver = Driver(inputs, free_parts(inputs, case.rule, SignalStrategy(case), case.limits))
    bars = inputs.data.bars
    driver.deposit(int(bars.start[0]))
    pass_history(driver, bars, 0, 1)
    cut = tuple((one.order.decided_at, ruling.text or ruling.rule) for one in driver.orders for ruling in one.rulings)
    return Replay(trade_log(driver.journal.entries), cut, driver.journal.entries)


def trade_log(entries: Iterable[Entry]) -> TradeLog:
    """Return the trades of a journal of one instrument as the sweep tells them.

    Parameters
    ----------
    entries : from the first bar on; each entry and each exit is one fill, and every bar ends with a mark
    """
    rows: list[list[Any]] = []
    held = Decimal(0)
    bar = 0
    for entry in entries:
        bar += isinstance(entry, Marked)
        if not isinstance(entry, FillBooked):
            continue
        fill = entry.fill
        signed = fill.quantity if fill.side is Side.BUY else -fill.quantity
        if held == 0:
            rows.append([bar, -1, 0, float(fill.price), float("nan"), float(signed), float(fill.fee)])
        else:
            reason = fill.reason.value
            rows[-1][1], rows[-1][4] = bar, float(fill.price)
            rows[-1][2] = REASONS.index(reason) if reason in REASONS else 1
            rows[-1][6] += float(fill.fee)
        held += signed
    table = list(zip(*rows, strict=True)) if rows else [()] * 7
    bought, sold, reasons = (np.array(one, dtype=np.int64) for one in table[:3])
    entries, exits, units, fees = (np.array(one, dtype=np.float64) for one in table[3:])
    return TradeLog(bought, sold, reasons, entries, exits, units, fees)
