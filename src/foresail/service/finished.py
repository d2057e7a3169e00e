"""What a finished main job consists of before it is written down, for tables, metrics, report and last screen."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from foresail.domain.runs import CanaryResult, Verdict
from foresail.engine.pipeline import PipelineResult
from foresail.evaluation.assess import Comparison
from foresail.evaluation.honesty import Honesty
from foresail.evaluation.registry import TrialCount
from foresail.evaluation.self_calibration import PanelOutcome
from foresail.reporting.model import LeakFinding
from foresail.service.loading import Loaded

__all__ = ["Finished", "deciding"]


@dataclass(frozen=True, slots=True, eq=False, weakref_slot=True)
class Finished:
    """A main job that ran to its end.

    Attributes
    ----------
    record : content of run.json
    command : what to type to get the same run again
    panels : outcomes of the self-calibration panel; None outside the demo
    leak : the planted leak of the demo; None elsewhere
    plugin : id of the plug-in strategy, empty for the default one
    """

    title: str
    out: Path
    loaded: Loaded
    result: PipelineResult
    comparison: Comparison
    canaries: tuple[CanaryResult, ...]
    trials: TrialCount
    honesty: Honesty
    verdict: Verdict
    record: dict[str, Any]
    command: str
    panels: tuple[PanelOutcome, ...] | None = None
    leak: LeakFinding | None = None
    plugin: str = ""
    next_steps: tuple[tuple[str, str], ...] = field(default=())


def deciding(settings: Mapping[str, Any]) -> dict[str, Any]:
    """Return the recorded settings that decide a result: all but what the report compares with (BASE-09)."""
    return {key: value for key, value in settings.items() if key != "beside"}
