"""Presets of indicators as data (IND-01 to 05): which rows of the catalogue, and the levels that go with them.

They are start values: each instrument is tested over a grid of parameters before use. MACD tells the direction, RSI
filters entries (IND-02). Levels are fractions, as RSI is stored.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass

__all__ = ["BANDS", "INDICATOR_PRESETS", "RSI_LEVELS", "BandPreset", "IndicatorPreset", "indicator_preset", "levels_of"]


@dataclass(frozen=True, slots=True)
class IndicatorPreset:
    """Indicators of one style (IND-01).

    Attributes
    ----------
    frames : that the style is made for
    rsi : catalogue rows, the default first
    oversold, overbought : levels of the RSI, 0 to 1
    macd : catalogue rows, the default first; with a signal of one bar only the crossing of zero says something (FC-08)
    """

    name: str
    frames: tuple[str, ...]
    rsi: tuple[str, ...]
    oversold: float
    overbought: float
    macd: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class BandPreset:
    """Bollinger bands (IND-04).

    Attributes
    ----------
    bars : length of mean and deviation
    deviations : half the width; of forex in Asian hours ``quiet_deviations``
    """

    bars: int
    deviations: float
    quiet_deviations: float


def _rows() -> tuple[IndicatorPreset, ...]:
    return (
        IndicatorPreset("scalp", ("5m",), ("rsi_7", "rsi_5", "rsi_6"), 0.20, 0.80, ("macd_3_10_1",)),
        IndicatorPreset(
            "balanced",
            ("5m", "15m"),
            ("rsi_9", "rsi_10", "rsi_7", "rsi_8"),
            0.25,
            0.75,
            ("macd_5_13_1", "macd_5_13_8"),
        ),
        IndicatorPreset("fifteen", ("15m",), ("rsi_14", "rsi_9", "rsi_10"), 0.30, 0.70, ("macd_8_17_9", "macd_5_15_9")),
        IndicatorPreset("swing", ("1d",), ("rsi_9", "rsi_14"), 0.30, 0.70, ("macd_5_13_1", "macd")),
        IndicatorPreset("standard", ("1h", "4h", "6h", "1d", "1w"), ("rsi_14",), 0.30, 0.70, ("macd",)),
    )


INDICATOR_PRESETS: Mapping[str, IndicatorPreset] = MappingProxyType({row.name: row for row in _rows()})

# IND-03, always with rsi_14: oversold, overbought.
RSI_LEVELS: Mapping[AssetClass, tuple[float, float]] = MappingProxyType(
    {AssetClass.STOCK: (0.30, 0.70), AssetClass.FOREX: (0.25, 0.75), AssetClass.CRYPTO: (0.20, 0.80)}
)

BANDS: Mapping[AssetClass, BandPreset] = MappingProxyType(
    {
        AssetClass.STOCK: BandPreset(20, 2.0, 2.0),
        AssetClass.FOREX: BandPreset(20, 2.2, 1.8),
        AssetClass.CRYPTO: BandPreset(20, 2.5, 2.5),
    }
)


def indicator_preset(name: str) -> IndicatorPreset:
    """Return a preset by name.

    Raises
    ------
    UnknownNameError
        If there is no such preset.
    """
    if name not in INDICATOR_PRESETS:
        raise UnknownNameError("preset of indicators", name, INDICATOR_PRESETS)
    return INDICATOR_PRESETS[name]


def levels_of(name: str, asset_class: AssetClass | None) -> tuple[float, float] | None:
    """Return oversold and overbought of a row, None where it has no levels.

    The RSI of 14 bars has those of the class (IND-03; of stocks where it is not known), a shorter one those of the
    first preset that names it (IND-01).
    """
    if name == "rsi_14":
        return RSI_LEVELS[AssetClass.STOCK if asset_class is None else asset_class]
    found = next((preset for preset in INDICATOR_PRESETS.values() if name in preset.rsi), None)
    return None if found is None else (found.oversold, found.overbought)
