"""Training and forecasting as calls from Python: ``foresail.train``, ``foresail.predict``, ``foresail.models``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from foresail.protocols import Progress
from foresail.service.models import list_models
from foresail.service.predicting import PredictRequest, predict_with
from foresail.service.reading import asked_reading
from foresail.service.training import train_model
from foresail.service.training_request import TrainRequest

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["ForecastResult", "TrainedModel", "models", "predict", "train"]


@dataclass(frozen=True, slots=True, repr=False)
class TrainedModel:
    """A registered model.

    Attributes
    ----------
    name : in the registry
    is_new : false where the same training was on record and nothing was done
    stage : candidate, champion or retired
    metrics : of the test part, scored once
    record : content of ``model.json``
    path : its folder
    card : the model card in it, HTML
    text : the last screen of the command
    """

    name: str
    is_new: bool
    stage: str
    metrics: Mapping[str, Any]
    record: Mapping[str, Any]
    path: Path
    card: Path
    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"TrainedModel(name={self.name!r}, stage={self.stage!r})"


@dataclass(frozen=True, slots=True, repr=False)
class ForecastResult:
    """Forecasts of a model.

    Attributes
    ----------
    model : name in the registry
    rows : one for each instrument and horizon, with the columns of ``foresail predict --json``
    stale : rows that forecast nothing, each with its reason
    notes : what else is to be said
    text : the screen of the command
    """

    model: str
    rows: tuple[Mapping[str, Any], ...]
    stale: int
    notes: tuple[str, ...]
    text: str

    def frame(self) -> pd.DataFrame:
        """Return the rows as pandas, one column for each quantile level (``q0.1``)."""
        import pandas as pd

        flat = []
        for row in self.rows:
            curve = row["quantiles"] or {}
            flat.append({k: v for k, v in row.items() if k != "quantiles"} | {f"q{k}": v for k, v in curve.items()})
        return pd.DataFrame(flat)

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"ForecastResult(model={self.model!r}, {len(self.rows)} rows, {self.stale} stale)"


def train(
    bars: str | Path,
    *,
    forecaster: str = "",
    features: str | Sequence[str] = "",
    horizons: Sequence[int | str] | str | None = None,
    targets: Sequence[str] | str | None = None,
    context: int | None = None,
    options: Mapping[str, Any] | None = None,
    seed: int | None = None,
    until: str | None = None,
    timezone: str | None = None,
    names: int | None = None,
    symbols: Sequence[str] | str | None = None,
    per_ticker: bool = False,
    sector: str | None = None,
    base: str | None = None,
    neutral_band: float | None = None,
    fixed_threshold: float | None = None,
    round_trip_cost: float | None = None,
    beside: Sequence[str] | str | None = None,
    refit: bool = False,
    select: str | None = None,
    keep: int | None = None,
    without: Sequence[str] | str | None = None,
    row_weights: str | None = None,
    normalise: str | None = None,
    frame: str | None = None,
    extended: bool = False,
    series: Sequence[str] = (),
    pair: Sequence[str] = (),
    config: str | Path | None = None,
    progress: Progress | None = None,
) -> TrainedModel:
    """Train a forecaster, score it once on the newest fifth, and register it: ``foresail train``.

    Parameters
    ----------
    bars : Parquet or CSV file, folder with ``foresail-set.toml``, imported name, or "embedded:us20"
    forecaster : for example "ridge", "quantile_trees", "tft"
    features : a set, or names
    horizons : bars or spans, for example [1, 5] or "4h,1d,1w"
    targets : of close, high, low; None = all that the bars have
    context : bars back that a forecast of a network sees
    options : settings of the forecaster, for example {"width": 64}
    seed : of everything random
    until : "2015-12-31": nothing available after the end of that day, UTC
    timezone : of times that carry none
    names : only the first so many instruments, by id
    symbols : learn from these ids or tickers alone; None = all
    per_ticker : the model is one of its only ticker, and named after it; call it once for each
    sector, base : fine-tune the model ``base`` on a sector
    neutral_band, fixed_threshold, round_trip_cost : where the neutral class ends (FCST-07), see ``TrainRequest``
    beside : forecasters that are fitted on the same rows and compared with; baselines are without being named
    refit : after scoring, fit once more on all bars and register that
    select, keep, without : how features are chosen, how many are kept, groups that are left out
    row_weights : how much training rows count: none, recency, uniqueness, recency+uniqueness
    normalise : none, or how each instrument is scaled by its own numbers: standard or min_max
    frame, extended, series, pair : how bars are read and what stands beside them, see ``service.reading.Reading``;
        a pair is "A=B"
    config : TOML file with [train] and [options]
    progress : called with stage, steps done, steps in all

    Raises
    ------
    ForesailError
        If the request, the data or the training cannot be used.
    """
    request = TrainRequest(
        data=str(bars),
        forecaster=forecaster,
        features=_joined(features) or "",
        horizons=_joined(horizons),
        targets=_joined(targets),
        context=context,
        options=dict(options or {}),
        seed=seed,
        until=until,
        timezone=timezone,
        names=names,
        symbols=_joined(symbols),
        per_ticker=per_ticker,
        sector=sector,
        base=base,
        neutral_band=neutral_band,
        fixed_threshold=fixed_threshold,
        round_trip_cost=round_trip_cost,
        beside=_joined(beside),
        refit=refit,
        select=select,
        keep=keep,
        without=_joined(without),
        row_weights=row_weights,
        normalise=normalise,
        reading=asked_reading(frame, series, pair, extended=extended, models=config is None),
        config=None if config is None else Path(config),
    )
    outcome = train_model(request, progress=progress or _silent)
    told = outcome.document
    return TrainedModel(
        name=told["model"],
        is_new=told["registered"],
        stage=told["stage"],
        metrics=told["record"]["metrics"],
        record=told["record"],
        path=Path(told["path"]),
        card=Path(told["card"]),
        text="\n".join(outcome.lines),
    )


def predict(
    bars: str | Path,
    *,
    model: str = "",
    weights: Sequence[float] = (),
    symbols: Sequence[str] = (),
    at: str | None = None,
    calibration: str = "stored",
    explain: bool = False,
    timezone: str | None = None,
    frame: str | None = None,
    extended: bool = False,
    series: Sequence[str] = (),
    pair: Sequence[str] = (),
    progress: Progress | None = None,
) -> ForecastResult:
    """Forecast with a registered model: ``foresail predict``.

    Parameters
    ----------
    bars : as in ``train``
    model : name, or class_frame_model for its champion; "" = the champion of the class and frame of the bars; several,
        separated by commas, are a panel
    weights : of the models of a panel; none = equal
    symbols : ids or tickers; none = all
    at : "2015-12-31": stand at the end of that day, UTC; None = now
    calibration : "stored", "online", "adaptive" or "none"
    explain : tell the leading features of each forecast
    timezone, frame, extended, series, pair, progress : as in ``train``

    Raises
    ------
    ForesailError
        If the request cannot be met, or the model is not what was registered.
    """
    request = PredictRequest(
        model=model,
        data=str(bars),
        weights=tuple(map(float, weights)),
        symbols=tuple([symbols] if isinstance(symbols, str) else symbols),
        at=at,
        timezone=timezone,
        calibration=calibration,
        explain=explain,
        reading=asked_reading(frame, series, pair, extended=extended, models=True),
    )
    outcome = predict_with(request, progress=progress or _silent)
    told = outcome.document
    return ForecastResult(
        told["model"], tuple(told["forecasts"]), told["stale"], tuple(told["notes"]), "\n".join(outcome.lines)
    )


def models() -> tuple[Mapping[str, Any], ...]:
    """Return the models of the workspace with stage and scores: ``foresail models list``."""
    return tuple(list_models().document["models"])


def _joined(value: Sequence[int | str] | str | None) -> str | None:
    return value if value is None or isinstance(value, str) else ",".join(str(one) for one in value)


def _silent(stage: str, done: int, total: int) -> None:
    """Say nothing: a library is quiet unless asked."""
    del stage, done, total
