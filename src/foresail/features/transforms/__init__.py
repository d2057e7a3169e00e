"""Transforms that are bound to their fold: asked to learn from a row outside it, they refuse.

``fold`` has the guard, ``base`` what an author inherits, ``records`` the kinds and their JSON. A new transform is one
class with ``learn`` and ``apply`` and one line in ``records``; the contract suite then tests it.
"""

from __future__ import annotations

from foresail.features.transforms.base import Fitted, FoldBound, Lesson, State, Transform
from foresail.features.transforms.categories import CategoryColumns
from foresail.features.transforms.components import PCA
from foresail.features.transforms.encoders import OneHotEncoder, OrdinalEncoder
from foresail.features.transforms.fold import Fold, FoldMark
from foresail.features.transforms.foreign import Bound, bind
from foresail.features.transforms.forest import ForestImportance, RecursiveElimination
from foresail.features.transforms.gaps import DropSparse, ForwardFill, MedianImputer
from foresail.features.transforms.per_instrument import InstrumentScaler
from foresail.features.transforms.pipeline import Pipeline
from foresail.features.transforms.records import KINDS, from_record, read_transform, to_record, write_transform
from foresail.features.transforms.scalers import RankGauss, RobustScaler, StandardScaler
from foresail.features.transforms.selection import DropCorrelated, SelectKBest
from foresail.features.transforms.threshold import ThresholdChoice

__all__ = [
    "KINDS",
    "PCA",
    "Bound",
    "CategoryColumns",
    "DropCorrelated",
    "DropSparse",
    "Fitted",
    "Fold",
    "FoldBound",
    "FoldMark",
    "ForestImportance",
    "ForwardFill",
    "InstrumentScaler",
    "Lesson",
    "MedianImputer",
    "OneHotEncoder",
    "OrdinalEncoder",
    "Pipeline",
    "RankGauss",
    "RecursiveElimination",
    "RobustScaler",
    "SelectKBest",
    "StandardScaler",
    "State",
    "ThresholdChoice",
    "Transform",
    "bind",
    "from_record",
    "read_transform",
    "to_record",
    "write_transform",
]
