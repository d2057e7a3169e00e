"""Foresail: calibrated forecasts, honest backtests, one engine for history and live.

The same as the commands, from Python::

    import foresail

    result = foresail.run("bars.parquet", out="runs/mine")
    print(result)                       # the last screen of the command
    result.verdict                      # "evidence", "no evidence", "cannot tell", "cannot judge" or "invalid"
    result.metrics["net"]["sharpe"]     # every figure of the report
    result.table("trades")              # the tables of the run folder, as pandas

The public names of the package are loaded on first use, so that ``import foresail`` stays light.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from foresail.evaluation.forecast_judge import ForecastJudgeSettings
    from foresail.evaluation.forecast_table import TableOptions
    from foresail.evaluation.judge import JudgeSettings
    from foresail.service.calls import (
        FeatureResult,
        Judgement,
        RunResult,
        Verification,
        compute_features,
        demo,
        judge,
        judge_forecasts,
        judge_returns,
        run,
        verify,
    )
    from foresail.service.feature_calls import FeatureExplanation, explain_feature, list_features, plot_feature
    from foresail.service.models_calls import ForecastResult, TrainedModel, models, predict, train
    from foresail.service.trading_calls import (
        BacktestResult,
        LedgerView,
        TradingReport,
        backtest,
        kill,
        limits,
        move_money,
        paper,
        parity,
        read_ledger,
        rebuild,
    )

__all__ = [
    "BacktestResult",
    "FeatureExplanation",
    "FeatureResult",
    "ForecastJudgeSettings",
    "ForecastResult",
    "JudgeSettings",
    "Judgement",
    "LedgerView",
    "RunResult",
    "TableOptions",
    "TradingReport",
    "TrainedModel",
    "Verification",
    "__version__",
    "backtest",
    "compute_features",
    "demo",
    "explain_feature",
    "judge",
    "judge_forecasts",
    "judge_returns",
    "kill",
    "limits",
    "list_features",
    "models",
    "move_money",
    "paper",
    "parity",
    "plot_feature",
    "predict",
    "read_ledger",
    "rebuild",
    "run",
    "train",
    "verify",
]

__version__ = "0.1.0"

_HOMES = {
    **dict.fromkeys(
        ("FeatureExplanation", "explain_feature", "list_features", "plot_feature"), "foresail.service.feature_calls"
    ),
    "ForecastJudgeSettings": "foresail.evaluation.forecast_judge",
    "JudgeSettings": "foresail.evaluation.judge",
    "TableOptions": "foresail.evaluation.forecast_table",
    **dict.fromkeys(("ForecastResult", "TrainedModel", "models", "predict", "train"), "foresail.service.models_calls"),
    **dict.fromkeys(
        (
            "BacktestResult",
            "LedgerView",
            "TradingReport",
            "backtest",
            "kill",
            "limits",
            "move_money",
            "paper",
            "parity",
            "read_ledger",
            "rebuild",
        ),
        "foresail.service.trading_calls",
    ),
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module 'foresail' has no attribute {name!r}; it has {', '.join(__all__)}")
    value = getattr(import_module(_HOMES.get(name, "foresail.service.calls")), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
