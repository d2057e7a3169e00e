"""Scores of class forecasts (EVAL-01): what was said against what came, beside the answer that never changes.

A share of right answers says nothing alone: it stands beside that of the commonest class and of "always neutral".
Classes are 0 .. C-1; down, neutral and up are 0, 1 and 2.

References: [Brier1950], [Matthews1975] in docs/REFERENCES.md; the correlation of more than two classes is Gorodkin's.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import DataError

__all__ = [
    "DOWN_NEUTRAL_UP",
    "ClassReport",
    "ProbabilityScores",
    "class_report",
    "confusion_matrix",
    "probability_scores",
]

DOWN_NEUTRAL_UP = ("down", "neutral", "up")
_NAN = float("nan")
_LOWEST = 1e-15  # probability at which the log loss is cut, so that one certainty gone wrong stays finite
_SUM_TOLERANCE = 1e-3  # of probabilities written with three digits


@dataclass(frozen=True, slots=True, eq=False)
class ClassReport:
    """What was said against what came.

    Attributes
    ----------
    names : C
    confusion : (C, C), rows came, columns said
    precision, recall, f1 : (C,), NaN where a class was never said (precision) or never came (recall, F1)
    count : forecasts with a known outcome
    accuracy : share of right answers
    base_rate : accuracy of the commonest class
    always_neutral : accuracy of the answer "neutral"; NaN where there is no such class
    balanced_accuracy : mean recall over the classes that came
    macro_f1 : mean F1 over the classes that came
    matthews : correlation of came and said (MCC); 0 where one of them never changes
    """

    names: tuple[str, ...]
    confusion: IntArray
    precision: FloatArray
    recall: FloatArray
    f1: FloatArray
    count: int
    accuracy: float
    base_rate: float
    always_neutral: float
    balanced_accuracy: float
    macro_f1: float
    matthews: float


@dataclass(frozen=True, slots=True)
class ProbabilityScores:
    """How good class probabilities are; lower is better.

    Attributes
    ----------
    log_loss : mean of ``-ln(probability of what came)``, cut at 1e-15
    brier : mean over rows of the squared distance to what came, summed over classes: 0 to 2
    base_log_loss, base_brier : of the forecast that always says the shares seen on these rows
    """

    count: int
    log_loss: float
    brier: float
    base_log_loss: float
    base_brier: float


def _classes(values: ArrayLike, count: int, name: str) -> IntArray:
    given = np.asarray(values, dtype=np.float64)
    if given.ndim != 1 or not given.size:
        raise DataError(f"{name}: expected one series of at least 1 class, received an array of shape {given.shape}")
    wrong = np.flatnonzero(~np.isin(given, np.arange(count)))
    if len(wrong):
        raise DataError(
            f"{name}: expected classes 0 to {count - 1}, received {given[wrong[0]]:g} in row {wrong[0] + 1}",
            row=int(wrong[0]) + 1,
            hint="leave rows without an outcome out",
        )
    return given.astype(np.int64)


def confusion_matrix(actual: ArrayLike, said: ArrayLike, *, classes: int = 3) -> IntArray:
    """Return how often each class came (rows) when each was said (columns).

    Parameters
    ----------
    actual, said : (M,), classes 0 to ``classes`` - 1; NaN is refused
    classes : C

    Returns
    -------
    (C, C)

    Raises
    ------
    DataError
        If the lengths differ, there is no row, or a value is no class.
    """
    came, told = _classes(actual, classes, "actual"), _classes(said, classes, "said")
    if len(came) != len(told):
        raise DataError(f"expected actual and said of one length, received {len(came)} and {len(told)}")
    table = np.zeros((classes, classes), dtype=np.int64)
    np.add.at(table, (came, told), 1)
    return table


def class_report(actual: ArrayLike, said: ArrayLike, *, names: tuple[str, ...] = DOWN_NEUTRAL_UP) -> ClassReport:
    """Return precision, recall, F1, accuracy and their like, beside what constant answers score.

    Parameters
    ----------
    actual, said : (M,), classes 0 to C - 1; NaN is refused
    names : C, in the order of the classes; one may be "neutral"

    Raises
    ------
    DataError
        If the lengths differ, there is no row, or a value is no class.
    """
    table = confusion_matrix(actual, said, classes=len(names))
    came, told, right = table.sum(axis=1), table.sum(axis=0), np.diag(table)
    total = int(table.sum())
    blank = np.full(len(names), np.nan)
    precision = np.divide(right, told, out=blank.copy(), where=told > 0)
    recall = np.divide(right, came, out=blank.copy(), where=came > 0)
    f1 = np.divide(2.0 * right, came + told, out=blank, where=came > 0)
    neutral = float(came[names.index("neutral")] / total) if "neutral" in names else _NAN
    return ClassReport(
        names=names,
        confusion=table,
        precision=precision,
        recall=recall,
        f1=f1,
        count=total,
        accuracy=float(right.sum() / total),
        base_rate=float(came.max() / total),
        always_neutral=neutral,
        balanced_accuracy=float(np.nanmean(recall)),
        macro_f1=float(np.nanmean(f1)),
        matthews=_matthews(table),
    )


def _matthews(table: IntArray) -> float:
    total = float(table.sum())
    came, told = table.sum(axis=1).astype(np.float64), table.sum(axis=0).astype(np.float64)
    spread = math.sqrt((total**2 - float(came @ came)) * (total**2 - float(told @ told)))
    return (float(np.trace(table)) * total - float(came @ told)) / spread if spread > 0.0 else 0.0


def probability_scores(actual: ArrayLike, probabilities: ArrayLike) -> ProbabilityScores:
    """Return log loss and Brier score of class probabilities, beside those of the shares on the same rows.

    Parameters
    ----------
    actual : (M,), classes 0 to C - 1; NaN is refused
    probabilities : (M, C), each row summing to 1; NaN is refused

    Raises
    ------
    DataError
        If the shapes do not fit, a value is no class, or a row is no distribution.
    """
    table = np.asarray(probabilities, dtype=np.float64)
    if table.ndim != 2 or table.shape[1] < 2:
        raise DataError(f"expected probabilities of shape (rows, classes), received {table.shape}")
    came = _classes(actual, table.shape[1], "actual")
    if len(came) != len(table):
        raise DataError(f"expected {len(table)} outcomes, one for each row of probabilities, received {len(came)}")
    fit = (table >= 0.0).all(axis=1) & (np.abs(table.sum(axis=1) - 1.0) <= _SUM_TOLERANCE)
    wrong = np.flatnonzero(~fit)  # NaN fits nothing
    if len(wrong):
        row = int(wrong[0])
        raise DataError(
            f"expected probabilities >= 0 that sum to 1, received {table[row].tolist()} in row {row + 1}",
            row=row + 1,
            hint="leave rows without a forecast out, and norm the others",
        )
    one_hot = (came[:, None] == np.arange(table.shape[1])).astype(np.float64)
    share = one_hot.mean(axis=0)
    return ProbabilityScores(
        count=len(came),
        log_loss=float(-np.log(np.maximum(table[np.arange(len(came)), came], _LOWEST)).mean()),
        brier=float(((table - one_hot) ** 2).sum(axis=1).mean()),
        base_log_loss=float(-np.log(share[came]).mean()),
        base_brier=float(((share - one_hot) ** 2).sum(axis=1).mean()),
    )
