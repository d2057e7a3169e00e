"""How the frame of a feature is written: ``rsi_14@1h``; ``direction_15m`` is short for ``trend_direction@15m``."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.bins import FRAMES, check_coarser
from foresail.domain.calendars import frame_ns

__all__ = ["AGREEMENT_INPUTS", "DIRECTION", "FRAME_GROUPS", "STYLES", "split_frame", "style_absence"]

# MTF-03: frames of each style, fastest first.
STYLES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"intraday": ("5m", "15m", "1h"), "swing": ("1h", "4h", "1d"), "position": ("1d", "1w")}
)
# FEAT-30 frames of the predictors, FEAT-33 of correlations, FEAT-34 of the LSTM; the styles are those of MTF-03.
FRAME_GROUPS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "six": ("1m", "5m", "30m", "1h", "6h", "1d"),
        "correlations": ("1h", "4h", "1d"),
        "lstm": ("5m", "15m", "1h", "1d"),
        **STYLES,
    }
)
DIRECTION = "trend_direction"
AGREEMENT_INPUTS = ("mtf_direction_1", "mtf_direction_2", "mtf_direction_3")  # given numbers that frames feed in
_SHORT = {f"direction_{frame}": (DIRECTION, frame) for frame in FRAMES} | {"direction_60m": (DIRECTION, "1h")}


def split_frame(name: str) -> tuple[str, str | None]:
    """Return the feature and the frame that a name asks for; None = the frame of the rows.

    Raises
    ------
    UnknownNameError
        If the part after ``@`` is none of the frames.

    Examples
    --------
    >>> split_frame("rsi_14@1h"), split_frame("rsi_14"), split_frame("direction_60m")
    (('rsi_14', '1h'), ('rsi_14', None), ('trend_direction', '1h'))
    """
    if name in _SHORT:
        return _SHORT[name]
    feature, mark, frame = name.partition("@")
    if not mark:
        return name, None
    if frame not in FRAMES:
        raise UnknownNameError("frame", frame, FRAMES)
    return feature, frame


def style_absence(own: str, style: str) -> str | None:
    """Return why rows of a frame cannot give the agreement of a style's frames, None if they can.

    Raises
    ------
    UnknownNameError
        If the style is unknown.
    """
    if style not in STYLES:
        raise UnknownNameError("style of frames", style, STYLES)
    for frame in STYLES[style]:
        if frame_ns(frame) != frame_ns(own):
            try:
                check_coarser(frame, own)
            except ConfigError:
                frames = ", ".join(STYLES[style])
                return f"the style {style} adds up {frames}, and bars of {own} do not make bars of {frame}"
    return None
