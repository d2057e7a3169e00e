"""Where concrete classes are named: what is compiled at set-up."""

from __future__ import annotations

from dataclasses import replace

from foresail.protocols import Progress

__all__ = ["warm_all"]


def warm_all(progress: Progress) -> int:
    """Compile every kernel into its cache on disk and return how many parts there were.

    The feature engine and the sweeps compile on their own; the venue's step and the rest of the main job compile when a
    small simulated market runs through them.
    """
    from foresail.engine.pipeline import run_pipeline
    from foresail.engine.sweep_weights import warm_sweeps
    from foresail.evaluation.self_calibration import calibration_settings, simulated_market_data
    from foresail.evaluation.simulated_market import SimulationSettings
    from foresail.features.books.driver import warm_books
    from foresail.features.kernels.build import warm

    warm(lambda _text, share: progress("compiling the features", round(share * 100), 100))
    warm_books()
    warm_sweeps()
    progress("compiling the venue", 0, 1)
    settings = calibration_settings()
    short = replace(settings, walk_forward=replace(settings.walk_forward, minimum_train_bars=300))
    run_pipeline(simulated_market_data(SimulationSettings(instruments=8, bars=400), 1), short)
    progress("compiling the venue", 1, 1)
    return 2
