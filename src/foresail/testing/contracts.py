"""Contract checks for what users write: they raise AssertionError with a sentence, so any test runner can use them.

A strategy keeps its contract when two fresh starts give the same intents, when no bar after a decision can change
it, and when its weights are finite and name known instruments.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.clock import format_ns
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, Weights
from foresail.evaluation.fuzz_causality import fuzz_panel_function
from foresail.protocols import Strategy
from foresail.testing.builders import FakeView

__all__ = ["check_causality", "check_prefix_invariance", "check_strategy", "decisions"]


def decisions(strategy: Strategy, panel: Panel, *, last: int | None = None) -> list[tuple[int, tuple[Intent, ...]]]:
    """Return (position, intents) of every decision of a strategy over a panel, from a fresh start."""
    state = strategy.start()
    stop = panel.shape[1] if last is None else last + 1
    return [(p, tuple(strategy.step(state, FakeView(panel, p)))) for p in range(0, stop, strategy.spec.every)]


def check_strategy(make: Callable[[], Strategy], panel: Panel) -> None:
    """Check the strategy contract on a panel.

    Raises
    ------
    AssertionError
        With the decision at which the contract is broken.
    """
    first = decisions(make(), panel)
    again = decisions(make(), panel)
    middle = panel.shape[1] // 2
    short = decisions(make(), panel.cut(0, middle + 1))
    known = set(panel.instruments)
    for (position, intents), (_, repeated) in zip(first, again, strict=True):
        _demand(repr(intents) == repr(repeated), "two fresh starts decide differently", panel, position)
        for intent in intents:
            if isinstance(intent, Weights):
                _demand(all(np.isfinite(w) for _, w in intent.weights), "a weight is not finite", panel, position)
                _demand({i for i, _ in intent.weights} <= known, "an unknown instrument is named", panel, position)
    for (position, intents), (_, cut) in zip(first, short, strict=False):
        _demand(repr(intents) == repr(cut), "a decision depends on later bars", panel, position)


def check_causality(compute: Callable[[Panel], FloatArray], panel: Panel, *, seed: int = 0) -> None:
    """Check bit for bit that neither changing nor cutting what comes after a time changes a value up to it.

    Parameters
    ----------
    compute : panel -> (N, T, ...) values

    Raises
    ------
    AssertionError
        With the first place that differs.
    """
    breaches = fuzz_panel_function(compute, panel, seed=seed)
    if breaches:
        raise AssertionError(f"a value depends on later bars: {breaches[0]}")


def check_prefix_invariance(
    compute: Callable[[Panel], FloatArray], panel: Panel, *, positions: Sequence[int] | None = None
) -> None:
    """Check that values on the first bars equal the first values on all bars.

    Parameters
    ----------
    compute : panel -> (N, T) values
    positions : where to cut; three places unless told

    Raises
    ------
    AssertionError
        With the first place that differs.
    """
    whole = compute(panel)
    t = panel.shape[1]
    for position in positions if positions is not None else (t // 4, t // 2, t - 2):
        part = compute(panel.cut(0, position + 1))
        same = np.isclose(whole[:, : position + 1], part, rtol=1e-9, atol=1e-12, equal_nan=True)
        _demand(bool(same.all()), "a value depends on later bars", panel, position)


def _demand(holds: bool, text: str, panel: Panel, position: int) -> None:  # noqa: FBT001 a claim, not an option
    if not holds:
        raise AssertionError(f"{text}, seen at {format_ns(int(panel.end[position]))}")
