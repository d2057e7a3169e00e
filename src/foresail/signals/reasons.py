"""Reasons in plain words (SIG-20): what is expected, what it costs, how it ranks, what drove it.

A sentence says a number with its unit and names the rule that acted, so that a decision can be read without the code.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

from foresail.domain.signals import Signal
from foresail.signals.rules.gates import PROFIT_TARGET_MULTIPLE, list_words

__all__ = [
    "Contribution",
    "Outlook",
    "cost_sentence",
    "exit_sentence",
    "feature_sentence",
    "missing_sentence",
    "odds_sentence",
    "rank_sentence",
    "with_contributions",
]

Contribution = tuple[str, float, float]  # feature, contribution to the forecast (log return), value of the feature


@dataclass(frozen=True, slots=True)
class Outlook:
    """The figures of one instrument that sentences are made of.

    Attributes
    ----------
    move, low, high : expected, P10 and P90 simple return over the horizon
    odds : probability of the predicted sign
    cost : round trip, fraction of value
    """

    bars: int
    move: float
    low: float
    high: float
    odds: float
    cost: float


def _bars(count: int) -> str:
    return "the next bar" if count == 1 else f"the next {count} bars"


def cost_sentence(outlook: Outlook, multiple: float) -> str:
    """Say what is expected, what it costs, and whether the gate of ``multiple`` times the cost is passed (SIG-18)."""
    move, cost = outlook.move, outlook.cost
    direction = "rise" if move >= 0.0 else "fall"
    left = abs(move) - cost
    text = f"Expected to {direction} {abs(move):.2%} over {_bars(outlook.bars)}; a round trip costs {cost:.2%}"
    if abs(move) <= multiple * cost:
        asked = "" if multiple == 1.0 else f" and {multiple:g} times the cost is asked"
        return f"{text}, so {left:.2%} would be left{asked}: not enough to trade (SIG-18)."
    times = abs(move) / cost if cost > 0.0 else math.inf
    full = "meets" if times >= PROFIT_TARGET_MULTIPLE else "falls short of"
    paid = f"{times:.1f} times the cost, which {full} the full target of {PROFIT_TARGET_MULTIPLE:g} times"
    return f"{text}, so {left:.2%} is left ({paid if cost > 0.0 else 'no cost'})."


def rank_sentence(place: int, count: int, top_k: int) -> str:
    """Say the place among the names of this decision."""
    return f"Rank {place} of {count} by expected return; the best {top_k} are traded."


def odds_sentence(outlook: Outlook) -> str:
    """Say the odds of the predicted sign and the range of 8 outcomes in 10."""
    word = "rise" if outlook.move >= 0.0 else "fall"
    return (
        f"The odds of a {word} are {outlook.odds:.0%}; 8 of 10 outcomes are expected between {outlook.low:+.2%} and "
        f"{outlook.high:+.2%}."
    )


def exit_sentence(entry: float, stop: float, target: float, origin: str) -> str:
    """Say where the position ends. Prices in the set's basis; ``origin`` says where the stop comes from."""
    reach = f", expected level {target:.6g}" if math.isfinite(target) else ""
    return (
        f"Stop at {stop:.6g} ({abs(stop / entry - 1.0):.2%} away, {origin}){reach}; closed at the end of the horizon."
    )


def missing_sentence(names: Sequence[str]) -> str:
    """Say which critical inputs are missing (SIG-21)."""
    verb = "is" if len(names) == 1 else "are"
    return f"{list_words(names)} {verb} missing: lowered to hold (SIG-21)."


def feature_sentence(contributions: Sequence[Contribution], *, count: int = 3) -> str:
    """Say which features moved the forecast most, with their values; empty when none is known.

    Parameters
    ----------
    contributions : (feature, contribution in log return, value of the feature)
    """
    known = [c for c in contributions if math.isfinite(c[1]) and c[1] != 0.0]
    leading = sorted(known, key=lambda c: (-abs(c[1]), c[0]))[:count]
    if not leading:
        return ""
    parts = [
        f"{name} at {value:.3g} {'raised' if share > 0.0 else 'lowered'} it by {abs(share):.2%}"
        for name, share, value in leading
    ]
    return f"What moved the forecast most: {list_words(parts)}."


def with_contributions(signal: Signal, contributions: Sequence[Contribution]) -> Signal:
    """Return the signal with a sentence about its leading features (SIG-20), for use after the decision."""
    sentence = feature_sentence(contributions)
    return signal if not sentence else replace(signal, reasons=(*signal.reasons, sentence))
