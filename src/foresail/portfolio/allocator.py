"""Ranked signals to capped weights: inverse volatility within all limits.

Limits are loss at the stop, position, sector, class exposure, cash and liquidity.

1. Wanted is what carries a stop: buys, sells where shorting is on, and holds of what is held.
2. Every name gets a ceiling: position cap, tier cap, loss at the stop (SIZE-02 with SIZE-07 on top), liquidity.
3. The gross budget (class cap, or what the cash floor leaves) is shared in proportion to 1 / volatility; what a
   ceiling cuts off goes to the others. Nothing is levered to use the budget up.
4. Holds stay as they are. Small changes of buys are left out (drift band). Sector caps shrink a whole sector.

The same inputs in another order give the same weights. NaN gives no weight and says so.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Account
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.limits import PositionLimits
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, Signal, SignalKind, TargetWeights, Weights
from foresail.portfolio.sizing import WorstCase, kelly_fraction, tier_cap
from foresail.portfolio.volatility import annualised_volatility, average_true_range, mean_traded_value
from foresail.protocols import MarketView

__all__ = ["EXIT_TARGETS", "SIZINGS", "AllocatorSettings", "VolatilityScaledTopK", "share_out"]

EXIT_TARGETS = ("ratio", "signal", "none")
SIZINGS = ("risk", "atr", "kelly")
_LONG = (SignalKind.BUY, SignalKind.STRONG_BUY)
_SHORT = (SignalKind.SELL, SignalKind.STRONG_SELL)
_FROZEN = 1e-6  # annualised volatility below which a price has not moved
_ONE = Decimal(1)
_NO_RATES: Mapping[str, Decimal] = {}
_Rates = Mapping[str, Decimal]
_RANGES = 2.0  # average true ranges to a stop (SIZE-06)
_SAID = {
    "risk": "per-trade risk: a loss of {:.2%} of equity at the stop (SIZE-02",
    "atr": "per-trade risk: a loss of {:.2%} of equity at a stop of 2 average true ranges (SIZE-06",
    "kelly": "a quarter of Kelly's fraction (SIZE-05",
}
_TOLERANCE = 1e-9  # fraction of equity that is no change


@dataclass(frozen=True, slots=True)
class AllocatorSettings:
    """How the allocator sizes.

    Attributes
    ----------
    lookback : bars of returns behind a volatility
    target_volatility : annualised; a more volatile name gets proportionally less of its risk size (SIZE-07). None
        switches it off
    may_lever : whether a calmer name gets proportionally more of it; without, it never scales up
    liquidity_share : largest order as a share of the average daily traded value, where volume exists (SIZE-13)
    drift_band : a held buy is left as it is while its weight is within this share of the new one (PORT-05)
    exit_target : which take-profit is attached (RC-13). "ratio": ``reward_ratio`` times the stop distance; "signal":
        the level of the signal where it names one on the right side of the entry, else as "ratio"; "none". The level
        that a forecast expects is reached half of the time by definition, so as an order it cuts gains at the typical
        one while losses run to the stop and costs are paid in full: it is shown, not attached, by default
    shorting : the profile must allow it too
    sizing : how a signal's size is limited (SIZE-14). "risk": its loss at the stop (SIZE-02); "atr": the same at a
        stop of two average true ranges (SIZE-06); "kelly": a quarter of Kelly's fraction, of its confidence and its
        reward to risk (SIZE-05). Weights are limited by risk whatever is chosen
    worst_case : what a stop may cost beyond its distance; the loss at the stop is then counted with it (SIZE-12). None
        counts the stop as met at its price
    price_basis : price tiers count on raw prices only
    """

    frame: str = "1d"
    lookback: int = 60
    bars_per_year: float = 252.0
    bars_per_day: float = 1.0
    target_volatility: float | None = 0.15
    may_lever: bool = False
    liquidity_share: float = 0.01
    drift_band: float = 0.25
    exit_target: str = "ratio"
    reward_ratio: float = 2.0
    shorting: bool = False
    sizing: str = "risk"
    worst_case: WorstCase | None = None
    price_basis: PriceBasis = PriceBasis.UNKNOWN


@dataclass(frozen=True, slots=True)
class _Wish:
    """What is wanted of one instrument: side 1 or -1; ``hold`` leaves a held position as it is."""

    side: float
    hold: bool = False
    rank: int = 0
    entry: float = math.nan
    stop: float = math.nan
    target: float = math.nan
    confidence: float = math.nan


@dataclass(slots=True, eq=False)
class _Book:
    """One allocation in the making; arrays are (n,) over ``names``, ascending.

    ``side`` is 1, -1 or 0 (close); ``hold`` marks positions that stay;
    ``stuck`` ones that cannot be traded now; ``current`` and ``traded`` are fractions of equity; ``range`` is the
    average true range, price.
    """

    names: list[InstrumentId]
    side: FloatArray
    hold: BoolArray
    stuck: BoolArray
    rank: IntArray
    entry: FloatArray
    stop: FloatArray
    target: FloatArray
    current: FloatArray
    volatility: FloatArray
    traded: FloatArray
    price: FloatArray
    confidence: FloatArray
    range: FloatArray
    notes: list[tuple[InstrumentId, str]]


def share_out(budget: float, shares: FloatArray, ceilings: FloatArray) -> FloatArray:
    """Return weights ``min(c * share, ceiling)`` whose sum is the budget, or all ceilings where the budget is larger.

    Parameters
    ----------
    budget : fraction of equity
    shares, ceilings : (N,) >= 0, finite

    Notes
    -----
    Names reach their ceiling in the order of ceiling / share; one sort finds how many do.
    """
    active = shares > 0.0
    if not active.any() or budget <= 0.0:
        return np.zeros(len(shares))
    if ceilings[active].sum() <= budget:
        full: FloatArray = np.where(active, ceilings, 0.0)
        return full
    ratio = np.where(active, ceilings / np.where(active, shares, 1.0), np.inf)
    order = np.argsort(ratio, kind="stable")
    s, c, r = np.where(active, shares, 0.0)[order], np.where(active, ceilings, 0.0)[order], ratio[order]
    before = np.concatenate(([0.0], np.cumsum(c)[:-1]))  # what the names capped so far use up
    remaining = s[::-1].cumsum()[::-1]  # share of the names that are not capped
    level = (budget - before) / np.where(remaining > 0.0, remaining, np.inf)
    first = int(np.argmax(level <= r))
    weights: FloatArray = np.where(active, np.minimum(level[first] * shares, ceilings), 0.0)
    return weights


class VolatilityScaledTopK:
    """Sizes the names that a ranking chose."""

    def __init__(
        self, limits: PositionLimits, instruments: Sequence[Instrument], settings: AllocatorSettings | None = None
    ) -> None:
        self._limits = limits
        self._settings = settings if settings is not None else AllocatorSettings()
        if self._settings.exit_target not in EXIT_TARGETS:
            raise ConfigError(f"exit_target must be one of {EXIT_TARGETS}, received {self._settings.exit_target!r}")
        if self._settings.sizing not in SIZINGS:
            raise ConfigError(f"sizing must be one of {SIZINGS}, received {self._settings.sizing!r}")
        self._instruments = {one.id: one for one in instruments}
        sectors = {one.id: one.id if one.sector in ("", "unknown") else one.sector for one in instruments}
        codes = {name: code for code, name in enumerate(sorted(set(sectors.values())))}
        self._sector = {name: codes[sector] for name, sector in sectors.items()}
        self._sector_names = sorted(set(sectors.values()))

    def otherwise(self, **changes: Any) -> VolatilityScaledTopK:
        """Return an allocator within the same limits whose settings differ in these."""
        return VolatilityScaledTopK(self._limits, tuple(self._instruments.values()), replace(self._settings, **changes))

    def targets(
        self, intents: Sequence[Intent], view: MarketView, *, rates: _Rates = _NO_RATES
    ) -> TargetWeights | None:
        """Return weights for a strategy's intents, None where they say nothing about weights.

        Signals are sized; Weights count only where there are no Signals, and are capped.

        Parameters
        ----------
        rates : quote currency -> account currency for one unit of it; a currency that is not named counts as the
            account's own
        """
        signals = [intent for intent in intents if isinstance(intent, Signal)]
        if signals:
            return self.allocate(signals, view, rates=rates)
        wishes = [intent for intent in intents if isinstance(intent, Weights)]
        return self.cap(wishes[-1], view, rates=rates) if wishes else None

    def allocate(self, signals: Sequence[Signal], view: MarketView, *, rates: _Rates = _NO_RATES) -> TargetWeights:
        """Return fractions of equity with stops and targets; a held name that is not wanted has weight 0."""
        account = view.account()
        held = {p.instrument: float(p.quantity) for p in account.positions}
        wishes = {}
        for one in signals:
            side = self._direction(one, held.get(one.instrument, 0.0))
            if side != 0.0:
                hold = one.kind is SignalKind.HOLD
                levels = (one.entry_price, one.stop_price, one.target_price)
                wishes[one.instrument] = _Wish(side, hold, one.rank, *levels, one.confidence)
        book = self._open(wishes, account, view, rates)
        self._exclude(book)
        ceiling, reason = self._ceilings(book, self._settings.sizing)
        inverse = np.where(
            (book.side != 0.0) & ~book.stuck, 1.0 / np.where(book.volatility > _FROZEN, book.volatility, 1), 0
        )
        used = float(np.abs(book.current[book.stuck]).sum())
        budget = max(0.0, self._limits.gross_exposure - used)
        fair = share_out(budget, inverse, ceiling)
        current = np.where(book.current * book.side > 0.0, np.abs(book.current), 0.0)
        small = (np.abs(current - fair) <= self._settings.drift_band * fair) & (current > 0.0)
        size = np.where(book.hold | small, np.minimum(current, ceiling), fair)
        size = np.where((book.side != 0.0) & ~book.stuck, size, 0.0)
        self._fit_budget(book, size, budget)
        self._fit_sectors(book, size)
        share = budget * inverse / max(float(inverse.sum()), 1e-300)
        for i in np.flatnonzero((size >= ceiling * (1.0 - 1e-12)) & (size > 0.0) & (share > ceiling)):
            book.notes.append((book.names[i], reason[i]))
        return self._close(book, size)

    def cap(self, wish: Weights, view: MarketView, *, rates: _Rates = _NO_RATES) -> TargetWeights:
        """Return a strategy's own weights within the same limits; without stops, since none were given.

        Loss at the stop is then measured with the class's stop distance (RISK-05).
        """
        asked, refused = {}, []
        for name, weight in wish.weights:
            if not math.isfinite(weight):
                refused.append((name, "the strategy's weight is not a number: nothing is held"))
            elif weight < 0.0 and not (self._limits.shorting and self._settings.shorting):
                refused.append((name, "shorting is off (RISK-01): nothing is held"))
            elif weight != 0.0:
                asked[name] = weight
        wishes = {name: _Wish(math.copysign(1.0, weight)) for name, weight in asked.items()}
        book = self._open(wishes, view.account(), view, rates)
        book.notes.extend(refused)
        self._drop(book, (book.side != 0.0) & ~book.stuck & ~(book.price > 0.0), "no price is known: no size")
        ceiling, reason = self._ceilings(book, "risk")
        wanted = np.array([abs(asked.get(name, 0.0)) for name in book.names])
        active = (book.side != 0.0) & ~book.stuck
        size = np.where(active, np.minimum(wanted, ceiling), 0.0)
        for i in np.flatnonzero(active & (wanted > ceiling + _TOLERANCE)):
            book.notes.append((book.names[i], reason[i]))
        budget = max(0.0, self._limits.gross_exposure - float(np.abs(book.current[book.stuck]).sum()))
        self._fit_budget(book, size, budget)
        self._fit_sectors(book, size)
        return self._close(book, size)

    # -- steps --------------------------------------------------------------------------------------------------

    def _open(self, wishes: Mapping[InstrumentId, _Wish], account: Account, view: MarketView, rates: _Rates) -> _Book:
        equity = float(account.equity)
        if not (math.isfinite(equity) and equity > 0.0):
            raise ConfigError(f"sizing needs positive equity, received {account.equity}")
        held = {p.instrument: p for p in account.positions if p.quantity != 0}
        tradable = set(view.instruments)
        names = sorted((wishes.keys() & tradable) | held.keys())
        bars = view.bars(self._settings.frame, self._settings.lookback + 1)
        price, volatility, traded = self._market(bars, names)
        count = len(names)
        worth = np.array([self._unit_value(name, rates) for name in names])
        book = _Book(
            names=names,
            side=np.zeros(count),
            hold=np.zeros(count, dtype=np.bool_),
            stuck=np.zeros(count, dtype=np.bool_),
            rank=np.zeros(count, dtype=np.int64),
            entry=np.full(count, np.nan),
            stop=np.full(count, np.nan),
            target=np.full(count, np.nan),
            current=np.zeros(count),
            volatility=volatility,
            traded=traded * worth / equity,
            price=price,
            confidence=np.full(count, np.nan),
            range=_ranges(bars, names) if self._settings.sizing == "atr" else np.full(count, np.nan),
            notes=[],
        )
        for i, name in enumerate(names):
            position = held.get(name)
            units = float(position.quantity) if position is not None else 0.0
            if position is not None:
                paid = float(price[i]) if price[i] > 0.0 else float(position.average_price)
                book.current[i] = units * paid * worth[i] / equity
            wish = wishes.get(name)
            if name not in tradable:
                book.stuck[i] = True
                book.notes.append((name, "no bar at this decision: kept as it is"))
            elif wish is not None:
                book.side[i], book.hold[i], book.rank[i] = wish.side, wish.hold, wish.rank
                book.entry[i], book.stop[i], book.target[i] = wish.entry, wish.stop, wish.target
                book.confidence[i] = wish.confidence
        return book

    def _direction(self, signal: Signal, held: float) -> float:
        """Return 1, -1 or 0: which position a signal wants. A finite stop means that it wants one."""
        if not math.isfinite(signal.stop_price):
            return 0.0
        may_short = self._limits.shorting and self._settings.shorting
        if signal.kind is SignalKind.HOLD:
            return 1.0 if held > 0.0 else (-1.0 if held < 0.0 and may_short else 0.0)
        if signal.kind in _LONG:
            return 1.0
        return -1.0 if may_short and signal.kind in _SHORT else 0.0

    def _unit_value(self, name: InstrumentId, rates: _Rates) -> float:
        """Return account currency for one unit of instrument at a price of 1."""
        known = self._instruments.get(name)
        return float(known.multiplier * rates.get(known.currency, _ONE)) if known is not None else 1.0

    def _market(self, bars: Panel, names: Sequence[InstrumentId]) -> tuple[FloatArray, FloatArray, FloatArray]:
        """Return last known price, annualised volatility and daily traded value of names, (n,) each."""
        position = {name: i for i, name in enumerate(bars.instruments)}
        rows = np.array([position.get(name, -1) for name in names], dtype=np.int64)
        if not len(rows) or not len(bars.end):
            return (np.full(len(rows), np.nan),) * 3
        values = bars.values[np.maximum(rows, 0)]
        values[rows < 0] = np.nan
        close = values[:, :, bars.index("close")]
        factor = values[:, :, bars.index("total_factor")] if bars.has("total_factor") else np.ones_like(close)
        volume = values[:, :, bars.index("volume")] if "volume" in bars.fields else np.full_like(close, np.nan)
        known = np.isfinite(close)
        last = close.shape[1] - 1 - np.argmax(known[:, ::-1], axis=1)
        price = close[np.arange(len(rows)), last]
        volatility = annualised_volatility(close, factor, bars_per_year=self._settings.bars_per_year)
        traded = mean_traded_value(close, volume, bars_per_day=self._settings.bars_per_day)
        forex = np.array([name.startswith("fx.") for name in names], dtype=np.bool_)
        traded[forex] = np.nan  # forex volume counts ticks, not units
        return price, volatility, traded

    @staticmethod
    def _drop(book: _Book, where: BoolArray, text: str) -> None:
        for i in np.flatnonzero(where):
            book.side[i] = 0.0
            book.notes.append((book.names[i], text))

    def _exclude(self, book: _Book) -> None:
        """Take out what cannot be sized, and what exceeds the number of positions."""
        wanted = (book.side != 0.0) & ~book.stuck & ~book.hold
        with np.errstate(invalid="ignore"):
            distance = book.side * (book.entry - book.stop) / book.entry
            usable = np.isfinite(distance) & (distance > 0.0) & (book.price > 0.0)
            moves = book.volatility > _FROZEN
        self._drop(book, wanted & ~usable, "no price, or a stop on the wrong side of the entry: no size (SIZE-13)")
        self._drop(book, wanted & usable & ~moves, "volatility is not known from its last bars: no size")
        most = self._limits.max_positions
        if most is None:
            return
        busy = int((book.stuck | (book.hold & (book.side != 0.0))).sum())
        fresh = np.flatnonzero((book.side != 0.0) & ~book.stuck & ~book.hold)
        late = fresh[np.argsort(book.rank[fresh], kind="stable")][max(0, most - busy) :]
        mask = np.zeros(len(book.names), dtype=np.bool_)
        mask[late] = True
        self._drop(book, mask, f"at most {most} positions at once in this class (RISK-05)")

    def _ceilings(self, book: _Book, sizing: str) -> tuple[FloatArray, list[str]]:
        """Return each name's largest weight, and the sentence of the limit that sets it."""
        limits, settings = self._limits, self._settings
        with np.errstate(invalid="ignore", divide="ignore"):
            distance = book.side * (book.entry - book.stop) / book.entry
            distance = np.where(np.isfinite(distance) & (distance > 0.0), distance, limits.stop_distance)
            if sizing == "atr":
                distance = _RANGES * book.range / book.entry
            risk = limits.risk_per_trade / self._loss(book, distance)
            if sizing == "kelly":
                risk = np.where(book.hold, risk, self._kelly(book, distance))
            if sizing != "risk":
                risk = np.where(np.isfinite(risk), risk, 0.0)
            if settings.target_volatility is not None:
                scale = settings.target_volatility / book.volatility
                most = np.inf if settings.may_lever else 1.0
                risk = risk * np.where(np.isfinite(scale), np.minimum(scale, most), 1.0)
            current = np.where(book.current * book.side > 0.0, np.abs(book.current), 0.0)
            liquid = np.where(np.isfinite(book.traded), current + settings.liquidity_share * book.traded, np.inf)
        tiers = [self._tier(name, float(price)) for name, price in zip(book.names, book.price, strict=True)]
        tier = np.array([np.inf if row[0] is None else row[0] for row in tiers])
        stack = np.stack([np.full(len(tier), limits.max_position), risk, liquid, tier])
        binding = np.argmin(stack, axis=0)
        words = (
            f"position cap: at most {limits.max_position:.0%} of equity (RISK-01 {limits.profile})",
            f"{_SAID[sizing].format(limits.risk_per_trade)}, SIZE-07)",
            f"liquidity: an order of at most {settings.liquidity_share:.0%} of the daily traded value (SIZE-13)",
        )
        ceiling: FloatArray = stack.min(axis=0)
        return ceiling, [words[b] if b < 3 else tiers[i][1] for i, b in enumerate(binding)]

    def _kelly(self, book: _Book, distance: FloatArray) -> FloatArray:
        """Return a quarter of Kelly's fraction of equity, of confidence and reward to risk; 0 without an edge."""
        with np.errstate(invalid="ignore"):
            reward = book.side * (book.target - book.entry) / book.entry / distance
        out = np.zeros(len(book.names))
        for i in np.flatnonzero(np.isfinite(book.confidence) & (book.side != 0.0)):
            gain = float(reward[i]) if reward[i] > 0.0 else self._settings.reward_ratio
            out[i] = float(kelly_fraction(Decimal(repr(float(book.confidence[i]))), Decimal(repr(gain)), _ONE))
        return out

    def _loss(self, book: _Book, distance: FloatArray) -> FloatArray:
        """Return the loss at the stop as a fraction of the entry, at its worst where that is asked for (SIZE-12)."""
        worst = self._settings.worst_case
        if worst is None:
            return distance
        side_cost = float(worst.slippage + worst.fee)
        loss: FloatArray = distance + side_cost + (1.0 - book.side * distance) * (side_cost + float(worst.gap))
        return loss

    def _tier(self, name: InstrumentId, price: float) -> tuple[float | None, str]:
        basis, known = self._settings.price_basis, self._instruments.get(name)
        is_stock = known is not None and known.asset_class is AssetClass.STOCK
        if basis is not PriceBasis.RAW or not is_stock or not price > 0.0:
            return None, ""
        return tier_cap(price, basis)

    def _fit_budget(self, book: _Book, size: FloatArray, budget: float) -> None:
        """Shrink buys, then holds, until the sum is within the budget."""
        for mask in (~book.hold, book.hold):
            excess = float(size.sum()) - budget
            part = float(size[mask].sum())
            if excess > _TOLERANCE and part > 0.0:
                size[mask] *= max(0.0, 1.0 - excess / part)
                for i in np.flatnonzero(mask & (book.side != 0.0) & ~book.stuck):
                    text = (
                        f"gross exposure: at most {self._limits.gross_exposure:.0%} of equity in this class (RISK-05)"
                    )
                    book.notes.append((book.names[i], text))

    def _fit_sectors(self, book: _Book, size: FloatArray) -> None:
        cap = self._limits.sector
        if cap is None or not book.names:
            return
        extra = len(self._sector_names)  # names that no instrument record knows: a sector each
        codes = np.array([self._sector.get(name, extra + i) for i, name in enumerate(book.names)])
        fixed = np.bincount(codes, weights=np.where(book.stuck, np.abs(book.current), 0.0))
        total = np.bincount(codes, weights=size)
        factor = np.clip(np.maximum(cap - fixed, 0.0) / np.where(total > 0.0, total, 1.0), 0.0, 1.0)
        for i in np.flatnonzero((factor[codes] < 1.0 - _TOLERANCE) & (size > 0.0)):
            name = self._sector_names[codes[i]] if codes[i] < extra else book.names[i]
            book.notes.append((book.names[i], f"sector cap: {name} at most {cap:.0%} of equity (RISK-01)"))
        size *= factor[codes]

    def _close(self, book: _Book, size: FloatArray) -> TargetWeights:
        weights = np.where(book.stuck, book.current, book.side * size) + 0.0
        weights[~np.isfinite(weights)] = 0.0
        with np.errstate(invalid="ignore"):
            ratio = book.entry + self._settings.reward_ratio * (book.entry - book.stop)
            own = np.isfinite(book.target) & (book.side * (book.target - book.entry) > 0.0)
            book.target = np.where(own & (self._settings.exit_target == "signal"), book.target, ratio)
        attached = (weights != 0.0) & ~book.stuck
        stops = np.where(attached, book.stop, np.nan)
        targets = np.where(attached & (self._settings.exit_target != "none"), book.target, np.nan)
        return TargetWeights(
            instruments=tuple(book.names),
            weights=tuple(weights.tolist()),
            stops=tuple(stops.tolist()),
            targets=tuple(targets.tolist()),
            notes=tuple(sorted(book.notes)),
        )


def _ranges(bars: Panel, names: Sequence[InstrumentId]) -> FloatArray:
    """Return (n,) average true range of names, price; NaN where too few bars tell."""
    position = {name: i for i, name in enumerate(bars.instruments)}
    out = np.full(len(names), np.nan)
    here = [i for i, name in enumerate(names) if name in position]
    if here and len(bars.end):
        rows = [position[names[i]] for i in here]
        close = bars.field("close")[rows]
        high, low = (bars.field(one)[rows] if bars.has(one) else close for one in ("high", "low"))
        out[here] = average_true_range(high, low, close)
    return out
