"""The as-of view: what a strategy sees at one decision. It hands out the past and raises when asked for more.

An instrument is part of it from its first bar on: the list of who will be listed later is news from the future too.

The panels of the whole run are not attributes of the view: they live inside one function that answers questions about
the past, and everything it hands out is a copy. A strategy that digs them out of that function's internals breaks no
lock, since it runs in the same process; it is found by the perturbed-future canary, because its decisions change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray
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
    """

    bars: Panel
    features: Panel
    block: ForecastBlock | None
    reference: Mapping[str, FloatArray]


class AsOfView:
    """The market as it was known at ``position`` (implements ``protocols.MarketView``).

    Parameters
    ----------
    run : kept out of reach
    position : time position of the newest closed bar
    index : row of ``run.block`` that stands at this position, -1 where none was issued
    blocked : instruments that may not be traded now
    """

    __slots__ = ("_ask_bars", "_ask_fact", "_ask_features", "_ask_forecast", "_facts")

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
        bars, block = run.bars, run.block
        known: BoolArray = np.asarray(bars.present[:, : position + 1].any(axis=1))

        def ask_bars(frame: str, n: int) -> Panel:
            if frame != bars.frame:
                raise UnknownNameError("frame", frame, [bars.frame])
            if n < 1:
                raise LookAheadError(
                    f"bars({frame!r}, {n}) asks for bars that have not closed", hint="ask for n >= 1 past bars"
                )
            return _part(bars, known, max(0, position + 1 - n), position + 1)

        def ask_features() -> Panel:
            return _part(run.features, known, position, position + 1)

        def ask_forecast() -> Forecast | None:
            return None if block is None or index < 0 or not block.model[index] else _forecast(block, index, known)

        def ask_fact(kind: str) -> float:
            series = run.reference.get(kind)
            return float("nan") if series is None else float(series[position])

        here = bars.present[:, position]
        names = tuple(name for name, there in zip(bars.instruments, here, strict=True) if there and name not in blocked)
        self._ask_bars: Callable[[str, int], Panel] = ask_bars
        self._ask_features: Callable[[], Panel] = ask_features
        self._ask_forecast: Callable[[], Forecast | None] = ask_forecast
        self._ask_fact: Callable[[str], float] = ask_fact
        self._facts = (int(bars.available_at[position]), position, cause, names, bars.frame, holdings)

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
                hint="ask view.bars(frame, n), view.features(), view.forecast() or view.facts(name)",
            )
        raise AttributeError(
            f"a view has no {name!r}; it has now, position, cause, instruments, frame, bars, features, forecast, facts "
            "and account"
        )

    @property
    def now(self) -> int:
        """Decision time, ns UTC."""
        return self._facts[0]

    @property
    def position(self) -> int:
        """Number of bars of the set that closed before the newest one."""
        return self._facts[1]

    @property
    def cause(self) -> str:
        """Name of the timer that asks."""
        return self._facts[2]

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """Instruments with a bar at this decision that may be traded."""
        return self._facts[3]

    @property
    def frame(self) -> str:
        """Frame of the bars."""
        return self._facts[4]

    def bars(self, frame: str, n: int) -> Panel:
        """Return the last ``n`` closed bars, the newest being the one just closed.

        Raises
        ------
        UnknownNameError
            If the run has no bars of that frame.
        LookAheadError
            If ``n`` is negative or zero: the future has no bars here.
        """
        return self._ask_bars(frame, n)

    def features(self) -> Panel:
        """Return the newest feature row of every instrument listed by now, (N, 1, F)."""
        return self._ask_features()

    def forecast(self) -> Forecast | None:
        """Return the forecast issued at this decision, None while no model is fitted."""
        return self._ask_forecast()

    def facts(self, kind: str) -> float:
        """Return the newest value of a reference series, NaN where none is known."""
        return self._ask_fact(kind)

    def account(self) -> Account:
        """Return cash, equity and positions at the last close."""
        return self._facts[5]


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
