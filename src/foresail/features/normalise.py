"""What a model sees of a feature, by its type (NORM-01 to 07): first a rule that needs no training, then a scaler.

1. ``prepare_inputs`` takes features in model form, where levels are ratios and cumulative series changes (NORM-05): it
   makes ln(1 + x) of volumes, cuts fractions at 1, and tells on-chain figures as deviations from their own last 365
   days. Each value uses its own bar and earlier ones.
2. ``normaliser`` returns the transforms that learn from training rows: too sparse features go, each instrument is
   scaled by its own numbers, indices and macro figures over all together, categories become codes for networks and
   columns for trees, and networks have no gaps.
3. ``write_normaliser`` saves them as plain JSON beside the weights of the model, with the instruments they belong to.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import MappingProxyType

import numpy as np

from foresail.core.arrays import FloatArray, IntArray, TimeArray
from foresail.core.canonical import canonical_bytes, write_atomic
from foresail.core.clock import NS_PER_DAY
from foresail.core.errors import DataError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.features.catalogue import CATALOGUE, find, spec_of_column
from foresail.features.declared.spec import FeatureSpec
from foresail.features.frame_syntax import split_frame
from foresail.features.missing import AUDIENCES, gap_steps
from foresail.features.transforms.base import FoldBound
from foresail.features.transforms.categories import CategoryColumns
from foresail.features.transforms.fold import Fold
from foresail.features.transforms.per_instrument import MARK, InstrumentScaler
from foresail.features.transforms.pipeline import Pipeline
from foresail.features.transforms.records import from_record, to_record

__all__ = [
    "RULES",
    "FittedNormaliser",
    "TypeRule",
    "normaliser",
    "prepare_inputs",
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
    return RULES["volume"] if split_frame(spec.name)[0] in _COUNTS else RULES[spec.type]


def prepare_inputs(panel: Panel, *, framed: bool = True) -> Panel:
    """Return features as NORM-03 prepares them for a scaler: by the rule of each type, nothing learned.

    Parameters
    ----------
    panel : (N, T, F) features in model form; columns that are no feature of the catalogue pass
    framed : whether features of other frames are prepared as well; those of models of before they were are not

    Notes
    -----
    Timing: a value uses its own bar and earlier ones, and is known when that bar is. A volume comes over its mean of 20
    bars, so its logarithm does not move with the unit either.
    """
    values = panel.values.copy()
    for j, name in enumerate(panel.fields):
        spec = spec_of_column(name) if framed else CATALOGUE.get(name)
        if spec is not None:
            values[:, :, j] = _prepared(values[:, :, j], rule_of(spec), panel.end)
    return replace(panel, values=values)


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
    """Return the transforms between ``prepare_inputs`` and a model, not yet fitted.

    Parameters
    ----------
    names : columns of ``prepare_inputs``
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


@dataclass(frozen=True, slots=True, eq=False)
class FittedNormaliser:
    """Transforms with the instruments that they were fitted on.

    Attributes
    ----------
    transforms : fitted on the columns of ``prepare_inputs``
    instruments : in the order of the fit; others take the numbers of all together
    framed : of ``prepare_inputs``
    """

    transforms: Pipeline
    instruments: tuple[InstrumentId, ...]
    framed: bool = True

    @classmethod
    def fit(cls, transforms: Pipeline, panel: Panel, rows: IntArray, fold: Fold) -> FittedNormaliser:
        """Return transforms that have learned from some rows of features in model form.

        Parameters
        ----------
        rows : (R, 2) (instrument, time)

        Raises
        ------
        LookAheadError
            If a row stands outside the fold.
        """
        return cls(transforms.fit(prepare_inputs(panel), rows, fold), panel.instruments)

    @property
    def features(self) -> tuple[str, ...]:
        """Features that go in."""
        return () if self.transforms.fitted is None else self.transforms.fitted.fields

    def apply(self, panel: Panel) -> Panel:
        """Return the columns that a model sees of features in model form, instruments in any order."""
        seen = prepare_inputs(panel, framed=self.framed)
        values = seen.values
        if seen.instruments == self.instruments:
            out = self.transforms.transform(values)
        else:
            place = {name: i for i, name in enumerate(self.instruments)}
            rows, more = [], len(self.instruments)
            for name in seen.instruments:
                rows.append(place.get(name, more))
                more += name not in place
            whole = np.full((more, *values.shape[1:]), np.nan)
            whole[rows] = values
            out = self.transforms.transform(whole)[rows]
        return replace(seen, values=np.ascontiguousarray(out), fields=self.transforms.outputs)


def write_normaliser(path: Path, fitted: FittedNormaliser) -> None:
    """Write fitted transforms and their instruments as canonical JSON (NORM-01)."""
    record: dict[str, object] = {"instruments": list(fitted.instruments), "framed": fitted.framed}
    record["transforms"] = to_record(fitted.transforms)
    write_atomic(path, canonical_bytes(record))


def read_normaliser(path: Path) -> FittedNormaliser:
    """Return what ``write_normaliser`` wrote, to the same bits.

    Raises
    ------
    DataError
        If the file is no such record.
    """
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        names, inner = tuple(InstrumentId(one) for one in record["instruments"]), record["transforms"]
    except (ValueError, KeyError, TypeError) as error:
        raise DataError(f"{path.name}: no record of a normaliser: {error}", file=str(path)) from error
    found = from_record(inner)
    if not isinstance(found, Pipeline):
        raise DataError(f"{path.name}: expected a pipeline, found a {found.kind}", file=str(path))
    return FittedNormaliser(found, names, framed=record.get("framed") is True)
