"""Named risk profiles: the table RISK-01 as data, every value with its origin. A value that is not given is None.

``conservative`` and ``aggressive`` are ``multi-asset`` with the class shares of RISK-07.

``RiskProfile.limits`` turns the rows of one asset class into the limits that sizing and the gate share.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.domain.limits import PositionLimits

__all__ = ["DEFAULT_PROFILE", "PROFILES", "Limit", "RiskProfile", "comparison_exposure", "profile_named"]

DEFAULT_PROFILE = "multi-asset"
_BY_CLASS = frozenset({DEFAULT_PROFILE, "conservative", "aggressive"})  # RC-01: their risk has a ceiling by class
_RISK_WHERE_OPEN = 0.01  # RC-01: 1 % everywhere, where a profile names no fraction
_POSITION_WHERE_OPEN = 0.10  # RISK-02, WARN-06
# RISK-05: the narrowest class stop a caller can rely on; forex as 60 pips of a price near 1
_CLASS_STOP = {AssetClass.STOCK: 0.02, AssetClass.CRYPTO: 0.08, AssetClass.FOREX: 0.006}
_TOLD = ("beta_low", "max_drawdown", "target_distance", "signal_confidence", "signal_risk_score")
_CLASS_RISK_CEILING = {AssetClass.STOCK: 0.02, AssetClass.CRYPTO: 0.01, AssetClass.FOREX: 0.01}


@dataclass(frozen=True, slots=True)
class Limit:
    """One cell of RISK-01.

    Attributes
    ----------
    value : fraction of equity unless the row says otherwise; None = not given
    origin : requirement and source document
    clarified : true where the specification filled a gap of its source
    note : what the number alone does not say
    """

    value: float | None
    origin: str
    clarified: bool = False
    note: str = ""


@dataclass(frozen=True, slots=True)
class RiskProfile:
    """A full set of limits, one column of RISK-01.

    Attributes
    ----------
    position_alert : value of one position that raises an alert
    max_drawdown : what is aimed at; the ladder acts (RC-16)
    target_distance : what is aimed at; ``stops = "class_and_target"`` hangs twice the stop (RC-13)
    beta_low : shown, since an empty portfolio has none
    daily_loss_money : account currency on an account of 100,000
    daily_loss_r : multiples of the risk of one trade
    signal_confidence : asked for by ``market.minimum_confidence`` only; ALERT-10 tells what is above it
    signal_vix : index points
    signal_risk_score : 0 to 10, of the scanner's record; no signal carries one, so nothing can be asked for
    shorting : 1 on, 0 off
    """

    name: str
    risk_per_trade: Limit
    max_position: Limit
    position_alert: Limit
    sector: Limit
    total_exposure: Limit
    stock_exposure: Limit
    crypto_exposure: Limit
    forex_exposure: Limit
    forex_positions: Limit
    cash_floor: Limit
    beta_low: Limit
    beta_high: Limit
    value_at_risk: Limit
    daily_loss: Limit
    daily_loss_money: Limit
    daily_loss_r: Limit
    weekly_loss: Limit
    max_drawdown: Limit
    stop_distance: Limit
    target_distance: Limit
    signal_confidence: Limit
    signal_vix: Limit
    signal_risk_score: Limit
    shorting: Limit

    def rows(self) -> tuple[tuple[str, Limit], ...]:
        """Return (row, cell) for every limit, in the order of the table."""
        return tuple((f.name, getattr(self, f.name)) for f in fields(self) if f.name != "name")

    def told(self) -> tuple[tuple[str, Limit], ...]:
        """Return (row, cell) of what the profile names and nothing enforces: targets, and gates that are off."""
        return tuple((row, getattr(self, row)) for row in _TOLD if getattr(self, row).value is not None)

    def limits(self, asset_class: AssetClass) -> PositionLimits:
        """Return the limits that hold for one asset class; where the profile is silent RC-01 and RISK-02 speak."""
        risk = self.risk_per_trade.value
        if risk is None:
            risk = _RISK_WHERE_OPEN
        if self.name in _BY_CLASS:
            risk = min(risk, _CLASS_RISK_CEILING[asset_class])
        position, total, cash = self.max_position.value, self.total_exposure.value, self.cash_floor.value
        by_class = {
            AssetClass.STOCK: self.stock_exposure.value,
            AssetClass.CRYPTO: self.crypto_exposure.value,
            AssetClass.FOREX: self.forex_exposure.value,
        }
        total = 1.0 if total is None else total
        exposure = by_class.get(asset_class)
        forex = self.forex_positions.value if asset_class is AssetClass.FOREX else None
        stop = self.stop_distance.value
        return PositionLimits(
            risk_per_trade=risk,
            max_position=_POSITION_WHERE_OPEN if position is None else position,
            sector=self.sector.value if asset_class is AssetClass.STOCK else None,
            class_exposure=total if exposure is None else min(exposure, total),
            cash_floor=0.0 if cash is None else cash,
            shorting=self.shorting.value == 1.0,
            stop_distance=_CLASS_STOP[asset_class] if stop is None else stop,
            max_positions=None if forex is None else int(forex),
            profile=self.name,
        )


def _given(value: float, source: str, note: str = "") -> Limit:
    return Limit(value, f"RISK-01 [{source}]", note=note)


def _filled(value: float, source: str, note: str = "") -> Limit:
    return Limit(value, f"RISK-01 [{source}]", clarified=True, note=note)


def _open(source: str, note: str = "not given") -> Limit:
    return Limit(None, f"RISK-01 [{source}]", note=note)


def _profile(name: str, source: str, note: str, **cells: Limit) -> RiskProfile:
    """Return a profile whose rows that are not named are open."""
    rows = {f.name: _open(source, note) for f in fields(RiskProfile) if f.name != "name"}
    return RiskProfile(name=name, **{**rows, **cells})


_NOT_GIVEN = "not given"

PROFILES: dict[str, RiskProfile] = {
    p.name: p
    for p in (
        _profile(
            "nasdaq",
            "S0",
            _NOT_GIVEN,
            risk_per_trade=_given(0.02, "S0"),
            max_position=_given(0.10, "S0", "hard limit"),
            position_alert=_given(0.15, "S0"),
            total_exposure=_filled(1.0, "S0"),
            daily_loss_money=_given(5_000.0, "S0", "on 100,000: alert, and no new trades (second part clarified)"),
            max_drawdown=_given(0.15, "S0", "target"),
            stop_distance=_open("S0", "tier table; P10"),
            target_distance=_open("S0", "tier table; P50"),
            signal_confidence=_given(0.70, "S0"),
            shorting=_filled(0.0, "S0"),
        ),
        _profile(
            "institutional",
            "S1",
            _NOT_GIVEN,
            risk_per_trade=_filled(0.01, "S1"),
            max_position=_given(0.05, "S1"),
            sector=_given(0.25, "S1"),
            total_exposure=_filled(1.0, "S1"),
            beta_low=_given(0.8, "S1"),
            beta_high=_given(1.2, "S1"),
            value_at_risk=_open("S1", "computed, no limit"),
            daily_loss=_filled(0.02, "S1"),
            max_drawdown=_given(0.15, "S1", "target"),
            stop_distance=_given(0.02, "S1"),
            target_distance=_given(0.04, "S1"),
            signal_vix=_given(35.0, "S1"),
            shorting=_filled(0.0, "S1"),
        ),
        _profile(
            "small-account",
            "S2",
            _NOT_GIVEN,
            risk_per_trade=_given(0.005, "S2", "0.25 to 1 %"),
            max_position=_filled(0.10, "S2"),
            total_exposure=_filled(1.0, "S2"),
            daily_loss_r=_given(2.0, "S2", "2 to 3 R"),
            stop_distance=_open("S2", "k x ATR"),
            signal_confidence=_open("S2", "several time frames agree (MTF)"),
            shorting=_filled(0.0, "S2"),
        ),
        _profile(
            "low-latency",
            "S2",
            _NOT_GIVEN,
            risk_per_trade=_open("S2", "quarter Kelly (SIZE-05)"),
            max_position=_given(0.05, "S2", "per ticker"),
            total_exposure=_given(0.50, "S2"),
            daily_loss=_filled(0.02, "S2"),
            max_drawdown=_open("S2", "10 to 14 % (reported, unverified)"),
            shorting=_filled(1.0, "S2"),
        ),
        _profile(
            "funnel",
            "S3",
            _NOT_GIVEN,
            risk_per_trade=_filled(0.01, "S3"),
            max_position=_filled(0.10, "S3"),
            total_exposure=_filled(1.0, "S3"),
            beta_low=_open("S3", "shown, no limit"),
            beta_high=_open("S3", "shown, no limit"),
            value_at_risk=_open("S3", "computed, no limit"),
            daily_loss=_filled(0.02, "S3"),
            max_drawdown=_given(0.15, "S3", "target"),
            stop_distance=_open("S3", "GARCH"),
            target_distance=_open("S3", "GARCH"),
            signal_confidence=_given(0.70, "S3"),
            signal_risk_score=_given(6.0, "S3"),
            shorting=_given(0.0, "S3", "BUY only"),
        ),
        _profile(
            "multi-asset",
            "S4",
            _NOT_GIVEN,
            risk_per_trade=_given(0.01, "S4", "ceilings: stocks 2 %, crypto 1 %, forex 1 %"),
            max_position=_filled(0.15, "S4", "by risk; notional 15 %"),
            sector=_given(0.20, "S4"),
            total_exposure=_open("S4", "by class, and cash"),
            stock_exposure=_given(0.60, "S4"),
            crypto_exposure=_given(0.30, "S4"),
            forex_positions=Limit(3.0, "RISK-05 [S4]", note="positions at once"),
            cash_floor=Limit(0.10, "RISK-07 [S4]", note="default allocation"),
            value_at_risk=_given(0.15, "S4", "of portfolio, 95 %"),
            daily_loss=_given(0.02, "S4"),
            weekly_loss=_given(0.05, "S4"),
            max_drawdown=_open("S4", "no target: the ladder at 10, 15 and 20 % acts (RISK-19)"),
            stop_distance=_open("S4", "class table (RISK-05)"),
            target_distance=_open("S4", "class table (RISK-05)"),
            signal_confidence=_filled(0.70, "S4", "filter of the top list; off for trading unless asked for"),
            shorting=_given(1.0, "S4"),
        ),
    )
}


_ALLOCATED = "share of an allocation (RISK-07)"


def _allocation(name: str, shares: tuple[float, float, float, float], crypto_note: str = _ALLOCATED) -> RiskProfile:
    """Return ``multi-asset`` with the class shares of an allocation, stocks, crypto, forex and cash (RISK-07)."""
    stock, crypto, forex, cash = (Limit(share, "RISK-07 [S4]", note=_ALLOCATED) for share in shares)
    cap = PROFILES[DEFAULT_PROFILE].crypto_exposure.value
    if cap is not None and crypto.value is not None and crypto.value > cap:
        crypto = Limit(cap, "RISK-05 [S4]", note=crypto_note)
    return replace(
        PROFILES[DEFAULT_PROFILE],
        name=name,
        stock_exposure=stock,
        crypto_exposure=crypto,
        forex_exposure=forex,
        cash_floor=cash,
    )


PROFILES["conservative"] = _allocation("conservative", (0.60, 0.10, 0.10, 0.20))
PROFILES["aggressive"] = _allocation(
    "aggressive", (0.40, 0.35, 0.20, 0.05), "35 % by RISK-07: the cap of the class wins (RC-04); set it to override"
)


def profile_named(name: str) -> RiskProfile:
    """Return a profile by name.

    Raises
    ------
    UnknownNameError
        If there is no such profile.
    """
    if name not in PROFILES:
        raise UnknownNameError("risk profile", name, PROFILES)
    return PROFILES[name]


def comparison_exposure(profile: RiskProfile, asset_class: AssetClass, *, top_k: int) -> float:
    """Return the largest gross exposure that a strategy of ``top_k`` names can reach under a profile, fraction.

    A strategy capped at 60 % of equity and a comparator that is fully invested differ by their market exposure before
    they differ by skill. Holding 1/N at this exposure, the rest in cash, takes that difference out. It is a cap: risk
    per trade, volatility and gates may leave a strategy with less, and its realised exposure stands in the equity
    table.
    """
    limits = profile.limits(asset_class)
    names = top_k if limits.max_positions is None else min(top_k, limits.max_positions)
    return min(limits.gross_exposure, names * limits.max_position)
