"""Alerts that are due at an instant (ALERT-01 to 08, 10), as a pure function of what is known.

The core journals each as ``AlertRaised`` and returns a ``Notify``. What was said within 15 minutes is not said again,
and because the journal knows what was said, a restart does not say it again either.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal

from foresail.core.ids import InstrumentId
from foresail.domain.alerts import Alert, Severity
from foresail.domain.effects import Notify
from foresail.domain.limits import TradingLimits
from foresail.risk.accounts import SMALL_EQUITY, proposed_profile
from foresail.risk.rules.leverage import margin_state
from foresail.risk.state import RiskState

__all__ = ["AlertInputs", "alerts_due", "as_effects", "cost_share_alert", "profile_alert", "unsaid"]

_QUIET_NS = 15 * 60 * 10**9
_NEAR_STOP = 0.01  # EXIT-10
_CRITICAL_INPUTS = ("close", "volume", "sentiment_score", "RSI")  # ALERT-08
_LADDER = (Severity.WARNING, Severity.ALERT, Severity.CRITICAL)


@dataclass(frozen=True, slots=True)
class AlertInputs:
    """What alerts look at besides the risk state; money in the account's currency.

    Attributes
    ----------
    values : signed value of every position
    prices, stops : last price and stop of every position that has one, quote currency
    equity : account equity
    value_at_risk : one day at 95 %, fraction; NaN = not computed
    margin : equity over the margin in use (``rules.leverage.margin_ratio``); NaN = not computed
    pairs : (instrument, instrument, correlation) of pairs beyond the limits of RISK-11
    missing : critical inputs without a value
    news : (what, sentence) of ALERT-10: a confident signal, a whale print, an extreme, a regime shift
    facts : newest facts
    """

    equity: float
    values: Mapping[InstrumentId, float] = field(default_factory=dict)
    prices: Mapping[InstrumentId, float] = field(default_factory=dict)
    stops: Mapping[InstrumentId, float] = field(default_factory=dict)
    value_at_risk: float = math.nan
    margin: float = math.nan
    pairs: Sequence[tuple[InstrumentId, InstrumentId, float]] = ()
    missing: Sequence[str] = ()
    news: Sequence[tuple[str, str]] = ()
    facts: Mapping[str, float] = field(default_factory=dict)


def alerts_due(state: RiskState, limits: TradingLimits, inputs: AlertInputs) -> tuple[Alert, ...]:
    """Return every alert whose condition holds, whether it was said before or not; ALERT-01 and 06 come of breakers."""
    found = [
        *_positions(limits, inputs),
        *_stops(inputs),
        *_drawdown(state, limits),
        *_portfolio(limits, inputs),
        *_wild_bitcoin(limits, inputs),
    ]
    found += [
        Alert(f"ALERT-08 {name}", Severity.WARNING, f"the critical input {name} is missing")
        for name in sorted(inputs.missing)
        if name in _CRITICAL_INPUTS
    ]
    found += [Alert(f"ALERT-10 {what}", Severity.INFO, text) for what, text in inputs.news]
    return tuple(found)


def unsaid(alerts: Iterable[Alert], state: RiskState, now: int) -> tuple[Alert, ...]:
    """Return the alerts that were not said within the last 15 minutes, each kind once."""
    kept: dict[str, Alert] = {}
    for alert in alerts:
        said = state.memory.alerts.get(alert.kind)
        if said is None or now - said >= _QUIET_NS:
            kept.setdefault(alert.kind, alert)
    return tuple(kept.values())


def as_effects(alerts: Iterable[Alert]) -> tuple[Notify, ...]:
    """Return what the shell is to tell somebody."""
    return tuple(Notify(alert.kind, alert.severity.value, alert.text) for alert in alerts)


def cost_share_alert(name: InstrumentId, *, cost: float, risk: float, limits: TradingLimits) -> tuple[Alert, ...]:
    """Return the warning of SMALL-06 where cost is too large a share of what is risked.

    Parameters
    ----------
    cost : commission and slippage of the round trip, money
    risk : loss at the stop, money
    """
    share = cost / risk if risk > 0.0 else math.inf
    if share <= limits.account.cost_share_warning:
        return ()
    text = f"cost is {share:.0%} of the risk of the trade, {limits.account.cost_share_warning:.0%} is the limit"
    return (Alert(f"SMALL-06 {name}", Severity.WARNING, text),)


def profile_alert(limits: TradingLimits, capital: Decimal) -> tuple[Alert, ...]:
    """Return what RISK-01 proposes where an account is too small for its profile, empty where it fits."""
    proposed = proposed_profile(float(capital))
    if proposed != "small-account" or limits.profile == proposed:
        return ()
    text = (
        f"{capital} is below {SMALL_EQUITY:,.0f}: the profile {proposed} is proposed (SMALL-01), not {limits.profile}"
    )
    return (Alert("RISK-01 profile", Severity.INFO, text),)


def _positions(limits: TradingLimits, inputs: AlertInputs) -> list[Alert]:
    """ALERT-02: a position beyond 15 % of the portfolio, by drift or not."""
    found: list[Alert] = []
    most = limits.book.position_alert
    if most is None:
        return found
    for name, value in sorted(inputs.values.items()):
        share = abs(value) / inputs.equity if inputs.equity > 0.0 else math.inf
        if value != 0.0 and not share <= most:
            found.append(Alert(f"ALERT-02 {name}", Severity.WARNING, f"{name} is {share:.1%} of the portfolio"))
    return found


def _stops(inputs: AlertInputs) -> list[Alert]:
    """ALERT-03 and 07: through the stop, and within 1 % of it."""
    found = []
    for name, stop in sorted(inputs.stops.items()):
        price, value = inputs.prices.get(name, math.nan), inputs.values.get(name, 0.0)
        if not (math.isfinite(price) and math.isfinite(stop)) or value == 0.0:
            continue
        distance = (price - stop) / price if value > 0.0 else (stop - price) / price
        if distance < 0.0:
            found.append(Alert(f"ALERT-03 {name}", Severity.ALERT, f"{price:g} is through the stop {stop:g}: close"))
        elif distance <= _NEAR_STOP:
            found.append(
                Alert(f"ALERT-07 {name}", Severity.INFO, f"{price:g} is {distance:.2%} from the stop {stop:g}")
            )
    return found


def _drawdown(state: RiskState, limits: TradingLimits) -> list[Alert]:
    """ALERT-04: the deepest step that the drawdown is beyond."""
    rules, fallen = limits.breakers, state.drawdown
    steps = (rules.drawdown_warning, rules.drawdown_cut, rules.drawdown_close)
    beyond = [(step, level) for step, level in zip(steps, _LADDER, strict=True) if step is not None and fallen > step]
    return [
        Alert(f"ALERT-04 {step:.0%}", level, f"the drawdown is {fallen:.2%}, beyond {step:.0%}")
        for step, level in beyond[-1:]
    ]


def _portfolio(limits: TradingLimits, inputs: AlertInputs) -> list[Alert]:
    """ALERT-05: value at risk, margin, correlation."""
    found, book = [], limits.book
    if book.value_at_risk is not None and inputs.value_at_risk > book.value_at_risk:
        text = f"value at risk is {inputs.value_at_risk:.1%}, above {book.value_at_risk:.0%}: reduce positions"
        found.append(Alert("ALERT-05 value at risk", Severity.WARNING, text))
    elif inputs.value_at_risk > book.value_at_risk_warning:
        text = f"value at risk is {inputs.value_at_risk:.1%}, above {book.value_at_risk_warning:.0%}"
        found.append(Alert("ALERT-05 value at risk, early", Severity.WARNING, text))
    if margin_state(inputs.margin) == "close":
        text = f"the margin ratio is {inputs.margin:.2f}, below 0.50: close the riskiest positions"
        found.append(Alert("ALERT-05 margin", Severity.WARNING, text))
    elif book.margin_alarm is not None and inputs.margin * book.margin_alarm < 1.0:
        used = math.inf if inputs.margin <= 0.0 else 1.0 / inputs.margin
        text = f"{used:.0%} of equity stands as margin, above {book.margin_alarm:.0%} (RC-08)"
        found.append(Alert("RISK-22 margin use", Severity.ALERT, text))
    gross = math.fsum(abs(value) for value in inputs.values.values())
    if book.leverage_alarm is not None and gross > book.leverage_alarm * inputs.equity > 0.0:
        text = f"positions are {gross / inputs.equity:.1f} times equity, above {book.leverage_alarm:g}"
        found.append(Alert("RISK-22 leverage", Severity.ALERT, text))
    for one, other, value in inputs.pairs:
        text = f"{one} and {other} move together ({value:.2f}): reduce each by {book.correlation_cut:.0%}"
        found.append(Alert(f"ALERT-05 {one} {other}", Severity.WARNING, text))
    return found


def _wild_bitcoin(limits: TradingLimits, inputs: AlertInputs) -> list[Alert]:
    """SIZE-10: crypto that is held is to be halved while Bitcoin is wild."""
    most, value = limits.market.crypto_volatility, inputs.facts.get("btc_volatility_30d", math.nan)
    held = any(name.startswith("crypto.") and worth != 0.0 for name, worth in inputs.values.items())
    if most is None or not held or not value > most:
        return []
    return [Alert("SIZE-10 crypto", Severity.WARNING, f"Bitcoin's volatility is {value:.0%}: halve crypto positions")]
