"""What a Temporal Fusion Transformer says of its own forecasts: which inputs it selected and which bars it looked at.

Selection weights and attention are an aid for the reader, not proof of cause (XPL-04): an input that is selected may be
used with either sign or hardly at all, and the past bars that attention looks at have already taken in those before.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.canonical import plain

__all__ = ["CALENDAR", "MISSING", "OTHER", "PRESENCE", "Seen", "TftExplanation", "explanation_of"]

CALENDAR, PRESENCE, OTHER = "calendar", "presence", "other"
MISSING = " missing"  # ends the name of a feature's mark


@dataclass(frozen=True, slots=True, eq=False)
class TftExplanation:
    """Weights of R forecasts; every kind sums to 1 over its last axis unless said.

    Attributes
    ----------
    rows : (R, 2) instrument and time
    variables, groups : names of V inputs and of G groups of them
    selection : (R, V) mean over the bars of the window
    by_group : (R, G) the same by group
    over_time : (R, C, G) at each past bar, the oldest first; NaN where there is no bar
    statics : names of the S static categories
    static : (R, S)
    ahead_names : names of the W inputs known ahead
    ahead : (R, W) mean over the steps ahead
    horizons : H', bars
    attention : (R, H', C) weight of each past bar in the forecast of a horizon; with ``attention_ahead`` sums to 1
    attention_ahead : (R, H') weight of the steps ahead
    """

    rows: IntArray
    variables: tuple[str, ...]
    groups: tuple[str, ...]
    selection: FloatArray
    by_group: FloatArray
    over_time: FloatArray
    statics: tuple[str, ...]
    static: FloatArray
    ahead_names: tuple[str, ...]
    ahead: FloatArray
    horizons: tuple[int, ...]
    attention: FloatArray
    attention_ahead: FloatArray

    def to_json(self) -> dict[str, Any]:
        """Return plain lists; what is missing is null."""
        arrays = ("rows", "selection", "by_group", "over_time", "static", "ahead", "attention", "attention_ahead")
        names = ("variables", "groups", "statics", "ahead_names", "horizons")
        found: dict[str, Any] = plain({name: list(getattr(self, name)) for name in names})
        return found | plain({name: getattr(self, name).tolist() for name in arrays})  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True, eq=False)
class Seen:
    """Weights as the network gives them, one window a row.

    Attributes
    ----------
    past : (R, C, V), V = observed + known + 1
    ahead : (R, H, W)
    static : (R, S)
    attention : (R, H, C + H)
    present : (R, C)
    """

    past: FloatArray
    ahead: FloatArray
    static: FloatArray
    attention: FloatArray
    present: BoolArray

    @classmethod
    def joined(cls, parts: Sequence[Seen]) -> Seen:
        """Return the weights of several batches as one."""
        return cls(
            np.concatenate([one.past for one in parts]),
            np.concatenate([one.ahead for one in parts]),
            np.concatenate([one.static for one in parts]),
            np.concatenate([one.attention for one in parts]),
            np.concatenate([one.present for one in parts]),
        )


def explanation_of(
    rows: IntArray,
    seen: Seen,
    *,
    names: tuple[Sequence[str], Sequence[str], Sequence[str]],
    groups: Mapping[str, str],
    horizons: tuple[int, ...],
) -> TftExplanation:
    """Return the weights by name and by group.

    Parameters
    ----------
    names : of the observed inputs (marks end with " missing"), of those known ahead, and of the static categories
    groups : feature -> its group; what is not named belongs to "other"
    horizons : those that are forecast, bars
    """
    observed, known, statics = names
    variables = (*observed, *known, "bar present")
    of = [groups.get(name.removesuffix(MISSING), OTHER) for name in observed]
    of += [CALENDAR] * len(known) + [PRESENCE]
    order = tuple(dict.fromkeys(of))
    member = np.array([[float(one == group) for group in order] for one in of])
    past = np.where(seen.present[:, :, None], seen.past, np.nan)
    count = seen.present.sum(axis=1)[:, None]
    mean = np.where(seen.present[:, :, None], seen.past, 0.0).sum(axis=1) / np.where(count > 0, count, np.nan)
    context = seen.present.shape[1]
    asked = seen.attention[:, [h - 1 for h in horizons]]
    return TftExplanation(
        rows=rows,
        variables=variables,
        groups=order,
        selection=mean,
        by_group=mean @ member,
        over_time=past @ member,
        statics=tuple(statics),
        static=seen.static,
        ahead_names=tuple(known),
        ahead=seen.ahead.mean(axis=1),
        horizons=horizons,
        attention=asked[:, :, :context],
        attention_ahead=asked[:, :, context:].sum(axis=2),
    )
