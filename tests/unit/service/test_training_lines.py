"""What ``train`` and ``models show`` print of the test part, from a record alone (EVAL-01, EVAL-03, EVAL-07)."""

from __future__ import annotations

from typing import Any

import pytest
from tests.unit.service.trained_ridge import entry, train

from foresail.service.models import show_model
from foresail.service.training_lines import metric_lines

RANK = {"value": 0.021, "low": None, "high": None}
SCORE: dict[str, Any] = {
    "target": "close",
    "horizon": 5,
    "pinball": 0.0091,
    "no_change_pinball": 0.0093,
    "coverage": {"value": 0.79, "low": 0.77, "high": 0.81},
    "width": 0.0471,
    "hit_rate": 0.52,
    "base_rate": 0.53,
    "rank_ic": RANK,
}
REPORT = {
    "down": {"precision": None, "recall": 0.0, "f1": 0.0, "rows": 6},
    "neutral": {"precision": 0.523, "recall": 0.617, "f1": 0.566, "rows": 15},
    "up": {"precision": 0.318, "recall": 0.222, "f1": 0.261, "rows": 24},
}
CLASSES = {
    "horizon": 5,
    "accuracy": 0.41,
    "always_neutral": 0.45,
    "balanced_accuracy": 0.347,
    "log_loss": 1.0512,
    "classes": REPORT,
}


def record(**changes: Any) -> dict[str, Any]:
    high = {**SCORE, "target": "high", "coverage": {"value": 0.823, "low": None, "high": None}, "width": 0.0611}
    return {"metrics": {"scores": [SCORE, high], "classes": [CLASSES], "paired": []} | changes}


def test_ranges_of_every_target_and_the_classification_report() -> None:
    assert metric_lines(record()) == [
        "  5 bars ahead: pinball 0.009100 (no change 0.009300), P10-P90 held 79.0% at a width of 0.0471, "
        "right sign 52.0% (constant answer 53.0%), rank correlation 0.021",
        "  high 5 bars ahead: pinball 0.009100, P10-P90 held 82.3% at a width of 0.0611",
        "classes on the test part:",
        "  5 bars ahead: 41.0% right (always neutral 45.0%), balanced 34.7%, log loss 1.0512",
        "    precision, recall, F1: down none, 0.0%, 0.000; neutral 52.3%, 61.7%, 0.566; up 31.8%, 22.2%, 0.261",
    ]


def test_a_record_of_an_older_version_is_told_as_far_as_it_goes() -> None:
    older = {key: value for key, value in SCORE.items() if key != "width"}
    lines = metric_lines({"metrics": {"scores": [older], "classes": [{"horizon": 5, "accuracy": 0.4}]}})
    assert len(lines) == 1
    assert "P10-P90 held 79.0%, right sign" in lines[0]


@pytest.mark.usefixtures("same_code")
def test_train_and_show_tell_the_same(workspace: Any) -> None:
    lines = metric_lines(entry(workspace).record())
    assert any(line.startswith("    precision, recall, F1: down") for line in lines)
    assert any(line.startswith("  high 1 bar ahead") for line in lines)
    shown = show_model("stock_1d_ridge_v1").lines
    assert [line for line in shown if line in lines] == lines
    assert train()["registered"] is False  # the same training again
