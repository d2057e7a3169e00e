"""The as-of view: what a strategy sees at one decision. It hands out the past and raises when asked for more.

An instrument is part of it from its first bar on: the list of who will be listed later is news from the future too.

The panels of the whole run are not attributes of the view: one private function holds them, the view's own questions
to it are about the past, and every answer is a copy. A strategy that puts its own question to that function breaks no
lock, since it runs in the same process; it is found by the perturbed-future canary, because its decisions change.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import LookAheadError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.accounts import Account
from foresail.domain.forecast import Forecast, ForecastBlock
from foresail.domain.panel import Panel

__all__ = ["AsOfView", "WholeRun"]

_WITHHELD = ("run", "whole_bars", "whole_features", "block", "reference")


@dataclass(frozen=True, slots=True, eq=False)
class WholeRun:
    """What the driver has and a strategy may not see: panels, forecasts and series of the whole run.

    Attributes
    ----------
    bars, features : panels of the run; only rows up to a position ever leave a view
    block : every forecast of the run, None without a model
    reference : name -> (T,) value known at each row
    row : instrument -> row of the panels
    column : field of the bars -> column
    first : (N,) time position of the first bar of each instrument, T where there is none
    complete : (T,) whether every instrument has a bar there
    """

    bars: Panel
    features: Panel
    block: ForecastBlock | None
    reference: Mapping[str, FloatArray]
    row: Mapping[InstrumentId, int] = field(init=False)
    column: Mapping[str, int] = field(init=False)
    first: IntArray = field(init=False)
    complete: list[bool] = field(init=False)

    def __post_init__(self) -> None:
        present = self.bars.present
        first = np.where(present.any(axis=1), present.argmax(axis=1), present.shape[1])
        made = {
            "row": {name: i for i, name in enumerate(self.bars.instruments)},
            "column": {name: i for i, name in enumerate(self.bars.fields)},
            "first": first,
            "complete": present.all(axis=0).tolist(),
        }
        for name, value in made.items():
            object.__setattr__(self, name, value)


class AsOfView:
    """The market as it was known at ``position`` (implements ``protocols.MarketView``).

    Parameters
    ----------
    run : kept out of reach
    position : time position of the newest closed bar
    index : row of ``run.block`` that stands at this position, -1 where none was issued
    blocked : instruments that may not be traded now
    """

    __slots__ = ("_ask", "_blocked", "_cause", "_holdings", "_index", "_names", "_position")

    def __init__(
        self,
        run: WholeRun,
        *,
        position: int,
        cause: str,
        index: int,
        holdings: Account,
        blocked: frozenset[InstrumentId] = frozenset(),
    ) -> None:
        self._ask: Callable[..., Any] = _asker(run, position)
        self._position, self._cause, self._index = position, cause, index
        self._holdings, self._blocked = holdings, blocked
        self._names: tuple[InstrumentId, ...] | None = None

    def __getattr__(self, name: str) -> object:
        """Say what a view has; reached only for names that it does not have.

        Raises
        ------
        LookAheadError
            For the panels of the whole run.
        AttributeError
            For any other name.
        """
        if name in _WITHHELD:
            raise LookAheadError(
                f"view.{name} is the whole run, its future included: a strategy sees the past only",
                hint="ask view.bars(frame, n), view.value(instrument, field), view.features() or view.forecast()",
            )
        raise AttributeError(
            f"a view has no {name!r}; it has now, position, cause, instruments, frame, bars, value, features, "
            "forecast, facts and account"
        )

    @property
    def now(self) -> int:
        """Decision time, ns UTC."""
        now: int = self._ask(_now)
        return now

    @property
    def position(self) -> int:
        """Number of bars of the set that closed before the newest one."""
        return self._position

    @property
    def cause(self) -> str:
        """Name of the timer that asks."""
        return self._cause

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """Instruments with a bar at this decision that may be traded."""
        names = self._names
        if names is None:
            names = self._names = self._ask(_names, self._blocked)
        return names

    @property
    def frame(self) -> str:
        """Frame of the bars."""
        frame: str = self._ask(_frame)
        return frame

    def bars(self, frame: str, n: int) -> Panel:
        """Return the last ``n`` closed bars, the newest being the one just closed.

        Raises
        ------
        UnknownNameError
            If the run has no bars of that frame.
        LookAheadError
            If ``n`` is negative or zero: the future has no bars here.
        """
        panel: Panel = self._ask(_bars, frame, n)
        return panel

    def value(self, instrument: InstrumentId, field: str, back: int = 0) -> float:
        """Return one number of one bar, NaN where there is none: much cheaper than a panel.

        Parameters
        ----------
        field : of the bars, for example "close"
        back : bars before the newest one

        Raises
        ------
        UnknownNameError
            If no such instrument has been listed by now, or the bars have no such field.
        LookAheadError
            If ``back`` is negative.
        """
        value: float = self._ask(_value, instrument, field, back)
        return value

    def features(self) -> Panel:
        """Return the newest feature row of every instrument listed by now, (N, 1, F)."""
        panel: Panel = self._ask(_features)
        return panel

    def forecast(self) -> Forecast | None:
        """Return the forecast issued at this decision, None while no model is fitted."""
        forecast: Forecast | None = self._ask(_issued, self._index)
        return forecast

    def facts(self, kind: str) -> float:
        """Return the newest value of a reference series, NaN where none is known."""
        fact: float = self._ask(_fact, kind)
        return fact

    def account(self) -> Account:
        """Return cash, equity and positions at the last close."""
        return self._holdings


def _asker(run: WholeRun, position: int) -> Callable[..., Any]:
    """Return the one function that knows the run: it puts a question of this module to it, at one position."""

    def ask(question: Callable[..., Any], *about: Any) -> Any:
        return question(run, position, *about)

    return ask


def _now(run: WholeRun, position: int) -> int:
    return int(run.bars.available_at[position])


def _frame(run: WholeRun, position: int) -> str:
    del position
    return run.bars.frame


def _known(run: WholeRun, position: int) -> BoolArray:
    known: BoolArray = run.first <= position
    return known


def _names(run: WholeRun, position: int, blocked: frozenset[InstrumentId]) -> tuple[InstrumentId, ...]:
    names = run.bars.instruments
    if run.complete[position] and not blocked:
        return names
    here = run.bars.present[:, position].tolist()
    return tuple(name for name, there in zip(names, here, strict=True) if there and name not in blocked)


def _bars(run: WholeRun, position: int, frame: str, n: int) -> Panel:
    if frame != run.bars.frame:
        raise UnknownNameError("frame", frame, [run.bars.frame])
    if n < 1:
        raise LookAheadError(
            f"bars({frame!r}, {n}) asks for bars that have not closed", hint="ask for n >= 1 past bars"
        )
    return _part(run.bars, _known(run, position), max(0, position + 1 - n), position + 1)


def _value(run: WholeRun, position: int, instrument: InstrumentId, field: str, back: int) -> float:
    row, column = run.row.get(instrument), run.column.get(field)
    if row is None or run.first.item(row) > position:
        listed = [name for name, first in zip(run.bars.instruments, run.first, strict=True) if first <= position]
        raise UnknownNameError("instrument", instrument, listed)
    if column is None:
        raise UnknownNameError("field", field, run.bars.fields)
    if back < 0:
        raise LookAheadError(f"value({instrument!r}, {field!r}, {back}) asks for a bar that has not closed")
    return run.bars.values.item(row, position - back, column) if back <= position else math.nan


def _features(run: WholeRun, position: int) -> Panel:
    return _part(run.features, _known(run, position), position, position + 1)


def _issued(run: WholeRun, position: int, index: int) -> Forecast | None:
    block = run.block
    issued = block is not None and index >= 0 and bool(block.model[index])
    return _forecast(block, index, _known(run, position)) if block is not None and issued else None


def _fact(run: WholeRun, position: int, kind: str) -> float:
    series = run.reference.get(kind)
    return math.nan if series is None else float(series[position])


def _forecast(block: ForecastBlock, index: int, known: BoolArray) -> Forecast:
    return Forecast(
        values=block.values[known, index],
        issued_at=int(block.issued_at[index]),
        instruments=tuple(name for name, there in zip(block.instruments, known, strict=True) if there),
        targets=block.targets,
        horizons=block.horizons,
        levels=block.levels,
        model=block.model[index],
    )


def _part(panel: Panel, known: BoolArray, first: int, last: int) -> Panel:
    """Return rows ``first <= t < last`` of the known instruments as copies that lead back to nothing."""
    return replace(
        panel,
        values=panel.values[known, first:last].copy(),
        present=panel.present[known, first:last].copy(),
        start=panel.start[first:last].copy(),
        end=panel.end[first:last].copy(),
        available_at=panel.available_at[first:last].copy(),
        instruments=tuple(name for name, there in zip(panel.instruments, known, strict=True) if there),
    )
