"""Every rule by name: which are in force in a research run, which for an account that trades, and what waits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from foresail.core.errors import ConfigError
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import PositionLimits, TradingLimits
from foresail.domain.orders import Order, Ruling
from foresail.risk.exposure import asset_class_of, refuse
from foresail.risk.projected import Projected
from foresail.risk.rules.altcoins import Altcoins
from foresail.risk.rules.averaging_down import AveragingDown
from foresail.risk.rules.blocked import BlockedInstrument
from foresail.risk.rules.breakers import Breakers
from foresail.risk.rules.cancel_ratio import CancelRatio
from foresail.risk.rules.cash_floor import CashFloor
from foresail.risk.rules.class_exposure import ClassExposure
from foresail.risk.rules.collar import Collar
from foresail.risk.rules.conditions import Conditions
from foresail.risk.rules.correlation import Correlation
from foresail.risk.rules.currency_risk import CurrencyRisk
from foresail.risk.rules.day_trades import DayTrades
from foresail.risk.rules.halts import Halts
from foresail.risk.rules.leverage import LeverageCap
from foresail.risk.rules.links import Links
from foresail.risk.rules.liquidity import Liquidity
from foresail.risk.rules.margin import MarginUse
from foresail.risk.rules.max_position import MaxPosition
from foresail.risk.rules.news import News
from foresail.risk.rules.order_rate import OrderRate, SubmittedValue
from foresail.risk.rules.parent_cap import ParentCap
from foresail.risk.rules.per_trade_risk import PerTradeRisk
from foresail.risk.rules.portfolio_beta import PortfolioBeta
from foresail.risk.rules.price_age import PriceAge
from foresail.risk.rules.sector import SectorExposure
from foresail.risk.rules.self_cross import SelfCross
from foresail.risk.rules.settled_cash import SettledCash
from foresail.risk.rules.shorting import Shorting
from foresail.risk.rules.thin_hours import ThinHours
from foresail.risk.rules.value_at_risk import ValueAtRisk
from foresail.risk.rules.vix import Vix

__all__ = ["ByClass", "TradingRule", "default_rules", "inactive_rules", "position_rules", "trading_rules"]


class TradingRule(Protocol):
    """A rule of an account that trades; may only shrink or refuse."""

    @property
    def name(self) -> str:
        """Requirement id and row."""
        ...

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return what this rule allows."""
        ...


@dataclass(frozen=True, slots=True)
class ByClass:
    """One row of a profile for an account of several asset classes: the class of the order chooses the limit."""

    name: str
    rules: tuple[tuple[AssetClass, TradingRule], ...]

    def review(self, order: Order, view: Projected) -> Ruling:
        """Return what the row of the order's class allows; a class without limits may not be opened."""
        own = asset_class_of(order.instrument)
        for asset_class, rule in self.rules:
            if asset_class is own:
                return rule.review(order, view)
        return refuse(self.name, f"there are no limits for {own.value}")


def default_rules(limits: PositionLimits) -> tuple[TradingRule, ...]:
    """Return the limits on one position, in the order in which they are named when several are equally strict."""
    return (
        Shorting(limits),
        PerTradeRisk(limits),
        MaxPosition(limits),
        SectorExposure(limits),
        ClassExposure(limits),
        CashFloor(limits),
    )


def position_rules(limits: Mapping[AssetClass, PositionLimits]) -> tuple[TradingRule, ...]:
    """Return the limits on one position for an account of several classes.

    Raises
    ------
    ConfigError
        If there are no limits at all.
    """
    if not limits:
        raise ConfigError("expected limits for at least one asset class", hint="RiskProfile.limits(AssetClass.STOCK)")
    by_class = {asset_class: default_rules(own) for asset_class, own in sorted(limits.items())}
    rows = zip(*by_class.values(), strict=True)
    return tuple(ByClass(row[0].name, tuple(zip(by_class, row, strict=True))) for row in rows)


def trading_rules(limits: TradingLimits, *, by_tier: bool = False) -> tuple[TradingRule, ...]:
    """Return every limit of an account that trades; what refuses without a computation comes first.

    Parameters
    ----------
    by_tier : prices are raw, so the least volumes of price tiers hold (RISK-04)
    """
    market, flow, book, account = limits.market, limits.flow, limits.book, limits.account
    return (
        Halts(),
        Breakers(limits.breakers),
        BlockedInstrument(),
        PriceAge(market),
        Links(market),
        Collar(market),
        OrderRate(flow),
        SubmittedValue(flow),
        ParentCap(flow),
        SelfCross(),
        CancelRatio(flow),
        Vix(market),
        Conditions(market),
        PortfolioBeta(market),
        Liquidity(market, by_tier=by_tier),
        ThinHours(market),
        News(),
        LeverageCap(book),
        MarginUse(book),
        CurrencyRisk(book),
        Altcoins(book),
        Correlation(book),
        ValueAtRisk(book),
        AveragingDown(book),
        DayTrades(account),
        SettledCash(account),
    )


_RESEARCH: tuple[tuple[str, str], ...] = (
    ("RISK-05 altcoin share", "off: caps within a class come with multi-asset portfolios"),
    ("RISK-06 currency exposure", "off: three forex positions of 1 % risk each stay below 5 % of any currency"),
    ("RISK-11 correlation", "off: in force where an account trades"),
    ("RISK-14 value at risk", "off: in force where an account trades"),
    ("RISK-19 drawdown ladder", "off: in force where an account trades"),
    ("RISK-20 leverage", "off: nothing is levered, so there is nothing to limit"),
    ("RISK-24 daily loss breaker", "off: in force where an account trades"),
    ("RISK-25 weekly loss breaker", "off: in force where an account trades"),
    ("RISK-26 consecutive losses breaker", "off: in force where an account trades"),
    ("RISK-27 trades per day breaker", "off: in force where an account trades"),
    ("RISK-28 daily loss in money", "off: in force where an account trades"),
    ("RISK-29 daily loss in R", "off: in force where an account trades"),
    ("RISK-31 kill switch", "off: nothing trades live yet"),
    ("SIZE-10 condition multipliers", "off: need beta, VIX and session state, which a research run does not carry"),
)
_WAITING: tuple[tuple[str, str], ...] = (
    ("RISK-12 copula dependence", "off: comes with its model"),
    ("RISK-16 model-based value at risk", "off: comes with its model"),
)


def inactive_rules(*, trading: bool = False) -> tuple[tuple[str, str], ...]:
    """Return (rule, why it is off) for every limit that is not enforced; reports print it.

    Parameters
    ----------
    trading : of an account that trades, otherwise of a research run
    """
    return _WAITING if trading else _RESEARCH
