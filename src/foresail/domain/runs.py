"""What a finished backtest and its judgement consist of: the products that engine, evaluation and reporting share."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from foresail.core.arrays import FloatArray, TimeArray

__all__ = ["CanaryResult", "EquityCurve", "Interval", "Verdict", "VerdictWord"]


class VerdictWord(StrEnum):
    """The five words a run can end in."""

    EVIDENCE = "evidence"
    NO_EVIDENCE = "no evidence"
    CANNOT_TELL = "cannot tell"
    CANNOT_JUDGE = "cannot judge"
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class Interval:
    """A figure with its 95 % interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Verdict:
    """The word and the sentences that lead to it, most decisive first."""

    word: VerdictWord
    reasons: tuple[str, ...]
    figures: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class CanaryResult:
    """One canary of a run; ``judged`` is false where the data were too few for it to fail, so passing says nothing."""

    name: str
    passed: bool
    text: str
    figures: dict[str, Any] = field(default_factory=dict)
    judged: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class EquityCurve:
    """Equity marked at every bar.

    Attributes
    ----------
    end : (T,) ns UTC
    equity : (T,) account currency
    """

    end: TimeArray
    equity: FloatArray
