"""Stops that move by themselves: they trail the best price (EXIT-05), and stand nearer at a crypto weekend (EXIT-08).

What a strategy, a tier or a class asks for is the full distance of a stop. From Saturday 00:00 to Sunday 24:00 UTC a
crypto stop below its entry stands at 0.7 of it, whoever named it and whether or not a decision names it then, and goes
back afterwards. Both distances are in the journal (``LevelsSet.wide``, ``StopsNarrowed``), so a restart knows them. A
stop that trails follows the best price since the position was opened and never goes back.

Levels that hang on positions are kept; stop orders that a strategy placed itself are its own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from typing import TYPE_CHECKING

from foresail.core.ids import InstrumentId
from foresail.core.numbers import round_tick
from foresail.domain.accounts import Position
from foresail.domain.alerts import Alert, Severity
from foresail.domain.instruments import AssetClass
from foresail.domain.orders import Order, OrderKind
from foresail.domain.signals import Side
from foresail.engine.trading.alerting import tell
from foresail.engine.trading.closing import close_orders, send_closing
from foresail.engine.trading.desk_exits import entry_price
from foresail.engine.trading.parts import Attach, Decision, DeskCall
from foresail.engine.trading.reductions import WEEKEND, position_values
from foresail.ledger.entries import LevelsSet, ReductionBegun
from foresail.portfolio.exits import is_crypto_weekend, narrowed_stop, trailing_stop
from foresail.risk.exposure import asset_class_of

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["TrailSource", "keep_levels", "trail_source", "unlever", "with_kept_stops"]

TrailSource = Callable[[InstrumentId, int, int, int], float]


def trail_source(market: object, multiple: float = 3.0) -> TrailSource:
    """Return levels so many average true ranges behind the best price since an instant, as a market of bars tells them.

    The function takes (instrument, opened at ns, position, sign 1 or -1) and returns a price, NaN where none is known.
    """
    best, ranges = getattr(market, "best_price"), getattr(market, "average_range")  # noqa: B009 a market that has them

    def level(name: InstrumentId, since: int, position: int, sign: int) -> float:
        price, width = float(best(name, since, position, sign)), float(ranges(name, position))
        if not (price > 0.0 and width > 0.0) or (sign > 0 and price <= multiple * width):
            return math.nan
        side = Side.BUY if sign > 0 else Side.SELL
        return float(trailing_stop(side, _exact(price), _exact(width), multiple=_exact(multiple)))

    return level


def keep_levels(core: TradingCore, at: int) -> list[CoreEffect]:
    """Journal and hang the stops that a bar moves.

    A position whose stop the venue is filling by parts is left to it.
    """
    if not core.parts.keeps_stops or not core.levels.standing:
        return []
    effects: list[CoreEffect] = []
    for held in core.books.positions():
        stop, target = core.levels.standing.get(held.instrument, (None, None))
        if stop is None or held.instrument in core.levels.leaving:
            continue
        wide = _trailed(core, held, core.levels.wide.get(held.instrument, stop))
        opened = float(held.average_price), held.quantity > 0
        new = _nearer_at_weekend(core, held.instrument, wide, opened, at)
        if new != stop:
            core.write(
                LevelsSet, at, instrument=held.instrument, stop=new, target=target, wide=wide if new != wide else None
            )
            effects.append(Attach(held.instrument, new, target))
    return effects


def with_kept_stops(core: TradingCore, call: DeskCall, decision: Decision) -> tuple[Decision, Mapping[str, float]]:
    """Return a decision whose stops stand where they are kept now, and the full distance of those that were moved.

    Returns
    -------
    the decision; instrument of a level, or id of an order -> stop at its full distance
    """
    parts = core.parts
    if not parts.keeps_stops or not (decision.orders or decision.levels):
        return decision, {}
    if parts.trail is None and not is_crypto_weekend(call.at):
        return decision, {}
    held = {one.instrument: one for one in core.books.positions()}
    moved: dict[str, float] = {}
    levels = tuple(_kept_level(core, call, one, held.get(one.instrument), moved) for one in decision.levels)
    orders = tuple(_kept_order(core, call, one, held.get(one.instrument), moved) for one in decision.orders)
    return replace(decision, orders=orders, levels=levels), moved


def unlever(core: TradingCore, at: int) -> list[CoreEffect]:
    """Sell crypto down to once the equity when a weekend begins on more (EXIT-08), once a weekend."""
    limits = core.parts.limits
    if limits is None or not limits.profile or not is_crypto_weekend(at) or WEEKEND in core.reductions.active:
        return []
    held = [one for one in core.books.positions() if asset_class_of(one.instrument) is AssetClass.CRYPTO]
    equity = float(core.books.equity(rates=core.parts.market.rates()))
    gross = math.fsum(abs(value) for value in position_values(core, held).values())
    if not held or not 0.0 < equity < gross:
        return []
    left = equity / gross
    text = f"crypto of {gross / equity:.2f} times the equity at a weekend: down to once (EXIT-08)"
    core.write(ReductionBegun, at, rule=WEEKEND, factors=tuple((one.instrument, left) for one in held), text=text)
    effects = tell(core, at, [Alert(WEEKEND, Severity.WARNING, text)])
    part = (gross - equity) / gross
    for one in held:
        effects += send_closing(core, at, close_orders(core, at, "weekend", part, only=one.instrument))
    return effects


def _kept_level(
    core: TradingCore, call: DeskCall, one: Attach, held: Position | None, moved: dict[str, float]
) -> Attach:
    if one.stop is None or held is None:
        return one
    wide = _trailed(core, held, one.stop, standing=True)
    new = _nearer_at_weekend(core, one.instrument, wide, (float(held.average_price), held.quantity > 0), call.at)
    if new != wide:
        moved[one.instrument] = wide
    return one if new == one.stop else replace(one, stop=new)


def _kept_order(core: TradingCore, call: DeskCall, one: Order, held: Position | None, moved: dict[str, float]) -> Order:
    is_trigger = one.kind is OrderKind.STOP and one.trigger_price is None
    if one.stop_price is None or one.reduce_only or is_trigger:
        return one
    wide, entry, is_long = float(one.stop_price), entry_price(one, call), one.side is Side.BUY
    if held is not None and (held.quantity > 0) is is_long:
        wide, entry = _trailed(core, held, wide, standing=True), held.average_price
    if entry is None:
        return one
    new = _nearer_at_weekend(core, one.instrument, wide, (float(entry), is_long), call.at)
    if new != wide:
        moved[one.id] = wide
    return one if new == float(one.stop_price) else replace(one, stop_price=_exact(new))


def _trailed(core: TradingCore, held: Position, wide: float, *, standing: bool = False) -> float:
    """Return the full-distance stop of a position, nearer where it trails; ``standing``: nor looser than it stands."""
    trail = core.parts.trail
    if trail is None:
        return wide
    sign, name = (1 if held.quantity > 0 else -1), held.instrument
    levels = [wide, trail(name, held.opened_at, core.parts.market.position, sign)]
    now = core.levels.standing.get(name, (None, None))[0]
    if standing and now is not None:
        levels.append(core.levels.wide.get(name, now))
    best = max(sign * one for one in levels if math.isfinite(one))
    return wide if sign * wide == best else _on_tick(core, name, sign * best)


def _nearer_at_weekend(
    core: TradingCore, name: InstrumentId, wide: float, opened: tuple[float, bool], at: int
) -> float:
    """Return where a stop stands: at 0.7 of its distance at a crypto weekend while it lies on the side of a loss.

    Parameters
    ----------
    opened : price of the entry, and whether the position is a long one
    """
    entry, is_long = opened
    one = core.parts.instruments[name]
    if one.asset_class is not AssetClass.CRYPTO or not is_crypto_weekend(at):
        return wide
    if (wide >= entry) if is_long else (wide <= entry):
        return wide  # it protects a gain
    new = _on_tick(core, name, float(narrowed_stop(_exact(wide), _exact(entry))))
    return new if abs(new - entry) >= float(one.tick) else wide


def _on_tick(core: TradingCore, name: InstrumentId, level: float) -> float:
    tick = core.parts.instruments[name].tick
    return float(max(tick, round_tick(_exact(level), tick)))


def _exact(value: float) -> Decimal:
    return Decimal(repr(float(value)))
