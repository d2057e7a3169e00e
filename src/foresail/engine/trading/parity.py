"""Parity: what a paper or live period did against the same period through the history driver, each difference named.

Both sides are journals of one core under the same account and environment, so ids are equal and entries compare one to
one. A difference is caused by something that can be shown (a bar that came late or was corrected, a person's command,
another strategy file, another fill model, a decision that came later, rounding within a bound), or follows from an
earlier difference, or is unexplained. A clean period has none.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from decimal import Decimal
from enum import StrEnum
from typing import Any

from foresail.domain.orders import Fill, Order
from foresail.ledger.entries import Decided, Entry, FillBooked, OperatorActed, OrderIntended

__all__ = ["Cause", "Difference", "ParityContext", "compare_journals"]

_BOUND = Decimal("1e-9")  # relative; what two correct roundings of one number may differ by


class Cause(StrEnum):
    """Why paper and history differ."""

    LATE_BAR = "late bar"
    CORRECTION = "correction"
    OPERATOR = "operator command"
    STRATEGY = "strategy changed"
    MODEL_DELAY = "model delay"
    FILL_MODEL = "fill model"
    NUMERICAL = "numerical within bound"
    UNEXPLAINED = "unexplained"


@dataclass(frozen=True, slots=True)
class Difference:
    """One difference.

    Attributes
    ----------
    at : instant of the decision or fill, ns UTC
    what : decision, order or fill
    paper, history : what each side has, empty where it has none
    follows : whether an earlier difference of the same cause led to it
    """

    at: int
    what: str
    name: str
    paper: str
    history: str
    cause: Cause
    follows: bool = False


@dataclass(frozen=True, slots=True)
class ParityContext:
    """What is known besides the journals.

    Attributes
    ----------
    changed_bars : (end ns, late bar or correction), ascending: bars that the store holds otherwise than they were seen
    strategy_changed : whether the strategy file is not the one that the account began with
    """

    changed_bars: tuple[tuple[int, Cause], ...] = ()
    strategy_changed: bool = False


@dataclass(frozen=True, slots=True)
class _Found:
    at: int
    what: str
    name: str
    paper: Any
    history: Any


def compare_journals(
    paper: Iterable[Entry], history: Iterable[Entry], context: ParityContext | None = None
) -> tuple[Difference, ...]:
    """Return the differences, in the order of time, each with its cause."""
    known = ParityContext() if context is None else context
    one, other = list(paper), list(history)
    found = [
        *_pairs("decision", _decisions(one), _decisions(other)),
        *_pairs("order", _orders(one), _orders(other)),
        *_pairs("fill", _fills(one), _fills(other)),
    ]
    rank = {"decision": 0, "order": 1, "fill": 2}
    found.sort(key=lambda f: (f.at, rank[f.what], f.name))
    commands = [entry.at for entry in one if isinstance(entry, OperatorActed)]
    shared = {name for name, order in _orders(one).items() if _orders(other).get(name) == order}
    out: list[Difference] = []
    root: Cause | None = None
    for each in found:
        cause = _cause(each, known, commands, shared, found)
        follows = cause is Cause.UNEXPLAINED and root is not None
        if follows and root is not None:
            cause = root
        elif root is None and cause is not Cause.NUMERICAL:
            root = cause
        out.append(Difference(each.at, each.what, each.name, _text(each.paper), _text(each.history), cause, follows))
    return tuple(out)


def _cause(
    found: _Found, known: ParityContext, commands: Sequence[int], shared: set[str], all_found: Sequence[_Found]
) -> Cause:
    """Return what shows itself as the cause, UNEXPLAINED where nothing does."""
    if found.what == "fill" and found.name.split("#")[0] in shared:
        return _fill_cause(found, known, commands)
    if any(at <= found.at for at in commands):
        return Cause.OPERATOR
    before = [cause for end, cause in known.changed_bars if end <= found.at]
    if before:
        return before[0]
    if known.strategy_changed:
        return Cause.STRATEGY
    return Cause.MODEL_DELAY if _is_delayed(found, all_found) else Cause.UNEXPLAINED


def _fill_cause(found: _Found, known: ParityContext, commands: Sequence[int]) -> Cause:
    """Return why an order that both sides have was filled otherwise."""
    if _is_close(found.paper, found.history):
        return Cause.NUMERICAL
    touched = [cause for end, cause in known.changed_bars if end == found.at]
    if touched:
        return touched[0]
    is_other_size = not (found.paper and found.history) or found.paper.quantity != found.history.quantity
    return Cause.OPERATOR if is_other_size and any(at <= found.at for at in commands) else Cause.FILL_MODEL


def _is_delayed(found: _Found, all_found: Sequence[_Found]) -> bool:
    """Return whether a decision that history has at this instant came later on the other side, with nothing else."""
    if found.what != "decision":
        return False
    strategy = found.name.rsplit(" ", 1)[0]
    same = [one for one in all_found if one.what == "decision" and one.name.rsplit(" ", 1)[0] == strategy]
    late = [one.at for one in same if one.history is None]
    missed = [one.at for one in same if one.paper is None]
    return bool(missed) and len(late) == len(missed) and all(a < b for a, b in zip(missed, late, strict=True))


def _pairs(what: str, paper: Mapping[str, tuple[int, Any]], history: Mapping[str, tuple[int, Any]]) -> list[_Found]:
    out = []
    for name in sorted(paper.keys() | history.keys()):
        mine, theirs = paper.get(name), history.get(name)
        if mine != theirs:
            at = min(one[0] for one in (mine, theirs) if one is not None)
            out.append(_Found(at, what, name, None if mine is None else mine[1], None if theirs is None else theirs[1]))
    return out


def _decisions(entries: Iterable[Entry]) -> dict[str, tuple[int, Any]]:
    return {
        f"{one.strategy} {one.decided_at}": (one.decided_at, one.fingerprint)
        for one in entries
        if isinstance(one, Decided)
    }


def _orders(entries: Iterable[Entry]) -> dict[str, tuple[int, Order]]:
    return {one.order.id: (one.order.decided_at, one.order) for one in entries if isinstance(one, OrderIntended)}


def _fills(entries: Iterable[Entry]) -> dict[str, tuple[int, Fill]]:
    """Return fills by order and count: the venue's own execution ids differ between venues."""
    counts: dict[str, int] = {}
    out = {}
    for one in entries:
        if isinstance(one, FillBooked):
            number = counts[one.fill.order_id] = counts.get(one.fill.order_id, 0) + 1
            out[f"{one.fill.order_id}#{number}"] = (one.fill.filled_at, _bare(one.fill))
    return out


def _bare(fill: Fill) -> Fill:
    values = {field.name: getattr(fill, field.name) for field in fields(fill)}
    return Fill(**{**values, "execution": ""})


def _is_close(mine: Any, theirs: Any) -> bool:
    """Return whether two fills differ by rounding only."""
    if not isinstance(mine, Fill) or not isinstance(theirs, Fill) or mine.filled_at != theirs.filled_at:
        return False
    pairs = ((mine.quantity, theirs.quantity), (mine.price, theirs.price), (mine.fee, theirs.fee))
    return all(abs(a - b) <= _BOUND * max(abs(a), abs(b), Decimal(1)) for a, b in pairs)


def _text(value: Any) -> str:
    if isinstance(value, Order):
        return f"{value.side.value} {value.quantity} {value.instrument} {value.kind.value}"
    if isinstance(value, Fill):
        return f"{value.side.value} {value.quantity} {value.instrument} at {value.price} fee {value.fee}"
    return "" if value is None else str(value)
