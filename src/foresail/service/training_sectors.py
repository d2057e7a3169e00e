"""A base fine-tuned for sectors: each name is served by its sector, the rest by the base (MODEL-05)."""

from __future__ import annotations

from typing import Any

from foresail.domain.training import FitReport, TrainingSet
from foresail.forecasting.sectors import SectorNetworks, fine_tune
from foresail.protocols import Forecaster
from foresail.service.training_job import TrainJob

__all__ = ["parts_of", "tuned_for_sectors"]


def tuned_for_sectors(base: Forecaster, data: TrainingSet, job: TrainJob) -> tuple[SectorNetworks, FitReport]:
    """Return the forecaster with its sectors, and one report on all of them.

    Raises
    ------
    ModelError
        If a sector that was named has too little to learn from (TRAIN-06); of "all", only if every one has.
    """
    named = {one.strip() for one in (job.request.sector or "").split(",")}
    left: list[str] | None = None if named >= set(job.sectors) else []
    tuned = fine_tune(base, data, job.sectors, seed=job.seed, notes=left)
    told = tuned.reports
    notes = [f"{name}: {note}" for name in sorted(told) for note in told[name].notes]
    report = FitReport(
        model=tuned.version(),
        train_rows=len(data.train_rows),
        validation_rows=len(data.validation_rows),
        calibration_rows=len(data.calibration_rows),
        importance=_importance(told),
        notes=(*notes, *(left or ())),
    )
    return tuned, report


def parts_of(forecaster: Forecaster) -> list[Any]:
    """Return every forecaster that was trained: one, or a base and those of its sectors."""
    if not isinstance(forecaster, SectorNetworks):
        return [forecaster]
    return [forecaster.base, *(forecaster.sectors[name] for name in sorted(forecaster.sectors))]


def _importance(told: Any) -> tuple[tuple[str, float], ...]:
    """Return the mean share of each feature over the sectors, by their training rows, the largest first."""
    rows = sum(report.train_rows for report in told.values())
    shares: dict[str, float] = {}
    for name in sorted(told):
        for feature, share in told[name].importance:
            shares[feature] = shares.get(feature, 0.0) + share * told[name].train_rows / rows
    return tuple(sorted(shares.items(), key=lambda one: (-one[1], one[0])))
