"""``foresail bench volatility``: every entrant on the volatility task, forecasts written before labels are joined.

1. Read the file, refuse what it is not, count the windows.
2. Fit every entrant on the training windows, forecast the validation years, write and hash the forecasts.
3. Join the labels and make the table of the validation years.
4. Where the file holds test years: the same for the test, through the counted call of the hold-out.
5. Write results.json, table.csv and report.html.

Fits of networks are kept in the folder ``unfinished`` until then, so that a killed run goes on where it was. With
``tune``, settings of the network are chosen on the validation years first; all trials are in results.json.
"""

from __future__ import annotations

import csv
import io
import json
import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from foresail.core.canonical import canonical_bytes, hash_bytes, hash_file, hash_value, write_atomic
from foresail.core.clock import NS_PER_DAY, Clock, SystemClock
from foresail.core.errors import ConfigError, UserError
from foresail.evaluation.holdout import HoldOut, Opened, Release, Seal, looks_at, seal, seals_of
from foresail.evaluation.registry import Lineage, TrialRegistry
from foresail.evaluation.volatility_task.contest import (
    KNOWN_COUNTS,
    Contest,
    SplitForecasts,
    check_counts,
    labels_hash,
    window_counts,
    window_tables,
)
from foresail.evaluation.volatility_task.entrants import Blend, Entrant, chosen_entrants
from foresail.evaluation.volatility_task.networks import NetworkEntrant, deep_is_installed
from foresail.evaluation.volatility_task.series import LAST_DAY, indices, read_series
from foresail.evaluation.volatility_task.task import SPLITS, VolatilityTask
from foresail.evaluation.volatility_task.tuning import Tuned, tune
from foresail.protocols import Progress
from foresail.reporting.judged import render_page
from foresail.service.outcome import Outcome
from foresail.service.runfolder import code_hash
from foresail.service.volatility_page import table_lines, volatility_page
from foresail.service.workspace import find_workspace

__all__ = ["VolatilityRequest", "bench_volatility"]

_FORMAT = 1
_FILES = ("results.json", "table.csv", "report.html")
_UNFINISHED = "unfinished"  # folder of fits, gone when results are written
_SEAL = "volatility-test"
_SEEDS = 5  # of a network on an accelerator


@dataclass(frozen=True, slots=True)
class VolatilityRequest:
    """What ``foresail bench volatility`` was asked to do.

    Attributes
    ----------
    entrants : names, None = all
    tune : whether the network's settings are chosen anew on 2016-17
    seeds : fits that the network's forecast is the mean of; None = three on a CPU, five on an accelerator
    device : that networks are trained on: cpu, cuda or auto
    release : under which the look at the test years is recorded
    another_look : count one more look at them where this release has had one with other forecasts
    workspace : whose trial registry counts looks; None = the one that the present folder belongs to
    """

    data: Path
    out: Path
    entrants: tuple[str, ...] | None = None
    tune: bool = False
    seed: int = 0
    seeds: int | None = None
    device: str = "cpu"
    release: str = "baselines"
    another_look: bool = False
    force: bool = False
    workspace: Path | None = None

    def __post_init__(self) -> None:
        if self.seeds is not None and self.seeds < 1:
            raise ConfigError(f"expected seeds >= 1, received {self.seeds}")


def bench_volatility(request: VolatilityRequest, *, progress: Progress, clock: Clock | None = None) -> Outcome:
    """Run the benchmark and write its folder."""
    watch = SystemClock() if clock is None else clock
    entrants, notes = _taking_part(request)
    _check_folder(request.out, force=request.force)
    progress("reading", 0, 1)
    series = read_series(request.data)
    task = VolatilityTask(series)
    notes = [*check_counts(task), *notes]
    progress("reading", 1, 1)
    request.out.mkdir(parents=True, exist_ok=True)
    tuned, entrants = _tuned(entrants, task, request, progress)
    contest = Contest(task, entrants, seed=request.seed, progress=progress)
    tables, manifests = _validation(contest, task, request, watch)
    opened: Opened | None = None
    if task.has_test:
        opened = _test(contest, task, request, watch)
        tables |= opened.score["tables"]
        notes += [opened.text, *_other_looks(request, opened)]
        manifests["test"] = {"sha256": opened.look.predictions_hash, "folder": opened.folder.name}
    else:
        notes.append(_absent_test(request.data, series.last))
    notes += [f"{series.filled} variances of 0 took the value before them"] if series.filled else []
    notes += [f"{series.left_out:,} rows after {LAST_DAY} were left out: they stay unseen"] if series.left_out else []
    document = {
        "format": _FORMAT,
        "benchmark": "volatility",
        "data": {"sha256": hash_file(request.data), "content": series.content_hash, "last_day": _text(series.last)},
        "windows": window_counts(task),
        "reference_windows": KNOWN_COUNTS,
        "entrants": {one.name: one.title for one in entrants},
        "seed": request.seed,
        "networks": {
            one.name: {"seeds": one.seeds, "device": one.device} for one in entrants if isinstance(one, NetworkEntrant)
        },
        "forecasts": manifests,
        "tuning": {name: one.document() for name, one in tuned.items()},
        "tables": tables,
        "test_is_in_the_file": task.has_test,
        "looks": None if opened is None else {"number": opened.look.number, "total": opened.looks},
        "notes": notes,
    }
    _write(request.out, document)
    shutil.rmtree(request.out / _UNFINISHED, ignore_errors=True)
    shown = {**document, "out": str(request.out), "report": str(request.out / "report.html")}
    lines = [*table_lines(document), *(f"note: {one}" for one in notes), f"report: {request.out / 'report.html'}"]
    return Outcome(shown, lines)


def _taking_part(request: VolatilityRequest) -> tuple[tuple[Entrant | Blend, ...], list[str]]:
    """Return who takes part, and a sentence on who cannot."""
    chosen = chosen_entrants(request.entrants)
    networks = [one.name for one in chosen if isinstance(one, NetworkEntrant)]
    if request.tune and not networks:
        raise UserError("no network takes part, so there is nothing to tune", hint="name one, as --entrants tft")
    if not networks:
        return chosen, []
    if deep_is_installed():
        return tuple(_prepared(one, request) if isinstance(one, NetworkEntrant) else one for one in chosen), []
    left = [*networks, *(one.name for one in chosen if isinstance(one, Blend) and set(one.of) & set(networks))]
    told = f"left out, as torch and safetensors are not installed (extra: deep): {', '.join(left)}"
    return tuple(one for one in chosen if one.name not in left), [told]


def _prepared(network: NetworkEntrant, request: VolatilityRequest) -> NetworkEntrant:
    """Return a network with its folder, device and seeds; a device that is not there is refused."""
    from foresail.forecasting.neural.precision import device_of

    device = device_of(request.device)
    count = (network.seeds if device.type == "cpu" else _SEEDS) if request.seeds is None else request.seeds
    title = network.title.replace(
        f"mean of {network.seeds} seeds", f"mean of {count} seeds" if count > 1 else "one seed"
    )
    return replace(network, title=title, seeds=count, device=str(device), folder=request.out / _UNFINISHED)


def _tuned(
    entrants: tuple[Entrant | Blend, ...], task: VolatilityTask, request: VolatilityRequest, progress: Progress
) -> tuple[dict[str, Tuned], tuple[Entrant | Blend, ...]]:
    """Return what was found for each network, and the entrants with it."""
    if not request.tune:
        return {}, entrants
    networks = [one for one in entrants if isinstance(one, NetworkEntrant)]
    found = {one.name: tune(task, one, seed=request.seed, progress=progress) for one in networks}
    return found, tuple(
        replace(one, settings=found[one.name].settings) if isinstance(one, NetworkEntrant) else one for one in entrants
    )


def _validation(
    contest: Contest, task: VolatilityTask, request: VolatilityRequest, clock: Clock
) -> tuple[dict[str, Any], dict[str, Any]]:
    """Forecast, write, hash; then score."""
    forecasts = contest.forecast("validation")
    data = _parquet(forecasts)
    path = request.out / "forecasts-validation.parquet"
    write_atomic(path, data)
    manifest = {
        "file": path.name,
        "labels_joined": False,
        "sha256": hash_bytes(data),
        "windows": len(forecasts.origins),
        "written_at": clock.now().isoformat(),
    }
    write_atomic(request.out / "forecasts-validation.json", canonical_bytes(manifest))
    tables = window_tables(task, forecasts, seed=request.seed)
    return tables, {"validation": {"sha256": manifest["sha256"], "file": path.name}}


def _test(contest: Contest, task: VolatilityTask, request: VolatilityRequest, clock: Clock) -> Opened:
    """Forecast the test years and open them through the counted call."""
    registry = _registry(request)
    digest = labels_hash(task, "test")
    first, last = SPLITS["test"]
    lineage = Lineage(
        universe=tuple(one.symbol for one in indices()),
        frame="1d",
        target=f"log_variance/{digest[:12]}",  # other outcomes are other data
        start=_ns(first),
        end=_ns(last) + NS_PER_DAY,
    )
    rows = len(task.origins("test"))
    name = f"{_SEAL}-{digest[:12]}"
    seal(registry, Seal(name, lineage, digest, rows, clock.now().isoformat()))
    forecasts = contest.forecast("test")
    asked: dict[str, object] = {"entrants": sorted(forecasts.quantiles), "seed": request.seed, "tune": request.tune}
    asked |= {} if request.seeds is None else {"seeds": request.seeds}
    asked |= {} if request.device == "cpu" else {"device": request.device}
    settings = hash_value(asked)
    holdout = HoldOut(registry, name, folder=request.out, clock=clock)
    return holdout.open(
        Release(request.release, settings, code_hash()),
        _parquet(forecasts),
        lambda: {"tables": window_tables(task, forecasts, seed=request.seed)},
        another_look=request.another_look,
    )


def _registry(request: VolatilityRequest) -> TrialRegistry:
    workspace = find_workspace() if request.workspace is None else request.workspace
    return TrialRegistry(workspace / "trials.jsonl", runs=workspace / "runs")


def _other_looks(request: VolatilityRequest, opened: Opened) -> list[str]:
    """Return a sentence on looks at the same years in other files: changed outcomes are no fresh start for people."""
    registry = _registry(request)
    others = [one.name for one in seals_of(registry) if one.name.startswith(_SEAL) and one.name != opened.look.seal]
    count = sum(len(looks_at(registry, name)) for name in others)
    return [f"the test years of other files have been looked at {count} times in this workspace"] if count else []


def _absent_test(path: Path, last: int) -> str:
    return (
        f"the test years are not in {path.name}, which ends on {_text(last)}. A file with the same columns (ts, "
        f"symbol, r, rv), the same 31 symbols and rows to {LAST_DAY} gives both test tables: the reference window "
        f"({KNOWN_COUNTS['test']:,} windows, 2018-12-27 to 2019-06-21) and the full test "
        f"({KNOWN_COUNTS['test_whole']:,} windows from 2018-01)"
    )


def _parquet(forecasts: SplitForecasts) -> bytes:
    import pyarrow as pa
    import pyarrow.parquet as pq

    sink = io.BytesIO()
    pq.write_table(pa.table(forecasts.columns()), sink, compression="zstd")
    return sink.getvalue()


def _check_folder(out: Path, *, force: bool) -> None:
    """Refuse a folder before anything is computed: one with results of a run that ended, or with what is not ours."""
    if not out.exists():
        return
    if not out.is_dir():
        raise UserError(f"{out} is a file", hint="choose a folder for --out")
    found: Sequence[str] = sorted(one.name for one in out.iterdir() if one.name != _UNFINISHED)
    ours = (*_FILES, "forecasts-validation.parquet", "forecasts-validation.json")
    strange = [name for name in found if name not in ours and not name.startswith(_SEAL)]
    if strange:
        raise UserError(f"{out} holds {strange[0]!r}, which no benchmark writes", hint="choose another --out")
    if found and not force and not (out / _UNFINISHED).is_dir():
        raise UserError(f"{out} holds results", hint="choose another --out, or replace them with --force")


def _write(out: Path, document: dict[str, Any]) -> None:
    text = json.dumps(document, indent=1, ensure_ascii=False, allow_nan=False, sort_keys=True)
    write_atomic(out / "results.json", (text + "\n").encode())
    write_atomic(out / "table.csv", _table_csv(document).encode())
    write_atomic(out / "report.html", render_page(volatility_page(document)).encode())


def _table_csv(document: dict[str, Any]) -> str:
    """Return one row for each window and entrant."""
    rows = [{"window": name, **row} for name, one in document["tables"].items() for row in one["rows"]]
    sink = io.StringIO()
    writer = csv.DictWriter(sink, fieldnames=list(rows[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return sink.getvalue()


def _text(day: int) -> str:
    return date.fromordinal(date(1970, 1, 1).toordinal() + day).isoformat()


def _ns(day: date) -> int:
    return (day.toordinal() - date(1970, 1, 1).toordinal()) * NS_PER_DAY
