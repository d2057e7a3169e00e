"""The self-calibration panels of the demo, those without an edge here and those with one in a process beside it.

A panel is one thread's work most of the time, so a second process shortens the wait. Both sides say the same words for
the same seed; the figures behind a verdict stay where they were made.
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from typing import IO

import msgspec

from foresail.core.errors import ForesailError
from foresail.domain.runs import Verdict, VerdictWord
from foresail.evaluation.self_calibration import PanelOutcome, calibration_settings, demo_simulation, self_calibrate
from foresail.protocols import Progress

__all__ = ["demo_panels", "tell_panels"]

_PANELS = 4  # of each kind
_EDGE = 0.10  # planted information coefficient: panels this small show nothing weaker
_CHILD = "import sys; from foresail.service.demo_panels import tell_panels; tell_panels(int(sys.argv[1]), sys.stdout)"


class _Told(msgspec.Struct):
    """One line of the process beside this one."""

    seed: int
    word: VerdictWord
    reasons: tuple[str, ...]


def demo_panels(seed: int, progress: Progress) -> tuple[PanelOutcome, ...]:
    """Return the outcomes of all panels, those without an edge first.

    Raises
    ------
    ForesailError
        If the process beside this one ends without its panels; its last words are in the text.
    """
    command = [sys.executable, "-P", "-c", _CHILD, str(seed)]
    with (
        tempfile.TemporaryFile("w+") as complaints,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=complaints, text=True) as beside,  # noqa: S603 ours
    ):
        try:
            here = self_calibrate(
                demo_simulation(0.0), calibration_settings(), panels=_PANELS, seed=seed, progress=progress
            )
            there = _heard(beside, progress)
        except BaseException:
            beside.kill()
            raise
        if beside.wait() or len(there) < _PANELS:
            complaints.seek(0)
            raise _failure(beside.returncode, len(there), complaints.read())
    return here + there


def tell_panels(seed: int, out: IO[str]) -> None:
    """Judge the panels with an edge; write one line for each."""

    def tell(outcome: PanelOutcome) -> None:
        told = _Told(outcome.seed, outcome.verdict.word, outcome.verdict.reasons)
        out.write(msgspec.json.encode(told).decode() + "\n")
        out.flush()

    self_calibrate(demo_simulation(_EDGE), calibration_settings(), panels=_PANELS, seed=seed, tell=tell)


def _heard(beside: subprocess.Popen[str], progress: Progress) -> tuple[PanelOutcome, ...]:
    stage, found = f"panels, IC {_EDGE:g}", []
    progress(stage, 0, _PANELS)
    for line in beside.stdout or ():
        told = msgspec.json.decode(line, type=_Told)
        found.append(PanelOutcome(_EDGE, told.seed, Verdict(told.word, told.reasons)))
        progress(stage, len(found), _PANELS)
    return tuple(found)


def _failure(code: int, done: int, said: str) -> ForesailError:
    last = said.strip().splitlines()[-1] if said.strip() else "it said nothing"
    return ForesailError(
        f"the process that judges panels with an edge ended with {code} after {done} of {_PANELS}: {last}",
        hint="run the demo again; it needs about half a gigabyte of memory beside this process",
    )
