"""The catalogue: every feature by name, found by alias, grouped in sets. Features are declared in ``declared``."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import CapabilityError, UnknownNameError
from foresail.domain.bins import FRAMES, frame_absence
from foresail.domain.calendars import frame_ns
from foresail.domain.instruments import AssetClass
from foresail.domain.panel import Panel
from foresail.features.declared import (
    book,
    cross_asset,
    cross_section,
    crypto,
    forex,
    fundamental,
    levels,
    market,
    model_outputs,
    momentum,
    multi_frame,
    price,
    regime,
    sentiment,
    session,
    static,
    statistical,
    temporal,
    trend,
    volatility,
    volume,
)
from foresail.features.declared.sets import members_of
from foresail.features.declared.spec import BAR_FIELDS, SCHEMA_VERSION, FeatureSpec
from foresail.features.frame_syntax import AGREEMENT_INPUTS, split_frame, style_absence
from foresail.features.givens import absence, telling
from foresail.features.session_flags import INTRADAY, OF_A_DAY

__all__ = [
    "ADDS_UP",
    "CATALOGUE",
    "CRITICAL",
    "TARGETS",
    "agrees",
    "class_of_panel",
    "critical_features",
    "expand",
    "features_hash",
    "features_hashes",
    "find",
    "reason_of_frame",
    "refuse_frames",
    "resolve",
    "spec_of_column",
    "validate_columns",
]

ADDS_UP = "adds up frames: ask for it without one"
_FED_BY_FRAMES = frozenset(f"given:{name}" for name in AGREEMENT_INPUTS)
TARGETS = ("close", "high", "low")  # FEAT-07: entry first, then take-profit and stop-loss

# FEAT-03. What lowers a signal where it is missing; a class without news or real volume has a list of its own.
CRITICAL: Mapping[AssetClass, tuple[str, ...]] = MappingProxyType(
    {
        AssetClass.STOCK: ("close", "volume", "sentiment_score", "rsi_14"),
        AssetClass.CRYPTO: ("close", "volume", "rsi_14"),
        AssetClass.FOREX: ("close", "rsi_14"),
    }
)

# Schema order: the order of the groups, then that of the rows.
_GROUPS = (
    price, trend, momentum, volatility, volume, cross_section, market, cross_asset, fundamental, crypto, forex,
    sentiment, statistical, regime, levels, book, model_outputs, static, temporal, session, multi_frame,
)  # fmt: skip


def _declared() -> Mapping[str, FeatureSpec]:
    rows: dict[str, FeatureSpec] = {}
    for group in _GROUPS:
        for spec in group.declared():
            if spec.name in rows:
                raise ValueError(f"feature {spec.name!r} is declared twice")
            rows[spec.name] = spec
    return MappingProxyType(rows)


CATALOGUE: Mapping[str, FeatureSpec] = _declared()
_ALIASES = {alias: spec.name for spec in CATALOGUE.values() for alias in spec.aliases}


def find(name: str) -> FeatureSpec:
    """Return the feature of a name or alias; ``rsi_14@1h`` is that of bars of an hour, by that name.

    Raises
    ------
    UnknownNameError
        If the catalogue has no such feature, or there is no such frame.
    """
    key = _ALIASES.get(name, name)
    if key in CATALOGUE:
        return CATALOGUE[key]
    feature, frame = split_frame(name)
    if frame is None:
        raise UnknownNameError("feature", name, CATALOGUE)
    spec = find(feature)
    return replace(spec, name=f"{spec.name}@{frame}", frame=frame)


def spec_of_column(name: str) -> FeatureSpec | None:
    """Return the feature whose values a column holds, of its own frame or, as ``rsi_14@1h``, of another; None of none.

    Columns are called by names, not by aliases; a category of ``hour@1d=3`` is a column of its own.
    """
    feature, mark, frame = name.partition("@")
    return CATALOGUE.get(feature) if not mark or frame in FRAMES else None


def agrees(spec: FeatureSpec) -> bool:
    """Return whether a feature adds up several frames, which ``frames`` feeds in."""
    return not _FED_BY_FRAMES.isdisjoint(spec.inputs)


def refuse_frames(specs: Iterable[FeatureSpec], where: str) -> None:
    """Refuse features of other frames where only the rows' own are computed.

    Raises
    ------
    CapabilityError
        If there is one.
    """
    framed = [spec.name for spec in specs if spec.frame != "base"]
    if framed:
        raise CapabilityError(
            f"{framed[0]} is of another frame than the rows, and {where} computes the rows' own alone",
            hint="batch.compute and frames.compute_frames take features of several frames",
        )


def expand(names: Sequence[str] | str | None) -> tuple[FeatureSpec, ...]:
    """Return the features of a set, or of names, aliases and sets side by side, in order and without repeats."""
    specs = (find(name) for name in members_of("spine" if names is None else names, None))
    return tuple({spec.name: spec for spec in specs}.values())  # by name: hashing a formula costs as much as a feature


def validate_columns(columns: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (present, missing) catalogue names in schema order, aliases understood (FEAT-04)."""
    given = {_ALIASES.get(c, c) for c in columns}
    return tuple(n for n in CATALOGUE if n in given), tuple(n for n in CATALOGUE if n not in given)


def critical_features(asset_class: AssetClass) -> tuple[str, ...]:
    """Return the names whose absence lowers a signal (FEAT-03)."""
    return CRITICAL[asset_class]


def resolve(
    names: Sequence[str] | str | None,
    panel: Panel,
    reference_names: Sequence[str] = (),
    given_names: Sequence[str] = (),
) -> tuple[tuple[FeatureSpec, ...], dict[str, str]]:
    """Return the features that a panel of bars can give, and for every other one the reason it cannot.

    Parameters
    ----------
    names : names, aliases and sets; the members of sets take the variants of the panel's class (FEAT-21); None = the
        default set
    reference_names, given_names : what the context will hold, lower case

    Returns
    -------
    available, absent : specs in order, and name -> reason
    """
    available: list[FeatureSpec] = []
    absent: dict[str, str] = {}
    known = {f"reference:{name.lower()}" for name in reference_names} | {f"given:{name}" for name in given_names}
    fields = {field for field in BAR_FIELDS if panel.has(field)}
    if class_of_panel(panel) is AssetClass.FOREX and "volume" in fields and not np.any(panel.field("volume") > 0.0):
        fields.remove("volume")  # vendors without tick volume write zeros
    for spec in expand(None if names is None else members_of(names, class_of_panel(panel))):
        by_frames = agrees(spec) and not known.issuperset(i for i in spec.inputs if i.startswith("given:"))
        if by_frames:  # the context has none of its inputs
            spec = replace(spec, inputs=tuple(i for i in spec.inputs if not i.startswith("given:")))  # noqa: PLW2901
        reason = _reason(spec, panel, fields, known) or (_agreement_reason(spec, panel) if by_frames else None)
        if reason is None:
            available.append(spec)
        else:
            absent[spec.name] = reason
    return tuple(available), absent


def _reason(spec: FeatureSpec, panel: Panel, fields: set[str], outside: set[str]) -> str | None:
    """Return why a panel cannot give a feature, None if it can."""
    lacking = [i for i in spec.inputs if ":" not in i and i not in fields]
    series = [i for i in spec.inputs if i.startswith(("reference:", "given:"))]
    lacking_series = telling([s for s in series if s not in outside])
    if lacking:
        return f"needs {', '.join(lacking)}, which this set does not have"
    if lacking_series:
        words = [
            s.replace("reference:", "the reference series ").replace("given:", "the series ") for s in lacking_series
        ]
        return f"needs {', '.join(words)}, {absence(lacking_series[0].removeprefix('given:'))}"
    asset_class = class_of_panel(panel)
    if asset_class is not None and asset_class not in spec.asset_classes:
        return f"not defined for {asset_class.value} (see {spec.source})"
    calendar = [i.removeprefix("calendar:") for i in spec.inputs if i.startswith("calendar:")]
    if spec.scope == "row" and not series and not calendar and len(panel.instruments) < 2:
        return "compares instruments, and this set has only one"
    return _frame_reason(spec, panel)


def _frame_reason(spec: FeatureSpec, panel: Panel) -> str | None:
    """Return why a feature of its own or another frame cannot be had from a panel's bars, None if it can."""
    if spec.frame == "base" or frame_ns(spec.frame) == frame_ns(panel.frame):
        return reason_of_frame(spec, panel.frame)
    if frame_ns(spec.frame) < frame_ns(panel.frame) or frame_ns(spec.frame) % frame_ns(panel.frame):
        return f"bars of {panel.frame} make no bars of {spec.frame}"
    return frame_absence(spec.frame, panel.calendar, extended=False) or reason_of_frame(spec, spec.frame)


def _agreement_reason(spec: FeatureSpec, panel: Panel) -> str | None:
    """Return why the frames of the usual style cannot be made of a panel's bars, None if they can."""
    return style_absence(panel.frame, "intraday") if spec.frame == "base" else ADDS_UP


def reason_of_frame(spec: FeatureSpec, frame: str) -> str | None:
    """Return why bars of a frame cannot give a feature that looks within the day, None if they can."""
    calendar = [i.removeprefix("calendar:") for i in spec.inputs if i.startswith("calendar:")]
    if not frame.endswith(("d", "w")):
        return None
    if spec.name.startswith("hour_"):
        return f"the hour says nothing on bars of {frame}"
    if frame.endswith("w") and any(name in OF_A_DAY for name in calendar):
        return f"needs bars of a day or shorter, and these are of {frame}"
    within = any(name in INTRADAY for name in calendar)
    return f"needs bars within the day, and these are of {frame}" if within else None


def class_of_panel(panel: Panel) -> AssetClass | None:
    """Return the class that the instrument ids of a panel agree on, None where they are of other kinds."""
    words = {"stock": AssetClass.STOCK, "crypto": AssetClass.CRYPTO, "fx": AssetClass.FOREX}
    kinds = {words.get(i.split(".", 1)[0]) for i in panel.instruments}
    return kinds.pop() if len(kinds) == 1 else None


def features_hash(names: Sequence[str], row: FloatArray) -> str:
    """Return 64 hexadecimal digits of schema version, ordered names and one input row (FEAT-16).

    Parameters
    ----------
    row : (F,) float64; every NaN counts as the same absent value
    """
    return features_hashes(names, row[None, :])[0]


def features_hashes(names: Sequence[str], rows: FloatArray) -> list[str]:
    """Return ``features_hash`` of each row.

    Parameters
    ----------
    rows : (R, F) float64
    """
    values = np.ascontiguousarray(np.where(np.isnan(rows), np.nan, rows + 0.0), dtype="<f8")
    head = "\x1f".join([str(SCHEMA_VERSION), *names])
    begun = hashlib.sha256(f"{head}\x1e".encode())
    found = []
    for row in values:
        digest = begun.copy()
        digest.update(row.data)
        found.append(digest.hexdigest())
    return found
