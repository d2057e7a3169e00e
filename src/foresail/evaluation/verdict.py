"""Verdict: one of five words by fixed rules, always against 1/N of the same names, with the sentences that led to it.

1. A failed canary makes the run *invalid*: nothing else is looked at.
2. *evidence* asks for all of: the 95 % block-bootstrap interval of the annualised mean difference lies above 0, net
   and at twice the cost; deflated Sharpe ratio of that difference >= .95; probability of overfitting <= .2 where it
   is defined.
3. What cannot be compared fairly (names chosen afterwards, unknown price basis, no 1/N, cost unknown) turns evidence
   into *cannot judge*, and never into no evidence.
4. *cannot tell*: the smallest detectable Sharpe ratio exceeds 1, so the record is too short to say no.
5. *no evidence* otherwise.

The lower end of the two-sided interval is the bound, so that the interval a reader sees is the one that decides. The
targets of MET-26 are shown, not used.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.canonical import plain
from foresail.core.errors import DataError
from foresail.domain.runs import CanaryResult, Interval, Verdict, VerdictWord
from foresail.evaluation.honesty import Honesty, collect
from foresail.evaluation.registry import TrialCount
from foresail.measures._checks import finite_series, same_length
from foresail.measures.bootstrap import BootstrapSettings, mean_intervals
from foresail.measures.performance import TradeStatistics, max_drawdown, sharpe_ratio

__all__ = [
    "DEFLATED_SHARPE_ASKED",
    "DETECTABLE_SHARPE_LIMIT",
    "OVERFITTING_LIMIT",
    "VerdictInputs",
    "decide",
]

DEFLATED_SHARPE_ASKED = 0.95
OVERFITTING_LIMIT = 0.20
DETECTABLE_SHARPE_LIMIT = 1.0  # annualised
_SHORTEST_BLOCK = 5  # bars: the holding period of the default strategy
_WHEN = {"included": "After costs", "none": "Before costs", "unknown": "As given, with costs or without,"}
_UNTESTED = {
    "included": "What the costs were is unknown, so the result at twice the cost cannot be tested.",
    "none": "The returns hold no costs: after costs they are lower, and nobody has tested by how much.",
    "unknown": "It is not known whether the returns hold costs, so the result at twice the cost cannot be tested.",
}
_ROUNDING = 1e-12  # fraction per bar, far below a cent on any account
_MOST_BLOCKS = 1000  # longer records are cut into longer blocks: no precision is lost, time and memory are saved


@dataclass(frozen=True, slots=True, eq=False)
class VerdictInputs:
    """Everything that the verdict looks at. Series are simple returns per bar, aligned, finite.

    Attributes
    ----------
    net, net_2x : (T,), the strategy after costs and after twice the costs; ``net_2x`` None where cost is unknown
    benchmark, benchmark_2x : (T,), 1/N of the same names likewise; ``benchmark`` None = the comparison is against 0;
        ``benchmark_2x`` None = ``benchmark``
    trials : of the lineage, this run included
    universe_basis : point_in_time, hindsight or unknown
    price_basis : raw, split_adjusted, total_return or unknown
    probability_of_overfitting : None where it is not defined
    trades : closed trades after costs, for the targets that are shown
    zero_is_fair : the user declares that 0 is the fair comparator (a market-neutral strategy)
    costs : what ``net`` holds: "included", "none", or "unknown"
    """

    net: FloatArray
    net_2x: FloatArray | None
    benchmark: FloatArray | None
    bars_per_year: float
    trials: TrialCount
    benchmark_2x: FloatArray | None = None
    canaries: tuple[CanaryResult, ...] = ()
    universe_basis: str = "unknown"
    price_basis: str = "unknown"
    probability_of_overfitting: float | None = None
    trades: TradeStatistics | None = None
    zero_is_fair: bool = False
    seed: int = 0
    costs: str = "included"


@dataclass(frozen=True, slots=True)
class _Finding:
    """One rule, whether it passed, and the sentence that says so."""

    passed: bool
    text: str


def decide(inputs: VerdictInputs) -> Verdict:
    """Return the verdict on one strategy.

    Raises
    ------
    DataError
        If the series differ in length, hold a value that is not finite, or have fewer than two bars.
    """
    net, differences = _differences(inputs)
    length = len(net)
    settings = BootstrapSettings(minimum_block=max(_SHORTEST_BLOCK, -(-length // _MOST_BLOCKS)), seed=inputs.seed)
    means = mean_intervals(np.stack(differences, axis=1), settings)
    intervals = [_scaled(mean, inputs.bars_per_year) for mean in means]
    honesty = collect(
        differences[0],
        bars_per_year=inputs.bars_per_year,
        trials=inputs.trials,
        probability_of_overfitting=inputs.probability_of_overfitting,
    )
    against = "1/N of the same names" if inputs.benchmark is not None else "zero"
    findings = _findings(intervals, honesty, against, _WHEN[inputs.costs])
    blockers = _blockers(inputs)
    word = _word(inputs, findings, blockers, honesty, intervals[0])
    return Verdict(
        word=word,
        reasons=_reasons(word, inputs, findings, blockers, honesty),
        figures=_figures(inputs, net, intervals, honesty, against),
    )


def _differences(inputs: VerdictInputs) -> tuple[FloatArray, list[FloatArray]]:
    """Return the net series and its differences to the comparator: net, and at twice the cost where it is known."""
    if not inputs.bars_per_year > 0.0:
        raise DataError(f"expected bars per year above 0, received {inputs.bars_per_year}")
    net = finite_series(inputs.net, name="net returns of the strategy", minimum=2)
    zero = np.zeros(len(net))
    benchmark = zero if inputs.benchmark is None else finite_series(inputs.benchmark, name="returns of 1/N")
    same_length(net, benchmark, names=("net returns of the strategy", "returns of 1/N"))
    result = [_difference(net, benchmark)]
    if inputs.net_2x is not None:
        twice = finite_series(inputs.net_2x, name="returns of the strategy at twice the cost")
        other = benchmark
        if inputs.benchmark_2x is not None:
            other = finite_series(inputs.benchmark_2x, name="returns of 1/N at twice the cost")
        same_length(net, twice, names=("net returns of the strategy", "its returns at twice the cost"))
        same_length(net, other, names=("net returns of the strategy", "returns of 1/N at twice the cost"))
        result.append(_difference(twice, other))
    return net, result


def _difference(strategy: FloatArray, other: FloatArray) -> FloatArray:
    """Return the difference with rounding noise set to 0: 1/N summed in another order has no Sharpe ratio."""
    difference = strategy - other
    result: FloatArray = np.where(np.abs(difference) < _ROUNDING, 0.0, difference)
    return result


def _scaled(interval: Interval, factor: float) -> Interval:
    return Interval(interval.value * factor, interval.low * factor, interval.high * factor)


def _percent(value: float) -> str:
    return f"{100.0 * value:.1f} %"


def _interval_text(interval: Interval) -> str:
    return f"95 % interval {_percent(interval.low)} to {_percent(interval.high)}"


def _findings(intervals: list[Interval], honesty: Honesty, against: str, once: str) -> list[_Finding]:
    """Return the rules of *evidence* in their order, each with its sentence."""
    result = []
    for interval, when in zip(intervals, (once, "At twice the cost"), strict=False):
        passed = interval.low > 0.0
        sense = "above" if interval.value >= 0.0 else "below"
        place = "lies above 0" if passed else ("lies below 0" if interval.high < 0.0 else "contains 0")
        text = (
            f"{when} the strategy is {_percent(abs(interval.value))} a year {sense} {against}; "
            f"the {_interval_text(interval)} {place}."
        )
        result.append(_Finding(passed, text))
    passed = honesty.deflated_sharpe >= DEFLATED_SHARPE_ASKED  # NaN is not
    result.append(_Finding(passed, _deflated_text(honesty)))
    overfitting = honesty.probability_of_overfitting
    if overfitting is not None:
        passed = overfitting <= OVERFITTING_LIMIT
        text = (
            f"The best variant in sample falls below the median out of sample in {_percent(overfitting)} of splits "
            f"(at most {_percent(OVERFITTING_LIMIT)} is allowed)."
        )
        result.append(_Finding(passed, text))
    return result


def _deflated_text(honesty: Honesty) -> str:
    if not math.isfinite(honesty.deflated_sharpe):
        return "The difference does not vary from bar to bar, so it has no Sharpe ratio and luck cannot be weighed."
    counted = f"{honesty.trials} trial{'s' if honesty.trials > 1 else ''}"
    more = "" if honesty.trials_are_complete else ", and more are lost"
    hurdle = (
        "with one trial this is the probability that the Sharpe ratio is above 0"
        if honesty.trials == 1
        else f"the best of {honesty.trials} without skill shows {honesty.hurdle:.2f} a year"
    )
    return (
        f"The deflated Sharpe ratio is {_floor2(honesty.deflated_sharpe)} ({DEFLATED_SHARPE_ASKED:.2f} is asked) for a "
        f"difference of Sharpe ratio {honesty.sharpe:.2f} a year and {counted} counted{more}; {hurdle}."
    )


def _floor2(value: float) -> str:
    """Write a probability rounded down, so that .9499 does not read as the .95 that it misses."""
    return f"{math.floor(value * 100.0 + 1e-9) / 100.0:.2f}"


def _detectable_text(honesty: Honesty) -> str:
    return (
        f"A record of {honesty.observations:,} bars ({honesty.years:.1f} years) shows a Sharpe ratio of the difference "
        f"from {honesty.smallest_detectable_sharpe:.2f} a year upwards, with 80 % power at 95 % confidence."
    )


def _blockers(inputs: VerdictInputs) -> list[str]:
    """Return why evidence could not be believed even if every figure passed."""
    result = []
    if inputs.universe_basis == "hindsight":
        result.append(
            "The names were chosen afterwards: survivors are in and losers are out, so a gain cannot be believed."
        )
    elif inputs.universe_basis != "point_in_time":
        result.append("It is not known whether the names were chosen beforehand; if not, a gain cannot be believed.")
    if inputs.price_basis == "unknown":
        result.append("The price basis is unknown: splits and dividends may count twice or not at all.")
    if inputs.benchmark is None and not inputs.zero_is_fair:
        result.append("1/N of the same names is missing: measured against zero, a rising market looks like skill.")
    if inputs.net_2x is None:
        result.append(_UNTESTED[inputs.costs])
    unjudged = [canary.name for canary in inputs.canaries if not canary.judged]
    if unjudged:
        result.append(f"The data were too few for these canaries to fail: {', '.join(unjudged)}.")
    return result


def _word(
    inputs: VerdictInputs, findings: list[_Finding], blockers: list[str], honesty: Honesty, net: Interval
) -> VerdictWord:
    if not all(canary.passed for canary in inputs.canaries):
        return VerdictWord.INVALID
    if all(finding.passed for finding in findings):
        return VerdictWord.CANNOT_JUDGE if blockers else VerdictWord.EVIDENCE
    if not math.isfinite(honesty.sharpe) and net.value > 0.0:
        return VerdictWord.CANNOT_JUDGE  # the same gain at every bar: a file, not a market
    if honesty.smallest_detectable_sharpe > DETECTABLE_SHARPE_LIMIT:
        return VerdictWord.CANNOT_TELL
    return VerdictWord.NO_EVIDENCE


def _reasons(
    word: VerdictWord, inputs: VerdictInputs, findings: list[_Finding], blockers: list[str], honesty: Honesty
) -> tuple[str, ...]:
    """Return the sentences, most decisive first: what forced the word, then what failed, then what passed."""
    failed = [finding.text for finding in findings if not finding.passed]
    passed = [finding.text for finding in findings if finding.passed]
    detectable = _detectable_text(honesty)
    if word is VerdictWord.INVALID:
        broken = [f"Canary {c.name!r} failed: {c.text}" for c in inputs.canaries if not c.passed]
        return (*broken, "The figures below are void until it passes.", *failed, *passed, detectable)
    canaries = _canary_text(inputs)
    lost = [f"{note[0].upper()}{note[1:]}." for note in inputs.trials.notes]
    if word is VerdictWord.EVIDENCE:
        return (*passed, canaries, detectable, *lost)
    if word is VerdictWord.CANNOT_JUDGE:
        return (*(blockers or failed), *passed, canaries, detectable, *lost)
    if word is VerdictWord.CANNOT_TELL:
        short = (
            f"The record is too short to say no: {honesty.observations:,} bars ({honesty.years:.1f} years) show a "
            f"Sharpe ratio of the difference only from {honesty.smallest_detectable_sharpe:.2f} a year upwards "
            f"(80 % power at 95 % confidence; {DETECTABLE_SHARPE_LIMIT:.0f} is the limit)."
        )
        return (short, *failed, *passed, canaries, *blockers, *lost)
    return (*failed, *passed, detectable, canaries, *blockers, *lost)


def _canary_text(inputs: VerdictInputs) -> str:
    count = len(inputs.canaries)
    if not count:
        return "No canaries were run on these returns."
    blind = [canary.name for canary in inputs.canaries if not canary.judged]
    if blind:
        return f"{count - len(blind)} of {count} canaries passed; too little data to judge: {', '.join(blind)}."
    return f"All {count} canaries passed." if count > 1 else "The canary passed."


def _figures(
    inputs: VerdictInputs, net: FloatArray, intervals: list[Interval], honesty: Honesty, against: str
) -> dict[str, Any]:
    figures = {
        "against": against,
        "difference_net": intervals[0],
        "difference_net_2x": intervals[1] if len(intervals) > 1 else None,
        "honesty": honesty,
        "universe_basis": inputs.universe_basis,
        "price_basis": inputs.price_basis,
        "canaries": {"run": len(inputs.canaries), "failed": sum(not c.passed for c in inputs.canaries)},
        "market_share": _market_share(net, inputs),
        "targets_shown": _targets(net, inputs),
    }
    result: dict[str, Any] = plain(figures)
    return result


def _market_share(net: FloatArray, inputs: VerdictInputs) -> dict[str, float] | None:
    """Return slope and annualised intercept of the strategy on 1/N: how much of the result is the market's."""
    if inputs.benchmark is None:
        return None
    centred = inputs.benchmark - inputs.benchmark.mean()
    variance = float(centred @ centred)
    if variance <= 0.0:
        return None
    beta = float(centred @ net) / variance
    alpha = float(net.mean() - beta * inputs.benchmark.mean()) * inputs.bars_per_year
    return {"beta": beta, "annualised_alpha": alpha}


def _targets(net: FloatArray, inputs: VerdictInputs) -> list[dict[str, Any]]:
    """Return the acceptance targets of MET-26 with the net figures beside them; they decide nothing."""
    sharpe = sharpe_ratio(net, bars_per_year=inputs.bars_per_year)
    depth = max_drawdown(net).depth
    result = [
        {"name": "sharpe_ratio", "target": "> 1.5", "value": sharpe, "met": sharpe > 1.5},
        {"name": "max_drawdown", "target": "< 0.15", "value": depth, "met": depth < 0.15},
    ]
    if inputs.trades is not None and inputs.trades.trades:
        rate, payoff = inputs.trades.win_rate, inputs.trades.payoff_ratio
        met = rate > 0.55 or (rate >= 0.45 and payoff >= 2.0)
        target = "> 0.55, or >= 0.45 with payoff >= 2"
        result.append({"name": "win_rate", "target": target, "value": rate, "payoff_ratio": payoff, "met": met})
    return result
