"""Many variants on one record: how much of the best one is choice, and which of them really beat the comparator.

1. Probability of overfitting by CSCV, from ten variants on: how often the winner in sample falls below the median.
2. SPA: does any variant beat the comparator; StepM: which of them do, right about all at once with 95 %.
3. The variants that cannot be told from the best at 10 % (model confidence set).

A loss is the return foregone: comparator less variant.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import DataError
from foresail.domain.runs import Interval
from foresail.measures.bootstrap import BootstrapSettings, sharpe_interval
from foresail.measures.confidence_set import MINIMUM_DATES, model_confidence_set
from foresail.measures.honesty import MINIMUM_VARIANTS, probability_of_overfitting
from foresail.measures.superiority import superior_models, superior_predictive_ability

__all__ = ["VariantReport", "VariantRow", "judge_variants", "overfitting_of"]

_BLOCKS = 16
_FEWEST_PER_BLOCK = 4


@dataclass(frozen=True, slots=True)
class VariantRow:
    """One variant: annualised Sharpe ratio of its difference to the comparator, and what the tests say of it."""

    name: str
    sharpe: Interval
    annual_difference: float
    beats_comparator: bool
    in_confidence_set: bool | None


@dataclass(frozen=True, slots=True)
class VariantReport:
    """The variants of one record.

    Attributes
    ----------
    rows : the highest Sharpe ratio first
    sharpes : per bar, of the differences, in the order of the file; for the hurdle of the deflated Sharpe ratio
    overfitting : probability, None where undefined; ``overfitting_text`` says why, or on how many splits it rests
    superior_p_value : SPA, that no variant beats the comparator; NaN where too short
    """

    rows: tuple[VariantRow, ...]
    sharpes: tuple[float, ...]
    overfitting: float | None
    overfitting_text: str
    superior_p_value: float
    best: str


def overfitting_of(returns: Sequence[FloatArray]) -> tuple[float | None, str]:
    """Return the probability of overfitting of variants on the same bars, or None, with a sentence.

    Parameters
    ----------
    returns : V series of (T,)
    """
    count = len(returns)
    if count < MINIMUM_VARIANTS:
        return None, f"not defined: {count} variant{'s' if count != 1 else ''} on record, {MINIMUM_VARIANTS} are needed"
    length = len(returns[0])
    if length < _BLOCKS * _FEWEST_PER_BLOCK:
        return None, f"not defined: {length} bars are too few for {_BLOCKS} blocks"
    found = probability_of_overfitting(np.stack(returns, axis=1), blocks=_BLOCKS)
    return found.probability, f"of {len(found.logits):,} splits over {count} variants; at most 0.2 is asked"


def judge_variants(
    variants: Sequence[tuple[str, FloatArray]], comparator: FloatArray, *, bars_per_year: float, seed: int
) -> VariantReport:
    """Return what the variants of a record show together.

    Parameters
    ----------
    variants : (name, (T,) simple return per bar), two at least
    comparator : (T,), 1/N of the same names, or zeros

    Raises
    ------
    DataError
        If there are fewer than two variants or the lengths differ.
    """
    if len(variants) < 2:
        raise DataError(f"expected at least two variants, received {len(variants)}")
    names = [name for name, _ in variants]
    table = np.stack([values for _, values in variants], axis=1) - comparator[:, None]
    settings = BootstrapSettings(draws=1000, seed=seed, minimum_block=5)
    spread = table.std(axis=0, ddof=1)
    sharpes = np.divide(table.mean(axis=0), spread, out=np.zeros(len(names)), where=spread > 1e-15)
    zero = np.zeros(len(table))
    better = superior_models(zero, -table, settings)
    superior = superior_predictive_ability(zero, -table, settings)
    kept = _confidence_set(-table, settings)
    rows = [
        VariantRow(
            name,
            sharpe_interval(table[:, i], bars_per_year=bars_per_year, settings=settings),
            float(table[:, i].mean()) * bars_per_year,
            bool(better[i]),
            None if kept is None else i in kept,
        )
        for i, name in enumerate(names)
    ]
    overfitting, text = overfitting_of([table[:, i] for i in range(len(names))])
    order = np.argsort(-sharpes, kind="stable").tolist()
    return VariantReport(
        tuple(rows[i] for i in order),
        tuple(sharpes.tolist()),
        overfitting,
        text,
        superior.p_value,
        names[int(superior.best)],
    )


def _confidence_set(losses: FloatArray, settings: BootstrapSettings) -> set[int] | None:
    """Return the variants that cannot be told from the best at 10 %; None on a record too short to say."""
    if len(losses) < MINIMUM_DATES:
        return None
    return set(np.flatnonzero(model_confidence_set(losses, settings=settings).included).tolist())
