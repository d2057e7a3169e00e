"""The model card (REP-05): what was fitted, on what, with which settings, and where it should not be trusted."""

from __future__ import annotations

from foresail.reporting.figures import percent
from foresail.reporting.model import Absent, ModelCard
from foresail.service.finished import Finished

__all__ = ["model_card"]

_SETTINGS = {
    "quantile_trees": (
        ("Quantiles fitted", "P10, P50, P90; the others by conformal scaling"),
        ("Trees", "at most 200, stopped early on the newest part of the training window"),
    ),
    "ridge": (("Fit", "ridge regression of the centre, strength by blocked cross-validation; residual quantiles"),),
}


def model_card(finished: Finished) -> ModelCard | Absent:
    """Return the card of the models of all folds; versions are those of the newest one."""
    result = finished.result
    fitted = [fold for fold in result.walk.folds if fold.report is not None]
    if not fitted:
        reason = result.walk.folds[0].reason if result.walk.folds else "the history is shorter than the first window"
        return Absent(f"No model was fitted: {reason}.")
    walk, ends = result.settings.walk_forward, result.data.bars.end
    newest = fitted[-1]
    report = newest.report
    rows = 0 if report is None else report.train_rows
    return ModelCard(
        name=result.settings.forecaster,
        version=newest.model,
        settings=(
            *_SETTINGS.get(result.settings.forecaster, ()),
            ("Refits", f"{len(fitted)}, every {walk.refit_bars} bars; {rows:,} rows in the newest"),
            ("Training window", f"{walk.minimum_train_bars} to {walk.train_bars} bars"),
            (
                "Early stopping, calibration",
                f"newest {percent(walk.validation_share, 0)} and {percent(walk.calibration_share, 0)} of it",
            ),
            ("Conformal window", f"{walk.conformal_window} issue times"),
            ("Targets", ", ".join(result.walk.block.targets)),
            ("Features", f"{len(result.prepared.features.fields)}"),
            *((("Notes of the newest fit", "; ".join(report.notes)),) if report is not None and report.notes else ()),
        ),
        importance=_importance(finished),
        data_from=int(ends[min(fold.fold.train_from for fold in fitted)]),
        data_to=int(ends[newest.fold.test_from - 1]),
        seed=result.settings.seed,
        limits=_limits(finished),
    )


def _importance(finished: Finished) -> tuple[tuple[str, float], ...]:
    """Return the mean share of each feature over the folds, the largest first."""
    reports = [fold.report for fold in finished.result.walk.folds if fold.report is not None]
    total: dict[str, float] = {}
    for report in reports:
        for feature, share in report.importance:
            total[feature] = total.get(feature, 0.0) + share / len(reports)
    return tuple(sorted(total.items(), key=lambda item: (-item[1], item[0])))


def _limits(finished: Finished) -> tuple[str, ...]:
    result = finished.result
    bar_set = result.data.bar_set
    skipped = [fold for fold in result.walk.folds if fold.report is None]
    said = [
        f"Fitted on {bar_set.frame} bars of {len(result.data.bars.instruments)} {bar_set.asset_class.value} "
        "instruments; it says nothing of other frames or classes.",
        "It sees prices and volume of the set and its reference series: no news, no fundamentals, no order flow.",
    ]
    said += [f"Fold {fold.fold.index + 1} has no model: {fold.reason}." for fold in skipped]
    return tuple(said)
