"""Fields that begin late: whether a set has them must not depend on bars that come after a decision."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from foresail.engine.pipeline import drop_late_fields, run_pipeline
from foresail.engine.settings import MarketData, PipelineSettings


@pytest.mark.parametrize("fields", [("open", "high", "low"), ("volume",)])
def test_what_begins_after_a_date_changes_no_decision_before_it(
    small_market: MarketData, small_settings: PipelineSettings, fields: tuple[str, ...]
) -> None:
    settings = replace(small_settings, features=())
    bars = small_market.bars
    values = bars.values.copy()
    for name in fields:
        values[:, :451, bars.index(name)] = np.nan
    whole = replace(small_market, bars=replace(bars, values=values))
    cut = replace(whole, bars=whole.bars.cut(0, 450), blocked_from=np.minimum(whole.blocked_from, 450))
    long, notes = drop_late_fields(whole, settings)
    short, _ = drop_late_fields(cut, settings)
    assert [note.split()[0] for note in notes] == list(fields)
    full, early = run_pipeline(long, settings), run_pipeline(short, settings)
    count = early.walk.block.values.shape[1]
    np.testing.assert_array_equal(full.walk.block.values[:, :count], early.walk.block.values)
    last = cut.bars.end[-1]
    orders = [[o.order for o in one.backtest.orders if o.order.decided_at <= last] for one in (full, early)]
    assert orders[0] == orders[1] != []


def test_a_field_that_is_there_from_the_start_stays(small_market: MarketData, small_settings: PipelineSettings) -> None:
    data, notes = drop_late_fields(small_market, small_settings)
    assert data is small_market
    assert notes == ()
