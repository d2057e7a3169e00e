"""The market on which leaks are hunted: bars with dividends and splits, and tables whose rows become known later.

Beside the bars a plug-in may ask for point-in-time tables, the usual places where hindsight hides:

- ``fundamentals``: a figure of each quarter, published, received some hours later, half of them restated months later;
- ``news``: items with wall-clock time of New York, publish time and receive time;
- ``actions``: dividends and splits, with the day of declaration and the ex-date;
- ``membership``: who was in an index from when until when; ``listing``: who was listed from when until when;
- ``samples``: rows of features and a label with the time at which the label is known, for experiments.

``HuntData.cut`` and ``HuntData.disturb`` know which rows and cells are not known yet at an instant; only these change.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.seeds import generator
from foresail.domain.panel import Panel
from foresail.evaluation.fuzz_causality import PANEL_COLUMNS, disturb_panel
from foresail.evaluation.leak_frames import KNOWN_FROM
from foresail.evaluation.simulated_market import SimulationSettings, random_walk_market, simulate

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["HuntData", "hunt_data", "on_random_walk"]

_HOUR = NS_PER_DAY // 24
_DAILY = SimulationSettings(instruments=20, bars=1_000, delistings=0.2)
_HOURLY = SimulationSettings(instruments=8, bars=420, frame="1h", first_day="2001-03-19", delistings=0.2)


@dataclass(frozen=True, slots=True, eq=False)
class HuntData:
    """What a plug-in is given in a hunt.

    Attributes
    ----------
    panel : bars, (N, T, F)
    tables : name -> table, see the module text; empty on a user's own bars
    """

    panel: Panel
    tables: Mapping[str, pd.DataFrame] = field(default_factory=dict)

    @property
    def columns(self) -> tuple[str, ...]:
        """What can be disturbed: columns of the bars, which bars exist, and tables."""
        bars = tuple(c for c in PANEL_COLUMNS if c == "presence" or self.panel.has(c))
        return (*bars, *(name for name in KNOWN_FROM if name in self.tables))

    def cut(self, length: int) -> HuntData:
        """Return the first ``length`` bars and the tables as they were known at the end of the last of them."""
        until = int(self.panel.end[length - 1])
        return HuntData(self.panel.cut(0, length), self._mapped(lambda name, table: _as_of(name, table, until)))

    def disturb(self, position: int, columns: Sequence[str], seed: int, *, style: str = "wild") -> HuntData:
        """Return the data with everything named changed that is not known at the end of bar ``position``."""
        until = int(self.panel.end[position])

        def changed(name: str, table: pd.DataFrame) -> pd.DataFrame:
            return _disturbed(name, table, until, seed) if name in columns else table

        return HuntData(disturb_panel(self.panel, position, columns, seed, style=style), self._mapped(changed))

    def _mapped(self, change: Any) -> dict[str, pd.DataFrame]:
        return {name: change(name, table) if name in KNOWN_FROM else table for name, table in self.tables.items()}


def hunt_data(seed: int, *, hourly: bool = False) -> HuntData:
    """Return the market of a hunt: 20 names and 1,000 days, or 8 names and 420 hours around a change of the clocks."""
    panel = _with_actions(simulate(_HOURLY if hourly else _DAILY, seed), seed)
    return HuntData(panel, _tables(panel, seed))


def on_random_walk(data: HuntData, seed: int) -> HuntData:
    """Return the data with prices that nobody can predict, neither up nor down on average."""
    return HuntData(random_walk_market(seed, like=data.panel), data.tables)


def _with_actions(panel: Panel, seed: int) -> Panel:
    """Return the panel with about four dividends a year for half of the names and a split here and there."""
    draw = generator(seed, "hunt actions")
    values = panel.values.copy()
    at = {name: panel.index(name) for name in panel.fields}
    n, t, _ = panel.shape
    for i in range(n):
        days = range(20 + int(draw.integers(0, 40)), t, 63) if i % 2 == 0 else ()
        for now in days:
            before = values[i, now - 1, at["close"]]
            if panel.present[i, now] and np.isfinite(before):
                share = 0.01 * float(draw.uniform(0.5, 1.5))
                values[i, now, at["dividend"]] = share * before
                values[i, now:, [at[name] for name in ("open", "high", "low", "close")]] *= 1.0 - share
                values[i, now:, at["total_factor"]] /= 1.0 - share
        if i % 3 == 0:
            now = int(draw.integers(t // 4, 3 * t // 4))
            if panel.present[i, now]:
                values[i, now, at["split"]] = 2.0
                values[i, now:, [at[name] for name in ("open", "high", "low", "close")]] /= 2.0
                values[i, now:, at["volume"]] *= 2.0
                values[i, now:, at["total_factor"]] *= 2.0
    return replace(panel, values=values)


def _tables(panel: Panel, seed: int) -> dict[str, pd.DataFrame]:
    return {
        "fundamentals": _fundamentals(panel, seed),
        "news": _news(panel, seed),
        "actions": _actions(panel),
        "membership": _membership(panel, seed),
        "listing": _listing(panel),
        "samples": _samples(panel, seed),
    }


def _stamps(ns: Any) -> pd.DatetimeIndex:
    import pandas as pd

    return pd.DatetimeIndex(np.asarray(ns, dtype=np.int64).astype("datetime64[ns]"), tz="UTC")


def _fundamentals(panel: Panel, seed: int) -> pd.DataFrame:
    import pandas as pd

    draw = generator(seed, "fundamentals")
    first, last = int(panel.start[0]), int(panel.end[-1])
    quarter = max((last - first) // 14, 8 * _HOUR)
    rows: list[tuple[Any, ...]] = []
    for name in panel.instruments:
        value = float(draw.uniform(1.0, 5.0))
        for end in range(first - 2 * quarter, last, quarter):
            value *= float(np.exp(0.1 * draw.standard_normal()))
            out = end + int(quarter * draw.uniform(0.2, 0.5))
            got = out + int(draw.uniform(4, 30) * _HOUR)
            rows.append((str(name), end, out, got, 0, value))
            if draw.random() < 0.5:
                late = out + int(quarter * draw.uniform(0.6, 1.8))
                restated = value * float(draw.uniform(0.7, 1.4))
                rows.append((str(name), end, late, late + int(draw.uniform(4, 30) * _HOUR), 1, restated))
    rows.sort(key=lambda row: (row[3], row[0]))
    names, ended, published, received, revision, figure = zip(*rows, strict=True)
    return pd.DataFrame(
        {
            "instrument": names,
            "period_end": _stamps(ended),
            "published_at": _stamps(published),
            "available_at": _stamps(received),
            "revision": revision,
            "value": figure,
        }
    )


def _news(panel: Panel, seed: int) -> pd.DataFrame:
    """Return several items around every close, so that an hour's error of any clock meets some of them."""
    import pandas as pd

    draw = generator(seed, "news")
    ends = np.repeat(panel.end, 6)
    out = np.sort(ends + (draw.uniform(-6.0, 4.0, len(ends)) * _HOUR).astype(np.int64))
    got = out + (draw.uniform(0.3, 3.0, len(out)) * _HOUR).astype(np.int64)
    order = np.argsort(got, kind="stable")
    published = _stamps(out[order])
    return pd.DataFrame(
        {
            "instrument": [str(panel.instruments[i]) for i in draw.integers(0, panel.shape[0], len(out))],
            "published_local": published.tz_convert("America/New_York").tz_localize(None),
            "published_at": published,
            "available_at": _stamps(got[order]),
            "score": draw.standard_normal(len(out)),
        }
    )


def _actions(panel: Panel) -> pd.DataFrame:
    import pandas as pd

    rows: list[tuple[Any, ...]] = []
    for kind, usual in (("dividend", 0.0), ("split", 1.0)):
        values = panel.field(kind)
        for i, now in np.argwhere(np.isfinite(values) & (values != usual)):
            rows.append((str(panel.instruments[i]), kind, panel.end[max(now - 12, 0)], panel.end[now], values[i, now]))
    rows.sort(key=lambda row: (row[2], row[0]))
    name, kinds, declared, ex, amount = zip(*rows, strict=True) if rows else ((), (), (), (), ())
    return pd.DataFrame(
        {
            "instrument": list(name),
            "kind": list(kinds),
            "declared_at": _stamps(declared),
            "ex_date": _stamps(ex),
            "amount": list(amount),
        }
    )


def _membership(panel: Panel, seed: int) -> pd.DataFrame:
    import pandas as pd

    draw = generator(seed, "membership")
    t = panel.shape[1]
    rows: list[tuple[Any, ...]] = []
    for name in panel.instruments:
        now = int(draw.integers(0, t // 4))
        while now < t:
            stop = now + int(draw.integers(t // 8, t // 2))
            rows.append((str(name), int(panel.end[now]), int(panel.end[stop]) if stop < t else None))
            now = stop + int(draw.integers(t // 10, t // 3))
    rows.sort(key=lambda row: (row[1], row[0]))
    until = pd.DatetimeIndex([pd.NaT if row[2] is None else _stamps([row[2]])[0] for row in rows], tz="UTC")
    return pd.DataFrame(
        {"instrument": [r[0] for r in rows], "member_from": _stamps([r[1] for r in rows]), "member_until": until}
    )


def _listing(panel: Panel) -> pd.DataFrame:
    import pandas as pd

    first = panel.present.argmax(axis=1)
    last = panel.shape[1] - 1 - panel.present[:, ::-1].argmax(axis=1)
    gone = last < panel.shape[1] - 10
    until = [_stamps([panel.end[k]])[0] if g else pd.NaT for k, g in zip(last, gone, strict=True)]
    return pd.DataFrame(
        {
            "instrument": [str(name) for name in panel.instruments],
            "listed_from": _stamps(panel.end[first]),
            "delisted_on": pd.DatetimeIndex(until, tz="UTC"),
        }
    )


def _samples(panel: Panel, seed: int) -> pd.DataFrame:
    """Return 6 features, some of them missing, and a label over five bars: 8 names at 240 of the bars."""
    import pandas as pd

    draw = generator(seed, "samples")
    n, t, horizon = min(8, panel.shape[0]), 240, 5
    when = panel.end[:t]
    known_at = panel.end[np.minimum(np.arange(t) + horizon, panel.shape[1] - 1)]
    x = draw.standard_normal((t, n, 6)) * np.array([1.0, 3.0, 0.2, 1.0, 10.0, 1.0])
    shock = draw.standard_normal((t + horizon, n))
    total: FloatArray = np.stack([shock[k : k + horizon].sum(axis=0) for k in range(1, t + 1)]) / np.sqrt(horizon)
    label = 0.01 * (total + 0.4 * x[:, :, 0] - 0.2 * np.abs(x[:, :, 3]))
    x[draw.random(x.shape) < 0.03] = np.nan
    table = pd.DataFrame(x.reshape(t * n, 6), columns=[f"f{k}" for k in range(1, 7)])
    table.insert(0, "time", _stamps(np.repeat(when, n)))
    table.insert(1, "instrument", np.tile([str(name) for name in panel.instruments[:n]], t))
    table["label"] = label.reshape(t * n)
    table["label_end"] = _stamps(np.repeat(known_at, n))
    return table


def _as_of(name: str, table: pd.DataFrame, until: int) -> pd.DataFrame:
    known, later = KNOWN_FROM[name]
    instant = _stamps([until])[0]
    part = table[table[known] <= instant].reset_index(drop=True)
    for column in later:
        part[column] = part[column].where(part[column] <= instant)
    return part


def _disturbed(name: str, table: pd.DataFrame, until: int, seed: int) -> pd.DataFrame:
    """Return the table with later rows changed and some of them gone, and later end dates moved."""
    import pandas as pd

    known, later = KNOWN_FROM[name]
    instant = _stamps([until])[0]
    draw = generator(seed, "disturb", name, until % 2**31)
    changed = table.copy()
    future = (changed[known] > instant).to_numpy()
    for column in ("value", "score", "amount"):
        if column in changed:
            wild = changed[column] * np.exp(draw.standard_normal(len(changed))) * draw.choice([-1.0, 2.0], len(changed))
            changed[column] = changed[column].where(~future, wild)
    for column in later:
        unknown = ~(changed[column] <= instant).to_numpy() & ~future
        moved = instant + pd.to_timedelta(draw.uniform(1, 100, len(changed)) * _HOUR, unit="ns")
        drawn = pd.Series(moved, index=changed.index).where(draw.random(len(changed)) < 0.5)
        changed[column] = changed[column].where(~unknown, drawn)
    gone = future & (draw.random(len(changed)) < 0.3)
    return changed[~gone].reset_index(drop=True)
