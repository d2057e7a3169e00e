"""Signals end for each strategy of an account by itself (EXIT-07): its wish leaves the net, those of others stay.

A position of the account may be held by several strategies, on signals that end at different instants or on none. So
the desk of all strategies remembers until when the signals behind each one's own holding speak, and wishes for nothing
in its name once nobody renewed them. An entry that still waits then is taken back; should it fill all the same, what it
brings is closed. ``expiring`` closes whole positions and is for accounts of one book.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from foresail.core.ids import InstrumentId
from foresail.domain.signals import Signal
from foresail.execution.netting import StrategyTarget
from foresail.ledger.strategies import StrategyBooks

__all__ = ["ended_wishes", "last_words", "note_words"]

_KEY = ""  # in the memory of the desk, beside the strategies; no id is empty
_ZERO = Decimal(0)


def last_words(signals: Iterable[Signal]) -> dict[InstrumentId, int]:
    """Return until when signals speak for each instrument, ns UTC; of several the last to end counts."""
    out: dict[InstrumentId, int] = {}
    for one in signals:
        out[one.instrument] = max(one.expires_at, out.get(one.instrument, one.expires_at))
    return out


def note_words(
    memory: dict[str, Any], strategy: str, targets: Mapping[InstrumentId, Decimal], words: Mapping[InstrumentId, int]
) -> None:
    """Remember until when a strategy's signals speak; what it wishes for without one is its own for ever.

    Parameters
    ----------
    memory : of the desk, changed
    targets : what the strategy wishes for now; a name that it does not speak of is not among them
    """
    kept = dict(memory.get(_KEY, {}).get(strategy, {}))
    for name in sorted({*targets, *words}):
        if name in words:
            kept[name] = max(words[name], kept.get(name, 0))
        else:
            kept.pop(name, None)
    _keep(memory, strategy, kept)


def ended_wishes(
    memory: dict[str, Any],
    books: StrategyBooks,
    named: Sequence[tuple[str, InstrumentId]],
    at: int,
    waiting: Collection[tuple[str, InstrumentId]] = (),
) -> list[StrategyTarget]:
    """Return the wish for nothing of every strategy whose signals in what it holds or waits for have ended.

    Parameters
    ----------
    memory : of the desk; what ended and is neither held nor waited for any more is forgotten
    named : (strategy, instrument) that somebody wishes for at this decision
    at : decision, ns UTC
    waiting : (strategy, instrument) of entries that are still on their way
    """
    out, spoken = [], set(named)
    for strategy in sorted(memory.get(_KEY, {})):
        kept = dict(memory[_KEY][strategy])
        for name, until in sorted(kept.items()):
            if until > at or (strategy, InstrumentId(name)) in spoken:
                continue
            is_waiting = (strategy, InstrumentId(name)) in waiting
            if books.units(strategy, InstrumentId(name)) == 0 and not is_waiting:
                del kept[name]
            else:
                out.append(StrategyTarget(strategy, InstrumentId(name), _ZERO))
        _keep(memory, strategy, kept)
    return out


def _keep(memory: dict[str, Any], strategy: str, kept: Mapping[str, int]) -> None:
    """Put in what is remembered of a strategy; an account on which nobody gives signals remembers nothing."""
    told = {name: words for name, words in {**memory.get(_KEY, {}), strategy: dict(kept)}.items() if words}
    if told:
        memory[_KEY] = told
    else:
        memory.pop(_KEY, None)
