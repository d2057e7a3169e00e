"""How the classes are spread over train, validation and test (TRAIN-04)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import IntArray
from foresail.core.errors import DataError

__all__ = ["IMBALANCED", "ClassBalance", "class_balance"]

IMBALANCED = 1.5  # largest over smallest class, above which a warning is due


@dataclass(frozen=True, slots=True)
class ClassBalance:
    """Counts of one part.

    Attributes
    ----------
    counts : rows of each class, in the order of the names
    shares : fraction of all rows
    imbalance : largest over smallest count
    warning : empty where the classes are balanced
    """

    part: str
    names: tuple[str, ...]
    counts: tuple[int, ...]
    shares: tuple[float, ...]
    imbalance: float
    warning: str


def class_balance(parts: Mapping[str, IntArray], names: Sequence[str]) -> tuple[ClassBalance, ...]:
    """Return the class counts of each part.

    Parameters
    ----------
    parts : "train", "validation", "test" ... -> (n,) classes, 0 to C - 1
    names : C

    Raises
    ------
    DataError
        If a class does not occur in a part, or a number is no class.
    """
    return tuple(_one(part, np.asarray(classes), tuple(names)) for part, classes in parts.items())


def _one(part: str, classes: IntArray, names: tuple[str, ...]) -> ClassBalance:
    if len(classes) and not (classes.min() >= 0 and classes.max() < len(names)):
        raise DataError(f"{part}: expected classes 0 to {len(names) - 1}, received {classes.min()} to {classes.max()}")
    counts = np.bincount(classes, minlength=len(names)) if len(classes) else np.zeros(len(names), dtype=np.int64)
    absent = [name for name, count in zip(names, counts, strict=True) if count == 0]
    if absent:
        raise DataError(
            f"{part}: none of the {len(classes)} rows is of class {', '.join(absent)}",
            hint="take a longer period, move the thresholds of the classes, or join classes",
        )
    imbalance = float(counts.max() / counts.min())
    told = f"{part}: the largest class is {imbalance:.2f} times the smallest; weight the classes or the loss"
    return ClassBalance(
        part,
        names,
        tuple(int(c) for c in counts),
        tuple(float(c / len(classes)) for c in counts),
        imbalance,
        told if imbalance > IMBALANCED else "",
    )
