"""Single values of a view are those of its panels, and of the past alone."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest

from foresail.core.errors import LookAheadError, UnknownNameError
from foresail.core.ids import InstrumentId
from foresail.engine.view import AsOfView, WholeRun
from foresail.testing.builders import bar_panel, flat_account

A, B = InstrumentId("sim.S01.A"), InstrumentId("sim.S02.B")
BARS = bar_panel({A: [10.0, 11.0, 12.0, 13.0], B: [math.nan, math.nan, 7.0, math.nan]})


def view(position: int, **more: object) -> AsOfView:
    run = WholeRun(BARS, BARS, None, {})
    return AsOfView(run, position=position, cause="decision", index=-1, holdings=flat_account(), **more)  # type: ignore[arg-type]


def test_a_value_is_that_of_the_panel():
    for position in range(2, 4):
        panel = view(position).bars("1d", 10)
        for back in range(position + 1):
            seen = [view(position).value(name, "close", back) for name in panel.instruments]
            np.testing.assert_array_equal(seen, panel.field("close")[:, position - back])


def test_before_the_first_bar_of_all_there_is_nothing():
    assert math.isnan(view(1).value(A, "close", 2))


def test_the_future_is_refused():
    with pytest.raises(LookAheadError, match="not closed"):
        view(1).value(A, "close", -1)


def test_a_name_that_is_listed_later_is_not_known_yet():
    with pytest.raises(UnknownNameError) as told:
        view(1).value(B, "close")
    assert B not in str(told.value.hint) or A in str(told.value)
    assert math.isnan(view(2).value(B, "close", 1))
    assert view(2).value(B, "close") == 7.0


def test_an_unknown_field_is_refused_with_those_that_there_are():
    with pytest.raises(UnknownNameError, match="field"):
        view(1).value(A, "closing")


def test_names_follow_presence_and_blocks():
    assert view(2).instruments == (A, B)
    assert view(3).instruments == (A,)
    assert view(2, blocked=frozenset({A})).instruments == (B,)
    complete = replace(BARS, present=np.ones_like(BARS.present))
    assert WholeRun(complete, complete, None, {}).complete == [True] * 4
