"""What a core looks at and tells of by itself (ALERT-02 to 05, 07, 08, 10).

What prices alone bring about is looked at with every bar of an account that is audited (ALERT-02, 03, 04, 07); what
takes a history of returns (ALERT-05) at decisions; what signals say (ALERT-08, 10) where they are concluded.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

from foresail.core.ids import InstrumentId
from foresail.domain.alerts import Alert, Severity
from foresail.domain.events import Fact
from foresail.domain.limits import TradingLimits
from foresail.domain.orders import FillReason
from foresail.domain.signals import Signal, SignalKind
from foresail.engine.alert_facts import EXCHANGE_FLOW, FUNDING, WHALE
from foresail.engine.trading.alerting import tell
from foresail.engine.trading.closing import close_orders, send_closing
from foresail.engine.trading.deleveraging import value_at_risk_now
from foresail.engine.trading.reductions import is_calm, position_values
from foresail.engine.trading.risk_figures import margin_now
from foresail.risk.alerts import AlertInputs, alerts_due, unsaid
from foresail.risk.profiles import PROFILES

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["tell_of_fact", "tell_of_signals", "watch_book", "watch_prices"]

_CONFIDENCE = 0.70  # ALERT-10, where the profile names none (RISK-01)
_THROUGH = "ALERT-03 "
_REGIMES = ((15.0, "complacent"), (20.0, "normal"), (30.0, "elevated fear"), (math.inf, "panic"))  # RGM-01


def watch_prices(core: TradingCore, at: int) -> list[CoreEffect]:
    """Tell what the prices of a bar bring about, and sell what is through its stop and still held (ALERT-03).

    A position whose stop the venue is filling by parts is left to it. Only an account that is audited is told; what is
    sold is the same in every backtest.
    """
    limits, positions = core.parts.limits, core.books.positions()
    if core.risk is None or limits is None or not positions:
        return []
    if not core.parts.is_audited:
        return _sell_through(core, at, limits) if core.levels.standing else []
    marks = core.books.last_marks
    is_marked = all(p.instrument in marks for p in positions)
    if is_marked and not (core.levels.standing or core.notes.facts) and is_calm(core):
        return []
    prices, stops = _standing(core)
    inputs = AlertInputs(
        equity=float(core.books.equity(rates=core.parts.market.rates())),
        values=position_values(core, positions), prices=prices, stops=stops, facts=core.notes.facts,
    )  # fmt: skip
    found = alerts_due(core.risk, limits, inputs)
    return [*tell(core, at, unsaid(found, core.risk, at)), *_sell(core, at, found)]


def _standing(core: TradingCore) -> tuple[dict[InstrumentId, float], dict[InstrumentId, float]]:
    """Return last prices and stops of what has a stop that the venue is not filling already."""
    prices, stops = {}, {}
    for name, (stop, _target) in core.levels.standing.items():
        price = core.parts.market.price(name)
        if stop is not None and price is not None and name not in core.levels.leaving:
            prices[name], stops[name] = float(price), stop
    return prices, stops


def _sell_through(core: TradingCore, at: int, limits: TradingLimits) -> list[CoreEffect]:
    """Sell what is through its stop, and tell nobody."""
    prices, stops = _standing(core)
    if core.risk is None or not stops:
        return []
    values = position_values(core, core.books.positions())
    inputs = AlertInputs(equity=math.nan, values=values, prices=prices, stops=stops)
    return _sell(core, at, alerts_due(core.risk, limits, inputs))


def _sell(core: TradingCore, at: int, found: Sequence[Alert]) -> list[CoreEffect]:
    effects: list[CoreEffect] = []
    for alert in found:
        if alert.kind.startswith(_THROUGH):
            name = InstrumentId(alert.kind.removeprefix(_THROUGH))
            effects += send_closing(core, at, close_orders(core, at, "stop", only=name, reason=FillReason.STOP))
    return effects


def watch_book(core: TradingCore, at: int, limits: TradingLimits) -> list[CoreEffect]:
    """Tell what is due of the whole book at a decision: drifted positions, drawdown, Bitcoin, value at risk, margin."""
    positions = core.books.positions()
    if core.risk is None or not positions:
        return []
    equity = float(core.books.equity(rates=core.parts.market.rates()))
    values = position_values(core, positions)
    risk = margin = math.nan
    if core.parts.is_audited:
        risk = value_at_risk_now(core, values, equity)
        margin = margin_now(values, equity, float(core.books.cash), limits)
    inputs = AlertInputs(equity=equity, values=values, facts=core.notes.facts, value_at_risk=risk, margin=margin)
    return tell(core, at, unsaid(alerts_due(core.risk, limits, inputs), core.risk, at))


def tell_of_fact(core: TradingCore, event: Fact, before: float | None) -> list[CoreEffect]:
    """Tell of a whale print, an extreme of funding or exchange flows, or a shift of the VIX's regime (ALERT-10).

    Parameters
    ----------
    before : the newest value of the fact before this one; None = not known
    """
    limits, value = core.parts.limits, event.value
    if not core.parts.is_audited or core.risk is None or limits is None or not math.isfinite(value):
        return []
    name, kind = event.instrument or "", event.kind
    if kind == WHALE:
        news = (f"whale {name}", f"a print of more than 100 times the average size in {name}")
    elif kind.startswith(FUNDING):
        news = (f"funding {name}", f"funding of {value:.2%} per 8 hours")
    elif kind.startswith(EXCHANGE_FLOW):
        news = (f"flow {name}", f"an exchange {kind.rpartition('_')[2]} of {value:.1f} times its 30-day mean")
    elif kind == "vix" and before is not None and _regime(before) != _regime(value):
        news = ("regime", f"the VIX is {value:g}: from {_regime(before)} to {_regime(value)}")
    else:
        return []
    found = alerts_due(core.risk, limits, AlertInputs(equity=math.nan, news=[news]))
    due = [one for one in found if one.kind.startswith("ALERT-10")]
    return tell(core, event.available_at, unsaid(due, core.risk, event.available_at))


def _regime(vix: float) -> str:
    return next(name for most, name in _REGIMES if vix < most)


def tell_of_signals(
    core: TradingCore, at: int, signals: Sequence[Signal], absent: Sequence[str] = ()
) -> list[CoreEffect]:
    """Tell of confident new signals (ALERT-10) and of critical inputs that are missing (ALERT-08).

    Parameters
    ----------
    absent : inputs that a strategy declares and the decision does not have, besides those that signals name
    """
    limits = core.parts.limits
    if not core.parts.is_audited or core.risk is None or limits is None or not (signals or absent):
        return []
    profile = PROFILES.get(limits.profile)
    known = None if profile is None else profile.signal_confidence.value
    least = _CONFIDENCE if known is None else known
    news = [
        (f"{one.instrument}", f"{one.kind.value} at a confidence of {one.confidence:.0%}, above {least:.0%}")
        for one in signals
        if one.kind is not SignalKind.HOLD and one.confidence > least
    ]
    missing = sorted({name for one in signals for name in one.missing} - {*absent})
    inputs = AlertInputs(equity=math.nan, news=news, missing=missing)
    found = [one for one in alerts_due(core.risk, limits, inputs) if one.kind.startswith(("ALERT-08", "ALERT-10"))]
    found += [
        Alert(f"ALERT-08 {name}", Severity.WARNING, f"the critical input {name} is missing: nothing is opened on it")
        for name in absent
    ]
    return tell(core, at, unsaid(found, core.risk, at))
