"""The judge of results made elsewhere: the same verdict, by the same rules, on a file of returns or trades.

The number of trials is the user's to give and is believed; where the file holds the variants side by side, their own
Sharpe ratios set the hurdle and the probability of overfitting is computed, else the hurdle is what that many
strategies without skill would show by sampling error. What the file cannot say (1/N of the same names, cost, when the
names were chosen) is asked for, never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.canonical import hash_file, plain
from foresail.core.errors import ConfigError, DataError
from foresail.domain.instruments import PriceBasis
from foresail.domain.runs import Verdict
from foresail.domain.universe import UniverseBasis
from foresail.evaluation.foreign import ForeignResult, read_foreign
from foresail.evaluation.record import RecordFigures, TradeView, record_figures, trade_view
from foresail.evaluation.registry import TrialCount
from foresail.evaluation.variants import VariantReport, judge_variants
from foresail.evaluation.verdict import VerdictInputs, decide
from foresail.measures.performance import PerformanceFigures, TradeStatistics, performance_figures

__all__ = ["JudgeReport", "JudgeSettings", "judge_file"]

_COSTS = ("included", "none", "unknown")
_UNIVERSE_BASES = tuple(basis.value for basis in UniverseBasis)
_ROUND_YEARS = (252.0, 365.0, 52.0, 12.0)  # bars a year of the usual calendars
_YEAR = timedelta(days=365.25)


@dataclass(frozen=True, slots=True)
class JudgeSettings:
    """What the user declares about the file.

    Attributes
    ----------
    bars_per_year : None = from the spacing of the dates
    universe_basis : point_in_time when the names were chosen beforehand, hindsight, or unknown
    price_basis : raw, split_adjusted, total_return or unknown
    zero_is_fair : 0 is the right comparator, as for a market-neutral strategy
    costs : whether the returns hold costs: included, none or unknown; a column ``cost`` counts as deducted unless none
    stop, target : distances of the barriers that trades were closed at, same unit; None = average loss and win
    """

    bars_per_year: float | None = None
    universe_basis: str = "unknown"
    price_basis: str = "unknown"
    zero_is_fair: bool = False
    seed: int = 0
    costs: str = "unknown"
    stop: float | None = None
    target: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class JudgeReport:
    """The verdict on a file with the figures behind it.

    Attributes
    ----------
    costs : what the judged returns hold: included, none or unknown
    variants : where the file holds several
    returns, comparator : the judged series, for drawing; not in the JSON
    """

    file: str
    file_hash: str
    kind: str
    rows: int
    first: str
    last: str
    bars: int
    bars_per_year: float
    trials: int
    verdict: Verdict
    performance: PerformanceFigures
    benchmark: PerformanceFigures | None
    trades: TradeStatistics | None
    notes: tuple[str, ...]
    costs: str
    universe_basis: str
    price_basis: str
    record: RecordFigures
    trade_view: TradeView | None
    variants: VariantReport | None
    times: tuple[datetime, ...]
    returns: FloatArray
    comparator: FloatArray | None

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON data; an undefined figure is None."""
        data: dict[str, Any] = plain(replace(self, times=(), returns=np.zeros(0), comparator=None))
        for name in ("times", "returns", "comparator"):
            del data[name]
        return data


def judge_file(path: Path, *, trials: int, kind: str = "auto", settings: JudgeSettings | None = None) -> JudgeReport:
    """Return the verdict on returns or trades made elsewhere.

    Parameters
    ----------
    path : CSV with date and return or equity; trades of backtesting.py, vectorbt or freqtrade
    trials : strategies, settings and variants that were tried before this one was chosen, itself included
    kind : form of the file, "auto" to recognise it

    Raises
    ------
    ConfigError
        If ``trials`` is below 1 or a declaration is not known.
    DataError
        If the file cannot be used; file, row and column are named.
    """
    settings = settings or JudgeSettings()
    _check(trials, settings)
    result = read_foreign(path, kind=kind)
    if len(result.returns) < 2:
        raise DataError(
            f"{path}: expected at least two bars with a return, received {len(result.returns)}",
            file=str(path),
            hint="give a longer record",
        )
    bars_per_year = settings.bars_per_year or _bars_per_year(result)
    costs, net, net_2x = _net(result, settings.costs)
    variants = _variants(result, net, bars_per_year, settings.seed)
    verdict = _decide(result, (costs, net, net_2x), variants, settings, (_trials(trials, variants), bars_per_year))
    benchmark = result.benchmark
    return JudgeReport(
        file=str(path),
        file_hash=hash_file(path),
        kind=result.kind,
        rows=result.rows,
        first=result.times[0].isoformat(),
        last=result.times[-1].isoformat(),
        bars=len(net),
        bars_per_year=bars_per_year,
        trials=_trials(trials, variants).n,
        verdict=verdict,
        performance=performance_figures(net, bars_per_year=bars_per_year),
        benchmark=None if benchmark is None else performance_figures(benchmark, bars_per_year=bars_per_year),
        trades=result.trades,
        notes=(*result.notes, *_notes(result, costs)),
        costs=costs,
        universe_basis=settings.universe_basis,
        price_basis=settings.price_basis,
        record=record_figures(net, benchmark, result.times, bars_per_year=bars_per_year, seed=settings.seed),
        trade_view=_trade_view(result, settings),
        variants=variants,
        times=result.times,
        returns=net,
        comparator=benchmark,
    )


def _decide(
    result: ForeignResult,
    series: tuple[str, FloatArray, FloatArray | None],
    variants: VariantReport | None,
    settings: JudgeSettings,
    scale: tuple[TrialCount, float],
) -> Verdict:
    """Return the verdict on the judged series, see ``_net``; ``scale`` is trials and bars a year."""
    costs, net, net_2x = series
    trials, bars_per_year = scale
    return decide(
        VerdictInputs(
            net=net,
            net_2x=net_2x,
            benchmark=result.benchmark,
            bars_per_year=bars_per_year,
            trials=trials,
            universe_basis=settings.universe_basis,
            price_basis=settings.price_basis,
            probability_of_overfitting=None if variants is None else variants.overfitting,
            trades=result.trades,
            zero_is_fair=settings.zero_is_fair,
            seed=settings.seed,
            costs=costs,
        )
    )


def _net(result: ForeignResult, declared: str) -> tuple[str, FloatArray, FloatArray | None]:
    """Return what the judged returns hold, those returns, and the same at twice the cost where it is known."""
    if result.cost is None:
        return declared, result.returns, None
    paid = 1.0 if declared == "none" else 0.0  # a column of costs counts as deducted unless it is said that it is not
    return "included", result.returns - paid * result.cost, result.returns - (1.0 + paid) * result.cost


def _variants(result: ForeignResult, net: FloatArray, per_year: float, seed: int) -> VariantReport | None:
    if len(result.variants) < 2:
        return None
    zero = np.zeros(len(net))
    paid = result.returns - net  # the same costs are taken from every variant: the file knows one column
    rows = [(name, values - paid) for name, values in result.variants]
    comparator = zero if result.benchmark is None else result.benchmark
    return judge_variants(rows, comparator, bars_per_year=per_year, seed=seed)


def _trials(given: int, variants: VariantReport | None) -> TrialCount:
    """Return the trials: what the user says, and never fewer than the file shows."""
    if variants is None:
        return TrialCount(n=given)
    sharpes = variants.sharpes
    return TrialCount(max(given, len(sharpes)), float(np.var(sharpes, ddof=1)), sharpes)


def _trade_view(result: ForeignResult, settings: JudgeSettings) -> TradeView | None:
    if result.trades is None or not result.trades.trades:
        return None
    return trade_view(result.trades, stop=settings.stop, target=settings.target)


def _check(trials: int, settings: JudgeSettings) -> None:
    if trials < 1:
        raise ConfigError(f"expected at least one trial, received {trials}", hint="count the one you chose as well")
    if settings.universe_basis not in _UNIVERSE_BASES:
        known = ", ".join(_UNIVERSE_BASES)
        raise ConfigError(f"expected a universe basis of {known}, received {settings.universe_basis!r}")
    if settings.price_basis not in {basis.value for basis in PriceBasis}:
        known = ", ".join(basis.value for basis in PriceBasis)
        raise ConfigError(f"expected a price basis of {known}, received {settings.price_basis!r}")
    if settings.costs not in _COSTS:
        raise ConfigError(f"expected costs of {', '.join(_COSTS)}, received {settings.costs!r}")
    if (settings.stop is None) != (settings.target is None):
        raise ConfigError(
            "expected a stop and a target distance, or neither", hint="for example --stop 0.02 --target 0.04"
        )
    if settings.stop is not None and settings.target is not None and not (settings.stop > 0 and settings.target > 0):
        raise ConfigError(f"expected distances above 0, received stop {settings.stop} and target {settings.target}")
    if settings.bars_per_year is not None and not settings.bars_per_year > 0.0:
        raise ConfigError(f"expected bars per year above 0, received {settings.bars_per_year}")


def _bars_per_year(result: ForeignResult) -> float:
    """Return how many bars the file has in a year, as a round figure where it is within 3 % of one."""
    span = (result.times[-1] - result.times[0]) / _YEAR
    measured = (len(result.times) - 1) / span
    return next((usual for usual in _ROUND_YEARS if abs(measured / usual - 1.0) <= 0.03), measured)


def _notes(result: ForeignResult, costs: str) -> list[str]:
    notes = []
    if result.benchmark is None:
        notes.append(
            "the comparison is against zero: 1/N of the same names is missing (add a column 'benchmark' to a returns "
            "or equity file)"
        )
    if costs == "unknown":
        notes.append("nobody said whether these returns hold costs (--costs included or none)")
    if result.cost is None:
        notes.append("the file does not say what trading cost (add a column 'cost' to a returns or equity file)")
    notes.append("no canaries can be run on returns made elsewhere: a leak in the strategy would not be seen here")
    return notes
