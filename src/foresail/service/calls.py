"""The use cases as calls from Python: the commands without a command line.

Each function asks the use case that the command of the same name asks and hands back an object with the figures.
A wrong request raises a ``ForesailError`` whose text says what to do, as on the command line; a verdict never raises.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foresail.core.errors import UnknownNameError
from foresail.domain.panel import Panel
from foresail.domain.schemas import TABLES
from foresail.evaluation.forecast_judge import ForecastJudgeSettings
from foresail.evaluation.judge import JudgeSettings
from foresail.protocols import Progress
from foresail.service.demo import run_demo
from foresail.service.judging import judge_forecasts as judge_forecast_file
from foresail.service.judging import judge_results
from foresail.service.outcome import Outcome
from foresail.service.reading import asked_reading
from foresail.service.run import RunRequest, run_job
from foresail.service.runfolder import RunReader
from foresail.service.verify import verify_run

if TYPE_CHECKING:
    import pandas as pd

__all__ = [
    "FeatureResult",
    "Judgement",
    "RunResult",
    "Verification",
    "compute_features",
    "demo",
    "judge",
    "judge_forecasts",
    "judge_returns",
    "run",
    "verify",
]

_TIME_UNIT = "ns UTC"  # of a column that holds times (domain.schemas)


@dataclass(frozen=True, slots=True, repr=False)
class RunResult:
    """A finished run; ``print`` shows what the command shows last.

    Attributes
    ----------
    verdict : evidence, no evidence, cannot tell, cannot judge, or invalid
    reasons : the sentences that led to it, most decisive first
    metrics : content of ``metrics.json``
    out : the run folder
    report : the HTML report in it
    text : the last screen
    """

    verdict: str
    reasons: tuple[str, ...]
    metrics: Mapping[str, Any]
    out: Path
    report: Path
    text: str = field(default="")

    def table(self, name: str) -> pd.DataFrame:
        """Return a table of the run folder, for example "equity", "trades" or "forecasts", with times as UTC dates.

        Raises
        ------
        UnknownNameError
            If run folders have no such table.
        DataError
            If this run has none, or its folder was changed.
        """
        import pyarrow as pa

        table = RunReader(self.out).table(name)
        utc = pa.timestamp("ns", tz="UTC")
        for place, column in enumerate(TABLES[name].columns):
            if column.unit == _TIME_UNIT:
                table = table.set_column(place, column.name, table.column(place).cast(utc))
        frame: pd.DataFrame = table.to_pandas()
        return frame

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"RunResult(verdict={self.verdict!r}, out={str(self.out)!r})"


@dataclass(frozen=True, slots=True, repr=False)
class Judgement:
    """The verdict on results made elsewhere.

    Attributes
    ----------
    verdict : as in ``RunResult``; of forecasts: better, mixed, cannot tell or worse
    reasons : the sentences that led to it, most decisive first
    metrics : everything that ``foresail judge --json`` prints
    text : the screen of the command
    """

    verdict: str
    reasons: tuple[str, ...]
    metrics: Mapping[str, Any]
    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"Judgement(verdict={self.verdict!r})"


@dataclass(frozen=True, slots=True)
class Verification:
    """Whether a run repeats.

    Attributes
    ----------
    is_equal : every promised file has the same bytes
    differing : names of the files that differ
    text : one sentence, also where inputs are missing and nothing could be compared
    """

    is_equal: bool
    differing: tuple[str, ...]
    text: str

    def __str__(self) -> str:
        return self.text


@dataclass(frozen=True, slots=True, repr=False)
class FeatureResult:
    """Computed features.

    Attributes
    ----------
    names : the columns, in order
    absent : feature -> why these bars cannot give it; its column has no value
    features_hash : of formulas, instruments, times and every value: equal hashes mean equal features
    document : everything that ``foresail features compute --json`` prints
    panel : instruments, times and the (N, T, F) values, NaN where missing
    """

    names: tuple[str, ...]
    absent: Mapping[str, str]
    features_hash: str
    document: Mapping[str, Any]
    panel: Panel

    def frame(self, name: str) -> pd.DataFrame:
        """Return one feature as pandas: a row per bar, named by its end in UTC, and a column per instrument.

        Raises
        ------
        UnknownNameError
            If the feature was not asked for.
        """
        import pandas as pd

        ends = pd.to_datetime(self.panel.end, utc=True)
        if name not in self.names:
            raise UnknownNameError("feature of this result", name, self.names)
        columns = [str(one) for one in self.panel.instruments]
        return pd.DataFrame(self.panel.field(name).T, index=pd.DatetimeIndex(ends, name="end"), columns=columns)

    def __repr__(self) -> str:
        n, t, f = self.panel.shape
        return (
            f"FeatureResult({n} instruments, {t} bars of {self.panel.frame}, {f} features, {len(self.absent)} absent)"
        )


def compute_features(
    names: str | Sequence[str] = "spine",
    *,
    bars: str | Path = "embedded:us20",
    out: str | Path | None = None,
    frame: str | None = None,
    extended: bool = False,
    series: Sequence[str] = (),
    pair: Sequence[str] = (),
    form: str = "display",
    style: str = "intraday",
    until: str | None = None,
    timezone: str | None = None,
    force: bool = False,
    progress: Progress | None = None,
) -> FeatureResult:
    """Compute features of any bars: ``foresail features compute``.

    Parameters
    ----------
    names : sets, features, aliases, ``feature@frame``, ``set@frame``, "preset:scalp" or "default"
    bars : as in ``run``; the sample of the demo by default
    out : Parquet file to write as well
    frame, extended, series, pair : as in ``run``
    form : "display" (as defined) or "model" (free of units)
    style : whose frames ``mtf_agreement`` adds up: intraday, swing or position
    until, timezone, force, progress : as in ``run``

    Raises
    ------
    ForesailError
        If a name is unknown, or the bars or the file cannot be used.
    """
    from foresail.service.features import FeatureRequest, compute_table, describe, save_table

    wanted = names if isinstance(names, str) else ",".join(names)
    reading = asked_reading(None, series, pair, extended=extended)
    request = FeatureRequest(
        names=wanted,
        bars=str(bars),
        frame=frame,
        form=form,
        until=until,
        timezone=timezone,
        reading=reading,
        style=style,
    )
    table = compute_table(request, progress=progress or _silent)
    if out is not None:
        save_table(table, Path(out), force=force)
    return FeatureResult(table.panel.fields, table.absent, table.features_hash, describe(table), table.panel)


def run(
    bars: str | Path,
    *,
    out: str | Path | None = None,
    seed: int | None = None,
    until: str | None = None,
    config: str | Path | None = None,
    plugin: str | Path | None = None,
    timezone: str | None = None,
    names: int | None = None,
    capital: str | None = None,
    forecaster: str | None = None,
    horizons: str | None = None,
    beside: str | None = None,
    select: str | None = None,
    without: Sequence[str] | None = None,
    frame: str | None = None,
    extended: bool = False,
    series: Sequence[str] = (),
    pair: Sequence[str] = (),
    force: bool = False,
    progress: Progress | None = None,
) -> RunResult:
    """Forecast, decide, backtest with costs, and judge: ``foresail run``.

    Parameters
    ----------
    bars : Parquet or CSV file, folder with ``foresail-set.toml``, or the name of an imported set
    out : run folder; None = ``runs/<set>-<hash>``
    seed : of everything random
    until : "2015-12-31": nothing available after the end of that day, UTC
    config : settings file
    plugin : strategy file, searched for leaks first
    timezone : of times that carry none
    names : only the first so many instruments, by id
    capital : for example "100000 USD"
    forecaster : how returns are forecast, for example "tft"
    horizons : what is forecast, bars or spans: "1,5" or "4h,1d,1w"
    beside : forecasters that the report compares with on the same rows: "lstm,garch"
    select, without : how each fold chooses features, and groups that are left out
    frame : make bars of this coarser frame first
    extended : keep bars from 04:00 to 20:00 New York, which 6h needs
    series : sets of series beside the bars, imported names or paths of descriptions
    pair : "A=B": B is the second leg of A
    force : replace an existing run folder once the new one is complete
    progress : called with stage, steps done, steps in all

    Raises
    ------
    ForesailError
        If the request, the data or the plug-in cannot be used.
    """
    request = RunRequest(
        bars=str(bars),
        out=_path(out),
        seed=seed,
        until=until,
        config=_path(config),
        plugin=_path(plugin),
        timezone=timezone,
        names=names,
        capital=capital,
        forecaster=forecaster,
        horizons=horizons,
        beside=beside,
        selection=select,
        without=None if without is None else tuple(without),
        reading=asked_reading(frame, series, pair, extended=extended, models=True),
        force=force,
    )
    return _result(run_job(request, progress=progress or _silent))


def demo(
    *, out: str | Path | None = None, seed: int | None = None, force: bool = False, progress: Progress | None = None
) -> RunResult:
    """Run the main job on the embedded sample of real market data: ``foresail demo``.

    Parameters
    ----------
    out, seed, force, progress : as in ``run``
    """
    return _result(run_demo(out=_path(out), seed=seed, force=force, progress=progress or _silent))


def verify(folder: str | Path, *, progress: Progress | None = None) -> Verification:
    """Repeat a run from its record and compare byte by byte: ``foresail verify``.

    Parameters
    ----------
    folder : a finished run
    progress : as in ``run``
    """
    outcome = verify_run(Path(folder), progress=progress or _silent)
    document = outcome.document
    return Verification(bool(document["equal"]), tuple(document.get("differing", ())), "\n".join(outcome.lines))


def judge(
    file: str | Path,
    *,
    trials: int,
    kind: str = "auto",
    settings: JudgeSettings | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> Judgement:
    """Give the verdict on results made elsewhere: ``foresail judge``.

    Parameters
    ----------
    file : CSV of returns, equity or trades
    trials : how many variants were tried, this one included
    kind : form of the file; "auto" recognises it
    settings : what the file cannot say (``foresail.JudgeSettings``)
    out : folder for ``report.html`` and ``metrics.json``
    force : replace them where they exist

    Raises
    ------
    ForesailError
        If the file cannot be used.
    """
    outcome = judge_results(Path(file), trials=trials, kind=kind, settings=settings, out=_path(out), force=force)
    verdict = outcome.document["verdict"]
    return Judgement(verdict["word"], tuple(verdict["reasons"]), outcome.document, "\n".join(outcome.lines))


judge_returns = judge


def judge_forecasts(
    forecasts: str | Path | pd.DataFrame,
    *,
    settings: ForecastJudgeSettings | None = None,
    out: str | Path | None = None,
    force: bool = False,
) -> Judgement:
    """Give the verdict on forecasts made elsewhere: ``foresail judge`` on a table of forecasts.

    Parameters
    ----------
    forecasts : CSV, Parquet, or a pandas frame with instrument, issued_at, horizon, outcome and the forecasts
    settings : ``foresail.ForecastJudgeSettings``
    out, force : as in ``judge``

    Raises
    ------
    ForesailError
        If the table cannot be used; file, row and column are named.
    """
    source = Path(forecasts) if isinstance(forecasts, str | Path) else forecasts
    outcome = judge_forecast_file(source, settings=settings, out=_path(out), force=force)
    document = outcome.document
    return Judgement(document["word"], tuple(document["reasons"]), document, "\n".join(outcome.lines))


def _result(outcome: Outcome) -> RunResult:
    document = dict(outcome.document)
    out, report = Path(document.pop("run")), Path(document.pop("report"))
    verdict = document["verdict"]
    text = "\n".join(outcome.lines).strip("\n")
    return RunResult(str(verdict["word"]), tuple(verdict["reasons"]), document, out, report, text)


def _path(value: str | Path | None) -> Path | None:
    return None if value is None else Path(value)


def _silent(stage: str, done: int, total: int) -> None:
    """Say nothing: a library is quiet unless asked."""
    del stage, done, total
