"""The judge of results made elsewhere: the same verdict, by the same rules, on a file of returns or trades.

The number of trials is the user's to give and is believed; their Sharpe ratios are unknown, so the hurdle is what that
many strategies without skill would show by sampling error. What the file cannot say (1/N of the same names, cost,
when the names were chosen) is asked for, never assumed.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

from foresail.core.canonical import hash_file, plain
from foresail.core.errors import ConfigError, DataError
from foresail.domain.instruments import PriceBasis
from foresail.domain.runs import Verdict
from foresail.evaluation.foreign import ForeignResult, read_foreign
from foresail.evaluation.registry import TrialCount
from foresail.evaluation.verdict import VerdictInputs, decide
from foresail.measures.performance import PerformanceFigures, TradeStatistics, performance_figures

__all__ = ["JudgeReport", "JudgeSettings", "judge_file"]

_UNIVERSE_BASES = ("point_in_time", "hindsight", "unknown")
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
    """

    bars_per_year: float | None = None
    universe_basis: str = "unknown"
    price_basis: str = "unknown"
    zero_is_fair: bool = False
    seed: int = 0


@dataclass(frozen=True, slots=True)
class JudgeReport:
    """The verdict on a file with the figures behind it."""

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

    def to_json(self) -> dict[str, Any]:
        """Return the report as plain JSON data; an undefined figure is None."""
        data: dict[str, Any] = plain(self)
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
    verdict = decide(
        VerdictInputs(
            net=result.returns,
            net_2x=None if result.cost is None else result.returns - result.cost,
            benchmark=result.benchmark,
            bars_per_year=bars_per_year,
            trials=TrialCount(n=trials),
            universe_basis=settings.universe_basis,
            price_basis=settings.price_basis,
            trades=result.trades,
            zero_is_fair=settings.zero_is_fair,
            seed=settings.seed,
        )
    )
    benchmark = result.benchmark
    return JudgeReport(
        file=str(path),
        file_hash=hash_file(path),
        kind=result.kind,
        rows=result.rows,
        first=result.times[0].isoformat(),
        last=result.times[-1].isoformat(),
        bars=len(result.returns),
        bars_per_year=bars_per_year,
        trials=trials,
        verdict=verdict,
        performance=performance_figures(result.returns, bars_per_year=bars_per_year),
        benchmark=None if benchmark is None else performance_figures(benchmark, bars_per_year=bars_per_year),
        trades=result.trades,
        notes=(*result.notes, *_notes(result)),
    )


def _check(trials: int, settings: JudgeSettings) -> None:
    if trials < 1:
        raise ConfigError(f"expected at least one trial, received {trials}", hint="count the one you chose as well")
    if settings.universe_basis not in _UNIVERSE_BASES:
        known = ", ".join(_UNIVERSE_BASES)
        raise ConfigError(f"expected a universe basis of {known}, received {settings.universe_basis!r}")
    if settings.price_basis not in {basis.value for basis in PriceBasis}:
        known = ", ".join(basis.value for basis in PriceBasis)
        raise ConfigError(f"expected a price basis of {known}, received {settings.price_basis!r}")
    if settings.bars_per_year is not None and not settings.bars_per_year > 0.0:
        raise ConfigError(f"expected bars per year above 0, received {settings.bars_per_year}")


def _bars_per_year(result: ForeignResult) -> float:
    """Return how many bars the file has in a year, as a round figure where it is within 3 % of one."""
    span = (result.times[-1] - result.times[0]) / _YEAR
    measured = (len(result.times) - 1) / span
    return next((usual for usual in _ROUND_YEARS if abs(measured / usual - 1.0) <= 0.03), measured)


def _notes(result: ForeignResult) -> list[str]:
    notes = []
    if result.benchmark is None:
        notes.append(
            "the comparison is against zero: 1/N of the same names is missing (add a column 'benchmark' to a returns "
            "or equity file)"
        )
    if result.cost is None:
        notes.append("the file does not say what trading cost (add a column 'cost' to a returns or equity file)")
    notes.append("no canaries can be run on returns made elsewhere: a leak in the strategy would not be seen here")
    return notes
