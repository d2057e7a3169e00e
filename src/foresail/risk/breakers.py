"""Circuit breakers and the drawdown ladder: what is due at an instant, as a pure function of state and limits.

The core calls ``due`` after every fill and mark, and at least every 60 s (RISK-30). It journals each trip and alert.
Then it performs the action: cancels open orders, and closes the stated fraction of every position by the exit path.
A breaker in force is not due again; a step of the ladder acts once and re-arms when the drawdown is below it again.

After the last step positions are gone and the drawdown cannot recover by itself: reassessing (RISK-19) is a person's
``BreakerReset``, which restates the peak.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_DOWN, Context, Decimal

from foresail.core.numbers import round_quantity
from foresail.domain.alerts import Alert, Severity
from foresail.domain.limits import BreakerLimits, TradingLimits
from foresail.risk.state import RiskState

__all__ = ["BreakerAction", "BreakerTrip", "due", "exit_quantity", "quiet_until"]

_DAY_NS = 86_400 * 10**9
_ZERO = Decimal(0)
_UNTIL_RESET = 0
_EXACT = Context(prec=60, rounding=ROUND_DOWN)


@dataclass(frozen=True, slots=True)
class BreakerTrip:
    """A breaker that trips now: what a ``BreakerTripped`` entry holds."""

    rule: str
    until: int
    text: str


@dataclass(frozen=True, slots=True)
class BreakerAction:
    """What is due; empty where nothing is.

    Attributes
    ----------
    trips : to journal as ``BreakerTripped``
    alerts : of those trips, to journal as ``AlertRaised`` and send as ``Notify``
    conditions : alerts that hold as long as their condition does (ALERT-01); what was said lately is not said again
    cancels_entries : whether open orders that do not reduce are taken back
    close_fraction : of every position, 0 to 1
    """

    trips: tuple[BreakerTrip, ...] = ()
    alerts: tuple[Alert, ...] = ()
    conditions: tuple[Alert, ...] = ()
    cancels_entries: bool = False
    close_fraction: float = 0.0


_NOTHING = BreakerAction()


def due(state: RiskState, limits: TradingLimits, now: int) -> BreakerAction:
    """Return the breakers that trip at an instant and what they ask for.

    Parameters
    ----------
    now : ns UTC; the state must have rolled to this day, which any entry at it does
    """
    rules = limits.breakers
    found = [*_losses(state, rules), *_counts(state, rules), *_ladder(state, rules, now)]
    if not found and rules.daily_loss_money is None:
        return _NOTHING
    in_force = state.breakers_in_force(now)
    new = [one for one in found if one[0].rule not in in_force and one[0].rule not in state.memory.acted]
    alerts = [Alert(f"ALERT-06 {trip.rule}", severity, trip.text) for trip, severity, _ in new]
    return BreakerAction(
        trips=tuple(trip for trip, _, _ in new),
        alerts=tuple(alerts),
        conditions=tuple(_daily_loss_alert(state, rules)),
        cancels_entries=bool(new),
        close_fraction=max((fraction for _, _, fraction in new), default=0.0),
    )


def quiet_until(state: RiskState, limits: TradingLimits, equity: Decimal) -> int:
    """Return up to which instant (ns UTC) marks at the same equity trip nothing and tell nobody; -1 = not even now.

    Parameters
    ----------
    equity : of the marks to come; another one than the newest mark's is left to the mark itself
    """
    memory = state.memory
    action = due(state, limits, memory.at)
    if memory.equity != equity or action != _NOTHING:
        return -1
    ends = [one.until for one in memory.breakers.values() if one.until > memory.at]
    return min([memory.day_end, *ends]) - 1


def exit_quantity(held: Decimal, exits_on_order: Decimal, fraction: float, lot: Decimal) -> Decimal:
    """Return units to close: a fraction of what is held, never more than held less what exits may already take.

    A fraction of 1 closes what is left to the last fraction of a lot.
    """
    free = max(_ZERO, abs(held) - exits_on_order)
    if fraction >= 1.0:
        return free
    return min(free, round_quantity(_EXACT.multiply(abs(held), Decimal(repr(fraction))), lot))


_Due = tuple[BreakerTrip, Severity, float]


def _losses(state: RiskState, rules: BreakerLimits) -> list[_Due]:
    """Losses of the day and week (RISK-24, 25, 28, 29)."""
    memory, found = state.memory, []
    closing = 1.0 if rules.closes_on_loss else 0.0
    lost = state.day_loss()
    if rules.daily_loss is not None and not lost < rules.daily_loss:
        text = f"{lost:.2%} of the equity at the start of the day is lost, {rules.daily_loss:.2%} stop trading"
        found.append((BreakerTrip("RISK-24 daily loss", memory.day_end, text), Severity.ALERT, closing))
    week = state.week_loss()
    if rules.weekly_loss is not None and not week < rules.weekly_loss:
        until = memory.at + rules.week_pause_days * _DAY_NS
        text = f"{week:.2%} of the equity at the start of the week is lost: pause of {rules.week_pause_days} days"
        found.append((BreakerTrip("RISK-25 weekly loss", until, text), Severity.ALERT, closing))
    if rules.daily_loss_r is not None and not lost < rules.daily_loss_r * rules.risk_per_trade:
        text = f"{lost:.2%} is lost today, {rules.daily_loss_r:g} R are {rules.daily_loss_r * rules.risk_per_trade:.2%}"
        found.append((BreakerTrip("RISK-29 daily loss in R", memory.day_end, text), Severity.ALERT, 0.0))
    if not rules.money_alert_only and _money_loss(state, rules):
        text = f"{lost:.2%} is lost today, the limit in money is reached"
        found.append((BreakerTrip("RISK-28 daily loss in money", memory.day_end, text), Severity.CRITICAL, 0.0))
    return found


def _money_loss(state: RiskState, rules: BreakerLimits) -> bool:
    """Whether the loss of the day reached the limit in money, scaled from the account size that it was written for."""
    start, equity = state.memory.day_equity, state.memory.equity
    if rules.daily_loss_money is None or start is None or equity is None:
        return False
    return not float(start - equity) < rules.daily_loss_money * float(start) / rules.money_base


def _daily_loss_alert(state: RiskState, rules: BreakerLimits) -> list[Alert]:
    """ALERT-01: the loss of the day reached the limit in money, or the profile's own."""
    lost = state.day_loss()
    in_r = None if rules.daily_loss_r is None else rules.daily_loss_r * rules.risk_per_trade
    own = min((limit for limit in (rules.daily_loss, in_r) if limit is not None), default=None)
    if (own is None or lost < own) and not _money_loss(state, rules):
        return []
    return [Alert("ALERT-01 daily loss", Severity.CRITICAL, f"{lost:.2%} of the day's equity is lost")]


def _counts(state: RiskState, rules: BreakerLimits) -> list[_Due]:
    """Losing streak and trades of the day (RISK-26, 27)."""
    memory, found = state.memory, []
    if rules.consecutive_losses is not None and memory.losing_streak >= rules.consecutive_losses:
        text = f"{memory.losing_streak} trades in a row lost: review the strategy"
        found.append((BreakerTrip("RISK-26 consecutive losses", memory.day_end, text), Severity.ALERT, 0.0))
    if rules.trades_per_day is not None and len(memory.opened_orders) >= rules.trades_per_day:
        text = f"{len(memory.opened_orders)} trades today, {rules.trades_per_day} are allowed; exits go on"
        found.append((BreakerTrip("RISK-27 trades per day", memory.day_end, text), Severity.ALERT, 0.0))
    return found


def _ladder(state: RiskState, rules: BreakerLimits, now: int) -> list[_Due]:
    """The steps of the drawdown ladder that the drawdown is beyond (RISK-19)."""
    fallen, found = state.drawdown, []
    if fallen <= 0.0:
        return []
    steps = (
        (rules.drawdown_warning, now, Severity.WARNING, 0.0, "review positions"),
        (rules.drawdown_cut, _UNTIL_RESET, Severity.ALERT, rules.cut_fraction, "positions are cut, nothing is opened"),
        (
            rules.drawdown_close,
            now + rules.pause_days * _DAY_NS,
            Severity.CRITICAL,
            1.0,
            f"everything is closed, pause of {rules.pause_days} days",
        ),
    )
    for step, until, severity, fraction, action in steps:
        if step is not None and fallen > step:
            text = f"the drawdown is {fallen:.2%}, beyond {step:.0%}: {action}"
            found.append((BreakerTrip(f"RISK-19 drawdown {step * 100:g}%", until, text), severity, fraction))
    return found
