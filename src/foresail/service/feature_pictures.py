"""Small pictures, for the reference page, of every feature that bars alone can give: made-up bars of a fixed seed."""

from __future__ import annotations

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import NS_PER_DAY
from foresail.core.ids import InstrumentId
from foresail.core.seeds import generator
from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE
from foresail.features.context import FeatureContext
from foresail.features.session_flags import INTRADAY
from foresail.reporting.feature_reference import feature_picture

__all__ = ["feature_pictures"]

_FIELDS = ("open", "high", "low", "close", "volume", "dividend", "split", "total_factor", "spread")
_NAMES = 4  # instruments, so that ranks and means have something to compare
_DAILY, _WARM = 420, 64  # bars a line shows; days of quarter hours before those that are shown
_QUARTER = NS_PER_DAY // 96
_SHOWN = 96 * 4
_SEED = 7


def feature_pictures() -> dict[str, str]:
    """Return feature -> SVG, for every feature that needs nothing but bars and the calendar."""
    names = [n for n, s in CATALOGUE.items() if not any(i.startswith(("given:", "reference:")) for i in s.inputs)]
    daily, close = _values(names, _DAILY, NS_PER_DAY, _DAILY)
    within, inner = _values(names, 96 * _WARM, _QUARTER, _SHOWN)
    pictures = {}
    for k, name in enumerate(names):
        clocked = any(i.removeprefix("calendar:") in INTRADAY for i in CATALOGUE[name].inputs)
        of_day = clocked or not np.isfinite(daily[:, k]).any() or np.nanmin(daily[:, k]) == np.nanmax(daily[:, k])
        values, price = (within[:, k], inner) if of_day else (daily[:, k], close)
        if np.isfinite(values).any():
            spec = CATALOGUE[name]
            pictures[name] = feature_picture(price, values, spec.description, on_price=spec.scale == "price")
    return pictures


def _values(names: list[str], t: int, step: int, shown: int) -> tuple[FloatArray, FloatArray]:
    """Return the last values of the first instrument, (shown, features), and its closes."""
    panel = _bars(t, step)
    out = compute(panel, names, FeatureContext.of(panel, sectors=["a"] * _NAMES)).values[0, -shown:]
    return out, panel.field("close")[0, -shown:]


def _bars(t: int, step: int) -> Panel:
    rng = generator(_SEED, "feature pictures")
    size = 0.015 * np.sqrt(step / NS_PER_DAY)
    trend = size * 0.25 * np.sin(np.arange(t) / 45.0)
    close = 100.0 * np.exp(np.cumsum(rng.normal(0.0, size, (_NAMES, t)) + trend, axis=1))
    opening = close * np.exp(rng.normal(0.0, size / 3, close.shape))
    high = np.maximum(opening, close) * np.exp(np.abs(rng.normal(0.0, size / 3, close.shape)))
    low = np.minimum(opening, close) * np.exp(-np.abs(rng.normal(0.0, size / 3, close.shape)))
    volume = np.round(np.exp(rng.normal(11.0, 0.4, close.shape)))
    ones, empty = np.ones_like(close), np.full_like(close, np.nan)
    values = np.stack([opening, high, low, close, volume, empty, ones, ones, empty], axis=2)
    start = np.int64(19_737 * NS_PER_DAY) + np.arange(t, dtype=np.int64) * step  # from 15 January 2024
    names = tuple(InstrumentId(f"crypto.P{i}") for i in range(_NAMES))
    frame = "1d" if step == NS_PER_DAY else "15m"
    return Panel(values, np.ones(close.shape, bool), start, start + step, start + step, _FIELDS, names, frame, "24/7")
