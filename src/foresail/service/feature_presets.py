"""Presets of indicators told: rows of a style, levels and bands of a class, sets of a use, groups of frames."""

from __future__ import annotations

from typing import Any

from foresail.features.declared.presets import BANDS, INDICATOR_PRESETS, RSI_LEVELS
from foresail.features.declared.sets import DEFAULT_SETS
from foresail.features.frame_syntax import FRAME_GROUPS
from foresail.service.outcome import Outcome

__all__ = ["list_presets"]


def list_presets() -> Outcome:
    """Return presets, levels, bands, default sets and groups of frames: ``foresail features list --presets``."""
    document: dict[str, Any] = {
        "presets": [
            {
                "name": row.name,
                "frames": list(row.frames),
                "rsi": list(row.rsi),
                "oversold": row.oversold,
                "overbought": row.overbought,
                "macd": list(row.macd),
            }
            for row in INDICATOR_PRESETS.values()
        ],
        "levels": {one.value: list(levels) for one, levels in RSI_LEVELS.items()},
        "bands": {
            one.value: {"bars": b.bars, "deviations": b.deviations, "quiet_deviations": b.quiet_deviations}
            for one, b in BANDS.items()
        },
        "default_sets": {use: list(sets) for use, sets in DEFAULT_SETS.items()},
        "frame_groups": {name: list(frames) for name, frames in FRAME_GROUPS.items()},
    }
    return Outcome(document, _lines())


def _lines() -> list[str]:
    """Return the tables for people; the first of several indicators is the default."""
    lines = ["presets, taken with --set preset:NAME; start values, to be tested on each instrument before use:"]
    for row in INDICATOR_PRESETS.values():
        levels = f"{100 * row.oversold:g}/{100 * row.overbought:g}"
        lines.append(f"  {row.name:<10} {' '.join(row.frames):<16} {levels}  {' '.join((*row.rsi, *row.macd))}")
    lines += ["", "levels of rsi_14 and Bollinger bands by class:"]
    for one, (low, high) in RSI_LEVELS.items():
        band = BANDS[one]
        quiet = "" if band.quiet_deviations == band.deviations else f", {band.quiet_deviations:g} in Asian hours"
        width = f"{band.bars} bars, {band.deviations:g} deviations{quiet}"
        lines.append(f"  {one.value:<10} {100 * low:g}/{100 * high:g}  {width}")
    lines += ["", "sets by use, taken with --set default (by the frame of the bars) or default:USE:"]
    lines += [f"  {use:<10} {' '.join(sets)}" for use, sets in DEFAULT_SETS.items()]
    lines += ["", "groups of frames, taken with NAME@GROUP:"]
    lines += [f"  {name:<13} {' '.join(frames)}" for name, frames in FRAME_GROUPS.items()]
    return lines
