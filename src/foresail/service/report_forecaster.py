"""The forecaster of a run judged like any other: paired tests, calibration, slices, acceptance (VALID-13, VALID-14)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.domain.instruments import PriceBasis
from foresail.domain.tiers import tier_of, tier_unavailable
from foresail.engine.pipeline import PipelineResult
from foresail.evaluation.acceptance import Acceptance, Check, judge_acceptance
from foresail.evaluation.forecast_scores import CalibrationReport, calibration_of
from foresail.evaluation.forecast_table import OWN, ForecastTable
from foresail.evaluation.paired import PairedTest, clusters_of
from foresail.evaluation.slices import Slices, shock_labels, slice_gain, year_labels
from foresail.reporting.model import Absent, ForecasterBlock
from foresail.service.finished import Finished
from foresail.service.report_baselines import BaselineScore
from foresail.service.report_figures import Figures
from foresail.service.report_paired import paired_on, pinball_rows
from foresail.service.report_scores import outcomes, overlap
from foresail.service.report_slices import vix_state, volatility_state

__all__ = ["acceptance_of", "forecaster_block", "run_calibration"]

_VALIDATION_FROM, _TEST_FROM = 0.6, 0.8  # of the bars, VALID-01
_accepted: WeakKeyDictionary[Finished, Acceptance] = WeakKeyDictionary()
_VIX = ("< 15, complacent", "15 to 20, normal", "20 to 30, fear", "30 or more, panic")


def forecaster_block(finished: Finished, shown: Figures) -> ForecasterBlock | Absent:
    """Return the paired tests at every horizon, and the slices at the one that decides."""
    result = finished.result
    tests = tuple(one.paired for one in shown.baselines if one.paired is not None)
    step = result.walk.block.horizons.index(result.settings.decision_horizon)
    horizon = result.walk.block.horizons[step]
    here = [one for one in shown.baselines if one.score.horizon == horizon and one.paired is not None]
    if not here:
        return Absent("No forecast has a known outcome yet.")
    hurdle = _hurdle(here)
    return ForecasterBlock(
        tests=tests,
        hurdle=hurdle.name,
        horizon=horizon,
        calibration=run_calibration(result, step),
        slices=_slices(result, hurdle, step),
    )


def _hurdle(here: Sequence[BaselineScore]) -> BaselineScore:
    """Return the one of the lowest loss on the rows that all have; those of few rows may have had the easy ones.

    Where they share none, the lowest is sought among those that forecast most.
    """
    common: BoolArray = np.logical_and.reduce([np.isfinite(one.loss) for one in here])
    if not common.any():
        most = max(one.score.forecasts for one in here)
        return min((one for one in here if one.score.forecasts == most), key=lambda one: (one.score.pinball, one.key))
    return min(here, key=lambda one: (float(one.loss[common].mean()), one.key))


def run_calibration(result: PipelineResult, step: int, *, first: int = 0) -> CalibrationReport | None:
    """Return the calibration of the close at one horizon; None where nothing is resolved.

    Parameters
    ----------
    first : bar position from which forecasts count
    """
    block = result.walk.block
    actual, values = outcomes(result)[:, :, 0, step], block.values[:, :, 0, step]
    known: BoolArray = np.asarray(np.isfinite(actual) & np.isfinite(values).all(axis=-1))
    row, time = np.nonzero(known & (block.position >= first))
    if not len(row):
        return None
    table = ForecastTable(
        file="",
        kind="quantiles",
        instrument=row,
        issued_at=block.issued_at[time],
        known_at=None,
        horizon=np.full(len(row), block.horizons[step], dtype=np.int64),
        outcome=actual[row, time],
        levels=block.levels,
        forecasts={OWN: values[row, time]},
        last=None,
        attributes={},
        rows=len(row),
        open_rows=0,
        crossings=0,
        notes=(),
    )
    return calibration_of(table, clusters_of(table.issued_at, overlap=overlap(block, block.horizons[step])))


def acceptance_of(finished: Finished, shown: Figures) -> Acceptance:
    """Return whether the model may be used for signals; judged once for each finished job."""
    found = _accepted.get(finished)
    if found is None:
        found = _accepted[finished] = _acceptance(finished, shown)
    return found


def _acceptance(finished: Finished, shown: Figures) -> Acceptance:
    result = finished.result
    block, length = result.walk.block, result.data.bars.shape[1]
    realised = outcomes(result)
    borders = {"validation": (_VALIDATION_FROM, _TEST_FROM), "test": (_TEST_FROM, 1.0)}
    tests: dict[str, list[PairedTest]] = {name: [] for name in borders}
    for step, horizon in enumerate(block.horizons):
        ours = pinball_rows(block, realised, step)
        for one in shown.baselines:
            if one.chosen or one.score.horizon != horizon:  # what its user sets beside it decides nothing (BASE-09)
                continue
            for part, (first, last) in borders.items():
                inside = (block.position >= first * length) & (block.position < last * length)
                theirs = np.where(inside, one.loss, np.nan)
                found = paired_on(block, ours, theirs, step, name=one.name, seed=result.settings.seed)
                tests[part] += [] if found is None else [found]
    errors: dict[str, float] = {}
    for step, horizon in enumerate(block.horizons):
        told = run_calibration(result, step, first=int(_TEST_FROM * length))
        errors[f"{horizon} bar{'s' if horizon > 1 else ''} ahead on test"] = (
            float("nan") if told is None else told.error
        )
    judged = judge_acceptance(tests, errors, finished.verdict)
    missing = [Check("baselines, left out", passed=False, text=one.text) for one in shown.left_out if not one.chosen]
    return judged if not missing else Acceptance(accepted=False, checks=(*judged.checks, *missing))


def _slices(result: PipelineResult, hurdle: BaselineScore, step: int) -> tuple[Slices, ...]:
    block, bars = result.walk.block, result.data.bars
    ours = pinball_rows(block, outcomes(result), step)
    known: BoolArray = np.asarray(np.isfinite(ours) & np.isfinite(hurdle.loss))
    row, time = np.nonzero(known)
    losses = (ours[row, time], hurdle.loss[row, time])
    issued = block.issued_at[time]
    clusters = clusters_of(issued, overlap=overlap(block, block.horizons[step]))
    position = block.position[time]
    sets = {one.id: one for one in result.data.bar_set.instruments}
    sectors = np.array([sets[name].sector.replace("_", " ") for name in block.instruments], dtype=object)
    folds, fold_names = _folds(result, position)

    def cut(title: str, labels: Any, order: tuple[str, ...] | None = None) -> Slices:
        return slice_gain(title, losses, clusters, labels, order=order)

    found = [cut("By fold", folds, fold_names), cut("By year", year_labels(issued))]
    shocks = shock_labels(issued)
    found.append(
        cut("Named shocks", shocks) if any(shocks) else Slices("Named shocks", (), "2020 and 2022 are not in it.")
    )
    found.append(cut("By sector", sectors[row]))
    vix = np.array(vix_state(result), dtype=object)
    found.append(
        cut("By regime: VIX (RGM-01)", vix[position], _VIX)
        if any(vix)
        else Slices("By regime: VIX (RGM-01)", (), "The set has no VIX.")
    )
    state = np.array(volatility_state(result), dtype=object)
    found.append(cut("By regime: volatility of the set (RGM-02)", state[position]))
    found.append(_by_tier(result, row, position, cut))
    if bars.frame.endswith("d"):
        found.append(Slices("By session", (), "Daily bars have one session."))
    else:
        hours = (issued // (3600 * 10**9)) % 24
        found.append(cut("By hour of issue, UTC", np.array([f"{h:02d}:00" for h in hours.tolist()], dtype=object)))
    symbols = np.array([sets[name].symbol for name in block.instruments], dtype=object)
    found.append(cut("By instrument", symbols[row]))
    return tuple(found)


def _folds(result: PipelineResult, position: IntArray) -> tuple[Any, tuple[str, ...]]:
    starts = np.array([one.fold.test_from for one in result.walk.folds])
    place = np.searchsorted(starts, position, side="right")
    return place.astype(str).astype(object), tuple(str(i + 1) for i in range(len(starts)))


def _by_tier(result: PipelineResult, row: IntArray, position: IntArray, cut: Any) -> Slices:
    reason = tier_unavailable(result.data.bar_set.price_basis)
    if reason is not None:
        return Slices("By price tier", (), f"{reason[:1].upper()}{reason[1:]}.")
    close: FloatArray = result.data.bars.field("close")[row, position]
    names = {price: _tier(price) for price in set(np.round(close, 2).tolist())}
    return cut("By price tier", np.array([names[p] for p in np.round(close, 2).tolist()], dtype=object))  # type: ignore[no-any-return]


def _tier(price: float) -> str:
    if not price > 0.0:
        return ""
    found = tier_of(price, basis=PriceBasis.RAW)
    return "untradable" if found is None else found.name
