"""Features of several time frames on the rows of one panel: ``rsi_14@1h`` on five-minute rows (FEAT-30 to FEAT-34).

1. A name is split in feature and frame; ``direction_15m`` is short for ``trend_direction@15m``.
2. History: the panel is coarsened to each frame, the features are computed there, and every row takes those of the last
   closed bar (MTF-03): the bar that the row itself closes, or an earlier one, never the one that is under way.
3. Live: ``frames_live`` does the same row by row. Both give the same bits.

A value stays until the instrument's next complete bar of its frame, and is absent where the row itself is.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import UnknownNameError
from foresail.domain.bins import check_coarser
from foresail.domain.calendars import ALWAYS_OPEN, EXTENDED_FRAME, FOREX_WEEK, frame_ns
from foresail.domain.panel import Panel
from foresail.features.catalogue import find
from foresail.features.coarse import coarsen
from foresail.features.context import FeatureContext
from foresail.features.frame_syntax import AGREEMENT_INPUTS, DIRECTION, STYLES, split_frame
from foresail.features.plain import compute_plain

__all__ = [
    "FrameRequest",
    "FrameSettings",
    "compute_frames",
    "frame_names",
    "frame_request",
    "higher_frames",
    "with_directions",
]


@dataclass(frozen=True, slots=True)
class FrameSettings:
    """How frames are formed.

    Attributes
    ----------
    style : key of ``STYLES``: the frames whose directions ``mtf_agreement`` adds up
    extended : whether stock rows cover 04:00 to 20:00 New York, which 6h needs; rows of 6h always do
    threads : of the history computation; the result is the same for any number
    """

    style: str = "intraday"
    extended: bool = False
    threads: int = 2

    def for_rows(self, rows: Panel) -> FrameSettings:
        """Return how frames are formed of the rows of a panel: an exchange has rows of 6h in extended hours alone."""
        if rows.frame == EXTENDED_FRAME and rows.calendar not in (ALWAYS_OPEN, FOREX_WEEK):
            return replace(self, extended=True)
        return self


def frame_names(names: Sequence[str], frames: Sequence[str]) -> tuple[str, ...]:
    """Return every name on every frame, frame by frame: six frames of 50 names make ``frame50`` (FEAT-30)."""
    return tuple(f"{name}@{frame}" for frame in frames for name in names)


@dataclass(frozen=True, slots=True)
class FrameRequest:
    """What is asked of each frame: positions in the answer by frame, None = the rows' own."""

    columns: tuple[str, ...]
    frames: Mapping[str | None, tuple[tuple[int, str], ...]]
    directions: tuple[str, ...]

    def features(self, frame: str | None) -> tuple[str, ...]:
        """Return the features of a frame, without repeats, the direction last where it is needed."""
        wanted = [name for _, name in self.frames.get(frame, ())]
        if frame is not None and frame in self.directions:
            wanted.append(DIRECTION)
        return tuple(dict.fromkeys(wanted))


def frame_request(names: Sequence[str], own: str, settings: FrameSettings) -> FrameRequest:
    """Return names sorted by frame.

    Raises
    ------
    UnknownNameError
        If a name or the style is unknown.
    ConfigError
        If a frame is shorter than the rows.
    """
    if settings.style not in STYLES:
        raise UnknownNameError("style of frames", settings.style, STYLES)
    columns: list[str] = []
    frames: dict[str | None, list[tuple[int, str]]] = {}
    agrees = False
    for i, name in enumerate(names):
        feature, frame = split_frame(name)
        spec = find(feature)
        agrees = agrees or any(f"given:{x}" in spec.inputs for x in AGREEMENT_INPUTS)
        columns.append(spec.name if frame is None else f"{spec.name}@{frame}")
        key = None if frame is None or frame_ns(frame) == frame_ns(own) else frame
        frames.setdefault(key, []).append((i, spec.name))
    directions = STYLES[settings.style] if agrees else ()
    for frame in [*(f for f in frames if f is not None), *directions]:
        if frame_ns(frame) != frame_ns(own):
            check_coarser(frame, own)
    return FrameRequest(tuple(columns), {k: tuple(v) for k, v in frames.items()}, directions)


def higher_frames(request: FrameRequest, own: str) -> tuple[str, ...]:
    """Return the coarser frames that must be computed, shortest first."""
    wanted = {f for f in request.frames if f is not None}
    wanted |= {f for f in request.directions if frame_ns(f) != frame_ns(own)}
    return tuple(sorted(wanted, key=frame_ns))


def compute_frames(
    panel: Panel,
    names: Sequence[str],
    context: FeatureContext,
    settings: FrameSettings | None = None,
    *,
    form: str = "display",
) -> Panel:
    """Return features of several frames on the rows of one panel.

    Parameters
    ----------
    panel : (N, T, F) bars of the shortest frame
    names : features, ``name@frame`` or ``direction_15m``
    context : of the same panel; a coarse bar sees what its last row sees
    form : "display" or "model", as for ``batch.compute``; directions are free of units in both

    Returns
    -------
    (N, T, names) panel of the same axes

    Raises
    ------
    UnknownNameError
        If a feature, frame or style is unknown.
    ConfigError
        If a frame is shorter than, or no multiple of, the panel's.

    Notes
    -----
    Timing: a row sees the coarse bars that ended by its own end; they are known when it is.
    """
    settings = (settings or FrameSettings()).for_rows(panel)
    request = frame_request(names, panel.frame, settings)
    if not request.directions and set(request.frames) == {None}:
        plain = compute_plain(panel, request.features(None), context, threads=settings.threads, form=form)
        return replace(plain, values=plain.values[:, :, [plain.fields.index(name) for _, name in request.frames[None]]],
                       fields=request.columns)  # fmt: skip
    context = context.complete(panel)
    n, t, _ = panel.shape
    out = np.full((n, t, len(request.columns)), np.nan)
    directions: dict[str, FloatArray] = {}
    for frame in higher_frames(request, panel.frame):
        coarse = coarsen(panel, frame, extended=settings.extended)
        inner = _coarse_context(context, coarse.last_row)
        values = compute_plain(coarse.panel, request.features(frame), inner, threads=settings.threads, form=form)
        joined = _join(values, coarse.last_row, t)
        for i, name in request.frames.get(frame, ()):
            out[:, :, i] = joined[:, :, values.fields.index(name)]
        if frame in request.directions:
            directions[frame] = joined[:, :, values.fields.index(DIRECTION)]
    own = next((f for f in request.directions if frame_ns(f) == frame_ns(panel.frame)), None)
    if own is not None:
        directions[own] = compute_plain(panel, [DIRECTION], context, threads=settings.threads).values[:, :, 0]
    if request.frames.get(None):
        context = with_directions(context, request.directions, directions, (n, t))
        base = compute_plain(panel, request.features(None), context, threads=settings.threads, form=form)
        for i, name in request.frames[None]:
            out[:, :, i] = base.field(name)
    out[~panel.present] = np.nan
    return replace(panel, values=out, present=panel.present.copy(), fields=request.columns)


def _coarse_context(context: FeatureContext, last_row: np.ndarray) -> FeatureContext:
    """Return what was known at the rows that close coarse bars; the calendar is worked out anew."""
    return replace(
        context,
        reference=np.ascontiguousarray(context.reference[:, last_row]),
        given=np.ascontiguousarray(context.given[:, last_row]),
        calendar=np.empty((0, 0)),
    )


def _join(values: Panel, last_row: np.ndarray, times: int) -> FloatArray:
    """Return (N, T, C) values of the last complete coarse bar that each row may know."""
    n, bars, columns = values.shape
    known = np.searchsorted(last_row, np.arange(times), side="right")  # coarse bars closed by each row
    numbers = np.where(values.present, np.arange(1, bars + 1)[None, :], 0)
    newest = np.zeros((n, bars + 1), dtype=np.int64)
    newest[:, 1:] = np.maximum.accumulate(numbers, axis=1)
    padded = np.concatenate([np.full((n, 1, columns), np.nan), values.values], axis=1)
    joined: FloatArray = padded[np.arange(n)[:, None], newest[:, known]]
    return joined


def with_directions(
    context: FeatureContext, frames: Sequence[str], directions: Mapping[str, FloatArray], shape: tuple[int, int]
) -> FeatureContext:
    """Return the context with the directions of a style's frames as given numbers; an unused place is 0."""
    if not frames:
        return context
    columns = [directions[frame] for frame in frames]
    columns += [np.zeros(shape)] * (len(AGREEMENT_INPUTS) - len(columns))
    keep = [i for i, name in enumerate(context.given_names) if name not in AGREEMENT_INPUTS]
    given = np.concatenate([context.given[:, :, keep], np.stack(columns, axis=2)], axis=2)
    names = (*(context.given_names[i] for i in keep), *AGREEMENT_INPUTS)
    return replace(context, given_names=names, given=np.ascontiguousarray(given))
