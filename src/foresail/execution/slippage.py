"""Slippage of a fill against the middle at its decision, beside what the cost model expected (EXEC-09)."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId, OrderId
from foresail.domain.instruments import Instrument
from foresail.domain.orders import Fill
from foresail.domain.signals import Side
from foresail.execution.costs import CostModel

__all__ = ["FillSlippage", "measure_slippage"]


@dataclass(frozen=True, slots=True)
class FillSlippage:
    """One execution against the price that was seen when it was decided.

    Attributes
    ----------
    middle : between bid and ask at the decision, quote currency (the last close where there are no quotes)
    fraction : share of the middle lost, negative where the fill was better
    expected : what the cost model says for slippage, half-spread and impact, fraction
    """

    order_id: OrderId
    execution: str
    instrument: InstrumentId
    filled_at: int
    middle: Decimal
    price: Decimal
    fraction: float
    expected: float


def measure_slippage(
    fill: Fill,
    middle: Decimal,
    instrument: Instrument,
    costs: CostModel,
    *,
    spread: Decimal | None = None,
    impact: float = 0.0,
) -> FillSlippage:
    """Return the slippage of a fill against the middle at its decision.

    Parameters
    ----------
    spread : measured ask minus bid of the bar that filled, quote currency; None = as the cost model has it
    impact : what an order of this size was expected to move the price by, fraction

    Raises
    ------
    ConfigError
        If the middle is not a positive finite number.
    """
    if not middle.is_finite() or middle <= 0:
        raise ConfigError(f"{fill.instrument}: expected a middle price > 0 at the decision, received {middle}")
    sign = 1 if fill.side is Side.BUY else -1
    step = float(costs.spread_step(instrument, spread)) / float(middle)
    expected = float(costs.slippage_fraction(instrument)) + step + impact
    return FillSlippage(
        fill.order_id,
        fill.execution,
        fill.instrument,
        fill.filled_at,
        middle,
        fill.price,
        sign * (float(fill.price) / float(middle) - 1.0),
        expected,
    )
