"""The main job as one function: bars -> features -> calibrated forecasts -> decisions -> orders -> books.

The order of the stages stands here and nowhere else. The canaries run the same function on altered input.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.calendars import bars_per_year
from foresail.domain.panel import Panel
from foresail.domain.training import Targets
from foresail.engine.backtest import Backtest, run_backtest
from foresail.engine.driver import BacktestInputs
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.walkforward import RunOptions, WalkForward, walk_forward
from foresail.features import batch, catalogue, targets
from foresail.features.context import FeatureContext, calendar_flags
from foresail.features.declared.spec import FeatureSpec
from foresail.features.given_context import GivenSources, fill_givens, offered_givens
from foresail.features.givens import REFERENCES
from foresail.features.missing import NO_NEWS, with_no_news
from foresail.features.published import published_numbers
from foresail.features.selection import without_groups
from foresail.measures.asof import asof_series
from foresail.protocols import Strategy

__all__ = [
    "PipelineResult",
    "Prepared",
    "drop_late_fields",
    "feature_inputs",
    "prepare",
    "run_pipeline",
    "select_instruments",
]


@dataclass(frozen=True, slots=True, eq=False)
class Prepared:
    """Features and labels of a market.

    Attributes
    ----------
    features : in the form that models see, free of units (NORM-05)
    shown : the same features as they are defined, which strategies and screens read
    absent : feature name -> why the data do not allow it
    reference : name -> (T,) value known at each row
    """

    features: Panel
    shown: Panel
    targets: Targets
    scale: FloatArray
    absent: dict[str, str]
    reference: dict[str, FloatArray]


@dataclass(frozen=True, slots=True, eq=False)
class PipelineResult:
    """Everything a run of the pipeline produced."""

    data: MarketData
    settings: PipelineSettings
    prepared: Prepared
    walk: WalkForward
    backtest: Backtest


def select_instruments(data: MarketData, rows: Sequence[int]) -> MarketData:
    """Return the market of some instruments, given by their rows."""
    names = [data.bars.instruments[i] for i in sorted(rows)]
    kept = set(names)
    bar_set = replace(data.bar_set, instruments=tuple(i for i in data.bar_set.instruments if i.id in kept))
    return replace(data, bars=data.bars.select(names), bar_set=bar_set, blocked_from=data.blocked_from[sorted(rows)])


def drop_late_fields(data: MarketData, settings: PipelineSettings) -> tuple[MarketData, tuple[str, ...]]:
    """Return the market without the fields that begin after the first training window, and a sentence about each.

    Which fields a set has decides features, labels and the fill rule of all its bars. Were a field that begins later
    counted, early decisions would depend on what came after them.
    """
    bars, first = data.bars, settings.walk_forward.minimum_train_bars
    late = [name for name in bars.fields if bars.has(name) and not np.isfinite(bars.field(name)[:, :first]).any()]
    if not late:
        return data, ()
    values = bars.values.copy()
    values[:, :, [bars.index(name) for name in late]] = np.nan
    notes = tuple(
        f"{name} begins after the first {first} bars, before which models are fitted: left out" for name in late
    )
    return replace(data, bars=replace(bars, values=values)), notes


def _context(data: MarketData, reference: dict[str, FloatArray]) -> FeatureContext:
    sectors = sorted({i.sector for i in data.bar_set.instruments})
    by_id = {i.id: sectors.index(i.sector) for i in data.bar_set.instruments}
    codes = np.array([by_id[name] for name in data.bars.instruments], dtype=np.int64)
    names = tuple(sorted(reference))
    values = np.array([reference[name] for name in names]) if names else np.empty((0, data.bars.shape[1]))
    flags = calendar_flags(data.bars.start, data.bars.end, data.bars.calendar)
    return FeatureContext(sector_codes=codes, reference_names=names, reference=values, calendar=flags)


def _join_reference(data: MarketData, named: tuple[str, ...]) -> dict[str, FloatArray]:
    """Return name -> (T,) the value known at each row, no older than the series allows (FEAT-37).

    Runs that name no features keep the wider limit of ``asof_series``, with which their past results were recorded.
    """
    at = data.bars.available_at
    limits = {name: row.limit_ns for name, row in REFERENCES.items()} if named else {}
    joined = {
        name: asof_series(times, values, at, stale_after_ns=limits.get(name))
        for name, (times, values) in sorted(data.reference.items())
    }
    return joined | published_numbers(data.reference, at, limits)


def _resolved(
    data: MarketData, wanted: Sequence[str] | str, reference: dict[str, FloatArray]
) -> tuple[FeatureContext, tuple[FeatureSpec, ...], dict[str, str]]:
    """Return the context with the numbers that the wanted features read, those features, and why others are absent."""
    sources = GivenSources(data.bars, data.bar_set, tuple(data.facts.values()), reference, data.pairs)
    specs, absent = catalogue.resolve(wanted or None, data.bars, tuple(sorted(reference)), offered_givens(sources))
    needed = sorted({i.removeprefix("given:") for s in specs for i in s.inputs if i.startswith("given:")})
    context = _context(data, reference)
    if needed:
        context = replace(context, given_names=tuple(needed), given=fill_givens(needed, sources))
    return context, specs, dict(absent)


def feature_inputs(
    data: MarketData, names: Sequence[str]
) -> tuple[FeatureContext, tuple[FeatureSpec, ...], dict[str, str]]:
    """Return what features of a market are computed from: their context, the features it can give, and why not others.

    Parameters
    ----------
    names : features, aliases and sets, in the order of the columns
    """
    return _resolved(data, names, _join_reference(data, tuple(names)))


def prepare(data: MarketData, settings: PipelineSettings) -> Prepared:
    """Return features, labels and their scale for a market."""
    reference = _join_reference(data, settings.features)
    context, specs, absent = _resolved(data, settings.features, reference)
    names = list(without_groups([s.name for s in specs], settings.inputs.without))
    specs = tuple(s for s in specs if s.name in names)
    if not names:
        raise ConfigError("no feature is left", hint="name other features, or leave fewer groups out")
    features = with_no_news(batch.compute(data.bars, names, context, form="model"))
    same = all(s.model_expression is s.expression and s.name not in NO_NEWS for s in specs)
    return Prepared(
        features=features,
        shown=features if same else batch.compute(data.bars, names, context),
        targets=_chosen(targets.compute_targets(data.bars, settings.horizons), settings.targets),
        scale=targets.label_scale(data.bars),
        absent=absent,
        reference=reference,
    )


def _chosen(labels: Targets, names: tuple[str, ...]) -> Targets:
    """Return the labels of some targets; all of them where none is named."""
    if not names:
        return labels
    for name in names:
        if name not in labels.names:
            raise UnknownNameError("target", name, labels.names)
    columns = [labels.names.index(name) for name in names]
    return replace(labels, names=names, values=np.ascontiguousarray(labels.values[:, :, columns]))


def run_pipeline(
    data: MarketData,
    settings: PipelineSettings,
    *,
    strategy: Strategy | None = None,
    prepared: Prepared | None = None,
    walk: WalkForward | None = None,
    options: RunOptions | None = None,
) -> PipelineResult:
    """Run the main job.

    Parameters
    ----------
    strategy : a plug-in; None takes the default strategy
    prepared, walk : features with labels, and forecasts, if they exist already
    options : how it is carried out; None = without cache, reasons or progress
    """
    options = RunOptions() if options is None else options
    ready = prepare(data, settings) if prepared is None else prepared
    if walk is None:
        walk = walk_forward(ready.features, ready.targets, ready.scale, settings, options)
    inputs = BacktestInputs(
        data=data,
        settings=settings,
        features=ready.shown,
        reference=ready.reference,
        walk=walk,
        bars_per_year=bars_per_year(data.bars.calendar, data.bars.frame),
    )
    return PipelineResult(
        data, settings, ready, walk, run_backtest(inputs, strategy=strategy, progress=options.progress)
    )
