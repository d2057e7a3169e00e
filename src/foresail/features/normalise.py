"""What a model sees of a feature, by its type (NORM-01 to 07): first a rule that needs no training, then a scaler.

1. ``model_inputs`` computes a set in its model form: levels as ratios, cumulative series as changes (NORM-05), volumes
   as ln(1 + x), fractions cut at 1, on-chain figures as deviations from their own last 365 days. Each value uses its
   own bar and earlier ones.
2. ``normaliser`` returns the transforms that learn from training rows: too sparse features go, each instrument is
   scaled by its own numbers, indices and macro figures over all together, categories become codes for networks and
   columns for trees, and networks have no gaps.
3. ``write_normaliser`` saves them as plain JSON, bound to the set and its version: with another they cannot be read.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import DataError, UnknownNameError
from foresail.domain.panel import Panel
from foresail.features.batch import compute
from foresail.features.catalogue import CATALOGUE, find
from foresail.features.context import FeatureContext
from foresail.features.declared.spec import FeatureSpec
from foresail.features.missing import AUDIENCES, NO_NEWS, SetTable, compute_set, gap_steps
from foresail.features.transforms.base import FoldBound
from foresail.features.transforms.categories import CategoryColumns
from foresail.features.transforms.per_instrument import MARK, InstrumentScaler
from foresail.features.transforms.pipeline import Pipeline
from foresail.features.transforms.records import from_record, to_record

__all__ = [
    "RULES",
    "TypeRule",
    "model_inputs",
    "normaliser",
    "read_normaliser",
    "rule_of",
    "trailing_zscore",
    "write_normaliser",
]

_YEAR_NS = 365 * NS_PER_DAY
_FEWEST = 30  # values of a trailing year below which a deviation says nothing


@dataclass(frozen=True, slots=True)
class TypeRule:
    """How features of one type become inputs (NORM-03).

    Attributes
    ----------
    prepare : "ratio" (the model form as it is), "log" (ln(1 + |x|) with the sign of x), "clip" (cut at -1 and 1),
        "trailing" (log, then deviations from the last 365 days), "none"
    scaling : "instrument", "pooled" (over all instruments) or "none"
    """

    prepare: str
    scaling: str


RULES: Mapping[str, TypeRule] = MappingProxyType(
    {
        "price": TypeRule("ratio", "instrument"),
        "volume": TypeRule("log", "instrument"),
        "sentiment": TypeRule("clip", "instrument"),
        "percentage": TypeRule("clip", "instrument"),
        "indicator": TypeRule("ratio", "instrument"),
        "index": TypeRule("none", "pooled"),
        "macro": TypeRule("none", "pooled"),
        "onchain": TypeRule("trailing", "none"),
        "flag": TypeRule("none", "none"),
        "cyclic": TypeRule("none", "none"),
        "category": TypeRule("none", "none"),
        "book": TypeRule("none", "instrument"),
        "model": TypeRule("none", "instrument"),
    }
)
# A number of articles is filed under sentiment (FEAT-305), but is a count.
_COUNTS = ("news_volume",)


def rule_of(spec: FeatureSpec) -> TypeRule:
    """Return the rule of a feature."""
    return RULES["volume"] if spec.name in _COUNTS else RULES[spec.type]


def model_inputs(
    names: Sequence[str] | str, panel: Panel, context: FeatureContext, *, threads: int = 2, marks: bool = True
) -> SetTable:
    """Return a set as a model sees it, before any scaler (NORM-03, NORM-05).

    Parameters
    ----------
    names : the name of a set, or names and aliases
    panel : (N, T, fields) bars
    context : sectors, reference and given series of the same panel
    marks : whether each sentiment feature with a value for "no news" is followed, behind the last column, by a column
        ``missing:NAME`` of 0 and 1 (FEAT-35)

    Notes
    -----
    Timing: a value uses its own bar and earlier ones, and is known when that bar is.
    """
    table = compute_set(names, panel, context, threads=threads, form="model")
    values = table.panel.values.copy()
    raw = [s.name for s in table.columns.available if rule_of(s).prepare == "log" and _traded(s)]
    if raw:
        places = [table.panel.fields.index(name) for name in raw]
        values[:, :, places] = compute(panel, raw, context, threads=threads).values
    for j, spec in enumerate(table.columns.columns):
        values[:, :, j] = _prepared(values[:, :, j], rule_of(spec), panel.end)
    fields, missing = table.panel.fields, table.missing
    read = [j for j, name in enumerate(fields) if name in NO_NEWS and not table.columns.mask[j]] if marks else []
    if read:
        marked = np.where(table.panel.present[:, :, None], missing[:, :, read].astype(np.float64), np.nan)
        values = np.concatenate([values, marked], axis=2)
        missing = np.concatenate([missing, np.isnan(marked)], axis=2)
        fields = (*fields, *(f"{MARK}{fields[j]}" for j in read))
    return SetTable(table.columns, replace(table.panel, values=values, fields=fields), missing)


def _traded(spec: FeatureSpec) -> bool:
    """Return whether a feature is an amount of units traded; a running total enters as a change instead (NORM-05)."""
    return spec.scale == "volume" and spec.memory != "cumulative"


def _prepared(column: FloatArray, rule: TypeRule, end: TimeArray) -> FloatArray:
    if rule.prepare == "clip":
        return np.clip(column, -1.0, 1.0)
    if rule.prepare in {"log", "trailing"}:
        logs: FloatArray = np.sign(column) * np.log1p(np.abs(column))
        return logs if rule.prepare == "log" else trailing_zscore(logs, end)
    return column


def trailing_zscore(
    values: FloatArray, end: TimeArray, *, window_ns: int = _YEAR_NS, fewest: int = _FEWEST
) -> FloatArray:
    """Return deviations of each value from those of the time before it, itself among them.

    Parameters
    ----------
    values : (N, T), NaN left out
    end : (T,) ns UTC, ascending
    window_ns : how far back values count
    fewest : values below which the answer is NaN

    Returns
    -------
    (N, T) in sample deviations of the window, cut at 8; 0 where nothing varied (FEAT-39)
    """
    first = np.searchsorted(end, end - window_ns, side="right")
    out = np.full(values.shape, np.nan)
    for i in range(values.shape[0]):
        known = np.isfinite(values[i])
        if not known.any():
            continue
        # Sums run from the first value, so that a level far from zero costs no digits.
        apart = np.where(known, values[i] - values[i][known][0], 0.0)
        sums = [np.concatenate([[0.0], np.cumsum(one)]) for one in (known.astype(np.float64), apart, apart * apart)]
        count, total, squares = (one[1:] - one[first] for one in sums)
        mean = total / np.maximum(count, 1.0)
        variance = np.maximum(squares - count * mean * mean, 0.0) / np.maximum(count - 1.0, 1.0)
        flat = variance <= 1e-12 * np.maximum(squares / np.maximum(count, 1.0), 1e-24)
        scaled = np.where(flat, 0.0, (apart - mean) / np.sqrt(np.where(flat, 1.0, variance)))
        out[i] = np.where(known & (count >= fewest), np.clip(scaled, -8.0, 8.0), np.nan)
    return out


def normaliser(
    names: Sequence[str], audience: str, *, method: str = "standard", most_missing: float = 0.2, fewest: int = 30
) -> Pipeline:
    """Return the transforms between ``model_inputs`` and a model, not yet fitted.

    Parameters
    ----------
    names : columns of ``model_inputs``
    audience : "trees" or "network"
    method : "standard" or "min_max" (NORM-01)
    most_missing : share of the training rows that may lack a feature (FEAT-38)
    fewest : training values below which an instrument is scaled by the numbers of all

    Raises
    ------
    UnknownNameError
        If the audience, the method or a feature is not known.
    """
    if audience not in AUDIENCES:
        raise UnknownNameError("audience of features", audience, AUDIENCES)
    specs = [find(name) for name in names if not name.startswith(MARK)]
    pooled = tuple(s.name for s in specs if rule_of(s).scaling == "pooled")
    unchanged = tuple(s.name for s in specs if rule_of(s).scaling == "none")
    sparse, *medians = gap_steps(audience, most_missing=most_missing)
    steps: list[FoldBound] = [
        sparse,
        InstrumentScaler(method=method, pooled=pooled, unchanged=unchanged, fewest=fewest),
        CategoryColumns(one_hot=audience == "trees"),
        *medians,
    ]
    return Pipeline(tuple(steps))


def write_normaliser(path: Path, fitted: Pipeline, set_id: str) -> None:
    """Write fitted transforms as canonical JSON with the set they belong to (NORM-01, FSET-11).

    Parameters
    ----------
    set_id : name and version, for example ``scan100/1``
    """
    versions = {n: CATALOGUE[n].schema_version for n in fitted.fitted.fields if n in CATALOGUE} if fitted.fitted else {}
    record = {"set": set_id, "schema_version": max(versions.values(), default=0), "transforms": to_record(fitted)}
    write_atomic(path, canonical_bytes(record))


def read_normaliser(path: Path, set_id: str) -> Pipeline:
    """Return what ``write_normaliser`` wrote, to the same bits.

    Raises
    ------
    DataError
        If the file is no such record, or belongs to another set or version.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        told, inner = str(record["set"]), record["transforms"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path.name}: no record of a normaliser: {error}", file=str(path)) from error
    if told != set_id:
        raise DataError(
            f"{path.name} was fitted on the features of {told}, these are those of {set_id}",
            file=str(path),
            hint="train the model again on the set as it is now",
        )
    found = from_record(inner)
    if not isinstance(found, Pipeline):
        raise DataError(f"{path.name}: expected a pipeline, found a {found.kind}", file=str(path))
    return found
