"""What a plug-in is given: bars, and in a leak hunt also point-in-time tables, by name, as pandas tables.

Prices are adjusted forward from the first bar, so dividends and splits make no jumps and no value changes when later
bars arrive. ``adjusted_close`` is adjusted backwards, as vendors sell it: its level depends on dividends and splits
that come later, which is a leak where the level, and not a ratio of two values, is used.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.domain.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["KNOWN_FROM", "BarFrames"]

# table -> (column that says when a row is known, columns whose later instants are not known before they are reached)
KNOWN_FROM: Mapping[str, tuple[str, tuple[str, ...]]] = MappingProxyType(
    {
        "fundamentals": ("available_at", ()),
        "news": ("available_at", ()),
        "actions": ("declared_at", ()),
        "membership": ("member_from", ("member_until",)),
        "listing": ("listed_from", ("delisted_on",)),
    }
)

_PRICES = ("open", "high", "low", "close", "spread")
_FIELDS = ("open", "high", "low", "close", "volume", "spread")
_ACTIONS = ("dividend", "split")


class BarFrames(Mapping[str, "pd.DataFrame"]):
    """Bars as pandas tables, built when asked for; each access gives a fresh table that the caller may change.

    Parameters
    ----------
    panel : bar panel; fields without any value are not offered
    tables : further tables by name; iteration names the bars only
    """

    def __init__(self, panel: Panel, tables: Mapping[str, pd.DataFrame] | None = None) -> None:
        import pandas as pd

        self._panel = panel
        self._tables = {} if tables is None else tables
        self._index = pd.DatetimeIndex(panel.end.astype("datetime64[ns]"), tz="UTC", name="end")
        self._known = tuple(name for name in _FIELDS if panel.has(name))
        self.accessed: set[str] = set()

    @property
    def extras(self) -> tuple[str, ...]:
        """Names that can be asked for beside the bars themselves."""
        actions = tuple(name for name in _ACTIONS if self._panel.has(name))
        adjusted = ("adjusted_close",) if len(actions) == len(_ACTIONS) and "close" in self._known else ()
        return (*actions, *adjusted, *self._tables)

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return one field, (T, N), or a table; a name that the set does not have raises KeyError naming the others."""
        import pandas as pd

        if name in self._tables:
            self.accessed.add(name)
            return self._tables[name].copy()
        if name not in self._known and name not in self.extras:
            raise KeyError(f"these bars have no {name!r}; they have {', '.join((*self._known, *self.extras))}")
        self.accessed.add(name)
        return pd.DataFrame(self._values(name).T.copy(), index=self._index, columns=list(self._panel.instruments))

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)

    def _values(self, name: str) -> FloatArray:
        if name == "adjusted_close":
            return _adjusted_backwards(self._panel)
        values = self._panel.field(name)
        if name in _PRICES and self._panel.has("total_factor"):
            return np.asarray(values * self._panel.field("total_factor"), dtype=np.float64)
        if name == "volume" and self._panel.has("split"):
            split = self._panel.field("split")
            return np.asarray(values / np.cumprod(np.where(np.isfinite(split) & (split > 0), split, 1.0), axis=1))
        return values


def _adjusted_backwards(panel: Panel) -> FloatArray:
    """Return closes divided by all later splits and times one minus all later dividend yields, (N, T)."""
    close, dividend, split = (panel.field(name) for name in ("close", "dividend", "split"))
    before = np.full(close.shape, np.nan)
    before[:, 1:] = close[:, :-1]
    share = np.where(np.isfinite(dividend) & np.isfinite(before), np.clip(dividend / before, 0.0, 0.9), 0.0)
    growth = np.where(np.isfinite(split) & (split > 0), split, 1.0) / (1.0 - share)
    total = np.cumprod(growth, axis=1)
    adjusted: FloatArray = close * total / total[:, -1:]
    return adjusted
