"""Which features a model is given (SEL-01 to 07, 10, 11): chosen inside each training fold, and how stable that is.

1. ``selector`` is the chain of SEL-06: twins out, then the most important for a forest, then, if asked, elimination
   round by round. The F-test is there for comparison. Every step is bound to its fold.
2. Fixed sets are used whole; ``multi`` is reduced to 50. Both can be asked for otherwise.
3. ``select_over_folds`` fits the chain on the training rows of each fold and tells in what share of the folds a
   feature was kept. A feature that is kept by chance in one fold shows as such.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from foresail.core.arrays import FloatArray, IntArray
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.domain.panel import Panel
from foresail.features.catalogue import CATALOGUE, find
from foresail.features.declared.sets import FEATURE_SETS, members_of
from foresail.features.transforms.base import FoldBound
from foresail.features.transforms.fold import Fold
from foresail.features.transforms.forest import TASKS, ForestImportance, RecursiveElimination
from foresail.features.transforms.pipeline import Pipeline
from foresail.features.transforms.selection import DropCorrelated, SelectKBest

__all__ = [
    "METHODS",
    "SWITCHES",
    "SelectionPlan",
    "SelectionSettings",
    "Stability",
    "default_selection",
    "plan_selection",
    "select_over_folds",
    "selector",
    "without_groups",
]

METHODS = ("default", "default+elimination", "forest", "f_test", "correlation", "elimination", "none")

# SEL-11: groups that are switched as a whole, to test what they are claimed to be worth.
SWITCHES: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {"sentiment": ("sentiment", "social"), "order_flow": ("book", "flow")}
)


@dataclass(frozen=True, slots=True)
class SelectionSettings:
    """How features are chosen.

    Attributes
    ----------
    method : "default" (SEL-06), "default+elimination" (its forest hands twice as many to recursive elimination),
        "forest", "f_test" (of variance where the task is classes), "correlation", "elimination" or "none"
    k : features kept
    limit : absolute correlation above which one of two features goes
    task : "regression" or "classes"
    trees : of each forest
    seed : of each forest
    """

    method: str = "default"
    k: int = 50
    limit: float = 0.95
    task: str = "regression"
    trees: int = 100
    seed: int = 0

    def __post_init__(self) -> None:
        if self.method not in METHODS:
            raise UnknownNameError("method of selection", self.method, METHODS)
        if self.task not in TASKS:
            raise UnknownNameError("task of a selection", self.task, TASKS)
        if self.k < 1:
            raise ConfigError(f"expected at least one feature to keep, received {self.k}")


def default_selection(set_name: str) -> SelectionSettings:
    """Return the selection of a set: none for a fixed one, 50 features of ``multi`` (SEL-10).

    Raises
    ------
    UnknownNameError
        If there is no such set.
    """
    if set_name not in FEATURE_SETS:
        raise UnknownNameError("feature set", set_name, FEATURE_SETS)
    return SelectionSettings(method="none" if FEATURE_SETS[set_name].fixed else "default")


@dataclass(frozen=True, slots=True)
class SelectionPlan:
    """What is selected from what.

    Attributes
    ----------
    settings : of the selection
    free : features that it chooses from, in the order of the columns; the others stay
    """

    settings: SelectionSettings
    free: tuple[str, ...]


def plan_selection(
    asked: Sequence[str], fields: Sequence[str], method: str, *, k: int = 50, seed: int = 0
) -> SelectionPlan | None:
    """Return what is selected from the features of sets and names that were asked for; None where all of them stay.

    Parameters
    ----------
    asked : sets and features; none of them = the default set
    fields : features that the data give
    method : of ``METHODS``, which then chooses from all of them; "" = as each set says (SEL-10): what stands in a
        fixed set or was named stays, the rest is reduced

    Raises
    ------
    UnknownNameError
        If there is no such method.
    """
    if method:
        settings = SelectionSettings(method, k, seed=seed)
        return None if method == "none" else SelectionPlan(settings, tuple(fields))
    ruled = {name: default_selection(name) for name in asked if name in FEATURE_SETS}
    reduced = {name for name, rule in ruled.items() if rule.method != "none"}
    if not reduced:
        return None
    fixed = {find(member).name for one in asked if one not in reduced for member in _members(one)}
    settings = SelectionSettings(k=k, seed=seed)
    return SelectionPlan(settings, tuple(name for name in fields if name not in fixed))


def _members(name: str) -> set[str]:
    """Return the features of a set with the variants of every class, or the feature itself."""
    classes = (None, *AssetClass)
    return {one for asset_class in classes for one in members_of((name,), asset_class)}


def selector(settings: SelectionSettings) -> FoldBound | None:
    """Return the transform that selects, not yet fitted; None where all features stay."""
    if settings.method == "none":
        return None
    if settings.method == "forest":
        return _forest(ForestImportance, settings.k, settings)
    if settings.method == "elimination":
        return _forest(RecursiveElimination, settings.k, settings)
    if settings.method == "f_test":
        return SelectKBest(k=settings.k, score="anova" if settings.task == "classes" else "f_test")
    twins = DropCorrelated(
        limit=settings.limit, keep="important", trees=settings.trees, task=settings.task, seed=settings.seed
    )
    if settings.method == "correlation":
        return twins
    eliminate = settings.method == "default+elimination"
    steps: list[FoldBound] = [twins, _forest(ForestImportance, settings.k * (1 + eliminate), settings)]
    if eliminate:
        steps.append(_forest(RecursiveElimination, settings.k, settings))
    return Pipeline(tuple(steps))


def _forest(kind: type[ForestImportance], k: int, settings: SelectionSettings) -> ForestImportance:
    return kind(k=k, trees=settings.trees, task=settings.task, seed=settings.seed)


def without_groups(names: Sequence[str], switched_off: Sequence[str]) -> tuple[str, ...]:
    """Return the names without whole groups (SEL-11), in order.

    Parameters
    ----------
    names : features or aliases; columns that are no features (marks of missing values) go with their feature
    switched_off : "sentiment", "order_flow", or groups of the catalogue

    Raises
    ------
    UnknownNameError
        If a group or a feature is not known.
    """
    groups = {spec.group for spec in CATALOGUE.values()}
    off: set[str] = set()
    for one in switched_off:
        if one not in SWITCHES and one not in groups:
            raise UnknownNameError("group of features", one, sorted({*SWITCHES, *groups}))
        off.update(SWITCHES.get(one, (one,)))
    return tuple(name for name in names if find(name.removeprefix("missing:")).group not in off)


@dataclass(frozen=True, slots=True, eq=False)
class Stability:
    """How a selection fared over folds (SEL-07).

    Attributes
    ----------
    fields : F features that were chosen from
    kept : (folds, F) whether a fold kept a feature
    """

    fields: tuple[str, ...]
    kept: NDArray[np.bool_]

    @property
    def share(self) -> Mapping[str, float]:
        """Return feature -> share of the folds that keep it, the most stable first, then by name."""
        shares = self.kept.mean(axis=0)
        order = sorted(range(len(self.fields)), key=lambda j: (-shares[j], self.fields[j]))
        return MappingProxyType({self.fields[j]: float(shares[j]) for j in order})

    @property
    def agreement(self) -> float:
        """Return the mean overlap of two folds: features kept by both over features kept by either; 1 for one fold."""
        pairs = [
            (self.kept[a] & self.kept[b]).sum() / max(int((self.kept[a] | self.kept[b]).sum()), 1)
            for a in range(len(self.kept))
            for b in range(a)
        ]
        return float(np.mean(pairs)) if pairs else 1.0

    def content(self) -> dict[str, object]:
        """Return folds, features kept on average, agreement, and the share of each feature, as plain data."""
        mean = float(self.kept.sum(axis=1).mean())
        return {"folds": len(self.kept), "kept": mean, "agreement": self.agreement, "share": dict(self.share)}

    def lines(self) -> tuple[str, ...]:
        """Return the report: one line for each feature that any fold kept."""
        folds = len(self.kept)
        head = f"{folds} folds kept {self.kept.sum(axis=1).mean():.1f} of {len(self.fields)} features, "
        rows = [f"  {name:<32} {share:>4.0%}" for name, share in self.share.items() if share > 0.0]
        return (f"{head}two of them agree on {self.agreement:.0%}", *rows)


def select_over_folds(
    values: Panel | FloatArray, labels: FloatArray, folds: Sequence[tuple[IntArray, Fold]], chain: FoldBound
) -> tuple[tuple[FoldBound, ...], Stability]:
    """Return the selection fitted on each fold, and how stable it is.

    Parameters
    ----------
    values : (N, T, F) panel or array
    labels : (N, T)
    folds : training rows and fold of each
    chain : what ``selector`` returned

    Raises
    ------
    ConfigError
        If there are no folds.
    LookAheadError
        If training rows stand outside their fold.
    """
    if not folds:
        raise ConfigError("a stability report needs at least one fold, received none")
    fitted = tuple(chain.fit(values, rows, fold, labels=labels) for rows, fold in folds)
    fields = values.fields if isinstance(values, Panel) else tuple(f"f{j}" for j in range(values.shape[-1]))
    kept = np.array([[name in one.outputs for name in fields] for one in fitted], dtype=np.bool_)
    return fitted, Stability(fields, kept)
