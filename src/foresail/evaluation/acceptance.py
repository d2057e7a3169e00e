"""Whether a model may be used for signals (VALID-14): pass or fail, with every reason.

1. It beats every baseline on validation and on test: the paired test says *better*, not merely a lower mean.
2. Its calibration error is below 5 points on test.
3. Its strategy has the verdict *evidence* and meets MET-26: Sharpe ratio above 1.5, drawdown below 15 %, win rate above
   55 %, or 45 % with wins twice the losses.

Validation and test are the fourth and the last fifth of the record (VALID-01); a part without forecasts fails.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from foresail.domain.runs import Verdict, VerdictWord
from foresail.evaluation.paired import BETTER, PairedTest

__all__ = ["CALIBRATION_LIMIT", "Acceptance", "Check", "judge_acceptance"]

CALIBRATION_LIMIT = 0.05  # mean distance of seen from promised shares, fraction


@dataclass(frozen=True, slots=True)
class Check:
    """One condition, whether it holds, and the sentence that says so."""

    name: str
    passed: bool
    text: str


@dataclass(frozen=True, slots=True)
class Acceptance:
    """The outcome: ``accepted`` when every check passes."""

    accepted: bool
    checks: tuple[Check, ...]

    @property
    def text(self) -> str:
        """One sentence."""
        failed = sum(not check.passed for check in self.checks)
        if self.accepted:
            return f"Accepted for signals: all {len(self.checks)} checks pass."
        return f"Not accepted for signals: {failed} of {len(self.checks)} checks fail."


def judge_acceptance(
    tests: Mapping[str, Sequence[PairedTest]], calibration: Mapping[str, float], verdict: Verdict
) -> Acceptance:
    """Return whether a model is accepted.

    Parameters
    ----------
    tests : part (validation, test) -> paired tests against every baseline
    calibration : part or horizon -> calibration error, fraction; NaN = unknown, which fails
    verdict : of the strategy that uses the model
    """
    checks = [_beats(part, tuple(found)) for part, found in tests.items()]
    for name, error in calibration.items():
        passed = error < CALIBRATION_LIMIT  # NaN is not
        told = "unknown" if not math.isfinite(error) else f"{100 * error:.1f} points"
        checks.append(Check(f"calibration, {name}", passed, f"Calibration error {name}: {told}; below 5 is asked."))
    word = verdict.word
    checks.append(
        Check(
            "verdict",
            word is VerdictWord.EVIDENCE,
            f"The verdict on the strategy is {word.value!r}; evidence is asked.",
        )
    )
    for target in verdict.figures.get("targets_shown", ()):
        value = target["value"]
        told = "undefined" if value is None else f"{value:.2f}"
        name = str(target["name"]).replace("_", " ")
        checks.append(
            Check(f"MET-26, {name}", bool(target["met"]), f"{name.capitalize()} {told}; {target['target']} is asked.")
        )
    return Acceptance(all(check.passed for check in checks), tuple(checks))


def _beats(part: str, found: tuple[PairedTest, ...]) -> Check:
    name = f"baselines, {part}"
    if not found:
        return Check(name, passed=False, text=f"There are no forecasts with an outcome in the {part} part.")
    missed = [f"{test.other} ({test.horizon} ahead): {test.word}" for test in found if test.word != BETTER]
    if not missed:
        return Check(name, passed=True, text=f"Better than all {len(found)} baselines on the {part} part.")
    return Check(name, passed=False, text=f"On the {part} part not better than {'; '.join(missed)}.")
