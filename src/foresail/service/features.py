"""Features of any bars as a file or table: which, from what, why some are absent, and a hash of it all.

1. Names and sets become rows of the catalogue; an unknown name is refused with the nearest known one.
2. The bars are read like those of a run, coarsened to ``frame`` where one is given, and what stands beside them
   (reference series, facts, sectors) is joined as of each bar.
3. What the bars cannot give stays in the answer as a column without values, with the reason (FEAT-17).

Nothing is written before all of it is computed, and a file is either whole or not there.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.canonical import hash_bytes, hash_value
from foresail.core.clock import Clock, format_ns
from foresail.core.errors import ConfigError, UnknownNameError, UserError
from foresail.domain.panel import Panel
from foresail.engine.pipeline import feature_inputs
from foresail.engine.settings import MarketData
from foresail.features.batch import compute
from foresail.features.catalogue import find
from foresail.features.declared.spec import SCHEMA_VERSION
from foresail.features.frame_columns import absent_in_frames, has_frames, plain_features
from foresail.features.frame_syntax import STYLES, split_frame
from foresail.features.frames import FrameSettings, compute_frames
from foresail.features.kernels.build import warm
from foresail.features.plain import FORMS
from foresail.features.readable import formula_text
from foresail.protocols import Progress
from foresail.service.feature_names import chosen_names
from foresail.service.loading import EMBEDDED, Loaded, load_reading, parse_until
from foresail.service.outcome import Outcome
from foresail.service.reading import Reading
from foresail.service.workspace import find_workspace

__all__ = [
    "FeatureRequest",
    "FeatureTable",
    "compute_features",
    "compute_table",
    "describe",
    "load_market",
    "save_table",
]

_BLOCK = 24  # features computed together between two reports of progress


@dataclass(frozen=True, slots=True)
class FeatureRequest:
    """What to compute.

    Attributes
    ----------
    names : sets, features, ``feature@frame``, ``set@frame`` and presets, separated by commas, see ``feature_names``
    bars : as for a run; the embedded sample of the demo by default
    frame : coarsen the bars to this frame first; None = as they are
    form : "display" (as defined) or "model" (free of units)
    until : "2015-12-31": nothing available after the end of that day, UTC
    timezone : of times that carry none
    instruments : only the first so many, by id
    reading : extended hours, series and pairs beside the bars
    style : whose frames ``mtf_agreement`` adds up: intraday, swing or position (MTF-03)
    """

    names: str = "spine"
    bars: str = EMBEDDED
    frame: str | None = None
    form: str = "display"
    until: str | None = None
    timezone: str | None = None
    instruments: int | None = None
    reading: Reading = field(default_factory=Reading)
    style: str = "intraday"

    @property
    def frames(self) -> FrameSettings:
        """Return how features of other frames are formed."""
        return FrameSettings(style=self.style, extended=self.reading.extended)


@dataclass(frozen=True, slots=True, eq=False)
class FeatureTable:
    """Computed features.

    Attributes
    ----------
    panel : (N, T, F) values, NaN where missing; a column without a value for each absent feature
    bars : (N, T, fields) the bars they were computed from
    absent : name -> why the bars cannot give it
    features_hash : of catalogue version, names, formulas and every value
    set_name : the set that was asked for, or "chosen" for a list of names
    notes : what was assumed while the bars were read
    inputs : name and content hash of the bars
    """

    panel: Panel
    bars: Panel
    absent: dict[str, str]
    features_hash: str
    set_name: str
    form: str
    notes: tuple[str, ...]
    inputs: dict[str, Any]

    def known_share(self) -> dict[str, float]:
        """Return the share of existing bars at which each feature has a value."""
        values = self.panel.values[self.panel.present]
        shares = np.isfinite(values).mean(axis=0) if len(values) else np.zeros(len(self.panel.fields))
        return {name: float(share) for name, share in zip(self.panel.fields, shares, strict=True)}


def load_market(request: FeatureRequest, clock: Clock | None = None) -> tuple[Loaded, MarketData]:
    """Return the bars of a request as they were read, and as the features see them.

    Raises
    ------
    UserError
        If there are no such bars, or the frame is no multiple of theirs.
    DataError
        If nothing of them can be used.
    """
    loaded = load_reading(
        request.bars,
        replace(request.reading, timezone=request.timezone, names=request.instruments, frame=request.frame),
        workspace=find_workspace(),
        until_ns=parse_until(request.until),
        clock=clock,
    )
    return loaded, loaded.data


def compute_table(request: FeatureRequest, *, progress: Progress) -> FeatureTable:
    """Return the features of a request.

    Raises
    ------
    UserError
        If a name, form or frame is unknown, or there are no such bars.
    DataError
        If nothing of the bars can be used.
    """
    if request.form not in FORMS:
        raise UnknownNameError("form of features", request.form, FORMS)
    chosen_names(request.names)  # a wrong name is refused before anything is read
    if request.style not in STYLES:
        raise UnknownNameError("style of frames", request.style, STYLES)
    loaded, data = load_market(request)
    set_name, names = chosen_names(request.names, data.bar_set.asset_class, data.bars.frame)
    panel, absent = _computed(data, names, request, progress)
    return FeatureTable(
        panel,
        data.bars,
        absent,
        _hash(panel, request.form),
        set_name,
        request.form,
        loaded.notes,
        {**loaded.inputs, "frame": data.bars.frame},
    )


def _computed(
    data: MarketData, names: tuple[str, ...], request: FeatureRequest, progress: Progress
) -> tuple[Panel, dict[str, str]]:
    """Return the columns in order, those that cannot be had without values, and the reasons."""
    context, _, reasons = feature_inputs(data, plain_features(names) or ("close",))
    absent = absent_in_frames(names, data.bars.frame, reasons, request.frames, calendar=data.bars.calendar)
    here = [name for name in names if name not in absent]
    framed = [name for name in here if has_frames([name])]
    own = [name for name in here if name not in framed]
    out = np.full((*data.bars.present.shape, len(names)), np.nan)
    done, total = 0, len(here)
    if total:
        progress("kernels, compiled once", 0, 1)
        warm()
        progress("computing features", 0, total)
    for block in [own[i : i + _BLOCK] for i in range(0, len(own), _BLOCK)]:
        values = compute(data.bars, block, context, form=request.form).values
        out[:, :, [names.index(name) for name in block]] = values
        done += len(block)
        progress("computing features", done, total)
    if framed:
        values = compute_frames(data.bars, framed, context, request.frames, form=request.form).values
        out[:, :, [names.index(name) for name in framed]] = values
        progress("computing features", total, total)
    return replace(data.bars, values=out, present=data.bars.present.copy(), fields=names), absent


def _hash(panel: Panel, form: str) -> str:
    """Return 64 hexadecimal digits of catalogue version, formulas, instruments, times and values (FEAT-16)."""
    formulas = []
    for name in panel.fields:
        spec = find(split_frame(name)[0])
        formulas.append([name, formula_text(spec.model_expression if form == "model" else spec.expression)])
    ends = panel.end.astype("<i8").tobytes()
    return hash_value([SCHEMA_VERSION, formulas, list(panel.instruments), hash_bytes(ends), _digest(panel.values)])


def _digest(values: FloatArray) -> str:
    """Return a hash of values, instrument by instrument; every NaN counts as the same, and so do both zeros."""
    digest = hashlib.sha256()
    for block in values:
        digest.update(np.where(np.isnan(block), np.nan, block + 0.0).astype("<f8").tobytes())
    return digest.hexdigest()


def compute_features(request: FeatureRequest, *, out: Path, force: bool = False, progress: Progress) -> Outcome:
    """Compute features and write them to a Parquet file: ``foresail features compute``.

    Parameters
    ----------
    out : the file; an existing one needs ``force``

    Raises
    ------
    ForesailError
        If the request, the bars or the file cannot be used.
    """
    _check_file(out, force=force)
    table = compute_table(request, progress=progress)
    rows = save_table(table, out, force=force)
    return Outcome({"out": str(out), "rows": rows, **describe(table)}, _lines(table, out, rows))


def _check_file(out: Path, *, force: bool) -> None:
    """Refuse a file that cannot be written before anything is computed."""
    if out.suffix != ".parquet":
        raise ConfigError(f"--out {out}: expected a file that ends in .parquet")
    if out.exists() and not force:
        raise UserError(f"{out} exists", hint="choose another file, or add --force to replace it")
    if not out.parent.is_dir():
        raise UserError(f"--out {out}: there is no folder {out.parent}", hint="make it first, or choose another")


def describe(table: FeatureTable) -> dict[str, Any]:
    """Return what the file says of itself: set, version, hash, and why features are absent."""
    return {
        "set": table.set_name,
        "catalogue_version": SCHEMA_VERSION,
        "features_hash": table.features_hash,
        "form": table.form,
        "bars": table.inputs,
        "instruments": len(table.panel.instruments),
        "features": list(table.panel.fields),
        "absent": table.absent,
        "known_share": table.known_share(),
        "notes": list(table.notes),
    }


def save_table(table: FeatureTable, out: Path, *, force: bool = False) -> int:
    """Write one row per existing bar to Parquet, all at once or not at all, and return how many there are.

    Columns: instrument; start, end, available_at in ns UTC; then each feature with null where it is missing, and beside
    it ``<feature>__known``, the mask. ``foresail.features`` in the file's metadata holds what ``describe`` says.

    Raises
    ------
    UserError
        If the file exists and ``force`` is not set, or it cannot be written.
    """
    _check_file(out, force=force)
    import pyarrow as pa

    from foresail.service.tables import write_parquet

    panel = table.panel
    i, t = np.nonzero(panel.present)
    columns: dict[str, Any] = {
        "instrument": pa.DictionaryArray.from_arrays(
            pa.array(i.astype(np.int32)), pa.array([str(name) for name in panel.instruments])
        ).cast(pa.string()),
        "start": pa.array(panel.start[t], pa.int64()),
        "end": pa.array(panel.end[t], pa.int64()),
        "available_at": pa.array(panel.available_at[t], pa.int64()),
    }
    for k, name in enumerate(panel.fields):
        values = panel.values[i, t, k]
        known = np.isfinite(values)
        columns[name] = pa.array(values, pa.float64(), mask=~known)
        columns[f"{name}__known"] = pa.array(known)
    head = {"foresail.table": "features", "foresail.version": "1"}
    head["foresail.features"] = json.dumps(describe(table), sort_keys=True, ensure_ascii=False)
    whole = pa.table(columns).replace_schema_metadata(head)
    temporary = out.with_name(f".{out.name}.tmp")
    try:
        write_parquet(whole, temporary)
        temporary.replace(out)
    except OSError as e:
        raise UserError(f"{out}: cannot be written: {e.strerror}", hint="choose a folder you may write to") from e
    finally:
        temporary.unlink(missing_ok=True)
    return len(i)


def _lines(table: FeatureTable, out: Path, rows: int) -> list[str]:
    panel = table.panel
    n, t, f = panel.shape
    first, last = format_ns(int(panel.end[0]))[:10], format_ns(int(panel.end[-1]))[:10]
    lines = [
        f"wrote {out}: {rows:,} rows ({n} instruments, {t:,} bars of {panel.frame}, {first} to {last})",
        f"{f - len(table.absent)} of {f} features, {table.form} form, features hash {table.features_hash[:16]}",
    ]
    lines += [f"note: {note}" for note in table.notes]
    lines += _absent_lines(table.absent)
    return lines


def _absent_lines(absent: dict[str, str], shown: int = 12) -> list[str]:
    """Return the absent features, those with one reason together."""
    if not absent:
        return []
    reasons: dict[str, list[str]] = {}
    for name, reason in absent.items():
        reasons.setdefault(reason.replace(f"the series {name},", "its series,"), []).append(name)
    lines = [f"{len(absent)} have no value here, their columns are empty:"]
    for reason, names in list(reasons.items())[:shown]:
        lines.append(f"  {_some(names)}: {reason}")
    if len(reasons) > shown:
        lines.append(f"  and {len(reasons) - shown} more reasons: --json lists them all")
    return lines


def _some(names: Sequence[str], most: int = 4) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")
