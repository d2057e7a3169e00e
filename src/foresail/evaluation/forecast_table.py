"""Reads forecasts made elsewhere: one row per instrument, issue time and horizon, with what came true.

1. Read a CSV, a Parquet file or a pandas frame as columns.
2. Recognise the kind by its columns: quantiles (q10, q50, q90 ...), class probabilities (down, neutral, up), variance,
   or a point forecast; the same columns with a prefix (``mine_q10``, ``forecast_other``) are other forecasts.
3. Refuse what cannot be judged, naming file, row and column: absent columns, duplicates, crossing quantiles,
   probabilities that do not sum to one, forecasts issued after their outcome was known.
4. Rows without an outcome are open: they are counted and left out.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import ConfigError, DataError, UnknownNameError

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "ATTRIBUTES",
    "CLASSES",
    "FORECAST_KINDS",
    "OWN",
    "ForecastTable",
    "TableOptions",
    "looks_like_forecasts",
    "read_forecasts",
]

CLASSES = ("down", "neutral", "up")
ATTRIBUTES = ("fold", "regime", "sector", "asset_class", "price_tier", "session")
FORECAST_KINDS: dict[str, str] = {
    "quantiles": "instrument, issued_at, horizon, outcome, and q10, q50, q90 or any levels (q2.5 = 2.5 %)",
    "classes": "instrument, issued_at, horizon, outcome (down, neutral, up or -1, 0, 1), and down, neutral, up",
    "variance": "instrument, issued_at, horizon, outcome (realised variance), and variance",
    "point": "instrument, issued_at, horizon, outcome, and forecast",
}
_NEEDED = ("instrument", "issued_at", "horizon", "outcome")
_ALIASES = {
    "outcome": ("realised", "realized", "actual"),
    "known_at": ("label_end", "outcome_at", "outcome_known_at"),
    "forecast": ("point", "prediction"),
    "last": ("last_price",),
    "asset_class": ("class",),
    "price_tier": ("tier",),
}
_LEVEL = re.compile(r"(?:(?P<name>.+)_)?[qp](?P<level>\d+(?:\.\d+)?)")
_CLASS = re.compile(r"(?:(?P<name>.+)_)?(?P<kind>down|neutral|up)")
_POINT = re.compile(r"forecast(?:_(?P<name>.+))?")
_VARIANCE = re.compile(r"variance(?:_(?P<name>.+))?")
_SUM_TOLERANCE = 1e-3  # of probabilities written with three digits
_CODES = {"down": 0, "neutral": 1, "up": 2, "-1": 0, "0": 1, "1": 2, "-1.0": 0, "0.0": 1, "1.0": 2}
_NEVER = np.iinfo(np.int64).max
OWN = ""  # name of the forecast under test among all forecasts of a table


@dataclass(frozen=True, slots=True)
class TableOptions:
    """How to read a table.

    Attributes
    ----------
    kind : a key of ``FORECAST_KINDS``, or "auto"
    crossing : "refuse", or "sort" to put crossing quantiles in order
    target : where a table has a column ``target``: which one is judged
    """

    kind: str = "auto"
    crossing: str = "refuse"
    target: str = "close"


@dataclass(frozen=True, slots=True, eq=False)
class ForecastTable:
    """Resolved forecasts, sorted by issue time, instrument and horizon. M rows.

    Attributes
    ----------
    instrument : (M,) text
    issued_at, known_at : (M,) ns UTC; ``known_at`` is None where the file does not say when outcomes were known
    horizon : (M,) bars
    outcome : (M,), or (M,) 0, 1, 2 for down, neutral, up
    levels : Q quantile levels; empty for other kinds
    forecasts : name -> (M, Q), (M, 3) or (M, 1); "" is the one under test
    last : (M,) price known at the forecast where outcomes are prices, else None
    attributes : name -> (M,) text, of ``ATTRIBUTES``
    rows, open_rows : of the file, and those without an outcome
    crossings : rows whose quantiles crossed and were sorted
    """

    file: str
    kind: str
    instrument: Any
    issued_at: IntArray
    known_at: IntArray | None
    horizon: IntArray
    outcome: FloatArray
    levels: tuple[float, ...]
    forecasts: Mapping[str, FloatArray]
    last: FloatArray | None
    attributes: Mapping[str, Any]
    rows: int
    open_rows: int
    crossings: int
    notes: tuple[str, ...]

    def where(self, chosen: BoolArray | IntArray) -> ForecastTable:
        """Return the table of some rows."""
        return replace(
            self,
            instrument=self.instrument[chosen],
            issued_at=self.issued_at[chosen],
            known_at=None if self.known_at is None else self.known_at[chosen],
            horizon=self.horizon[chosen],
            outcome=self.outcome[chosen],
            forecasts={name: values[chosen] for name, values in self.forecasts.items()},
            last=None if self.last is None else self.last[chosen],
            attributes={name: values[chosen] for name, values in self.attributes.items()},
        )


def looks_like_forecasts(columns: list[str]) -> bool:
    """Return whether a header has what only forecasts have: an issue time and an outcome."""
    names = {_plain(c) for c in columns}
    outcome = {"outcome", *_ALIASES["outcome"]}
    return "issued_at" in names and bool(names & outcome)


def read_forecasts(source: Path | pd.DataFrame, options: TableOptions | None = None) -> ForecastTable:
    """Return the forecasts of a file or frame.

    Parameters
    ----------
    source : CSV, Parquet, or a pandas frame

    Raises
    ------
    DataError
        If the table cannot be judged; file, row (1-based, header not counted) and column are named.
    UnknownNameError, ConfigError
        If an option is not known.
    """
    options = options or TableOptions()
    if options.kind != "auto" and options.kind not in FORECAST_KINDS:
        raise UnknownNameError("kind of forecast", options.kind, ("auto", *FORECAST_KINDS))
    if options.crossing not in ("refuse", "sort"):
        raise ConfigError(f"expected crossing quantiles to refuse or sort, received {options.crossing!r}")
    reader = _Reader(*_load(source))
    return reader.read(options)


def _load(source: Path | pd.DataFrame) -> tuple[str, pd.DataFrame]:
    import pandas as pd

    if isinstance(source, pd.DataFrame):
        return "the frame", source.reset_index(drop=True)
    name = str(source)
    try:
        if source.suffix.lower() in (".parquet", ".pq"):
            return name, pd.read_parquet(source, dtype_backend="numpy_nullable")  # integers stay exact beside gaps
        head = source.read_text(encoding="utf-8-sig").split("\n", 1)[0]
        delimiter = max(",;\t", key=head.count)
        table = pd.read_csv(source, sep=delimiter, dtype=str, keep_default_na=False, encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError, ValueError) as e:
        raise DataError(f"{name}: expected a readable CSV or Parquet file: {e}", file=name) from e
    return name, table


def _plain(column: Any) -> str:
    return str(column).strip().lower().replace(" ", "_")


class _Reader:
    """One table while it is read; remembers file and columns for its errors."""

    def __init__(self, file: str, frame: pd.DataFrame) -> None:
        self.file = file
        self.frame = frame
        self.names: dict[str, str] = {}
        for column in frame.columns:
            self.names.setdefault(_plain(column), column)
        for name, others in _ALIASES.items():
            for other in others:
                if name not in self.names and other in self.names:
                    self.names[name] = self.names.pop(other)
        self.notes: list[str] = []
        self.number = np.arange(1, len(frame) + 1)  # row of the file, 1-based

    def read(self, options: TableOptions) -> ForecastTable:
        self._check_columns()
        self._choose_target(options.target)
        kind, levels, columns = self._forecast_columns(options.kind)
        outcome = self._outcome(kind)
        known = np.isfinite(outcome)
        if not known.any():
            raise self.error("expected outcomes, received none", column=self.names["outcome"])
        rows, open_rows = len(known), int((~known).sum())
        issued = self.times("issued_at")
        self.refuse(issued == _NEVER, "issued_at", "expected a time, received nothing", "")
        horizon = self.numbers("horizon")
        self.refuse(~(horizon >= 1) | (horizon % 1 != 0), "horizon", "expected a whole number of bars from 1 on", "")
        forecasts = {name: np.stack([self.numbers(c) for c in parts], axis=1) for name, parts in columns.items()}
        for name, values in forecasts.items():
            absent = known & ~np.isfinite(values).all(axis=1)
            if name == OWN:
                self.refuse(absent, columns[name][0], "the forecast is missing on a row with an outcome", "")
        crossings = self._check_values(kind, forecasts, columns, known, options.crossing)
        known_at = self.times("known_at") if "known_at" in self.names else None
        if known_at is not None:
            late = known & (issued >= known_at)
            self.refuse(late, "issued_at", "the forecast was issued when its outcome was already known", "")
        table = ForecastTable(
            file=self.file,
            kind=kind,
            instrument=self._texts("instrument"),
            issued_at=issued,
            known_at=known_at,
            horizon=horizon.astype(np.int64),
            outcome=outcome,
            levels=levels,
            forecasts=forecasts,
            last=self._last(kind),
            attributes={name: self._texts(name) for name in ATTRIBUTES if name in self.names},
            rows=rows,
            open_rows=open_rows,
            crossings=crossings,
            notes=tuple(self.notes),
        )
        self._refuse_duplicates(table)
        order = np.lexsort((table.horizon, table.instrument.astype(str), table.issued_at))
        return table.where(order[known[order]])

    # --- columns -----------------------------------------------------------------------------------------------

    def _check_columns(self) -> None:
        absent = [name for name in _NEEDED if name not in self.names]
        if absent:
            forms = "".join(f"\n  {name}: {form}" for name, form in FORECAST_KINDS.items())
            received = ", ".join(repr(str(c)) for c in self.frame.columns)
            raise DataError(
                f"{self.file}: expected a column {absent[0]!r}, received columns {received}. Known forms:{forms}",
                file=self.file,
                column=absent[0],
                hint="rename or add the column",
            )
        if not len(self.frame):
            raise DataError(f"{self.file}: expected rows below the header, received none", file=self.file)

    def _choose_target(self, target: str) -> None:
        if "target" not in self.names:
            return
        found = self.frame[self.names["target"]].astype(str)
        names = sorted(set(found))
        chosen = target if target in names else names[0] if len(names) == 1 else None
        if chosen is None:
            raise UnknownNameError("target", target, names)
        keep = (found == chosen).to_numpy()
        self.number = self.number[keep]
        self.frame = self.frame[keep].reset_index(drop=True)
        if len(names) > 1:
            self.notes.append(f"the target {chosen} is judged; the file holds {', '.join(names)}")

    def _forecast_columns(self, kind: str) -> tuple[str, tuple[float, ...], dict[str, list[str]]]:
        """Return the kind, the quantile levels, and the columns of each forecast, "" first."""
        found = {
            "quantiles": self._grouped(_LEVEL, "level"),
            "classes": self._grouped(_CLASS, "kind"),
            "variance": self._grouped(_VARIANCE, None),
            "point": self._grouped(_POINT, None),
        }
        usable = [name for name, groups in found.items() if OWN in groups]
        chosen = kind if kind != "auto" else usable[0] if usable else ""
        if chosen not in usable:
            wanted = "a forecast" if kind == "auto" else f"a forecast of the kind {kind!r}"
            forms = "".join(f"\n  {name}: {form}" for name, form in FORECAST_KINDS.items())
            raise DataError(f"{self.file}: expected {wanted}. Known forms:{forms}", file=self.file, column="forecast")
        groups = found[chosen]
        own = groups[OWN]
        if chosen == "classes":
            own = {name: own[name] for name in CLASSES if name in own}
            if len(own) < len(CLASSES):
                absent = next(name for name in CLASSES if name not in own)
                raise self.error(f"expected a probability of {absent!r} beside the others", column=absent)
        parts = list(own)
        columns = {OWN: [own[part] for part in parts]}
        for name in sorted(groups):
            if name != OWN and all(part in groups[name] for part in parts):
                columns[name] = [groups[name][part] for part in parts]
        if chosen != "quantiles":
            return chosen, (), columns
        levels = np.array([_level(part) for part in parts])
        order = np.argsort(levels)
        if not ((levels > 0) & (levels < 1)).all() or len(set(levels.tolist())) < len(levels):
            raise self.error("expected distinct quantile levels between 0 and 100 %", column=own[parts[0]])
        return chosen, tuple(levels[order].tolist()), {n: [c[i] for i in order] for n, c in columns.items()}

    def _grouped(self, pattern: re.Pattern[str], part: str | None) -> dict[str, dict[str, str]]:
        """Return forecast name -> part -> plain column."""
        groups: dict[str, dict[str, str]] = {}
        for plain in self.names:
            match = pattern.fullmatch(plain)
            if match and plain not in (*_NEEDED, "known_at", "last"):
                name = match["name"] or OWN
                name = OWN if name == "p" else name.removesuffix("_p")  # p_up, mine_p_up
                groups.setdefault(name, {})[plain if part is None else match[part]] = plain
        if part is None:  # one column each: the part is the same for all
            groups = {name: {"": next(iter(columns.values()))} for name, columns in groups.items()}
        return groups

    # --- values ------------------------------------------------------------------------------------------------

    def column(self, name: str) -> Any:
        return self.frame[self.names[name]]

    def _texts(self, name: str) -> Any:
        return np.array([str(v) for v in self.column(name)], dtype=object)

    def error(self, text: str, *, column: str, row: int | None = None, hint: str | None = None) -> DataError:
        shown = self.names.get(column, column)
        where = f"{self.file}, " + (f"row {row}, " if row is not None else "") + f"column {str(shown)!r}: "
        return DataError(where + text, file=self.file, row=row, column=str(shown), hint=hint)

    def refuse(self, bad: Any, column: str, text: str, hint: str) -> None:
        places = np.flatnonzero(np.asarray(bad))
        if len(places):
            more = f" ({len(places):,} such rows)" if len(places) > 1 else ""
            row = int(self.number[places[0]])
            raise self.error(text + more, column=column, row=row, hint=hint or None)

    def numbers(self, name: str) -> FloatArray:
        """Return a column of numbers; empty cells are NaN."""
        import pandas as pd

        raw = self.column(name)
        values: FloatArray = pd.to_numeric(raw, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
        bad = ~np.isfinite(values) & ~_empty(raw)
        if bad.any():
            place = int(np.flatnonzero(bad)[0])
            raise self.error(
                f"expected a finite number, received {str(raw.iloc[place])!r}", column=name, row=int(self.number[place])
            )
        return values

    def times(self, name: str) -> IntArray:
        """Return a column of instants as ns UTC; the largest integer where a cell is empty.

        Text has a zone in all rows or in none (then it is read as UTC); integers are ns UTC.
        """
        import pandas as pd

        whole = self.column(name)
        absent = _empty(whole)
        result = np.full(len(whole), _NEVER, dtype=np.int64)
        raw = whole[~absent]
        if absent.all():
            return result
        if pd.api.types.is_integer_dtype(raw):
            result[~absent] = raw.to_numpy(dtype=np.int64)
            return result
        numbers = self.number[~absent]
        if not pd.api.types.is_datetime64_any_dtype(raw):
            text = raw.astype(str).str.strip()
            zoned = text.str.contains(r"(?:Z|[+-]\d\d:?\d\d)$", regex=True)
            mixed = zoned != zoned.iloc[0]
            if mixed.any():
                row = int(numbers[np.flatnonzero(mixed.to_numpy())[0]])
                raise self.error("expected times all with a zone or all without", column=name, row=row)
            raw = pd.to_datetime(text, utc=True, errors="coerce", format="ISO8601")
            bad = raw.isna().to_numpy()
            if bad.any():
                place = int(np.flatnonzero(bad)[0])
                said = f"expected a time such as 2020-01-31T21:00Z, received {text.iloc[place]!r}"
                raise self.error(said, column=name, row=int(numbers[place]))
        result[~absent] = pd.DatetimeIndex(pd.to_datetime(raw, utc=True)).as_unit("ns").asi8
        return result

    def _outcome(self, kind: str) -> FloatArray:
        if kind != "classes":
            values = self.numbers("outcome")
            if kind == "variance":
                self.refuse(values <= 0.0, "outcome", "expected a realised variance above 0", "leave such rows out")
            return values
        raw = self.column("outcome")
        codes = np.array([_CODES.get(str(v).strip().lower(), np.nan) for v in raw], dtype=np.float64)
        strange = np.isnan(codes) & ~_empty(raw)
        self.refuse(strange, "outcome", "expected down, neutral, up or -1, 0, 1", "")
        return codes

    def _last(self, kind: str) -> FloatArray | None:
        if "last" not in self.names or kind not in ("point", "quantiles"):
            return None
        values = self.numbers("last")
        self.refuse(~(values > 0.0), "last", "expected the price known at the forecast, above 0", "")
        self.refuse(self.numbers("outcome") <= 0.0, "outcome", "expected a price above 0 beside the column last", "")
        return values

    def _check_values(
        self,
        kind: str,
        forecasts: dict[str, FloatArray],
        columns: dict[str, list[str]],
        known: BoolArray,
        crossing: str,
    ) -> int:
        crossed = 0
        for name, values in forecasts.items():
            if kind == "quantiles":
                bad = known & (np.diff(values, axis=1) < -1e-12).any(axis=1)
                if crossing == "refuse" and bad.any():
                    first = values[np.flatnonzero(bad)[0]]
                    column = columns[name][int(np.flatnonzero(np.diff(first) < -1e-12)[0]) + 1]
                    hint = "forecast ascending quantiles, or allow sorting: --crossing sort"
                    self.refuse(bad, column, "quantiles cross: it lies below the one before", hint)
                crossed += int(bad.sum())
                forecasts[name] = np.sort(values, axis=1)
            elif kind == "classes":
                wrong = known & ((values < 0.0) | (values > 1.0)).any(axis=1)
                self.refuse(wrong, columns[name][0], "expected probabilities between 0 and 1", "write fractions")
                off = known & (np.abs(values.sum(axis=1) - 1.0) > _SUM_TOLERANCE)
                self.refuse(off, columns[name][0], "the probabilities of down, neutral and up do not sum to 1", "")
            elif kind == "variance":
                self.refuse(known & (values[:, 0] <= 0.0), columns[name][0], "expected a variance above 0", "")
        if crossed:
            self.notes.append(f"the quantiles of {crossed:,} rows crossed and were sorted")
        return crossed

    def _refuse_duplicates(self, table: ForecastTable) -> None:
        keys = list(zip(table.instrument.tolist(), table.issued_at.tolist(), table.horizon.tolist(), strict=True))
        seen: dict[tuple[str, int, int], int] = {}
        for place, key in enumerate(keys):
            if key in seen:
                first = int(self.number[seen[key]])
                said = f"instrument, issue time and horizon stand in the file twice, first in row {first}"
                raise self.error(said, column="issued_at", row=int(self.number[place]))
            seen[key] = place


def _empty(column: Any) -> BoolArray:
    """Return which cells of a pandas column hold nothing."""
    absent: BoolArray = column.isna().to_numpy(dtype=np.bool_)
    if column.dtype.kind not in "OUT":  # numbers and times say it by their missing value alone
        return absent
    text = column.astype(str).str.strip().str.lower()
    blank: BoolArray = text.isin(["", "nan", "nat", "none", "<na>", "null"]).to_numpy(dtype=np.bool_)
    return np.logical_or(absent, blank)


def _level(text: str) -> float:
    """Return a level from a header: q10 and q2.5 are percent, q0.1 is a fraction."""
    value = float(text)
    return value if "." in text and value < 1.0 else value / 100.0
