"""Where a position is left: stop, targets, trail, time (EXIT-01 to 09).

Every position has a stop. Which one: the signal's own, else the tier's, else the class's, else two average true ranges;
none may lie further away than tier or class allow (or two average true ranges, where those are known and wider: RISK-05
says "2 % or 2 ATR"), unless the strategy says that it may.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from decimal import Decimal

from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import ConfigError
from foresail.domain.instruments import AssetClass, Instrument
from foresail.domain.signals import Side

__all__ = [
    "CLASS_EXITS",
    "ClassExit",
    "ExitInputs",
    "ExitPlan",
    "Target",
    "choose_exit",
    "crypto_ladder",
    "exit_group",
    "is_crypto_weekend",
    "is_near_stop",
    "must_leave_for_news",
    "narrowed_stop",
    "trailing_stop",
]

_ATR_STOP = Decimal(2)
_TRAIL_ATR = Decimal(3)
_REWARD = Decimal(2)  # reward to risk where nothing else is known
_NEAR = Decimal("0.01")
_WEEKEND = Decimal("0.7")
_THIRD = Decimal(1) / Decimal(3)
_CRYPTO_MAJORS = frozenset({"BTC", "XBT", "ETH", "WBTC"})
_LARGE = frozenset({"USD", "EUR", "JPY", "GBP", "CHF", "AUD", "CAD", "NZD"})
_THURSDAY = 3  # weekday of 1 January 1970, Monday = 0
_NEWS_NS = 30 * 60 * 1_000_000_000


@dataclass(frozen=True, slots=True)
class ClassExit:
    """Stop and target of a group of instruments, fractions of price, or pips where ``pips`` is set (RISK-05, EXIT-03).

    Attributes
    ----------
    stop, target : distances from the entry
    pips : whether they count pips
    """

    stop: Decimal
    target: Decimal
    pips: bool = False


CLASS_EXITS = {
    "stock": ClassExit(Decimal("0.02"), Decimal("0.04")),
    "crypto_major": ClassExit(Decimal("0.05"), Decimal("0.10")),
    "crypto_other": ClassExit(Decimal("0.08"), Decimal("0.20")),
    "forex_major": ClassExit(Decimal(30), Decimal(60), pips=True),
    "forex_cross": ClassExit(Decimal(40), Decimal(80), pips=True),
    "forex_exotic": ClassExit(Decimal(60), Decimal(120), pips=True),
}


@dataclass(frozen=True, slots=True)
class Target:
    """A price at which part of a position is left; ``share`` of what was held at the entry."""

    price: Decimal
    share: Decimal = Decimal(1)


@dataclass(frozen=True, slots=True)
class ExitPlan:
    """How a position is left.

    Attributes
    ----------
    stop : price
    targets : nearest first; what their shares leave runs on
    trail : distance kept from the best price since entry once the last target is reached; None = no trail
    leave_at : ns UTC, 0 = no time exit
    stop_from, target_from : which rule chose them
    """

    side: Side
    stop: Decimal
    targets: tuple[Target, ...] = ()
    trail: Decimal | None = None
    leave_at: int = 0
    stop_from: str = ""
    target_from: str = ""


@dataclass(frozen=True, slots=True)
class ExitInputs:
    """What is known at the entry.

    Attributes
    ----------
    entry : price
    side : of the entry
    group : key of ``CLASS_EXITS``
    pip : price of one pip, for forex
    signal_stop, signal_target : of the signal itself
    tier_stop : fraction of price, from the price tier
    atr : average true range, price
    may_exceed : whether the strategy may place a wider stop than tier and class
    leave_at : ns UTC of a time exit, 0 = none
    """

    entry: Decimal
    side: Side
    group: str
    pip: Decimal = Decimal(0)
    signal_stop: Decimal | None = None
    signal_target: Decimal | None = None
    tier_stop: Decimal | None = None
    atr: Decimal | None = None
    may_exceed: bool = False
    leave_at: int = 0


def exit_group(instrument: Instrument) -> str:
    """Return the key of ``CLASS_EXITS`` under which an instrument falls.

    A pair of two large currencies is a major where one of them is the dollar, else a cross; the others are exotic.
    """
    if instrument.asset_class is AssetClass.STOCK:
        return "stock"
    codes = instrument.id.removesuffix(".perp").rpartition(".")[2].partition("~")[0].split("-")
    if instrument.asset_class is AssetClass.CRYPTO:
        return "crypto_major" if codes[0] in _CRYPTO_MAJORS else "crypto_other"
    if not set(codes) <= _LARGE:
        return "forex_exotic"
    return "forex_major" if "USD" in codes else "forex_cross"


def choose_exit(inputs: ExitInputs) -> ExitPlan:
    """Return stop, target and time of a position by the order of preference (EXIT-02 to 04, 07).

    Raises
    ------
    ConfigError
        If the group is unknown, a price is not positive, or a level lies on the wrong side of the entry.
    """
    if inputs.group not in CLASS_EXITS:
        raise ConfigError(f"unknown exit group {inputs.group!r}; known: {', '.join(sorted(CLASS_EXITS))}")
    if not (inputs.entry.is_finite() and inputs.entry > 0):
        raise ConfigError(f"an exit needs a positive entry, received {inputs.entry}")
    group = CLASS_EXITS[inputs.group]
    sign = 1 if inputs.side is Side.BUY else -1
    distance, stop_from = _stop_distance(inputs, group, sign)
    widest = _class_distance(group.stop, inputs, group)
    if inputs.tier_stop is not None:
        widest = max(widest, inputs.tier_stop * inputs.entry)
    if inputs.atr is not None and not group.pips:
        widest = max(widest, _ATR_STOP * inputs.atr)
    if distance > widest and not inputs.may_exceed:
        distance, stop_from = widest, f"{stop_from}, cut to the class or tier maximum"
    stop = inputs.entry - sign * distance
    if stop <= 0:
        raise ConfigError(f"a stop {distance} away from the entry {inputs.entry} is no price")
    price, target_from = _target(inputs, distance, sign)
    return ExitPlan(inputs.side, stop, (Target(price),), None, inputs.leave_at, stop_from, target_from)


def _stop_distance(inputs: ExitInputs, group: ClassExit, sign: int) -> tuple[Decimal, str]:
    if inputs.signal_stop is not None:
        distance = sign * (inputs.entry - inputs.signal_stop)
        if not distance > 0:
            raise ConfigError(
                f"the stop {inputs.signal_stop} of a {inputs.side.value} lies on the wrong side of {inputs.entry}"
            )
        return distance, "the signal's own stop"
    if inputs.tier_stop is not None:
        return inputs.tier_stop * inputs.entry, "tier stop"
    if group.pips and not inputs.pip > 0 and inputs.atr is not None:
        return _ATR_STOP * inputs.atr, "2 average true ranges"
    return _class_distance(group.stop, inputs, group), "class stop"


def _class_distance(size: Decimal, inputs: ExitInputs, group: ClassExit) -> Decimal:
    if not group.pips:
        return size * inputs.entry
    if not inputs.pip > 0:
        if inputs.atr is None:
            raise ConfigError(f"a {inputs.group} exit needs the price of a pip, or an average true range")
        return _ATR_STOP * inputs.atr
    return size * inputs.pip


def _target(inputs: ExitInputs, distance: Decimal, sign: int) -> tuple[Decimal, str]:
    """RC-13: the signal's own target, else twice the distance of the stop."""
    if inputs.signal_target is not None:
        if not sign * (inputs.signal_target - inputs.entry) > 0:
            raise ConfigError(
                f"the target {inputs.signal_target} of a {inputs.side.value} lies on the wrong side of {inputs.entry}"
            )
        return inputs.signal_target, "the signal's own target"
    price = inputs.entry + sign * _REWARD * distance
    if price <= 0:
        raise ConfigError(f"a target of twice the stop's distance {distance} below {inputs.entry} is no price")
    return price, "2:1 reward to risk"


def crypto_ladder(plan: ExitPlan, entry: Decimal, atr: Decimal | None) -> ExitPlan:
    """Return the plan with a third left at +10 %, a third at +20 %, the rest trailing three ATR (EXIT-06).

    Parameters
    ----------
    atr : average true range, price; None = not known: the rest keeps the stop

    Raises
    ------
    ConfigError
        If the average true range is not positive, or the plan is not of a purchase.
    """
    if plan.side is not Side.BUY or (atr is not None and not atr > 0):
        raise ConfigError(f"the ladder is for purchases with a positive average true range, received {atr}")
    steps = (Target(entry * Decimal("1.10"), _THIRD), Target(entry * Decimal("1.20"), _THIRD))
    return replace(plan, targets=steps, trail=None if atr is None else _TRAIL_ATR * atr, target_from="EXIT-06 ladder")


def trailing_stop(side: Side, best: Decimal, atr: Decimal, *, multiple: Decimal = _TRAIL_ATR) -> Decimal:
    """Return a stop so many average true ranges behind the best price since entry (EXIT-05).

    Raises
    ------
    ConfigError
        If a number is not positive, or nothing of the price is left.
    """
    if not (best > 0 and atr > 0 and multiple > 0):
        raise ConfigError(f"a trailing stop needs positive numbers, received {best}, {atr} and {multiple}")
    level = best - atr * multiple if side is Side.BUY else best + atr * multiple
    if level <= 0:
        raise ConfigError(f"a trail of {multiple} times {atr} below {best} is no price")
    return level


def is_crypto_weekend(at: int) -> bool:
    """Return whether an instant (ns UTC) lies between Saturday 00:00 and Sunday 24:00 UTC (EXIT-08)."""
    return (at // NS_PER_DAY + _THURSDAY) % 7 >= 5


def narrowed_stop(stop: Decimal, entry: Decimal) -> Decimal:
    """Return a stop at 0.7 of its distance from the entry (EXIT-08)."""
    return entry + (stop - entry) * _WEEKEND


def must_leave_for_news(at: int, news: Sequence[int]) -> bool:
    """Return whether major news is less than 30 minutes away (EXIT-09).

    Parameters
    ----------
    at : ns UTC
    news : instants of major news, ns UTC
    """
    return any(0 <= one - at < _NEWS_NS for one in news)


def is_near_stop(price: Decimal, stop: Decimal) -> bool:
    """Return whether a price lies within 1 % of its stop (EXIT-10)."""
    return abs(price - stop) <= _NEAR * stop
