"""The inside of a network for the report: what the walk-forward kept of the newest decision, with names and returns."""

from __future__ import annotations

import math

from foresail.core.ids import InstrumentId
from foresail.engine.inspecting import Inside, LookedInto, Selection
from foresail.engine.pipeline import PipelineResult
from foresail.forecasting.curve import mean_weights
from foresail.reporting.inside_model import AttentionRow, InsideBlock, InsideForecast, NearDay, Shares
from foresail.service.finished import Finished

__all__ = ["inside_block"]


def inside_block(finished: Finished) -> InsideBlock | None:
    """Return what a network showed; None where the forecaster has no such thing."""
    result = finished.result
    inside = result.walk.inside
    if inside is None:
        return None
    return InsideBlock(
        forecaster=result.settings.forecaster,
        issued_at=inside.issued_at,
        horizon=inside.horizon,
        levels=result.walk.block.levels,
        forecasts=tuple(_forecast(result, inside, one) for one in inside.forecasts),
        shares=None if inside.selection is None else _shares(inside.selection),
    )


def _forecast(result: PipelineResult, inside: Inside, one: LookedInto) -> InsideForecast:
    block = result.walk.block
    symbols = {str(each.id): each.symbol for each in result.data.bar_set.instruments}
    row = block.instruments.index(InstrumentId(one.instrument))
    time = block.issued_at.tolist().index(inside.issued_at)
    curve = block.values[row, time, 0, block.horizons.index(inside.horizon)]
    return InsideForecast(
        symbol=symbols[one.instrument],
        expected=math.expm1(float(curve @ mean_weights(block.levels))),
        quantiles=tuple(math.expm1(value) for value in curve.tolist()),
        reasons=one.reasons,
        features=one.features,
        whole=one.whole,
        near=tuple(
            NearDay(symbols[past.instrument], past.ended_at, past.distance, math.expm1(past.followed))
            for past in one.similar
        ),
    )


def _shares(told: Selection) -> Shares:
    return Shares(
        names=told.names,
        groups=told.groups,
        variables=told.variables,
        statics=told.statics,
        over_time=told.over_time,
        attention=tuple(AttentionRow(one.horizon, one.past, one.ahead) for one in told.attention),
    )
