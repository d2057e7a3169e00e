"""A ticker means an instrument on a day: renames keep the id, a reused ticker is somebody else."""

from __future__ import annotations

from datetime import date

import pytest

from foresail.core.errors import DataError, UnknownNameError
from foresail.core.ids import instrument_id
from foresail.domain.instruments import Alias, Directory

OLD, NEW, FUND = (instrument_id(f"stock.US.{name}") for name in ("WM", "UW", "USO~2"))
DIRECTORY = Directory.of(
    [
        Alias("WM", date(1998, 12, 9), date(2008, 9, 26), OLD),
        Alias("UW", date(1998, 1, 2), date(1998, 7, 16), NEW),
        Alias("WMI", date(1998, 7, 17), date(2009, 8, 4), NEW),
        Alias("WM", date(2009, 8, 5), None, NEW),
        Alias("USO", date(2006, 4, 10), None, FUND),
    ]
)


def test_a_reused_ticker_means_whoever_had_it_that_day() -> None:
    assert DIRECTORY.resolve("WM", on=date(2008, 9, 26)) == OLD
    assert DIRECTORY.resolve("WM", on=date(2009, 8, 5)) == NEW
    assert DIRECTORY.resolve("WM", on=date(2050, 1, 1)) == NEW


def test_a_rename_keeps_the_id() -> None:
    days = (date(1998, 1, 2), date(1999, 1, 4), date(2020, 1, 2))
    assert [DIRECTORY.ticker(NEW, on=day) for day in days] == ["UW", "WMI", "WM"]
    assert {DIRECTORY.resolve(t, on=d) for t, d in zip(("UW", "WMI", "WM"), days, strict=True)} == {NEW}
    assert DIRECTORY.ticker(OLD, on=date(2009, 1, 2)) is None


def test_a_day_between_two_owners_is_refused_with_who_had_it_when() -> None:
    with pytest.raises(
        DataError, match=r"WM was not listed on 2009-01-02; .*US.WM 1998-12-09 to 2008-09-26, .* to now"
    ):
        DIRECTORY.resolve("WM", on=date(2009, 1, 2))


def test_an_unknown_ticker_is_told_with_the_known_ones() -> None:
    with pytest.raises(UnknownNameError, match=r"unknown ticker 'WMX'.*Known: USO, UW, WM, WMI"):
        DIRECTORY.resolve("WMX", on=date(2009, 1, 2))


def test_two_owners_on_one_day_are_ambiguous() -> None:
    both = Directory.of(
        [*DIRECTORY.aliases, Alias("USO", date(2007, 1, 1), date(2007, 2, 1), OLD.__class__("stock.US.X"))]
    )
    with pytest.raises(DataError, match="USO is ambiguous on 2007-01-15"):
        both.resolve("USO", on=date(2007, 1, 15))


def test_two_tickers_of_one_instrument_at_once_and_backward_spans_are_refused() -> None:
    with pytest.raises(DataError, match="two tickers at once"):
        Directory.of([*DIRECTORY.aliases, Alias("WMX", date(2010, 1, 4), None, NEW)])
    with pytest.raises(DataError, match="ends before it begins"):
        Directory.of([Alias("A", date(2010, 1, 4), date(2010, 1, 3), NEW)])
