"""``foresail holdout``: seal the newest part of a data set, open it through one counted call, list the looks.

The labels of the sealed period go into a vault, a folder outside the workspace and outside any repository. From then on
``service.loading`` refuses to read such data past the start of the period, until somebody has opened it.
"""

from __future__ import annotations

import io
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foresail.core.arrays import IntArray
from foresail.core.canonical import canonical_bytes, hash_bytes, hash_file, hash_value, write_atomic
from foresail.core.clock import Clock, SystemClock, format_ns
from foresail.core.errors import ConfigError, DataError, IntegrityError, UserError
from foresail.evaluation.forecast_judge import judge_forecast_table
from foresail.evaluation.forecast_table import read_forecasts
from foresail.evaluation.holdout import HoldOut, Release, Seal, looks_at, seals_of
from foresail.evaluation.holdout import seal as record_seal
from foresail.evaluation.registry import Lineage, TrialRegistry
from foresail.service.loading import load_bars, parse_until
from foresail.service.outcome import Outcome
from foresail.service.runfolder import code_hash
from foresail.service.workspace import find_workspace

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["OpenRequest", "SealRequest", "list_looks", "open_holdout", "seal_data"]

_KEY = ["instrument", "issued_at", "horizon"]
_OUTCOMES = ("outcome", "realised", "realized", "actual")
_LABELS, _SEAL = "labels.parquet", "seal.json"


@dataclass(frozen=True, slots=True)
class SealRequest:
    """What is to be sealed.

    Attributes
    ----------
    data : bars (path, or name of an imported set), or a table of labels with instrument, issued_at, horizon, outcome
    name : of the hold-out
    vault : folder that gets a folder of that name with the labels
    last : share of the time axis at its end; or
    since, until : first and last day, YYYY-MM-DD
    horizons : bars ahead, of labels made from bars
    frame, target : of a table of labels; bars say it themselves
    workspace : whose registry gets the seal; None = the one that the present folder belongs to
    """

    data: str
    name: str
    vault: Path
    last: float | None = None
    since: str | None = None
    until: str | None = None
    horizons: tuple[int, ...] = (1, 5)
    frame: str = "1d"
    target: str = "close"
    workspace: Path | None = None


@dataclass(frozen=True, slots=True)
class OpenRequest:
    """What is to be scored.

    Attributes
    ----------
    name : of the hold-out
    release : of the model; one look each
    predictions : CSV or Parquet of forecasts as ``foresail judge`` reads them, without outcomes
    settings : file whose hash is recorded with the look
    out : folder for predictions and manifest; None = ``holdout`` in the workspace
    """

    name: str
    release: str
    predictions: Path
    settings: Path | None = None
    another_look: bool = False
    out: Path | None = None
    workspace: Path | None = None


def _registry(workspace: Path) -> TrialRegistry:
    return TrialRegistry(workspace / "trials.jsonl", runs=workspace / "runs")


def seal_data(request: SealRequest, *, clock: Clock | None = None) -> Outcome:
    """Write the labels of a period into the vault and record the seal.

    Raises
    ------
    UserError
        If the vault lies inside the workspace or a repository, or the name or the period is taken.
    DataError
        If the period has no label.
    """
    watch = SystemClock() if clock is None else clock
    workspace = (find_workspace() if request.workspace is None else request.workspace).resolve()
    _check_name(request.name)
    folder = _checked_vault(request.vault, workspace) / request.name
    labels, universe, frame, target = _labels(request, workspace)
    times = np.unique(labels["issued_at"].to_numpy(dtype=np.int64))
    start, end = _period(request, times)
    kept = labels[(labels["issued_at"] >= start) & (labels["issued_at"] < end)].sort_values(_KEY, ignore_index=True)
    if not len(kept):
        raise DataError(
            f"{request.data}: no label was issued from {format_ns(start)} on", hint="choose an earlier day, or a share"
        )
    data = _parquet(kept)
    lineage = Lineage(universe, frame, target, start, end)
    wanted = Seal(request.name, lineage, hash_bytes(data), len(kept), watch.now().isoformat(), str(folder))
    known = next((one for one in seals_of(_registry(workspace)) if one.name == request.name), None)
    if known is None and folder.exists():
        raise UserError(f"{folder} exists", hint="choose another --vault or --name; a vault is never overwritten")
    sealed = record_seal(_registry(workspace), wanted)
    if not folder.exists():
        _write_vault(folder, data, sealed)
    document = {
        "hold_out": sealed.name,
        "from": format_ns(start),
        "labels": len(kept),
        "labels_sha256": sealed.labels_hash,
        "instruments": len(universe),
        "vault": sealed.vault,
    }
    lines = [
        f"sealed {sealed.name}: {len(kept):,} labels of {len(universe)} instruments from {format_ns(start)[:10]} on",
        f"labels: {folder / _LABELS} (SHA-256 {sealed.labels_hash[:16]})",
        "runs on these data now stop before that day or refuse; keep the original file away from the workspace",
        f"next: foresail holdout open {sealed.name} --release NAME --predictions FILE    (once, when all is finished)",
    ]
    return Outcome(document, lines)


def _check_name(name: str) -> None:
    if not name or not all(c.isalnum() or c in "-_." for c in name) or name.startswith("."):
        raise ConfigError(f"expected a name of letters, digits, '-', '_' and '.', received {name!r}")


def _checked_vault(vault: Path, workspace: Path) -> Path:
    place = vault.resolve()
    if place.is_relative_to(workspace):
        raise UserError(
            f"{place} lies inside the workspace {workspace}", hint="labels are kept elsewhere: give --vault"
        )
    for folder in (place, *place.parents):
        if (folder / ".git").exists():
            raise UserError(f"{place} lies inside the repository {folder}", hint="choose a folder outside it")
    return place


def _write_vault(folder: Path, data: bytes, sealed: Seal) -> None:
    try:
        folder.mkdir(parents=True)
        write_atomic(folder / _LABELS, data)
        manifest = {"labels": _LABELS, "sha256": sealed.labels_hash, "rows": sealed.rows, "seal": sealed}
        write_atomic(folder / _SEAL, canonical_bytes(manifest))
        (folder / _LABELS).chmod(0o400)
    except OSError as e:
        raise UserError(f"{folder}: cannot be written: {e.strerror}", hint="choose another --vault") from e


def _period(request: SealRequest, times: IntArray) -> tuple[int, int]:
    """Return the sealed period ``[start, end)``, ns UTC."""
    if (request.last is None) == (request.since is None):
        raise ConfigError("expected either a share or a first day", hint="--last 0.2, or --from 2018-01-01")
    if request.last is not None:
        if not 0.0 < request.last < 1.0:
            raise ConfigError(f"expected a share between 0 and 1, received {request.last:g}", hint="--last 0.2")
        first = min(math.ceil(len(times) * (1.0 - request.last)), len(times) - 1)
        return int(times[first]), int(times[-1]) + 1
    try:
        day = date.fromisoformat(request.since or "")
    except ValueError as e:
        raise ConfigError(f"--from: expected a day such as 2018-01-01, received {request.since!r}") from e
    start = int(np.datetime64(day, "ns").astype(np.int64))
    end = parse_until(request.until)
    return start, int(times[-1]) + 1 if end is None else end + 1


def _labels(request: SealRequest, workspace: Path) -> tuple[pd.DataFrame, tuple[str, ...], str, str]:
    """Return labels with universe, frame and target."""
    path = Path(request.data)
    if path.is_file():
        frame = _table(path)
        if {"instrument", "issued_at"} <= set(frame.columns):
            return _given_labels(frame, path), tuple(sorted(set(frame["instrument"]))), request.frame, request.target
    panel = load_bars(request.data, workspace=workspace).data.bars
    return _labels_of_bars(panel, request.horizons), tuple(panel.instruments), panel.frame, "close"


def _given_labels(frame: pd.DataFrame, path: Path) -> pd.DataFrame:
    found = next((name for name in _OUTCOMES if name in frame.columns), None)
    absent = [name for name in _KEY if name not in frame.columns] + ([] if found else ["outcome"])
    if absent or found is None:
        raise DataError(f"{path}: column {absent[0]!r} is missing", file=str(path), column=absent[0])
    kept = frame.rename(columns={found: "outcome"})
    columns = [*_KEY, "outcome", *(["known_at"] if "known_at" in kept.columns else [])]
    return kept[columns].dropna(subset=["outcome"])


def _labels_of_bars(panel: Any, horizons: Sequence[int]) -> pd.DataFrame:
    """Return log returns with reinvested dividends over each horizon, one row an instrument, bar and horizon."""
    import pandas as pd

    if not horizons or min(horizons) < 1:
        raise ConfigError(f"expected horizons of 1 bar or more, received {list(horizons)}")
    factor = panel.field("total_factor") if panel.has("total_factor") else np.ones(panel.shape[:2])
    price = np.log(panel.field("close") * np.where(np.isfinite(factor), factor, 1.0))
    parts = []
    for horizon in horizons:
        outcome = price[:, horizon:] - price[:, :-horizon]
        row, time = np.nonzero(np.isfinite(outcome))
        parts.append(
            pd.DataFrame(
                {
                    "instrument": np.array([str(name) for name in panel.instruments], dtype=object)[row],
                    "issued_at": panel.available_at[time],
                    "horizon": np.full(len(row), horizon, dtype=np.int64),
                    "outcome": outcome[row, time],
                    "known_at": panel.available_at[time + horizon],
                }
            )
        )
    return pd.concat(parts, ignore_index=True)


def _table(path: Path) -> pd.DataFrame:
    """Return a CSV or Parquet table with times as ns UTC."""
    import pandas as pd

    if not path.is_file():
        raise UserError(f"{path}: no such file")
    try:
        frame = pd.read_parquet(path) if path.suffix.lower() in (".parquet", ".pq") else pd.read_csv(path)
        for name in ("issued_at", "known_at"):
            if name in frame.columns and not pd.api.types.is_integer_dtype(frame[name]):
                times = pd.DatetimeIndex(pd.to_datetime(frame[name], utc=True))
                frame[name] = times.as_unit("ns").asi8
    except (ValueError, OSError) as e:
        raise DataError(f"{path}: cannot be read: {e}", file=str(path), hint="give a CSV or Parquet table") from e
    return frame


def _parquet(frame: pd.DataFrame) -> bytes:
    sink = io.BytesIO()
    frame.to_parquet(sink, index=False)
    return sink.getvalue()


def open_holdout(request: OpenRequest, *, clock: Clock | None = None) -> Outcome:
    """Score predictions on a hold-out through the counted call.

    Raises
    ------
    UserError
        If this release has looked with other predictions and no further look was asked for.
    DataError
        If the predictions hold outcomes, or fit no label.
    IntegrityError
        If the labels in the vault are not those that were sealed.
    """
    watch = SystemClock() if clock is None else clock
    workspace = (find_workspace() if request.workspace is None else request.workspace).resolve()
    registry = _registry(workspace)
    folder = workspace / "holdout" if request.out is None else request.out
    holdout = HoldOut(registry, request.name, folder=folder, clock=watch)
    if not holdout.seal.vault:
        raise UserError(f"the hold-out {request.name} belongs to a benchmark", hint="open it with: foresail bench")
    predictions = _table(request.predictions)
    _check_predictions(predictions, request.predictions)
    labels = Path(holdout.seal.vault) / _LABELS
    if not labels.is_file():
        raise UserError(
            f"{labels}: the labels of the hold-out are not there", hint="put the vault back; nothing was counted"
        )
    _check_fit(predictions, labels, request.predictions)
    settings = hash_value(None) if request.settings is None else hash_file(request.settings)
    opened = holdout.open(
        Release(request.release, settings, code_hash()),
        request.predictions.read_bytes(),
        lambda: _score(predictions, labels, holdout.seal, request.predictions),
        another_look=request.another_look,
    )
    document = {
        "hold_out": request.name,
        "release": request.release,
        "look": opened.look.number,
        "looks": opened.looks,
        "counted": opened.counted,
        "predictions_sha256": opened.look.predictions_hash,
        "folder": str(opened.folder),
        "score": opened.score,
    }
    score = opened.score
    lines = [
        opened.text,
        f"verdict: {score['line']}",
        *(f"  - {reason}" for reason in score["reasons"]),
        f"{score['scored']:,} of {score['labels']:,} sealed labels had a prediction",
    ]
    return Outcome(document, lines)


def _check_predictions(frame: pd.DataFrame, path: Path) -> None:
    absent = [name for name in _KEY if name not in frame.columns]
    if absent:
        raise DataError(f"{path}: column {absent[0]!r} is missing", file=str(path), column=absent[0])
    known = [name for name in frame.columns if str(name).lower() in (*_OUTCOMES, "known_at")]
    if known:
        raise DataError(
            f"{path}: column {known[0]!r}: predictions come without outcomes; the hold-out has them",
            file=str(path),
            column=str(known[0]),
        )


def _check_fit(predictions: pd.DataFrame, labels: Path, path: Path) -> None:
    """Refuse what could not be scored before the look is counted: no outcome is read for it."""
    import pandas as pd

    read_forecasts(predictions.assign(outcome=1.0))
    keys = pd.read_parquet(labels, columns=_KEY)
    if not len(predictions[_KEY].merge(keys, on=_KEY, how="inner")):
        raise DataError(
            f"{path}: no prediction fits a sealed label by instrument, issued_at and horizon",
            file=str(path),
            hint="issued_at is the time at which the bar was available; nothing was counted",
        )


def _score(predictions: pd.DataFrame, labels: Path, sealed: Seal, path: Path) -> dict[str, Any]:
    """Join the labels and judge: called once predictions and look are on record."""
    if hash_file(labels) != sealed.labels_hash:
        raise IntegrityError(f"{labels}: these are not the labels that were sealed", hint="restore the vault")
    known = _table(labels)
    joined = predictions.merge(known, on=_KEY, how="inner", validate="many_to_one")
    report = judge_forecast_table(joined)
    strange = len(predictions) - len(joined)
    return {
        **report.to_json(),
        "file": path.name,
        "labels": len(known),
        "scored": len(joined),
        "predictions_outside": strange,
    }


def list_looks(workspace: Path | None = None) -> Outcome:
    """Return every hold-out of the workspace with its looks."""
    place = find_workspace() if workspace is None else workspace
    registry = _registry(place)
    document: dict[str, Any] = {"workspace": str(place), "hold_outs": []}
    lines: list[str] = []
    for one in seals_of(registry):
        looks = looks_at(registry, one.name)
        told = [
            {
                "number": look.number,
                "release": look.release.name,
                "looked_at": look.looked_at,
                "predictions_sha256": look.predictions_hash,
                "settings": look.release.settings_hash,
                "code": look.release.code_hash,
                "scored": look.score is not None,
            }
            for look in looks
        ]
        entry = {"name": one.name, "from": format_ns(one.lineage.start), "labels": one.rows, "looks": told}
        document["hold_outs"].append(entry)
        more = f"; {len(looks) - 1} count as further trials" if len(looks) > 1 else ""
        lines.append(
            f"{one.name}: from {format_ns(one.lineage.start)[:10]}, {one.rows:,} labels, looks: {len(looks)}{more}"
        )
        lines += [
            f"  look {look.number}: release {look.release.name}, {look.looked_at[:19]}, "
            f"predictions {look.predictions_hash[:12]}"
            for look in looks
        ]
    return Outcome(document, lines or ["no hold-out is sealed in this workspace; next: foresail holdout seal"])
