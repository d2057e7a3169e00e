"""What goes with a preset of a network besides its shape: the horizons and the feature set of its documented model.

They are used where nothing else is asked for, on bars of the preset's own frame. The shapes are those of
``neural.settings.PRESETS``; this table needs no extra to be read.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

from foresail.forecasting.registry import forecaster_class

__all__ = ["PRESET_INPUTS", "PresetInputs", "preset_inputs"]


@dataclass(frozen=True, slots=True)
class PresetInputs:
    """Horizons and features of a preset.

    Attributes
    ----------
    name : of the preset
    frame : of the bars that it is for
    horizons : bars or spans; spans count sessions for stocks (FCST-15)
    features : name of a set
    """

    name: str
    frame: str
    horizons: tuple[str, ...]
    features: str

    @property
    def told(self) -> str:
        """The same in words."""
        return f"horizons {', '.join(self.horizons)}, features {self.features}"


_STEPS = ("1", "2", "3", "4", "5")
PRESET_INPUTS: Mapping[str, PresetInputs] = MappingProxyType(
    {
        # FCST-03a and MODEL-01: 1, 4, 24, 72 and 168 hours of a market that never closes, sessions of a stock
        "hourly": PresetInputs("hourly", "1h", ("1h", "4h", "1d", "3d", "1w"), "core20"),
        "minute": PresetInputs("minute", "1m", _STEPS, "tft64"),  # MODEL-02, FCST-03b
        "daily": PresetInputs("daily", "1d", _STEPS, "tft_daily"),  # MODEL-03, FCST-03c
    }
)


def preset_inputs(forecaster: str, options: Mapping[str, Any]) -> PresetInputs | None:
    """Return what goes with the preset that options name; None where they name none of this forecaster.

    Parameters
    ----------
    forecaster : a registered name
    options : its settings, "preset" among them or not
    """
    name = options.get("preset")
    if name is None or name not in getattr(forecaster_class(forecaster), "presets", {}):
        return None
    return PRESET_INPUTS.get(str(name))
