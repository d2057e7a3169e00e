"""Which columns a list of features, sets and frames asks for, and why bars cannot give some of them.

``frame50@1h`` is a set on one frame; a group of frames takes the place of one: ``frame50@six`` makes the 300 inputs of
the six frame predictors. For a market: ``expand_frames`` the names, ``catalogue.resolve`` the ``plain_features`` of the
columns, ask ``absent_in_frames`` which columns that leaves out, and give the others to ``frames.compute_frames``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.bins import FRAMES, frame_absence
from foresail.domain.calendars import ALWAYS_OPEN, frame_ns
from foresail.domain.instruments import AssetClass
from foresail.features.catalogue import ADDS_UP, agrees, find, reason_of_frame
from foresail.features.declared.sets import SETS, members_for
from foresail.features.frame_syntax import FRAME_GROUPS, split_frame, style_absence
from foresail.features.frames import FrameSettings, frame_names

__all__ = ["absent_in_frames", "expand_frames", "has_frames", "plain_features"]


def expand_frames(
    names: Sequence[str], *, own: str | None = None, asset_class: AssetClass | None = None
) -> tuple[str, ...]:
    """Return the columns of names, aliases and sets, each with or without a frame, in order and without repeats.

    Parameters
    ----------
    names : "rsi_14", "spine", "rsi_14@1h", "frame50@1h" or "frame50@six"
    own : frame of the rows: of a group only the frames that are not shorter are taken; None = all
    asset_class : whose variants the members of sets take (FEAT-21); a feature that is named stays as it is

    Raises
    ------
    UnknownNameError
        If a name, frame or group is unknown.
    ConfigError
        If rows of this frame have none of the frames of a group.

    Examples
    --------
    >>> expand_frames(["RSI@correlations"], own="1h")
    ('rsi_14@1h', 'rsi_14@4h', 'rsi_14@1d')
    """
    columns: list[str] = []
    for one in names:
        base, mark, frames = one.partition("@")
        if not mark and base not in SETS:
            feature, frame = split_frame(one)
            columns += [find(feature).name] if frame is None else frame_names([find(feature).name], [frame])
            continue
        members = members_for(base, asset_class) if base in SETS else (find(base).name,)
        columns += frame_names(members, _frames(one, frames, own)) if mark else members
    return tuple(dict.fromkeys(columns))


def _frames(name: str, frames: str, own: str | None) -> tuple[str, ...]:
    if frames in FRAMES:
        return (frames,)
    if frames not in FRAME_GROUPS:
        raise UnknownNameError("frame or group of frames", frames, [*FRAMES, *FRAME_GROUPS])
    group = FRAME_GROUPS[frames]
    kept = tuple(frame for frame in group if own is None or frame_ns(frame) >= frame_ns(own))
    if not kept:
        raise ConfigError(
            f"{name}: rows of {own} have none of the frames {', '.join(group)}", hint="give bars of a shorter frame"
        )
    return kept


def has_frames(columns: Sequence[str]) -> bool:
    """Return whether a column needs ``compute_frames``: one of another frame, or the agreement of several."""
    return any(split_frame(name)[1] is not None or agrees(find(name)) for name in columns)


def plain_features(columns: Sequence[str]) -> tuple[str, ...]:
    """Return the features of columns without their frames, except those that ``compute_frames`` feeds itself."""
    return tuple(dict.fromkeys(split_frame(name)[0] for name in columns if not agrees(find(name))))


def absent_in_frames(
    columns: Sequence[str],
    own: str,
    reasons: Mapping[str, str],
    settings: FrameSettings | None = None,
    *,
    calendar: str = ALWAYS_OPEN,
) -> dict[str, str]:
    """Return column -> why rows of a frame cannot give it, for those that they cannot.

    Parameters
    ----------
    columns : as ``expand_frames`` returns them
    own : frame of the rows
    reasons : feature -> why the rows cannot give it, as ``catalogue.resolve`` says of ``plain_features``
    calendar : of the rows; without extended hours an exchange has no 6h bars (SCAN-13)

    Raises
    ------
    UnknownNameError
        If the style is unknown.
    """
    settings = settings or FrameSettings()
    absent: dict[str, str] = {}
    for column in columns:
        feature, frame = split_frame(column)
        if agrees(find(column)):
            reason = style_absence(own, settings.style) if frame is None else ADDS_UP
        else:
            reason = reasons.get(feature) or (None if frame is None else reason_of_frame(find(feature), frame))
            if reason is None and frame is not None and frame_ns(frame) != frame_ns(own):
                reason = frame_absence(frame, calendar, extended=settings.extended)
        if reason is not None:
            absent[column] = reason
    return absent
