"""Conditions that make sizes smaller while they last (SIZE-10, RISK-11): which hold now, and which are in force.

A condition begins and ends by an entry of the journal. When it begins, what is held of the names that it is about is
made smaller once; while it lasts, targets stay smaller, also of names that are bought only then. A pair of RISK-11
begins where it moves together and is large, and ends when it no longer moves together: that it is small again is the
reduction's own doing. A condition whose input is not known any more stays as it is.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import TYPE_CHECKING, Any

import numpy as np

from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Position
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import TradingLimits
from foresail.ledger.entries import Entry, ReductionBegun, ReductionEnded
from foresail.portfolio.exits import is_crypto_weekend
from foresail.risk.exposure import asset_class_of
from foresail.risk.rules.correlation import correlations

if TYPE_CHECKING:
    from foresail.engine.trading.core import TradingCore

__all__ = ["PAIR", "WEEKEND", "Reductions", "conditions_now", "facts_act", "family", "is_calm", "position_values"]

_VIX, _BITCOIN, _PAIR = "SIZE-10 VIX", "SIZE-10 Bitcoin", "RISK-11"
WEEKEND = "EXIT-08 weekend leverage"  # begun by ``level_keeping`` with a bar, not with a decision
PAIR = f"{_PAIR} pair"  # how a rule of two names that move together begins
_HALF = 0.5  # SIZE-10: crypto positions while Bitcoin is wild

_Found = dict[str, tuple[tuple[tuple[InstrumentId, float], ...], str]]


def family(rule: str) -> str:
    """Return what a rule is one case of: a name is cut once by all pairs of RISK-11 together."""
    return rule.partition(" pair ")[0]


class Reductions:
    """The conditions in force: a fold over the journal."""

    def __init__(self) -> None:
        self.active: dict[str, dict[InstrumentId, float]] = {}

    def apply(self, entry: Entry) -> None:
        """Take in the next entry."""
        if isinstance(entry, ReductionBegun):
            self.active[entry.rule] = dict(entry.factors)
        elif isinstance(entry, ReductionEnded):
            self.active.pop(entry.rule, None)

    def pair_factors(self) -> dict[InstrumentId, float]:
        """Return the share of their size that correlated names keep (RISK-11)."""
        found: dict[InstrumentId, float] = {}
        for rule, factors in self.active.items():
            if family(rule) == _PAIR:
                for name, factor in factors.items():
                    found[name] = min(factor, found.get(name, 1.0))
        return found

    def is_cut(self, rule: str, name: InstrumentId) -> bool:
        """Return whether a name is made smaller already by another case of the same rule."""
        return any(name in factors for other, factors in self.active.items() if family(other) == family(rule))

    def to_plain(self) -> dict[str, dict[str, float]]:
        """Return everything as plain data."""
        return {rule: {str(name): factor for name, factor in own.items()} for rule, own in self.active.items()}

    @classmethod
    def from_plain(cls, plain: Mapping[str, Mapping[str, float]]) -> Reductions:
        """Return the reductions that ``to_plain`` told."""
        told = cls()
        told.active = {rule: {InstrumentId(name): float(f) for name, f in own.items()} for rule, own in plain.items()}
        return told


def facts_act(facts: Mapping[str, float], limits: TradingLimits | None) -> bool:
    """Return whether what is known of the market asks for smaller positions, whatever is held (SIZE-10)."""
    if limits is None or not facts:
        return False
    bounds = (("vix", limits.market.vix_cut_above), ("btc_volatility_30d", limits.market.crypto_volatility))
    return any(most is not None and facts.get(name, math.nan) > most for name, most in bounds)


def is_calm(core: TradingCore) -> bool:
    """Return whether no decision needs ``protection.reduce_sizes``: positions small, drawdown small, nothing in force.

    For accounts whose facts ask for nothing and whose positions are all marked; it may say no too often, never yes.
    """
    limits = core.parts.limits
    if core.expiries.standing or len(core.books.currencies) > 1:
        return False  # a decision may close what has expired; values in several currencies are not added up here
    if limits is None or core.risk is None:
        return limits is None
    warning, marks = limits.breakers.drawdown_warning, core.books.marks
    if core.reductions.active or (warning is not None and core.risk.drawdown > warning):
        return False
    values = (
        abs(float(p.quantity * marks[p.instrument] * core.parts.instruments[p.instrument].multiplier))
        for p in core.books.positions()
    )
    book = limits.book
    shares = (book.position_alert, book.correlation_share, book.value_at_risk)
    most = min(1.0 if share is None else share for share in shares)
    return sum(values) <= most * float(core.books.equity())


def conditions_now(core: TradingCore, limits: TradingLimits) -> _Found:
    """Return every condition that holds, by rule: (instrument, share that is left) and the reason."""
    positions, active = core.books.positions(), core.reductions.active
    facts, market = core.notes.facts, limits.market
    found: _Found = {}
    vix, level = facts.get("vix", math.nan), market.vix_cut_above
    if level is not None and (vix > level or (_VIX in active and math.isnan(vix))):
        text = f"the VIX is {vix:g}, above {level:g}: all positions less {market.vix_cut:.0%}"
        found[_VIX] = (tuple((p.instrument, 1.0 - market.vix_cut) for p in positions), text)
    wild, most = facts.get("btc_volatility_30d", math.nan), market.crypto_volatility
    if most is not None and (wild > most or (_BITCOIN in active and math.isnan(wild))):
        crypto = [p.instrument for p in positions if asset_class_of(p.instrument) is AssetClass.CRYPTO]
        text = f"Bitcoin's 30-day volatility is {wild:.0%}, above {most:.0%}: crypto positions halved"
        found[_BITCOIN] = (tuple((name, _HALF) for name in crypto), text)
    if WEEKEND in active and is_crypto_weekend(core.books.at):
        found[WEEKEND] = (tuple(active[WEEKEND].items()), "")
    found.update(_pairs(core, limits, positions))
    return found


def _pairs(core: TradingCore, limits: TradingLimits, positions: Sequence[Position]) -> _Found:
    """Return the pairs of RISK-11; shorts enter with their sign."""
    book = limits.book
    if book.correlation is None or len(positions) < 2:  # a pair of which one is sold has ended
        return {}
    values, active = position_values(core, positions), core.reductions.active
    equity = float(core.books.equity(rates=core.parts.market.rates()))
    largest = max((abs(value) for value in values.values()), default=0.0)
    known = {name for factors in active.values() for name in factors}
    large = (n for n, v in values.items() if n in known or abs(v) + largest > book.correlation_share * equity)
    near = []
    for one, other in combinations(sorted(large), 2):
        rule = f"{PAIR} {one} {other}"
        together = abs(values[one]) + abs(values[other])
        if rule in active or together > book.correlation_share * equity:
            near.append((rule, one, other, together))
    history = getattr(core.parts.market, "daily_returns", None)
    names = sorted({name for _rule, one, other, _sum in near for name in (one, other)})
    returns: Any = history(names) if near and history is not None else None
    found: _Found = {}
    for rule, one, other, together in near:
        value = math.nan
        if returns is not None:
            window = np.asarray(returns, dtype=np.float64)[:, -book.correlation_days :]
            value = float(correlations(window[names.index(one)], window[[names.index(other)]])[0])
        signed = value * math.copysign(1.0, values[one] * values[other])
        if signed > book.correlation or (rule in active and math.isnan(signed)):
            text = f"{one} and {other} move together ({signed:.2f}), {together / equity:.1%} of equity: each less "
            left = 1.0 - book.correlation_cut
            found[rule] = (((one, left), (other, left)), f"{text}{book.correlation_cut:.0%}")
    return found


def position_values(core: TradingCore, positions: Sequence[Position]) -> dict[InstrumentId, float]:
    """Return signed values in the account's currency; a name without a price is left out."""
    rates, values = core.parts.market.rates(), {}
    for position in positions:
        one, price = core.parts.instruments[position.instrument], core.parts.market.price(position.instrument)
        if price is not None:
            rate = float(rates.get(one.currency, 1))
            values[position.instrument] = float(position.quantity * price * one.multiplier) * rate
    return values
