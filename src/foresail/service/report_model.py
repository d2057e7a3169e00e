"""The model card (EVAL-07, REP-05): what was fitted, on what, how well it did, and where it should not be trusted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from foresail.core.canonical import hash_value, plain
from foresail.domain.model_card import MODEL_CARD_FORMAT, MODEL_CARD_KEYS, MODEL_CARD_VERSION
from foresail.reporting.figures import day, interval, percent, scientific, share
from foresail.reporting.model import Absent
from foresail.reporting.run_card import ModelCard
from foresail.service.finished import Finished
from foresail.service.report_figures import Figures, figures
from foresail.service.report_forecaster import acceptance_of, run_calibration
from foresail.service.report_scores import Score

__all__ = ["model_card", "model_document"]

_SETTINGS = {
    "quantile_trees": (
        ("Quantiles fitted", "P10, P50, P90; the others by conformal scaling"),
        ("Trees", "at most 200, stopped early on the newest part of the training window"),
    ),
    "random_forest": (
        ("Quantiles fitted", "P10, P50, P90; the others by conformal scaling"),
        ("Trees", "200, averaged; none of them is weighed by the validation part"),
    ),
    "ridge": (("Fit", "ridge regression of the centre, strength by blocked cross-validation; residual quantiles"),),
}


def model_card(finished: Finished, shown: Figures) -> ModelCard | Absent:
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
            (
                "Features",
                f"{len(result.prepared.features.fields)}, SHA-256 of their names "
                f"{hash_value(list(result.prepared.features.fields))[:16]}",
            ),
            *((("Notes of the newest fit", "; ".join(report.notes)),) if report is not None and report.notes else ()),
        ),
        importance=_importance(finished),
        data_from=int(ends[min(fold.fold.train_from for fold in fitted)]),
        data_to=int(ends[newest.fold.test_from - 1]),
        seed=result.settings.seed,
        limits=_limits(finished),
        intended_use=_intended_use(finished),
        training=_training(finished),
        splits=_splits(finished),
        metrics=tuple(row for one in shown.scores if one.target == "close" and one.forecasts for row in _metrics(one)),
        acceptance=acceptance_of(finished, shown),
        trials=finished.trials.n,
        selection=() if result.walk.stability is None else tuple(result.walk.stability.share.items()),
        features_hash=hash_value(list(result.prepared.features.fields)),
    )


def model_document(finished: Finished) -> dict[str, Any]:
    """Return the content of ``model.json``: the card as plain data, its figures with intervals."""
    shown = figures(finished)
    card = model_card(finished, shown)
    if isinstance(card, Absent):
        absent = {path.removesuffix("[]"): None for path, *_ in MODEL_CARD_KEYS}
        return absent | {"format": MODEL_CARD_FORMAT, "version": MODEL_CARD_VERSION, "reason": card.reason}
    result = finished.result
    scores = [one for one in shown.scores if one.forecasts]
    document = {
        "format": MODEL_CARD_FORMAT,
        "version": MODEL_CARD_VERSION,
        "reason": None,
        "model": {"name": card.name, "version": card.version, "settings": dict(card.settings)},
        "data": {
            "from": card.data_from,
            "to": card.data_to,
            "instruments": result.data.bars.instruments,
            "frame": result.data.bars.frame,
            "price_basis": result.data.bar_set.price_basis,
            "universe_basis": result.data.bar_set.universe_basis,
        },
        "features": {
            "names": result.prepared.features.fields,
            "sha256": card.features_hash,
            **({} if result.walk.stability is None else {"selection": result.walk.stability.content()}),
        },
        "seed": card.seed,
        "splits": [dict(zip(("fold", "trained", "served", "rows", "purged"), row, strict=True)) for row in card.splits],
        "metrics": scores,
        "calibration": [run_calibration(result, step) for step in range(len(result.walk.block.horizons))],
        "paired": [one.paired for one in shown.baselines],
        "acceptance": card.acceptance,
        "intended_use": card.intended_use,
        "training": card.training,
        "limits": card.limits,
        "importance": dict(card.importance),
        "trials": card.trials,
    }
    found: dict[str, Any] = plain(document)
    return found


def _intended_use(finished: Finished) -> str:
    bars = finished.result.data.bars
    horizons = ", ".join(map(str, finished.result.walk.block.horizons))
    return (
        f"Intended use: ranges of returns {horizons} bars ahead on {bars.frame} bars of the {len(bars.instruments)} "
        "instruments named here, refitted as described. Not intended for other frames, for instruments it was not "
        "trained on, or as advice."
    )


def _training(finished: Finished) -> tuple[str, ...]:
    """Return the training curves of every fold, or what the notes of the newest fit tell of its rounds."""
    stability = finished.result.walk.stability
    chosen = () if stability is None else (f"Selection of features: {stability.lines()[0]}.",)
    curves = [
        f"Training curves of fold {fold.fold.index + 1}, train / validation loss by epoch: "
        f"{_curve(fold.report.history)}."
        for fold in finished.result.walk.folds
        if fold.report is not None and fold.report.history
    ]
    if curves:
        return (*chosen, *curves)
    told = [
        (fold.fold.index + 1, note)
        for fold in finished.result.walk.folds
        if fold.report is not None
        for note in fold.report.notes
    ]
    if not told:
        return (
            *chosen,
            "Training curves: none; this model is fitted in one step and records no loss by round.",
        )
    return (
        *chosen,
        f"Training curves are not kept; the newest fit says: {told[-1][1]}.",
    )


def _curve(history: Mapping[str, Sequence[float]]) -> str:
    pairs = zip(history["train_loss"], history["validation_loss"], strict=True)
    return ", ".join(f"{learnt:.4g} / {held:.4g}" for learnt, held in pairs)


def _splits(finished: Finished) -> tuple[tuple[str, ...], ...]:
    result = finished.result
    bars, longest = result.data.bars, max(result.walk.block.horizons, default=1)
    rows = []
    for one in result.walk.folds:
        fold, report = one.fold, one.report
        if report is None:
            continue
        borders = (fold.validation_from, fold.calibration_from, fold.test_from)
        purged = sum(int(bars.present[:, max(0, end - longest) : end].sum()) for end in borders)
        rows.append((
            str(fold.index + 1),
            f"{day(int(bars.end[fold.train_from]))} to {day(int(bars.end[fold.test_from - 1]))}",
            f"{day(int(bars.end[fold.test_from]))} to {day(int(bars.end[fold.test_to - 1]))}",
            f"{report.train_rows:,}",
            f"{purged:,}",
        ))  # fmt: skip
    return tuple(rows)


def _metrics(one: Score) -> list[tuple[str, str]]:
    ahead = f"{one.horizon} bar{'s' if one.horizon > 1 else ''} ahead"
    return [
        (f"Mean pinball loss, {ahead}", scientific(one.pinball)),
        (f"Coverage of P10 to P90, {ahead} (0.8 is promised)", share(one.coverage)),
        (f"Rank correlation, {ahead}", interval(one.rank_ic, "number", 3)),
        (f"Right sign, {ahead} (base rate {percent(one.base_rate)})", percent(one.hit_rate)),
        (f"Mean absolute error, {ahead} (no change {scientific(one.no_change_mae)})", scientific(one.mae)),
    ]


def _importance(finished: Finished) -> tuple[tuple[str, float], ...]:
    """Return the mean share of each feature over the folds, the largest first."""
    reports = [fold.report for fold in finished.result.walk.folds if fold.report is not None]
    total: dict[str, float] = {}
    for report in reports:
        for feature, part in report.importance:
            total[feature] = total.get(feature, 0.0) + part / len(reports)
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
    if bar_set.universe_basis != "point_in_time":
        said.append("Names chosen afterwards or nobody knows how: it has never seen those that failed.")
    said.append("Known failures: regimes unlike those trained on, listings shorter than its features, halts and gaps.")
    said += [f"Fold {fold.fold.index + 1} has no model: {fold.reason}." for fold in skipped]
    return tuple(said)
