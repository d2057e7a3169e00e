"""Limits: those of one position, which sizing and the gate share (RISK-01), and those of an account that trades."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "AccountLimits",
    "BookLimits",
    "BreakerLimits",
    "FlowLimits",
    "MarketLimits",
    "PositionLimits",
    "TradingLimits",
]


@dataclass(frozen=True, slots=True)
class PositionLimits:
    """What one portfolio may hold in one asset class; fractions of equity.

    Attributes
    ----------
    risk_per_trade : loss at the stop of one position
    max_position : absolute value of one position
    sector : absolute value of all positions of one sector; None = no such limit
    class_exposure : absolute value of all positions of the class
    cash_floor : cash that buying may not touch
    shorting : whether a sale may open a position
    stop_distance : loss assumed where no stop is known, fraction of price (RISK-05); it hangs no stop
    max_positions : names held at once; None = no such limit
    profile : name of the profile that the rows come from
    """

    risk_per_trade: float
    max_position: float
    sector: float | None
    class_exposure: float
    cash_floor: float
    shorting: bool
    stop_distance: float
    max_positions: int | None = None
    profile: str = ""

    @property
    def gross_exposure(self) -> float:
        """Largest sum of absolute position values: the class cap, or what the cash floor leaves."""
        return max(0.0, min(self.class_exposure, 1.0 - self.cash_floor))


@dataclass(frozen=True, slots=True)
class BreakerLimits:
    """When trading stops by itself (RISK-19, RISK-24 to RISK-30). None = no such breaker.

    Attributes
    ----------
    boundary : where a day begins: ``utc``, ``new_york`` (midnight) or ``forex`` (17:00 New York)
    daily_loss, weekly_loss : fraction of equity at the start of the day or week, open positions included
    closes_on_loss : whether the two close all positions, or only stop (RC-06)
    daily_loss_money : account currency on an account of ``money_base``
    daily_loss_r : multiples of ``risk_per_trade`` (R)
    money_alert_only : whether the money limit only alerts
    drawdown_warning, drawdown_cut, drawdown_close : steps of the ladder, fractions of the peak
    cut_fraction : of every position, at the second step
    pause_days, week_pause_days : how long the last step and the weekly loss stop trading
    """

    boundary: str = "utc"
    daily_loss: float | None = 0.02
    weekly_loss: float | None = 0.05
    closes_on_loss: bool = True
    daily_loss_money: float | None = None
    money_base: float = 100_000.0
    money_alert_only: bool = False
    daily_loss_r: float | None = None
    risk_per_trade: float = 0.01
    consecutive_losses: int | None = 5
    trades_per_day: int | None = 10
    drawdown_warning: float | None = 0.10
    drawdown_cut: float | None = 0.15
    drawdown_close: float | None = 0.20
    cut_fraction: float = 0.5
    pause_days: int = 30
    week_pause_days: int = 7


@dataclass(frozen=True, slots=True)
class MarketLimits:
    """What the market must be like for a position to be opened. None = not asked for.

    Attributes
    ----------
    vix_cut_above, vix_cut : above this index the size falls by this fraction (SIZE-10)
    vix_stop : nothing is opened above it (RISK-03)
    high_beta, beta_factor : a stock of higher beta gets this share of its size (SIZE-10)
    portfolio_beta : largest sum of weight x beta (RISK-03)
    crypto_volatility : 30-day volatility of Bitcoin above which no crypto is opened (SIZE-10)
    max_spread : ask - bid over price (RISK-04)
    min_volume : units a day (RISK-04)
    volume_share : largest order as a fraction of average daily volume (SIZE-13)
    max_price_age_ns, max_clock_offset_ms, max_link_silence_s : older, further off or longer silent blocks entries
    collar : largest distance of a limit price from the last price, fraction
    needs_links : whether links and clock that say nothing block entries: on where trading is live
    thin_hours : UTC hours [from, to) in which crypto is opened by limit orders only (EXEC-04)
    minimum_confidence : signals below it open nothing (RISK-01 row "signal gate"); off unless asked for
    """

    vix_cut_above: float | None = 25.0
    vix_cut: float = 0.30
    vix_stop: float | None = 35.0
    high_beta: float | None = 1.5
    beta_factor: float = 0.7
    portfolio_beta: float | None = None
    crypto_volatility: float | None = 0.80
    max_spread: float | None = 0.005
    min_volume: float | None = None
    volume_share: float | None = 0.01
    max_price_age_ns: int | None = None
    max_clock_offset_ms: float | None = 250.0
    max_link_silence_s: float = 60.0
    collar: float | None = 0.10
    needs_links: bool = False
    thin_hours: tuple[int, int] | None = (2, 6)
    minimum_confidence: float | None = None


@dataclass(frozen=True, slots=True)
class FlowLimits:
    """How much may be sent, whatever the reason for it: counted from the journal, never from what a broker says.

    Attributes
    ----------
    orders_per_minute : intents of the last 60 s, exits counted but never stopped by it
    submitted_per_minute : value of the intents of the last 60 s, fraction of equity
    parent_multiple : units of all orders of one parent and instrument, as a multiple of the parent's own
    cancels_per_fill, cancel_allowance : cancels of a day may be this many a fill, and so many more (COMP-06)
    exit_orders_per_minute : cap of the exit path
    """

    orders_per_minute: int | None = 120
    submitted_per_minute: float | None = 2.0
    parent_multiple: float | None = 1.0
    cancels_per_fill: float | None = 10.0
    cancel_allowance: int = 50
    exit_orders_per_minute: int = 600


@dataclass(frozen=True, slots=True)
class BookLimits:
    """What may be held together. None = no such limit.

    Attributes
    ----------
    currency_risk : loss at stop over all forex positions that share a currency (RISK-06)
    altcoin_share : of the crypto cap, for what is neither Bitcoin nor Ether (RISK-05)
    crypto_exposure : the crypto cap that the share is of
    correlation, correlation_share, correlation_cut : above this, pairs of more than this share lose this fraction
    correlation_days : window, daily returns
    value_at_risk, value_at_risk_warning : one-day historical loss at 95 %, fractions (RISK-14, RC-15)
    value_at_risk_days : window, daily returns
    leverage : gross value over equity that the user allows, by class stock, crypto, forex (RISK-23)
    max_margin_use : of equity, for new positions (RC-08)
    position_alert : value of one position, fraction of equity, that raises an alert (ALERT-02, RISK-02)
    margin_alarm, leverage_alarm : margin in use, fraction of equity, and gross value over equity that raise an alarm
        (RC-08, RISK-22)
    margin_rate : initial margin by class, fraction of value
    needs_history : whether too short a history of returns refuses instead of warning
    averaging_down : whether a losing position may be added to (SMALL-01)
    """

    currency_risk: float | None = 0.05
    altcoin_share: float | None = 0.40
    crypto_exposure: float = 0.30
    correlation: float | None = 0.70
    correlation_share: float = 0.15
    correlation_cut: float = 0.30
    correlation_days: int = 60
    value_at_risk: float | None = 0.15
    value_at_risk_warning: float = 0.05
    value_at_risk_days: int = 252
    leverage: tuple[float, float, float] = (1.0, 1.0, 2.0)
    max_margin_use: float | None = 0.50
    position_alert: float | None = 0.15
    margin_alarm: float | None = 0.80
    leverage_alarm: float | None = 5.0
    margin_rate: tuple[float, float, float] = (0.50, 1.0, 0.02)
    needs_history: bool = False
    averaging_down: bool = True


@dataclass(frozen=True, slots=True)
class AccountLimits:
    """What the kind of account forbids (SMALL-03 to SMALL-06).

    Attributes
    ----------
    is_margin : margin account; a cash account may only spend what has settled
    day_trade_rules : (first day as ISO date, ``pdt`` | ``intraday_margin`` | ``none``), oldest first
    pdt_equity, pdt_trades, pdt_share : day trades are limited below this equity, beyond so many in five business days,
        where they exceed this share of trades
    maintenance : equity over the value of positions that an intraday margin rule asks for
    settlement_days : business days until the proceeds of a stock sale count
    cost_share_warning : cost over risk amount that raises a warning
    """

    is_margin: bool = True
    day_trade_rules: tuple[tuple[str, str], ...] = (("2001-09-28", "pdt"),)
    pdt_equity: float = 25_000.0
    pdt_trades: int = 3
    pdt_share: float = 0.06
    maintenance: float = 0.25
    settlement_days: int = 1
    cost_share_warning: float = 0.20


@dataclass(frozen=True, slots=True)
class TradingLimits:
    """Every limit of an account that trades, beside those of single positions; versioned by its digest (COMP-05)."""

    profile: str = ""
    breakers: BreakerLimits = BreakerLimits()
    market: MarketLimits = MarketLimits()
    flow: FlowLimits = FlowLimits()
    book: BookLimits = BookLimits()
    account: AccountLimits = AccountLimits()
