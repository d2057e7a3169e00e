"""What trivial forecasters would have said on the same rows (BASE-05, BASE-07): the hurdle of every model.

They go through the same walk-forward as the model: same folds, same calibration, nothing known too early. They need
the last return only, so they are fitted on that one feature and on the close. What they learn (a mean, a shape) hardly
moves, so where the model has many folds they are refitted at every k-th border only. A network, which takes far longer
to fit, is compared with ridge and quantile trees on its own features as well (BASE-03). What the settings name beside
the model (BASE-09) has its features, their scaling and selection, its rhythm of refits, and the options that both have;
it decides nothing. What cannot be fitted is left out and named: a run is not lost for want of a comparison.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import CapabilityError, DataError, LookAheadError, ModelError
from foresail.domain.panel import Panel
from foresail.engine.pipeline import PipelineResult, feature_inputs, prepare
from foresail.engine.settings import InputSettings, MarketData, PipelineSettings
from foresail.engine.walkforward import walk_forward
from foresail.evaluation.paired import PairedTest
from foresail.features.selection import without_groups
from foresail.forecasting.baselines import RETURN_FEATURE
from foresail.forecasting.options import build_forecaster, shared_options, trial_spec
from foresail.forecasting.registry import FORECASTERS
from foresail.service.report_paired import paired_on, pinball_rows
from foresail.service.report_scores import Score, score_all

__all__ = [
    "BASELINES",
    "LEARNING_BASELINES",
    "BaselineScore",
    "LeftOut",
    "baseline_scores",
    "check_beside",
    "refit_every",
]

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
    chosen : named beside the model by its user, so that it has no part in the acceptance
    """

    key: str
    name: str
    score: Score
    loss: FloatArray
    paired: PairedTest | None
    chosen: bool = False


@dataclass(frozen=True, slots=True)
class LeftOut:
    """A forecaster that could not be fitted, with the sentence that says so; ``chosen`` as in ``BaselineScore``."""

    key: str
    text: str
    chosen: bool


@dataclass(frozen=True, slots=True)
class _Compared:
    """One forecaster to compare with: ``settings`` of its walk-forward."""

    key: str
    name: str
    settings: PipelineSettings
    chosen: bool


def check_beside(data: MarketData, settings: PipelineSettings) -> None:
    """Refuse a forecaster beside the model that cannot read the features which these data give.

    Raises
    ------
    CapabilityError
        Naming the feature that it needs.
    """
    asked = [key for key in settings.beside if key not in dict(BASELINES)]  # those read the last return alone
    if not asked:
        return
    _, specs, _ = feature_inputs(data, settings.features)
    names = tuple(without_groups([one.name for one in specs], settings.inputs.without))
    for key in asked:
        spec = replace(trial_spec(key, settings.horizons), features=names)
        build_forecaster(key, spec, shared_options(key, dict(settings.forecaster_options)))


def baseline_scores(
    result: PipelineResult, realised: FloatArray
) -> tuple[tuple[BaselineScore, ...], tuple[LeftOut, ...]]:
    """Return the accuracy of each baseline for the close, every horizon, and what could not be fitted.

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
    found, left_out = [], []
    for other in _compared(result):
        read = features if other.key in dict(BASELINES) else result.prepared.features
        try:
            walk = walk_forward(read, targets, result.prepared.scale, other.settings)
        except LookAheadError:
            raise
        except (CapabilityError, DataError, ModelError) as e:
            text = f"{other.name} is left out of the comparison: {e.text}"
            left_out.append(LeftOut(other.key, text, other.chosen))
            continue
        same_rows = replace(walk.block, values=np.where(made, walk.block.values, np.nan))
        scores = score_all(same_rows, realised[:, :, :1], seed=result.settings.seed)
        for step, one in enumerate(scores):
            loss = pinball_rows(same_rows, realised, step)
            paired = paired_on(block, ours[step], loss, step, name=other.name, seed=result.settings.seed)
            found.append(BaselineScore(other.key, other.name, one, loss, paired, other.chosen))
    return tuple(found), tuple(left_out)


def _compared(result: PipelineResult) -> list[_Compared]:
    """Return all that the model is compared with; what is a baseline anyway stays one, named beside it or not."""
    own = result.settings
    rhythm = replace(own.walk_forward, refit_bars=refit_every(result) * own.walk_forward.refit_bars)
    plain = InputSettings(selection="none")  # what is done to the inputs of the model is no part of a baseline
    trivial = replace(own, walk_forward=rhythm, forecaster_options=(), inputs=plain)
    model = FORECASTERS.get(own.forecaster, ("", ""))
    usual = (*BASELINES, *(LEARNING_BASELINES if model[0].startswith(_NETWORKS) else ()))
    found = {key: _Compared(key, name, replace(trivial, forecaster=key), chosen=False) for key, name in usual}
    for key in own.beside:
        if key not in found:
            options = shared_options(key, dict(own.forecaster_options))
            settings = replace(own, forecaster=key, forecaster_options=tuple(sorted(options.items())))
            name = dict(LEARNING_BASELINES).get(key, key.replace("_", " "))
            found[key] = _Compared(key, name, settings, chosen=True)
    # A forecaster of two names would be compared with itself under the other one.
    return [one for one in found.values() if FORECASTERS[one.key] != model]


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
