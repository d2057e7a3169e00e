"""Builders and fakes: small panels, bar tables, accounts and views, each made in one line.

For tests of Foresail's rooms and of plug-ins. Nothing here is used by a run.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import SimulatedClock
from foresail.core.errors import LookAheadError
from foresail.core.ids import InstrumentId, instrument_id
from foresail.domain.accounts import Account, Position
from foresail.domain.bars import BAR_COLUMNS, BarSet, BarTable
from foresail.domain.forecast import Forecast
from foresail.domain.panel import Panel
from foresail.evaluation.session_axis import session_axis
from foresail.evaluation.simulated_market import BAR_FIELDS, SimulationSettings, simulate, simulated_bar_set

__all__ = [
    "FakeView",
    "bar_panel",
    "bar_set",
    "bar_table",
    "feature_panel",
    "fixed_clock",
    "flat_account",
    "small_panel",
]


def fixed_clock(instant: str = "2024-01-02T21:00:00+00:00") -> SimulatedClock:
    """Return a clock that stands at an ISO instant with a zone."""
    return SimulatedClock(datetime.fromisoformat(instant))


def small_panel(
    instruments: int = 6,
    bars: int = 120,
    *,
    seed: int = 0,
    information_coefficient: float = 0.0,
    close_only: bool = False,
) -> Panel:
    """Return a complete simulated panel: nothing listed late, ended or missing."""
    settings = SimulationSettings(
        instruments=instruments,
        bars=bars,
        sectors=min(3, instruments),
        information_coefficient=information_coefficient,
        late_listings=0.0,
        delistings=0.0,
        missing_share=0.0,
        close_only=close_only,
    )
    return simulate(settings, seed)


def bar_panel(
    closes: Mapping[str, Sequence[float]],
    *,
    first_day: str = "2020-01-02",
    frame: str = "1d",
    calendar: str = "XNYS",
    fields: Mapping[str, Mapping[str, Sequence[float]]] | None = None,
) -> Panel:
    """Return a bar panel from closing prices written out by hand.

    Parameters
    ----------
    closes : id -> T prices; NaN = no bar
    fields : field -> id -> T values, put in place of what is made: each bar opens at the previous close, high and
        low are the larger and smaller of open and close, volume is 1e6, no dividends or splits

    Examples
    --------
    >>> bar_panel({"stock.US.A": [10.0, 11.0]}).field("open")
    array([[10., 10.]])
    """
    names = tuple(sorted(instrument_id(name) for name in closes))
    close = np.array([closes[name] for name in names], dtype=np.float64)
    n, t = close.shape
    start, end = session_axis(calendar, frame, first_day, t)
    opening = np.concatenate([close[:, :1], close[:, :-1]], axis=1)
    opening = np.where(np.isfinite(opening), opening, close)
    made: dict[str, FloatArray] = {
        "open": opening,
        "high": np.maximum(opening, close),
        "low": np.minimum(opening, close),
        "close": close,
        "volume": np.full((n, t), 1e6),
        "dividend": np.zeros((n, t)),
        "split": np.ones((n, t)),
        "total_factor": np.ones((n, t)),
        "spread": np.full((n, t), np.nan),
    }
    for field_name, rows in (fields or {}).items():
        for identifier, row in rows.items():
            made[field_name][names.index(InstrumentId(identifier))] = np.asarray(row, dtype=np.float64)
    values = np.stack([made[name] for name in BAR_FIELDS], axis=2)
    present = np.isfinite(close)
    values[~present] = np.nan
    return Panel(values, present, start, end, end.copy(), BAR_FIELDS, names, frame, calendar)


def feature_panel(values: FloatArray, fields: Sequence[str], like: Panel) -> Panel:
    """Return a feature panel, (N, T, F), on the axes of a bar panel."""
    return replace(like, values=np.ascontiguousarray(values, dtype=np.float64), fields=tuple(fields))


def bar_table(panel: Panel) -> BarTable:
    """Return the present bars of a panel as a table with the columns of ``BAR_COLUMNS``, recorded when available."""
    import pyarrow as pa

    instrument, time = np.nonzero(panel.present)
    columns: dict[str, object] = {
        "instrument": [panel.instruments[i] for i in instrument],
        "start": panel.start[time],
        "end": panel.end[time],
        "available_at": panel.available_at[time],
        "recorded_at": panel.available_at[time],
    }
    for name, _, _ in BAR_COLUMNS[len(columns) :]:
        row = panel.field(name)[instrument, time] if name in panel.fields else np.full(len(time), np.nan)
        columns[name] = pa.array(row, from_pandas=True)
    kinds = {"string": pa.string(), "int64": pa.int64(), "double": pa.float64()}
    schema = pa.schema([(name, kinds[kind]) for name, kind, _ in BAR_COLUMNS])
    return BarTable(pa.table(columns, schema=schema))


def bar_set(panel: Panel, *, name: str = "test") -> BarSet:
    """Return the set record of a simulated panel."""
    return simulated_bar_set(panel, name=name)


def flat_account(cash: str = "100000", *, at: int = 0, positions: Sequence[Position] = ()) -> Account:
    """Return an account in USD whose equity is its cash."""
    return Account("test", "USD", Decimal(cash), Decimal(cash), tuple(positions), at)


@dataclass(frozen=True, slots=True, eq=False)
class FakeView:
    """What a strategy sees at one bar of a panel (``foresail.protocols.MarketView``); later bars are out of reach.

    Attributes
    ----------
    panel : the whole history; only bars up to ``position`` are shown
    position : index of the newest closed bar
    features_panel, forecasts, facts_known, holdings : what the other questions are answered with
    """

    panel: Panel
    position: int
    cause: str = "decision"
    features_panel: Panel | None = None
    forecasts: Forecast | None = None
    facts_known: Mapping[str, float] = field(default_factory=dict)
    holdings: Account | None = None

    @property
    def now(self) -> int:
        """Return when the newest bar was known, ns UTC."""
        return int(self.panel.available_at[self.position])

    @property
    def instruments(self) -> tuple[InstrumentId, ...]:
        """Return the instruments with a bar now."""
        present = self.panel.present[:, self.position]
        return tuple(name for name, here in zip(self.panel.instruments, present, strict=True) if here)

    def bars(self, frame: str, n: int) -> Panel:
        """Return the last ``n`` closed bars.

        Raises
        ------
        LookAheadError
            If ``n`` is negative or another frame is asked for, for which no closed bar is known here.
        """
        if n < 0 or frame != self.panel.frame:
            raise LookAheadError(f"expected up to {self.position + 1} bars of {self.panel.frame}, asked {n} of {frame}")
        return self.panel.cut(max(0, self.position + 1 - n), self.position + 1)

    def value(self, instrument: InstrumentId, field: str, back: int = 0) -> float:
        """Return one number of the bar that closed ``back`` bars before the newest, NaN where there is none.

        Raises
        ------
        LookAheadError
            If ``back`` is negative.
        """
        if back < 0:
            raise LookAheadError(f"the bar {-back} bars after the newest one was asked for")
        row = self.panel.instruments.index(instrument)
        here = self.position - back
        return float("nan") if here < 0 else float(self.panel.field(field)[row, here])

    def features(self) -> Panel:
        """Return the newest feature row, (N, 1, F); without features a panel of no fields."""
        if self.features_panel is None:
            row = self.panel.cut(self.position, self.position + 1)
            return replace(row, values=np.empty((len(row.instruments), 1, 0)), fields=())
        return self.features_panel.cut(self.position, self.position + 1)

    def forecast(self) -> Forecast | None:
        """Return the given forecast.

        Raises
        ------
        LookAheadError
            If it was issued after now.
        """
        if self.forecasts is not None and self.forecasts.issued_at > self.now:
            raise LookAheadError(f"a forecast issued at {self.forecasts.issued_at} was asked for at {self.now}")
        return self.forecasts

    def facts(self, kind: str) -> float:
        """Return a given fact, NaN if there is none."""
        return self.facts_known.get(kind, float("nan"))

    def account(self) -> Account:
        """Return the given account, or a flat one."""
        return self.holdings if self.holdings is not None else flat_account(at=self.now)
