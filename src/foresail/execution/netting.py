"""Several strategies on one account: one net target an instrument, and a virtual book for each strategy.

1. Each strategy wants signed units; one that says nothing, or whose wish has expired, keeps what its book holds.
2. The account's target is the sum, so there is one side an instrument: two strategies never trade with each other at
   the venue, and a cross costs no fee.
3. What is filled is shared out again: opposite wishes meet inside first, the rest goes to the larger side in
   proportion. The virtual books always add up to the account's position.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId
from foresail.ledger.strategies import share_units

__all__ = ["NetPlan", "StrategyTarget", "VirtualHoldings", "net_targets", "share_fill"]

_ZERO = Decimal(0)

VirtualHoldings = Mapping[tuple[str, InstrumentId], Decimal]


@dataclass(frozen=True, slots=True)
class StrategyTarget:
    """What one strategy wants to hold of one instrument.

    Attributes
    ----------
    strategy : ``namespace/name@version``
    quantity : signed units
    expires_at : ns UTC from which on the wish no longer counts; None = never
    """

    strategy: str
    instrument: InstrumentId
    quantity: Decimal
    expires_at: int | None = None


@dataclass(frozen=True, slots=True)
class NetPlan:
    """What the account should hold, and who wanted which part.

    Attributes
    ----------
    quantities : signed units of the account by instrument, for ``plan_quantities``
    changes : signed units by which each strategy's virtual holding should change; no zeros
    crossed : units that strategies pass to each other inside, by instrument; no zeros
    notes : (instrument, sentence) for every wish that was dropped
    """

    quantities: dict[InstrumentId, Decimal]
    changes: dict[InstrumentId, dict[str, Decimal]]
    crossed: dict[InstrumentId, Decimal]
    notes: tuple[tuple[InstrumentId, str], ...] = ()


def net_targets(wanted: Sequence[StrategyTarget], held: VirtualHoldings, at: int) -> NetPlan:
    """Return the net of all wishes for the instruments that are named or held.

    Parameters
    ----------
    held : (strategy, instrument) -> signed units of the virtual books
    at : decision, ns UTC

    Raises
    ------
    ConfigError
        If a strategy names an instrument twice or a quantity is not finite.
    """
    target = dict(held)
    named: set[tuple[str, InstrumentId]] = set()
    notes: list[tuple[InstrumentId, str]] = []
    for one in wanted:
        key = (one.strategy, one.instrument)
        if key in named:
            raise ConfigError(f"{one.strategy} names {one.instrument} twice in one decision, expected one target")
        if not one.quantity.is_finite():
            raise ConfigError(f"{one.strategy} wants {one.quantity} of {one.instrument}, expected a finite quantity")
        named.add(key)
        if one.expires_at is not None and at >= one.expires_at:
            notes.append((one.instrument, f"{one.strategy}: the signal has expired, its holding stays as it is"))
            target.setdefault(key, _ZERO)
        else:
            target[key] = one.quantity
    quantities: dict[InstrumentId, Decimal] = {}
    changes: dict[InstrumentId, dict[str, Decimal]] = {}
    for (strategy, name), units in sorted(target.items()):
        quantities[name] = quantities.get(name, _ZERO) + units
        change = units - held.get((strategy, name), _ZERO)
        if change != 0:
            changes.setdefault(name, {})[strategy] = change
    crossed = {name: _crossed(parts) for name, parts in changes.items()}
    return NetPlan(quantities, changes, {name: units for name, units in crossed.items() if units}, tuple(notes))


def share_fill(changes: Mapping[str, Decimal], filled: Decimal, lot: Decimal) -> dict[str, Decimal]:
    """Return the signed units that each strategy gets from a fill of the net order and from crossing inside.

    Parameters
    ----------
    changes : signed units wanted by strategy, of one instrument, on the lot grid
    filled : signed units that the account got of the net, none where nothing was traded

    Returns
    -------
    Signed units by strategy; their sum is ``filled`` exactly, and no share exceeds its wish.

    Raises
    ------
    ConfigError
        If the fill has another side than the net, or is larger.

    Examples
    --------
    >>> share_fill({"a": Decimal(100), "b": Decimal(-40)}, Decimal(30), Decimal(1))
    {'a': Decimal('70'), 'b': Decimal('-40')}
    """
    net = sum(changes.values(), _ZERO)
    if filled * net < 0 or abs(filled) > abs(net):
        raise ConfigError(f"a fill of {filled} cannot come from a net change of {net}")
    sign = -1 if net < 0 else 1
    larger = {name: abs(units) for name, units in sorted(changes.items()) if units * sign > 0}
    out = {name: units for name, units in sorted(changes.items()) if units * sign <= 0}
    to_share = _crossed(changes) + abs(filled)
    for name, units in share_units(larger, to_share, lot).items():
        out[name] = units * sign
    return dict(sorted(out.items()))


def _crossed(changes: Mapping[str, Decimal]) -> Decimal:
    """Return the units that buyers and sellers pass to each other."""
    bought = sum((units for units in changes.values() if units > 0), _ZERO)
    sold = sum((-units for units in changes.values() if units < 0), _ZERO)
    return min(bought, sold)
