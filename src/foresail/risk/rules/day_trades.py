"""Day trades of small margin accounts (SMALL-03, SMALL-04), by the rule that holds on the day."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from functools import lru_cache

from foresail.core.errors import ConfigError
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import AccountLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.days import day_span
from foresail.risk.exposure import allow, asset_class_of, class_value, number, refuse, shrink_to_money
from foresail.risk.projected import Projected

__all__ = ["DAY_TRADE_RULES", "DayTrades", "day_trade_rule"]

DAY_TRADE_RULES = ("pdt", "intraday_margin", "none")


def day_trade_rule(limits: AccountLimits, now: int) -> str:
    """Return the rule that holds on the New York day of an instant; ``pdt`` before the first date.

    Raises
    ------
    ConfigError
        If a rule is not ``pdt``, ``intraday_margin`` or ``none``.
    """
    return _rule_of(limits.day_trade_rules, day_span(now, "new_york")[0])


@lru_cache(maxsize=64)
def _rule_of(rules: tuple[tuple[str, str], ...], day: date) -> str:
    today, rule = day.isoformat(), "pdt"
    for first, name in rules:
        if name not in DAY_TRADE_RULES:
            raise ConfigError(f"expected day_trade_rule {', '.join(DAY_TRADE_RULES)}, received {name!r}")
        rule = name if first <= today else rule
    return rule


@dataclass(frozen=True, slots=True)
class DayTrades:
    """Refuses what could become the fourth day trade, or what an intraday margin rule does not carry.

    Exits are never refused: a guard on the closing half would hold somebody in a losing position. So the opening half
    is stopped as soon as closing it the same day would be one too many.
    """

    limits: AccountLimits
    name: str = "SMALL-03 day trades"

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return nothing, or less, where the rule of the day says so."""
        if not self.limits.is_margin or asset_class_of(order.instrument) is not AssetClass.STOCK:
            return allow(self.name, order)
        rule, equity = day_trade_rule(self.limits, view.now), number(view.account.equity)
        if rule == "none":
            return allow(self.name, order)
        if rule == "intraday_margin":
            used = class_value(view, AssetClass.STOCK)
            room = equity / self.limits.maintenance - used
            text = f"intraday margin of {self.limits.maintenance:.0%} must be kept at all times (SMALL-04)"
            return shrink_to_money(self.name, order, view, room, text=text)
        if equity >= self.limits.pdt_equity:
            return allow(self.name, order)
        done, trades = view.state.day_trades(view.now)
        exceeds = done + 1 > self.limits.pdt_share * (trades + 1)
        if done >= self.limits.pdt_trades and exceeds:
            text = f"{done} day trades in five business days below {self.limits.pdt_equity:,.0f} of equity"
            return refuse(self.name, f"{text}: open after the window, in a cash account, or in another market")
        return allow(self.name, order)
