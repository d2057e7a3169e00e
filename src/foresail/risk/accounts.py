"""The limits of an account that trades, by profile (RISK-01, RC-05 to RC-16): every value can be edited.

A profile names what its source names; the rest are the house's values in ``domain.limits``. ``origins`` tells which is
which, and ``edited`` replaces single values and marks them as the user's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields, replace
from typing import Any

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import (
    AccountLimits,
    BookLimits,
    BreakerLimits,
    MarketLimits,
    TradingLimits,
)
from foresail.risk.days import BOUNDARY_OF_CLASS
from foresail.risk.profiles import profile_named

__all__ = ["SMALL_EQUITY", "edited", "origins", "proposed_profile", "rows", "trading_limits"]

SMALL_EQUITY = 1_000.0
_GROUPS = ("breakers", "market", "flow", "book", "account")
_REQUIREMENTS = {
    "breakers.boundary": "RISK-30",
    "breakers.closes_on_loss": "RC-06",
    "breakers.daily_loss": "RISK-24",
    "breakers.weekly_loss": "RISK-25",
    "breakers.consecutive_losses": "RISK-26",
    "breakers.trades_per_day": "RISK-27",
    "breakers.daily_loss_money": "RISK-28",
    "breakers.daily_loss_r": "RISK-29",
    "breakers.risk_per_trade": "RISK-29",
    "breakers.drawdown_warning": "RISK-19",
    "breakers.drawdown_cut": "RISK-19",
    "breakers.drawdown_close": "RISK-19",
    "market.vix_cut_above": "SIZE-10",
    "market.vix_stop": "RISK-03",
    "market.high_beta": "SIZE-10",
    "market.portfolio_beta": "RISK-03",
    "market.crypto_volatility": "SIZE-10",
    "market.max_spread": "RISK-04",
    "market.volume_share": "SIZE-13",
    "market.max_link_silence_s": "RISK-31",
    "market.thin_hours": "EXEC-04",
    "market.minimum_confidence": "RISK-01",
    "flow.cancels_per_fill": "COMP-06",
    "book.currency_risk": "RISK-06",
    "book.altcoin_share": "RISK-05",
    "book.correlation": "RISK-11",
    "book.value_at_risk": "RISK-14",
    "book.leverage": "RISK-23",
    "book.max_margin_use": "RISK-21",
    "book.position_alert": "RISK-02",
    "book.margin_alarm": "RC-08",
    "book.leverage_alarm": "RISK-22",
    "book.averaging_down": "SMALL-01",
    "account.day_trade_rules": "SMALL-04",
    "account.settlement_days": "SMALL-05",
    "account.cost_share_warning": "SMALL-06",
}


def proposed_profile(equity: float) -> str:
    """Return the profile that the platform proposes (RISK-01): ``small-account`` below 1,000."""
    return "multi-asset" if equity >= SMALL_EQUITY else "small-account"


def trading_limits(profile: str, *, asset_class: AssetClass | None = None, live: bool = False) -> TradingLimits:
    """Return the limits of an account under a named profile.

    Parameters
    ----------
    asset_class : of what is traded, which says where its day begins (RISK-30); None = of several, whose day is UTC's
    live : a silent link, an unknown clock or a price older than a minute then refuses

    Raises
    ------
    UnknownNameError
        If there is no such profile.
    """
    named = profile_named(profile)
    small = profile == "small-account"
    crypto = named.crypto_exposure.value
    breakers = BreakerLimits(
        boundary="utc" if asset_class is None else BOUNDARY_OF_CLASS[asset_class],
        daily_loss=named.daily_loss.value,
        weekly_loss=named.weekly_loss.value,
        daily_loss_money=named.daily_loss_money.value,
        daily_loss_r=named.daily_loss_r.value,
        risk_per_trade=0.01 if named.risk_per_trade.value is None else named.risk_per_trade.value,
        trades_per_day=3 if small else 10,  # SMALL-06, RISK-27
        drawdown_close=0.20,
    )
    return TradingLimits(
        profile=profile,
        breakers=breakers,
        market=MarketLimits(
            vix_stop=35.0 if named.signal_vix.value is None else named.signal_vix.value,
            portfolio_beta=named.beta_high.value,
            needs_links=live,
            max_price_age_ns=60 * 10**9 if live else None,
        ),
        book=BookLimits(
            crypto_exposure=1.0 if crypto is None else crypto,
            value_at_risk=0.15 if named.value_at_risk.value is None else named.value_at_risk.value,
            position_alert=0.15 if named.position_alert.value is None else named.position_alert.value,
            averaging_down=not small,
        ),
        account=AccountLimits(),
    )


def rows(limits: TradingLimits) -> dict[str, Any]:
    """Return every value by ``group.name``."""
    return {
        f"{group}.{field.name}": getattr(getattr(limits, group), field.name)
        for group in _GROUPS
        for field in fields(getattr(limits, group))
    }


def edited(limits: TradingLimits, values: Mapping[str, Any]) -> TradingLimits:
    """Return limits with single values replaced.

    Parameters
    ----------
    values : new value by ``group.name``, for example ``{"breakers.daily_loss": 0.01}``

    Raises
    ------
    UnknownNameError
        If there is no such limit.
    ConfigError
        If a number is negative or not finite.
    """
    known = rows(limits)
    for name, value in sorted(values.items()):
        if name not in known:
            raise UnknownNameError("limit", name, known)
        numbers = value if isinstance(value, tuple) else (value,)
        if any(isinstance(one, int | float) and not (math.isfinite(one) and one >= 0) for one in numbers):
            raise ConfigError(f"expected a finite limit {name} of at least 0, received {value}")
        group, _, row = name.partition(".")
        limits = replace(limits, **{group: replace(getattr(limits, group), **{row: value})})
    return limits


def origins(limits: TradingLimits, *, asset_class: AssetClass | None = None) -> dict[str, str]:
    """Return where every value comes from: a requirement, the house, or the user.

    Parameters
    ----------
    asset_class : as in ``trading_limits``
    """
    base = rows(trading_limits(limits.profile, asset_class=asset_class)) if limits.profile else rows(TradingLimits())
    told = {}
    for name, value in rows(limits).items():
        told[name] = _REQUIREMENTS.get(name, "house default") if value == base[name] else "set by the user"
    return told
