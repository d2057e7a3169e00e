"""What trivial forecasters would have said on the same rows (BASE-05, BASE-07): the hurdle of every model.

They go through the same walk-forward as the model: same folds, same calibration, nothing known too early. They need
the last return only, so they are fitted on that one feature and on the close. What they learn (a mean, a shape) hardly
moves, so where the model has many folds they are refitted at every k-th border only. A network, which takes far longer
to fit, is compared with ridge and quantile trees on its own features as well (BASE-03). What the settings name beside
the model (BASE-09) has its features, their scaling and selection, its rhythm of refits, and the options that both have.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.domain.panel import Panel
from foresail.engine.pipeline import PipelineResult, prepare
from foresail.engine.settings import InputSettings, PipelineSettings
from foresail.engine.walkforward import walk_forward
from foresail.evaluation.paired import PairedTest
from foresail.forecasting.baselines import RETURN_FEATURE
from foresail.forecasting.options import shared_options
from foresail.forecasting.registry import FORECASTERS
from foresail.service.report_paired import paired_on, pinball_rows
from foresail.service.report_scores import Score, score_all

__all__ = ["BASELINES", "LEARNING_BASELINES", "BaselineScore", "baseline_scores", "refit_every"]

_MOST_FOLDS = 8
_NETWORKS = "neural."  # module of the forecasters that are compared with the learning baselines too (BASE-03)

# registry name -> what a reader calls it
BASELINES: tuple[tuple[str, str], ...] = (
    ("no_change", "no change"),
    ("drift", "drift"),
    ("calendar", "calendar only"),
    ("last_direction", "last direction"),
    ("ewma_volatility", "exponential volatility"),
    ("har_volatility", "HAR volatility"),
)
LEARNING_BASELINES: tuple[tuple[str, str], ...] = (("ridge", "ridge"), ("quantile_trees", "quantile trees"))


@dataclass(frozen=True, slots=True, eq=False)
class BaselineScore:
    """One baseline at one horizon, on the rows on which the model forecast as well.

    Attributes
    ----------
    loss : (N, P), mean pinball loss of each forecast; NaN where there is none or no outcome
    paired : the model against it on the same rows
    """

    key: str
    name: str
    score: Score
    loss: FloatArray
    paired: PairedTest | None


def baseline_scores(result: PipelineResult, realised: FloatArray) -> tuple[BaselineScore, ...]:
    """Return the accuracy of each baseline for the close, every horizon.

    Parameters
    ----------
    realised : (N, P, K, H), see ``report_scores.outcomes``
    """
    block = result.walk.block
    made = np.isfinite(block.values[:, :, :1]).all(axis=-1, keepdims=True)
    ours = [pinball_rows(block, realised, step) for step in range(len(block.horizons))]
    features = _last_return(result)
    targets = replace(
        result.prepared.targets,
        values=np.ascontiguousarray(result.prepared.targets.values[:, :, :1]),
        names=result.prepared.targets.names[:1],
    )
    found = []
    for key, name, settings in _compared(result):
        read = features if key in dict(BASELINES) else result.prepared.features
        walk = walk_forward(read, targets, result.prepared.scale, settings)
        same_rows = replace(walk.block, values=np.where(made, walk.block.values, np.nan))
        scores = score_all(same_rows, realised[:, :, :1], seed=result.settings.seed)
        for step, one in enumerate(scores):
            loss = pinball_rows(same_rows, realised, step)
            paired = paired_on(block, ours[step], loss, step, name=name, seed=result.settings.seed)
            found.append(BaselineScore(key, name, one, loss, paired))
    return tuple(found)


def _compared(result: PipelineResult) -> list[tuple[str, str, PipelineSettings]]:
    """Return key, name and settings of all that the model is compared with."""
    own = result.settings
    rhythm = replace(own.walk_forward, refit_bars=refit_every(result) * own.walk_forward.refit_bars)
    plain = InputSettings(selection="none")  # what is done to the inputs of the model is no part of a baseline
    trivial = replace(own, walk_forward=rhythm, forecaster_options=(), inputs=plain)
    network = FORECASTERS.get(own.forecaster, ("",))[0].startswith(_NETWORKS)
    chosen = {key: (name, trivial) for key, name in (*BASELINES, *(LEARNING_BASELINES if network else ()))}
    for key in own.beside:
        if key not in dict(BASELINES):
            options = shared_options(key, dict(own.forecaster_options))
            name = dict(LEARNING_BASELINES).get(key, key.replace("_", " "))
            chosen[key] = (name, replace(own, forecaster_options=tuple(sorted(options.items()))))
    chosen.pop(own.forecaster, None)
    return [(key, name, replace(settings, forecaster=key)) for key, (name, settings) in chosen.items()]


def refit_every(result: PipelineResult) -> int:
    """Return at how many of the model's refits baselines are refitted once."""
    return max(1, math.ceil(len(result.walk.folds) / _MOST_FOLDS))


def _last_return(result: PipelineResult) -> Panel:
    """Return the panel of the last bar's return alone, (N, T, 1)."""
    features = result.prepared.features
    if RETURN_FEATURE not in features.fields:
        features = prepare(result.data, replace(result.settings, features=(RETURN_FEATURE,))).features
    column = features.field(RETURN_FEATURE)[:, :, None]
    return replace(features, values=np.ascontiguousarray(column), fields=(RETURN_FEATURE,))
