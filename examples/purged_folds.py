"""Cross-validation that purges, and a selection that is made inside each fold."""

import numpy as np

from foresail.domain.spans import LabelSpans
from foresail.features.transforms import Fold, Pipeline, RobustScaler, SelectKBest
from foresail.measures.splits import CombinatorialPurged

rng = np.random.default_rng(0)
x = rng.normal(size=(1_000, 8))
y = 0.2 * x[:, 2] + rng.normal(size=1_000)
start = np.arange(1_000)
spans = LabelSpans(start, start + 5)  # decided at t, known at t + 5
for split in CombinatorialPurged(groups=6, test_groups=2).split(spans):
    steps = Pipeline((RobustScaler(), SelectKBest(k=2, score="spearman")))
    fitted = steps.fit(x, split.train, Fold.of_rows(split.train), labels=y)
    print(len(split.train), len(split.test), fitted.outputs)
