"""Absurd prints are passed by, real gaps are not."""

from __future__ import annotations

import numpy as np

from foresail.core.ids import InstrumentId
from foresail.domain.instruments import AssetClass
from foresail.domain.panel import Panel
from foresail.engine.tradable import absurd_bars

DAY = 86_400_000_000_000
FIELDS = ("open", "high", "low", "close")


def make(rows: list[tuple[float, float, float, float]]) -> Panel:
    values = np.array([rows], dtype=float)
    start = np.arange(len(rows), dtype=np.int64) * DAY
    end = start + DAY
    names = (InstrumentId("sim.X.A"),)
    return Panel(values, np.isfinite(values[:, :, 3]), start, end, end, FIELDS, names, "1d", "24/7")


def test_an_open_far_from_every_close_cannot_be_traded() -> None:
    bars = make([(77, 78, 76, 77), (0.02, 78, 0.02, 77), (77, 78, 76, 77)])
    assert absurd_bars(bars, AssetClass.STOCK)[0].tolist() == [False, True, False]


def test_a_gap_that_holds_can_be_traded() -> None:
    bars = make([(70, 71, 69, 70), (22, 23, 21, 22), (22, 23, 21, 22)])
    assert not absurd_bars(bars, AssetClass.STOCK).any()


def test_a_low_alone_is_enough_and_coins_may_fall_further() -> None:
    bars = make([(77, 78, 76, 77), (77, 78, 20, 77)])
    assert absurd_bars(bars, AssetClass.STOCK)[0, 1]
    assert not absurd_bars(bars, AssetClass.CRYPTO)[0, 1]


def test_close_only_bars_and_absent_bars_are_never_absurd() -> None:
    nan = float("nan")
    bars = make([(nan, nan, nan, 10), (nan, nan, nan, nan), (nan, nan, nan, 30)])
    assert not absurd_bars(bars, AssetClass.STOCK).any()
