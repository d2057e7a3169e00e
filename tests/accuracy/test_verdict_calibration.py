"""The verdict is calibrated: the whole engine on simulated panels whose truth is known.

FORESAIL_NULL_PANELS and FORESAIL_PLANTED_PANELS set how many are run (200 and 60); about ten seconds each on two cores.
"""

from __future__ import annotations

import os
import sys

import pytest

from foresail.evaluation.self_calibration import calibration_settings, self_calibrate, suite_simulation

NULL_PANELS = int(os.environ.get("FORESAIL_NULL_PANELS", "200"))
PLANTED_PANELS = int(os.environ.get("FORESAIL_PLANTED_PANELS", "60"))


def _progress(stage: str, done: int, total: int) -> None:
    if done % 10 == 0:
        sys.stderr.write(f"{stage}: {done}/{total}\n")


@pytest.mark.accuracy
def test_without_an_edge_evidence_is_said_at_most_seven_times_in_a_hundred() -> None:
    outcomes = self_calibrate(
        suite_simulation(0.0), calibration_settings(), panels=NULL_PANELS, seed=7, progress=_progress
    )
    found = sum(one.is_evidence for one in outcomes)
    sys.stderr.write(f"null panels: evidence in {found} of {len(outcomes)}\n")
    assert found <= 0.07 * len(outcomes)


@pytest.mark.accuracy
def test_a_planted_edge_is_found_four_times_in_five() -> None:
    outcomes = self_calibrate(
        suite_simulation(0.05), calibration_settings(), panels=PLANTED_PANELS, seed=7, progress=_progress
    )
    found = sum(one.is_evidence for one in outcomes)
    sys.stderr.write(f"planted panels: evidence in {found} of {len(outcomes)}\n")
    assert found >= 0.80 * len(outcomes)
