"""RandomForest: averaged quantile trees, the plain comparison to boosted ones (BASE-03).

1. Labels are standardised by ``scale * sqrt(h)``, less their drift and the explained part of the day's mean.
2. Each of many trees is grown on a random part of the rows, choosing at each tree among a random third of the features;
   a leaf holds the quantile of its rows, and the forest says the mean of its trees (LightGBM's "rf" boosting).
3. P50 is the centre as it stands: neither a linear part nor a share that validation rows would earn it, unlike
   ``QuantileTrees``. P10 and P90 are grown around it, and all levels are scaled on the calibration rows.

The average of quantiles is smoother than the quantile of a pooled leaf (quantile regression forests), and narrower in
the tails; the calibration rows make up for that.

References
----------
[Breiman2001] in docs/REFERENCES.md.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from foresail.core.errors import ConfigError
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.trees.boosting import BoostingSettings
from foresail.forecasting.trees.quantile_trees import QuantileTrees, TreeSettings

__all__ = ["ForestSettings", "RandomForest"]


@dataclass(frozen=True, slots=True)
class ForestSettings:
    """Settings of ``RandomForest``.

    Attributes
    ----------
    max_rows : above it, training rows are those whose time position is a multiple of a stride
    trees : of each quantile
    leaves : at most, per tree
    leaf_share, leaf_rows : fewest rows in a leaf, the larger of a share of the training rows and a number
    row_share, feature_share : drawn for each tree
    """

    max_rows: int = 30_000
    trees: int = 200
    leaves: int = 63
    leaf_share: float = 0.005
    leaf_rows: int = 20
    row_share: float = 0.6
    feature_share: float = 1 / 3

    def __post_init__(self) -> None:
        for name in ("max_rows", "trees", "leaf_rows"):
            if getattr(self, name) < 1:
                raise ConfigError(f"expected {name} >= 1, received {getattr(self, name)}")
        if self.leaves < 2:
            raise ConfigError(f"expected leaves >= 2, received {self.leaves}")
        for name in ("leaf_share", "row_share", "feature_share"):
            if not 0.0 < getattr(self, name) < 1.0:
                raise ConfigError(f"expected 0 < {name} < 1, received {getattr(self, name)}")

    @property
    def grown(self) -> TreeSettings:
        """The same as settings of the trees of each quantile."""
        each = BoostingSettings(
            trees=self.trees,
            leaves=self.leaves,
            leaf_share=self.leaf_share,
            leaf_rows=self.leaf_rows,
            row_share=self.row_share,
            bag_rows=self.max_rows,
            feature_share=self.feature_share,
        )
        return TreeSettings(max_rows=self.max_rows, centre=each, spread=each)


class RandomForest(QuantileTrees):
    """Averaged quantile trees of standardised log returns; see the module."""

    _KIND: ClassVar[str] = "random_forest"
    _LINEAR: ClassVar[str] = "none"
    _AVERAGED: ClassVar[bool] = True

    def __init__(self, spec: ForecasterSpec, settings: ForestSettings | None = None) -> None:
        super().__init__(spec, (ForestSettings() if settings is None else settings).grown)
