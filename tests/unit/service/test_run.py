"""What a run counts as a trial."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from foresail.evaluation.registry import TrialRegistry
from foresail.service.finished import Finished
from foresail.service.run import Job, _count_trial


def test_another_horizon_on_the_same_bars_is_one_more_trial(finished: Finished, tmp_path: Path) -> None:
    counts = []
    for horizon in (5, 4, 5):
        settings = replace(finished.result.settings, decision_horizon=horizon, horizons=(1, horizon))
        job = Job(
            title="",
            command="",
            loaded=finished.loaded,
            settings=settings,
            out=tmp_path / "run",
            record={**finished.record, "settings": asdict(settings)},
            registry=TrialRegistry(tmp_path / "trials.jsonl"),
        )
        counts.append(_count_trial(job, finished.comparison).n)
    assert counts == [1, 2, 2]
