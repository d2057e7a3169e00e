"""What trading costs (COST-01 to 10): fees, slippage, spread, and the price of holding.

1. Fees are charged beside the price: commission, and for US stocks the SEC fee and the FINRA trading activity fee.
2. Slippage and spread move the price against the order; the venue asks for them as a fraction and as a price step.
3. Holding costs accrue on open positions: borrowing, swap, funding. Where no series exists they are assumed, and said.

Signals ask for a fraction (``round_trip_fraction``), the venue for money (``fees``). Money is exact and rounded at two
named places only: fees half to even to the minor unit of the currency, accruals to 1e-8 (an hourly accrual rounded to
the cent would vanish).
"""

from __future__ import annotations

import decimal
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_EVEN, Decimal

from foresail.core.clock import NS_PER_DAY, NS_PER_S
from foresail.core.errors import ConfigError
from foresail.core.numbers import round_fee
from foresail.domain.accounts import Position
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.signals import Side
from foresail.execution.carry import CarrySeries
from foresail.execution.dated_fees import FeeRow, read_fees
from foresail.execution.impact import ImpactModel, impact_model

__all__ = ["CostModel", "CostSettings", "RoundTrip", "default_costs"]

_ZERO = Decimal(0)
_CONTEXT = decimal.Context(prec=40, rounding=ROUND_HALF_EVEN, traps=[decimal.InvalidOperation, decimal.Overflow])
_ACCRUAL_UNIT = Decimal("1e-8")
_NS_PER_YEAR = 365 * NS_PER_DAY
_NS_PER_FUNDING = 8 * 3600 * NS_PER_S
_WHOLE_UNIT = frozenset({"JPY", "KRW", "HUF", "CLP", "VND", "ISK"})  # currencies without cents in trading
_MAJOR_CURRENCIES = frozenset({"USD", "EUR", "JPY", "GBP", "CHF", "AUD", "CAD", "NZD"})
_TARGET_MULTIPLE = 3.0  # COST-08


@dataclass(frozen=True, slots=True)
class CostSettings:
    """Everything that can be set about costs; fractions are of traded value, per side.

    Attributes
    ----------
    commission_fraction, commission_per_unit, commission_minimum : taker commission; the minimum is money per fill
    maker_fraction : commission of a resting order that was filled; None = the same as a taker's
    slippage_fraction, half_spread_fraction : move the price against an order that takes liquidity
    major_pips, cross_pips, exotic_pips : forex spread, ask minus bid
    spread_legs : forex spreads paid in a round trip; 2 (default) or 1 (COST-06)
    regulatory : whether SEC fee and FINRA TAF are charged (stocks)
    borrow_per_year : of notional, for shorts, margin and forex swap, where no series exists
    funding_per_8h : of notional, on perpetuals, where no series exists
    transfer_fraction : of money that leaves the venue, the network's fee between exchanges (COST-02a)
    factor : multiplies every cost
    impact : name of the impact model (``impact.IMPACT_MODELS``), ``none`` by default
    fees : dated regulatory fees of the settings, beside those that are recorded (COST-07)
    """

    asset_class: AssetClass
    price_basis: PriceBasis = PriceBasis.RAW
    currency: str = "USD"
    commission_fraction: Decimal = _ZERO
    commission_per_unit: Decimal = _ZERO
    commission_minimum: Decimal = _ZERO
    maker_fraction: Decimal | None = None
    slippage_fraction: Decimal = _ZERO
    half_spread_fraction: Decimal = _ZERO
    major_pips: Decimal = _ZERO
    cross_pips: Decimal = _ZERO
    exotic_pips: Decimal = _ZERO
    spread_legs: int = 2
    regulatory: bool = False
    borrow_per_year: Decimal = Decimal("0.005")
    funding_per_8h: Decimal = Decimal("0.0001")
    transfer_fraction: Decimal = _ZERO
    factor: Decimal = Decimal(1)
    impact: str = "none"
    fees: tuple[FeeRow, ...] = ()


@dataclass(frozen=True, slots=True)
class RoundTrip:
    """Cost of buying and selling again, unrounded (COST-05): money and share of the value bought."""

    fees: Decimal
    slippage: Decimal
    spread: Decimal
    money: Decimal
    fraction: float


def default_costs(
    asset_class: AssetClass, price_basis: PriceBasis = PriceBasis.RAW, currency: str = "USD"
) -> CostSettings:
    """Return the defaults of one asset class (COST-01 to 03)."""
    base = CostSettings(asset_class, price_basis, currency)
    if asset_class is AssetClass.STOCK:
        return replace(base, slippage_fraction=Decimal("0.0005"), regulatory=True)
    if asset_class is AssetClass.CRYPTO:
        return replace(
            base,
            commission_fraction=Decimal("0.0015"),
            maker_fraction=Decimal("0.001"),
            slippage_fraction=Decimal("0.002"),
            transfer_fraction=Decimal("0.0005"),
        )
    return replace(
        base,
        commission_per_unit=Decimal("0.00005"),  # 5 per 100,000 units
        slippage_fraction=Decimal("0.0002"),
        major_pips=Decimal(1),
        cross_pips=Decimal(3),
        exotic_pips=Decimal(10),
    )


_AT_LEAST_ZERO = (
    "slippage_fraction", "half_spread_fraction", "borrow_per_year", "funding_per_8h", "transfer_fraction", "factor",
)  # fmt: skip


class CostModel:
    """Costs of one venue, which trades one asset class on one price basis."""

    def __init__(self, settings: CostSettings, carry: CarrySeries | None = None) -> None:
        if settings.spread_legs not in (1, 2):
            raise ConfigError(f"expected spread_legs 1 or 2, received {settings.spread_legs}")
        for name in _AT_LEAST_ZERO:
            value: Decimal = getattr(settings, name)
            if not value.is_finite() or value < 0:
                raise ConfigError(f"expected {name} to be a finite number >= 0, received {value}")
        if not settings.transfer_fraction * settings.factor < 1:
            raise ConfigError(
                f"the fee of a transfer must be less than what leaves, received transfer {settings.transfer_fraction} "
                f"times factor {settings.factor}"
            )
        self.settings = settings
        self.carry = CarrySeries() if carry is None else carry
        self.impact: ImpactModel | None = impact_model(settings.impact)
        self._minor = Decimal(1) if settings.currency in _WHOLE_UNIT else Decimal("0.01")
        self._sec = read_fees("sec", settings.fees)
        self._taf = read_fees("taf", settings.fees)
        self._per_share = settings.price_basis is PriceBasis.RAW

    @classmethod
    def of_class(
        cls, asset_class: AssetClass, price_basis: PriceBasis = PriceBasis.RAW, currency: str = "USD"
    ) -> CostModel:
        """Return the model with the defaults of an asset class."""
        return cls(default_costs(asset_class, price_basis, currency))

    @classmethod
    def flat(cls, asset_class: AssetClass, round_trip: Decimal = Decimal("0.0005")) -> CostModel:
        """Return a model that takes one fraction of value per round trip, half on each side (COST-04)."""
        return cls(CostSettings(asset_class, slippage_fraction=round_trip / 2))

    @property
    def notes(self) -> tuple[str, ...]:
        """What was left out or stood in for something unknown, as sentences for the report."""
        found = []
        if self.settings.regulatory:
            found.append(
                f"Before {self._sec.records[0].day} the SEC fee of that day is used, before "
                f"{self._taf.records[0].day} the FINRA TAF of that day: older rates are not recorded."
            )
            if not self._per_share:
                found.append(f"Per-share fees are not available: price basis {self.settings.price_basis.value}.")
        if self.settings.asset_class is AssetClass.FOREX:
            found.append("Commission in currencies other than USD is taken as the same fraction of the value traded.")
        return tuple(found)

    @property
    def assumptions(self) -> tuple[str, ...]:
        """Holding costs that are assumed for want of a series (COST-10)."""
        s = self.settings
        what = "shorts, margin and swap" if s.asset_class is AssetClass.FOREX else "shorts and margin"
        found = [f"Assumed: {_percent(s.borrow_per_year * s.factor)} a year on {what}."]
        if s.asset_class is AssetClass.CRYPTO:
            funding = _percent(s.funding_per_8h * s.factor)
            found.append(f"Assumed: funding of {funding} per 8 h against the position on perpetuals.")
        return tuple(found)

    def notes_at(self, first_ns: int) -> tuple[str, ...]:
        """Return the notes that matter for a period that begins at an instant (ns UTC)."""
        notes = self.notes
        covered = not (self._sec.precedes(first_ns) or self._taf.precedes(first_ns))
        return notes[1:] if self.settings.regulatory and covered else notes

    def scaled(self, factor: Decimal | int) -> CostModel:
        """Return the model with every cost multiplied, for pricing the same orders at twice the cost."""
        return CostModel(replace(self.settings, factor=self.settings.factor * Decimal(factor)), self.carry)

    def with_carry(self, carry: CarrySeries) -> CostModel:
        """Return the model with series of what holding really cost, in place of assumptions."""
        return CostModel(self.settings, carry)

    def fees(
        self, side: Side, quantity: Decimal, price: Decimal, at_ns: int, *, quote: str = "", maker: bool = False
    ) -> Decimal:
        """Return what one fill is charged beside its price, quote currency, rounded to the minor unit half to even.

        Parameters
        ----------
        quantity : units, positive (times multiplier where an instrument has one)
        price : quote currency per unit
        at_ns : time of the fill, ns UTC; decides which dated rates hold
        quote : quote currency where it differs from the settings' (forex)
        maker : whether the order rested and provided liquidity
        """
        minor = self._minor if not quote else Decimal(1) if quote in _WHOLE_UNIT else Decimal("0.01")
        return round_fee(self._fees(side, quantity, price, at_ns, quote=quote, maker=maker), minor)

    def slippage_fraction(self, instrument: Instrument | None = None) -> Decimal:
        """Return the share of price that an order taking liquidity loses to slippage and relative half-spread."""
        del instrument  # one fraction a class now; by instrument once liquidity is known
        return (self.settings.slippage_fraction + self.settings.half_spread_fraction) * self.settings.factor

    def spread_step(self, instrument: Instrument, spread: Decimal | None = None) -> Decimal:
        """Return the price step against the order that pays one side's part of the spread, quote currency.

        Parameters
        ----------
        spread : measured ask minus bid; without it the pips of the settings are used (forex only)
        """
        s = self.settings
        if spread is None:
            if s.asset_class is not AssetClass.FOREX:
                return _ZERO
            spread = self._pips(instrument) * _pip(instrument)
        return spread * s.spread_legs * s.factor / 2

    def round_trip(self, quantity: Decimal, price: Decimal, at_ns: int, instrument: Instrument) -> RoundTrip:
        """Return the expected cost of entering and leaving at one price, unrounded, by cause (COST-05)."""
        value = quantity * price
        quote = instrument.currency
        fees = self._fees(Side.BUY, quantity, price, at_ns, quote=quote)
        fees += self._fees(Side.SELL, quantity, price, at_ns, quote=quote)
        slippage = 2 * value * self.slippage_fraction(instrument)
        spread = 2 * quantity * self.spread_step(instrument)
        money = fees + slippage + spread
        return RoundTrip(fees, slippage, spread, money, float(_CONTEXT.divide(money, value)))

    def round_trip_fraction(self, price: float, at_ns: int, instrument: Instrument) -> float:
        """Return the expected round-trip cost as a fraction of value; NaN where the price is not a positive number.

        Notes
        -----
        A minimum commission depends on the size and is left out; the fill pays it.
        """
        if not price > 0 or price == float("inf"):
            return float("nan")
        s = self.settings
        fraction = 2 * float(self.slippage_fraction(instrument)) + 2 * float(self.spread_step(instrument)) / price
        per_unit, share = self._commission_rates(instrument.currency)
        fraction += float(s.factor) * 2 * (float(share) + float(per_unit) / price)
        if s.regulatory:
            taf = float(self._taf.at(at_ns).rate) / price if self._per_share else 0.0
            fraction += float(s.factor) * (float(self._sec.at(at_ns).rate) + taf)
        return fraction

    def minimum_target(
        self, price: float, at_ns: int, instrument: Instrument, *, multiple: float = _TARGET_MULTIPLE
    ) -> float:
        """Return the smallest move worth trading: so many times the round trip (COST-08), fraction of price."""
        return multiple * self.round_trip_fraction(price, at_ns, instrument)

    def holding_cost(self, position: Position, notional: Decimal, from_ns: int, to_ns: int) -> Decimal:
        """Return what holding a position over ``(from_ns, to_ns]`` costs, money, to 1e-8 (COST-10).

        Where a series of funding, swap or borrow rates is known it decides, and a position may receive money. Without
        one, perpetuals pay the assumed funding at 00:00, 08:00 and 16:00 UTC whichever side they are on, shorts and all
        forex positions pay the assumed yearly rate by the nanosecond. Other longs pay nothing.

        Parameters
        ----------
        notional : absolute market value, quote currency
        """
        if to_ns < from_ns:
            raise ConfigError(f"expected a period that goes forward, received {from_ns} to {to_ns}")
        s = self.settings
        if self.is_free_to_hold(position):
            return _ZERO
        known = self._carried(position, notional, from_ns, to_ns)
        if known is not None:
            return known
        if position.instrument.endswith(".perp"):
            stamps = to_ns // _NS_PER_FUNDING - from_ns // _NS_PER_FUNDING
            return _accrual(abs(notional) * s.funding_per_8h * s.factor * stamps)
        return self.margin_cost(notional, from_ns, to_ns)

    def _carried(self, position: Position, notional: Decimal, from_ns: int, to_ns: int) -> Decimal | None:
        """Return the cost of holding by the series, None where there is none."""
        s, name = self.settings, position.instrument
        if name.endswith(".perp"):
            paid = self.carry.funding_paid(position, notional, from_ns, to_ns)
        elif s.asset_class is AssetClass.FOREX:
            paid = self.carry.swap_paid(position, from_ns, to_ns)
        else:
            rate = self.carry.borrow_rate(name, from_ns)
            return None if rate is None else self._yearly(notional, rate, to_ns - from_ns)
        return None if paid is None else _accrual(paid * s.factor)

    def is_free_to_hold(self, position: Position) -> bool:
        """Return whether holding a position never costs anything: a long one that is neither perpetual nor forex."""
        if position.quantity == 0:
            return True
        is_spot = not position.instrument.endswith(".perp") and self.settings.asset_class is not AssetClass.FOREX
        return position.quantity > 0 and is_spot

    def margin_cost(self, borrowed: Decimal, from_ns: int, to_ns: int) -> Decimal:
        """Return interest on borrowed money (or stock of that value) over a period, money >= 0, to 1e-8."""
        return self._yearly(borrowed, self.settings.borrow_per_year, to_ns - from_ns)

    def _yearly(self, value: Decimal, rate: Decimal, span_ns: int) -> Decimal:
        yearly = abs(value) * rate * self.settings.factor
        return _accrual(_CONTEXT.divide(_CONTEXT.multiply(yearly, Decimal(span_ns)), Decimal(_NS_PER_YEAR)))

    def _commission_rates(self, quote: str) -> tuple[Decimal, Decimal]:
        """Return commission per unit and as a fraction for a quote currency."""
        s = self.settings
        if s.asset_class is AssetClass.FOREX and quote not in ("", "USD"):
            return _ZERO, s.commission_fraction + s.commission_per_unit
        return s.commission_per_unit, s.commission_fraction

    def _fees(
        self, side: Side, quantity: Decimal, price: Decimal, at_ns: int, *, quote: str = "", maker: bool = False
    ) -> Decimal:
        s = self.settings
        value = quantity * price
        per_unit, share = self._commission_rates(quote)
        if maker and s.maker_fraction is not None:
            share = s.maker_fraction
        total = max(value * share + quantity * per_unit, s.commission_minimum)
        if s.regulatory and side is Side.SELL:
            total += value * self._sec.at(at_ns).rate
            if self._per_share:
                taf = self._taf.at(at_ns)
                due = quantity * taf.rate
                total += due if taf.cap is None else min(due, taf.cap)
        return total * s.factor

    def _pips(self, instrument: Instrument) -> Decimal:
        base, quote = _pair(instrument)
        if base not in _MAJOR_CURRENCIES or quote not in _MAJOR_CURRENCIES:
            return self.settings.exotic_pips
        return self.settings.major_pips if "USD" in (base, quote) else self.settings.cross_pips


def _pair(instrument: Instrument) -> tuple[str, str]:
    """Return base and quote currency of ``fx.EUR-USD``; without a dash the first and last three letters of the name."""
    name = instrument.id.rsplit(".", 1)[-1].split("~")[0]
    base, dash, quote = name.partition("-")
    return (base, quote) if dash else (name[:3], name[-3:])


def _pip(instrument: Instrument) -> Decimal:
    """Return the size of a pip (FEAT-28)."""
    return Decimal("0.01") if _pair(instrument)[1] == "JPY" else Decimal("0.0001")


def _accrual(amount: Decimal) -> Decimal:
    return amount.quantize(_ACCRUAL_UNIT, rounding=ROUND_HALF_EVEN, context=_CONTEXT)


def _percent(fraction: Decimal) -> str:
    return f"{(fraction * 100).normalize():f} %"
