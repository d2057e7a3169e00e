"""Stablecoins serve correlations only (FEAT-29): all their other values are absent, in ranks and means of others too.

A coin that is pegged has returns of rounding and of panic; ranked among coins that move, it would be the calmest and
the best hedge of all.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from foresail.core.arrays import BoolArray
from foresail.core.ids import InstrumentId

__all__ = ["STABLECOINS", "is_correlation", "is_stablecoin", "silent_values"]

STABLECOINS = frozenset({"BUSD", "DAI", "FDUSD", "PYUSD", "TUSD", "USDC", "USDP", "USDT"})


def is_stablecoin(instrument: InstrumentId) -> bool:
    """Return whether an instrument is a pegged coin: its base, whatever it is quoted in.

    Examples
    --------
    >>> is_stablecoin("crypto.BINANCE.USDC-USDT"), is_stablecoin("crypto.BINANCE.BTC-USDT")
    (True, False)
    """
    if not instrument.startswith("crypto."):
        return False
    pair = instrument.split(".")[2] if instrument.count(".") > 1 else instrument.split(".")[1]
    return pair.partition("~")[0].split("-")[0].upper() in STABLECOINS


def is_correlation(name: str) -> bool:
    """Return whether a feature is a correlation with something else, which a pegged coin may have."""
    return "corr" in name and not name.startswith("autocorr")


def silent_values(instruments: Sequence[InstrumentId], names: Sequence[str], columns: int) -> BoolArray | None:
    """Return (N, columns) values that are absent because the instrument is pegged, None where none is.

    Parameters
    ----------
    names : of the first columns; those behind them are steps on the way to cross-sections
    """
    rows = np.array([is_stablecoin(name) for name in instruments], dtype=np.bool_)
    if not rows.any():
        return None
    silent = np.ones(columns, dtype=np.bool_)
    silent[: len(names)] = [not is_correlation(name) for name in names]
    out: BoolArray = rows[:, None] & silent[None, :]
    return out
