"""Self-calibration: the whole engine on simulated panels whose truth is known.

On panels without an edge it should say evidence at most 7 % of the time, on panels with a planted information
coefficient of 0.05 at least 80 %. A small version runs in every demo, the large one in the accuracy suite; both call
this.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.seeds import derive_seed
from foresail.domain.runs import Verdict, VerdictWord
from foresail.engine.pipeline import run_pipeline
from foresail.engine.settings import MarketData, PipelineSettings, WalkForwardSettings
from foresail.evaluation.assess import assess, compare
from foresail.evaluation.registry import TrialCount
from foresail.evaluation.simulated_market import SimulationSettings, simulate, simulated_bar_set
from foresail.protocols import Progress

__all__ = [
    "PanelOutcome",
    "calibration_settings",
    "demo_simulation",
    "judge_panel",
    "self_calibrate",
    "simulated_market_data",
    "suite_simulation",
]


@dataclass(frozen=True, slots=True)
class PanelOutcome:
    """One simulated panel and what the engine said of it."""

    information_coefficient: float
    seed: int
    verdict: Verdict

    @property
    def is_evidence(self) -> bool:
        """Whether the verdict was evidence."""
        return self.verdict.word is VerdictWord.EVIDENCE


def calibration_settings() -> PipelineSettings:
    """Return the settings of the panels: the main job's, with one horizon, one target and refits every two years."""
    walk = WalkForwardSettings(train_bars=1260, minimum_train_bars=504, refit_bars=504)
    return PipelineSettings(horizons=(5,), decision_horizon=5, targets=("close",), walk_forward=walk)


def demo_simulation(information_coefficient: float) -> SimulationSettings:
    """Return the panels of the demo: 40 names, 7 years."""
    return SimulationSettings(instruments=40, bars=1_750, information_coefficient=information_coefficient)


def suite_simulation(information_coefficient: float) -> SimulationSettings:
    """Return the panels of the accuracy suite: 100 names, 12 years."""
    return SimulationSettings(instruments=100, bars=3_000, information_coefficient=information_coefficient)


def simulated_market_data(simulation: SimulationSettings, seed: int) -> MarketData:
    """Return a simulated panel as the input of a run."""
    bars = simulate(simulation, seed)
    never = np.full(bars.shape[0], bars.shape[1], dtype=np.int64)
    none: dict[str, tuple[TimeArray, FloatArray]] = {}
    return MarketData(bars=bars, bar_set=simulated_bar_set(bars), reference=none, blocked_from=never)


def judge_panel(simulation: SimulationSettings, settings: PipelineSettings, seed: int) -> PanelOutcome:
    """Simulate one panel, run the main job on it and return the verdict."""
    result = run_pipeline(simulated_market_data(simulation, seed), replace(settings, seed=seed))
    verdict = assess(result, compare(result), trials=TrialCount(n=1))
    return PanelOutcome(simulation.information_coefficient, seed, verdict)


def self_calibrate(
    simulation: SimulationSettings,
    settings: PipelineSettings,
    *,
    panels: int,
    seed: int,
    progress: Progress | None = None,
    tell: Callable[[PanelOutcome], None] | None = None,
) -> tuple[PanelOutcome, ...]:
    """Return the outcomes of ``panels`` simulated panels; ``tell`` hears each as soon as it is known."""
    outcomes = []
    for i in range(panels):
        if progress is not None:
            progress(f"panels, IC {simulation.information_coefficient:g}", i, panels)
        panel_seed = derive_seed(seed, "panel", f"{simulation.information_coefficient}", i)
        outcomes.append(judge_panel(simulation, settings, panel_seed))
        if tell is not None:
            tell(outcomes[-1])
    if progress is not None:
        progress(f"panels, IC {simulation.information_coefficient:g}", panels, panels)
    return tuple(outcomes)
