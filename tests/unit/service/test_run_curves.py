"""The card of a run holds the training curves of every fold that has some."""

from __future__ import annotations

from types import SimpleNamespace

from foresail.domain.training import FitReport
from foresail.service.report_model import _training


def finished(*reports: FitReport | None) -> SimpleNamespace:
    folds = tuple(SimpleNamespace(fold=SimpleNamespace(index=i), report=one) for i, one in enumerate(reports))
    return SimpleNamespace(result=SimpleNamespace(walk=SimpleNamespace(stability=None, folds=folds)))


def test_every_fold_with_epochs_has_its_line() -> None:
    curves = {"train_loss": [0.5, 0.4321], "validation_loss": [0.6, float("inf")], "rate": [1e-3, 1e-4]}
    one = FitReport("tft", 100, 10, 10, notes=("2 epochs",), history=curves)
    told = _training(finished(one, None, one))  # type: ignore[arg-type]
    assert told == tuple(
        f"Training curves of fold {number}, train / validation loss by epoch: 0.5 / 0.6, 0.4321 / inf."
        for number in (1, 3)
    )


def test_without_epochs_the_notes_are_told_as_before() -> None:
    told = _training(finished(FitReport("trees", 100, 10, 10, notes=("40 rounds",))))  # type: ignore[arg-type]
    assert told == ("Training curves are not kept; the newest fit says: 40 rounds.",)
