"""The default strategy: rank by expected return after cost, trade the best k, keep what still ranks well.

At every decision
1. read close, true range, RSI and volume, and the forecast over the decision horizon (``signals.observation``);
2. expected return and odds from the forecast curve (FCST-12);
3. gates for new positions: cost (SIG-15 behind SIG-18), market and liquidity (SIG-19), critical inputs (SIG-21);
4. rank, choose the best k with hysteresis (``signals.decision``);
5. stops and targets (SIG-08, EXIT-02 to 05), reasons (SIG-20), one Signal for every instrument, the best first.

Kinds: BUY asks for a sized position; HOLD leaves a held position as it is; SELL closes one. A finite stop means that a
position is wanted, so a SELL with a stop above its entry opens a short, which happens only where shorting is on.
The Weights intent names what is wanted, in equal shares before sizing: the portfolio room sizes the Signals.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.ids import InstrumentId
from foresail.domain.instruments import PriceBasis
from foresail.domain.signals import Intent, Signal, SignalKind, Weights
from foresail.protocols import MarketView
from foresail.signals.decision import default_top_k, horizon_of, kind_of, ranks, select, signal_score
from foresail.signals.observation import Observation, observe
from foresail.signals.placement import place_exits, trailed
from foresail.signals.reasons import (
    Contribution,
    Outlook,
    cost_sentence,
    exit_sentence,
    feature_sentence,
    missing_sentence,
    odds_sentence,
    rank_sentence,
)
from foresail.signals.rules.exits import ExitRules
from foresail.signals.rules.expectation import confidence, expected_log_return
from foresail.signals.rules.gates import cost_gate, illiquid, market_gate, missing_inputs

__all__ = ["Costs", "Explain", "RankExpectedReturn", "RankSettings", "RankSpec", "RankState", "flat_cost"]

Costs = Callable[[Sequence[InstrumentId], FloatArray, int], FloatArray]
Explain = Callable[[int, Sequence[InstrumentId]], Mapping[InstrumentId, Sequence[Contribution]]]

# A name is held for several horizons, so a stop at the 10 % quantile of one horizon is met by noise: on simulated
# panels with an edge it costs half of the information ratio (docs/decisions/0002). EXIT-02 lets a strategy allow wider
# stops.
_PATIENT_EXITS = ExitRules(limit_distance=False, floor_multiple=4.0)
_NS_PER_YEAR = 365.25 * NS_PER_DAY


def flat_cost(fraction: float) -> Costs:
    """Return a cost model that charges every round trip the same fraction of value."""
    return lambda ids, prices, now: np.full(len(ids), fraction)


@dataclass(frozen=True, slots=True)
class RankSettings:
    """How the strategy decides.

    Attributes
    ----------
    horizon : bars of the forecast that is traded
    every : bars between decisions; 0 = the horizon
    top_k : names held; 0 = a fifth of those at hand, at least 3, at most 20
    band : a held name stays while it ranks within ``band * top_k``; less turnover, 1 = off
    expectation : "centre", "median" or "mean" of the curve, see ``rules.expectation``
    cost_gate : off only for checks on random walks, where nothing should pass
    minimum_multiple : times its cost that an expected move must exceed (SIG-18; why 1: ``rules.gates.cost_gate``)
    minimum_confidence : odds below which nothing is entered; 0 = off, 0.70 is the filter of the top list
    shorting : whether falls are sold short; off by default, and the risk profile must allow it too
    bars_per_day, bars_per_year : of the set's calendar
    """

    horizon: int = 5
    every: int = 0
    frame: str = "1d"
    top_k: int = 0
    band: float = 2.0
    expectation: str = "centre"
    cost_gate: bool = True
    minimum_multiple: float = 1.0
    minimum_confidence: float = 0.0
    shorting: bool = False
    exits: ExitRules = field(default_factory=lambda: _PATIENT_EXITS)
    vix: str = "vix"
    rsi: str = "rsi_14"
    price_basis: PriceBasis = PriceBasis.UNKNOWN
    bars_per_day: float = 1.0
    bars_per_year: float = 252.0


@dataclass(frozen=True, slots=True)
class RankSpec:
    """What the strategy declares."""

    id: str
    every: int
    critical_inputs: tuple[str, ...] = ("close", "RSI")


@dataclass(slots=True)
class RankState:
    """Memory between decisions.

    Attributes
    ----------
    decisions : decisions taken so far
    renewed : decision at which all inputs of a held name were last known (EXIT-07)
    highest : highest close since entry of a held name, for the trailing stop (EXIT-05)
    """

    decisions: int = 0
    renewed: dict[InstrumentId, int] = field(default_factory=dict)
    highest: dict[InstrumentId, float] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, eq=False)
class _Judged:
    """An observation with what was made of it; arrays are (N,). ``side`` is 1 long, -1 short, 0 nothing wanted."""

    seen: Observation
    expected: FloatArray
    odds: FloatArray
    cost: FloatArray
    missing: list[tuple[str, ...]]
    is_open: bool
    market: str
    place: IntArray
    top_k: int
    side: IntArray
    enter: BoolArray
    leave: BoolArray
    expired: BoolArray
    fallen: BoolArray


class RankExpectedReturn:
    """Rank by expected return, trade the best k."""

    NAME = "rank_expected_return"
    VERSION = "1"

    def __init__(self, settings: RankSettings | None = None, *, costs: Costs, explain: Explain | None = None) -> None:
        self._settings = settings if settings is not None else RankSettings()
        self._costs = costs
        self._explain = explain
        every = self._settings.every if self._settings.every > 0 else self._settings.horizon
        self._spec = RankSpec(id=f"foresail/{self.NAME}@{self.VERSION}", every=every)

    @property
    def spec(self) -> RankSpec:
        """Identity, rhythm and critical inputs."""
        return self._spec

    def start(self) -> RankState:
        """Return an empty memory."""
        return RankState()

    def step(self, state: RankState, view: MarketView) -> Sequence[Intent]:
        """Return one Signal for every instrument, the best first, and the Weights that they add up to."""
        forecast = view.forecast()
        if forecast is None or not view.instruments:
            return ()
        settings = self._settings
        seen = observe(view, forecast, frame=settings.frame, horizon=settings.horizon, rsi=settings.rsi)
        judged = self._judge(state, view, seen)
        signals = self._signals(state, judged, view.now)
        self._remember(state, judged)
        share = 1.0 / judged.top_k
        wanted = [(name, share * int(side)) for name, side in zip(seen.ids, judged.side, strict=True) if side != 0]
        return (*signals, Weights(tuple(wanted)))

    def _judge(self, state: RankState, view: MarketView, seen: Observation) -> _Judged:
        settings = self._settings
        expected = expected_log_return(seen.curve, seen.levels, centre=settings.expectation)
        odds = confidence(seen.curve, seen.levels, expected)
        cost = self._costs(seen.ids, seen.close, view.now)
        missing = missing_inputs({**seen.inputs, "forecast": expected}, len(seen.ids))
        absent = np.array([bool(names) for names in missing], dtype=np.bool_)
        is_open, market = market_gate(view.facts(settings.vix))
        admitted = ~absent & ~illiquid(seen.spread, seen.close) & is_open
        if settings.cost_gate:
            admitted &= cost_gate(np.expm1(expected), cost, multiple=settings.minimum_multiple)
        with np.errstate(invalid="ignore"):
            admitted &= odds >= settings.minimum_confidence
        top_k = settings.top_k if settings.top_k > 0 else default_top_k(len(seen.ids))
        expired = absent & self._expired(state, seen)
        frozen = absent & ~expired
        fallen = trailed(seen, settings.exits, state.highest)
        speaks = np.where(absent, np.nan, expected)
        long = select(
            np.where(fallen, np.nan, speaks), admitted, seen.held > 0.0, frozen, top_k=top_k, band=settings.band
        )
        side = (long.enter | long.keep).astype(np.int64)
        enter, leave = long.enter, long.leave
        if settings.shorting:
            short = select(-speaks, admitted, seen.held < 0.0, frozen, top_k=top_k, band=settings.band)
            side = np.where(short.enter | short.keep, -1, side)
            enter, leave = enter | short.enter, leave | short.leave
        return _Judged(
            seen=seen,
            expected=expected,
            odds=odds,
            cost=cost,
            missing=missing,
            is_open=is_open,
            market=market,
            place=ranks(expected),
            top_k=top_k,
            side=side,
            enter=enter,
            leave=(leave | ((seen.held < 0.0) & (side >= 0))) & (side == 0),
            expired=expired,
            fallen=fallen,
        )

    def _expired(self, state: RankState, seen: Observation) -> BoolArray:
        """Return which names went without inputs for longer than one horizon (EXIT-07), (N,)."""
        ages = [(state.decisions - state.renewed.get(name, state.decisions)) * self._spec.every for name in seen.ids]
        return np.array([age > self._settings.horizon for age in ages], dtype=np.bool_)

    def _remember(self, state: RankState, judged: _Judged) -> None:
        seen = judged.seen
        for i in np.flatnonzero((judged.side == 0) | (seen.held == 0.0)):
            state.renewed.pop(seen.ids[i], None)
            state.highest.pop(seen.ids[i], None)
        for i in np.flatnonzero(judged.side != 0):
            name, close = seen.ids[i], float(seen.close[i])
            if not judged.missing[i]:
                state.renewed[name] = state.decisions
            if math.isfinite(close):
                state.highest[name] = max(close, state.highest.get(name, close))
        state.decisions += 1

    def _blank(self, seen: Observation, now: int) -> Signal:
        """Return the part that all signals of a decision share."""
        settings = self._settings
        return Signal(
            instrument=InstrumentId(""),
            kind=SignalKind.HOLD,
            horizon=horizon_of(settings.horizon, settings.bars_per_day),
            horizon_bars=settings.horizon,
            confidence=math.nan,
            expected_return=math.nan,
            cost=math.nan,
            entry_price=math.nan,
            target_price=math.nan,
            stop_price=math.nan,
            reasons=(),
            rule="",
            strategy=self.NAME,
            version=self.VERSION,
            model=seen.model,
            features_hash=seen.features_hash,
            decided_at=now,
            expires_at=now + round(settings.horizon / settings.bars_per_year * _NS_PER_YEAR),
        )

    def _signals(self, state: RankState, judged: _Judged, now: int) -> list[Signal]:
        seen, settings = judged.seen, self._settings
        exits = place_exits(seen, judged.side, settings.exits, basis=settings.price_basis, highest=state.highest)
        stops, targets = exits.stops, exits.targets
        wanted = [seen.ids[i] for i in np.flatnonzero(judged.side != 0)]
        told = self._explain(now, wanted) if self._explain is not None else {}
        low, high = np.expm1(seen.level(seen.curve, 0.10)), np.expm1(seen.level(seen.curve, 0.90))
        blank = self._blank(seen, now)
        signals = []
        for i in np.argsort(judged.place, kind="stable"):
            outlook = Outlook(
                settings.horizon,
                math.expm1(float(judged.expected[i])),
                float(low[i]),
                float(high[i]),
                float(judged.odds[i]),
                float(judged.cost[i]),
            )
            kind, rule, reasons = self._opinion(judged, int(i), outlook)
            if judged.side[i] != 0 and math.isfinite(stops[i]):
                place = exit_sentence(float(seen.close[i]), float(stops[i]), float(targets[i]), exits.origin[i])
                told_here = feature_sentence(told.get(seen.ids[i], ()))
                reasons = (*reasons, place, *((told_here,) if told_here else ()))
            signals.append(
                replace(
                    blank,
                    instrument=seen.ids[i],
                    kind=kind,
                    confidence=outlook.odds,
                    expected_return=float(judged.expected[i]),
                    cost=outlook.cost,
                    entry_price=float(seen.close[i]),
                    target_price=float(targets[i]),
                    stop_price=float(stops[i]),
                    reasons=reasons,
                    rule=rule,
                    rank=int(judged.place[i]),
                    missing=judged.missing[i],
                )
            )
        return signals

    def _opinion(self, judged: _Judged, i: int, outlook: Outlook) -> tuple[SignalKind, str, tuple[str, ...]]:
        """Return kind, deciding rule and sentences of one instrument, the decisive sentence first."""
        settings = self._settings
        if judged.missing[i]:
            return _unspoken(judged, i)
        cost = cost_sentence(outlook, settings.minimum_multiple)
        place = rank_sentence(int(judged.place[i]), len(judged.seen.ids), judged.top_k)
        if judged.enter[i]:
            kind = kind_of(signal_score([(int(judged.side[i]), outlook.odds)]))
            notes = (judged.market,) if judged.market else ()
            return kind, "SIG-15", (cost, place, odds_sentence(outlook), *notes)
        if judged.side[i] != 0:
            limit = math.floor(settings.band * judged.top_k)
            stay = f"Held, and still among the best {limit}: kept as it is, which saves the cost of a round trip."
            return SignalKind.HOLD, "SIG-15", (stay, place, cost)
        if judged.leave[i] and judged.fallen[i]:
            trail = "Closed: the close fell below its trailing stop (EXIT-05)."
            return _closing(judged.seen.held[i]), "EXIT-05", (trail, place, cost)
        if judged.leave[i]:
            rising = outlook.move * judged.seen.held[i] > 0.0
            fallen = f"Closed: fell out of the best {math.floor(settings.band * judged.top_k)}."
            why = fallen if rising else "Closed: the forecast no longer speaks for it."
            return _closing(judged.seen.held[i]), "SIG-15", (why, place, cost)
        return self._idle(judged, i, outlook, (cost, place))

    def _idle(
        self, judged: _Judged, i: int, outlook: Outlook, told: tuple[str, str]
    ) -> tuple[SignalKind, str, tuple[str, ...]]:
        """Return kind, rule and sentences of an instrument that is neither held nor entered."""
        settings, seen = self._settings, judged.seen
        if settings.cost_gate and abs(outlook.move) <= settings.minimum_multiple * outlook.cost:
            return SignalKind.HOLD, "SIG-18", told
        if outlook.move < 0.0:
            note = "Not among the names sold short." if settings.shorting else "Not traded: shorting is off."
            return kind_of(signal_score([(-1, outlook.odds)])), "SIG-15", (*told, note)
        if not judged.is_open:
            return SignalKind.HOLD, "SIG-19", (judged.market, *told)
        if illiquid(seen.spread[i : i + 1], seen.close[i : i + 1])[0]:
            wide = "The spread is wider than 50 bps: too illiquid for a new trade (RISK-04)."
            return SignalKind.HOLD, "SIG-19", (wide, *told)
        return SignalKind.HOLD, "SIG-17", told[::-1]


def _unspoken(judged: _Judged, i: int) -> tuple[SignalKind, str, tuple[str, ...]]:
    """Return the opinion on an instrument with a missing input: hold, or close once it has waited too long."""
    sentence = missing_sentence(judged.missing[i])
    if judged.leave[i] and judged.expired[i]:
        late = "Its inputs have been missing for longer than its horizon: closed (EXIT-07)."
        return _closing(judged.seen.held[i]), "EXIT-07", (late, sentence)
    return SignalKind.HOLD, "SIG-21", (sentence,)


def _closing(held: float) -> SignalKind:
    return SignalKind.SELL if held > 0.0 else SignalKind.BUY
