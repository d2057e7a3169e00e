"""The embedded sample: shape, labels, calendar, knowledge of the reference series, no network."""

import socket

import numpy as np
import pytest

from foresail.adapters.embedded.sample import load_demo, load_indices
from foresail.core.clock import from_ns


@pytest.fixture(scope="module")
def demo():
    return load_demo()


def test_twenty_closes_of_every_session(demo):
    bars, bar_set, _ = demo
    assert bars.table.num_rows == 20 * 8313
    assert len(bar_set.instruments) == 20
    assert (bar_set.universe_basis, bar_set.price_basis, bar_set.close_only) == ("hindsight", "total_return", True)
    assert bars.table.column("open").null_count == bars.table.num_rows
    assert all(not i.sector.startswith("stock.") for i in bar_set.instruments)
    assert set(bars.table.column("total_factor").to_pylist()) == {1.0}


def test_reference_is_known_after_the_next_open(demo):
    _, _, reference = demo
    available, values = reference["vix"]
    assert values[0] == 13.76
    assert from_ns(int(available[0])).isoformat() == "2014-01-06T14:30:01+00:00"  # 2014-01-03 was a Friday
    for known, series in reference.values():
        assert len(known) == len(series)
        assert np.all(np.diff(known) >= 0)
        assert np.isfinite(series).all()


def test_indices_have_bars_of_their_own():
    bars, bar_set = load_indices()
    assert [i.id for i in bar_set.instruments] == ["index.US.NDQ", "index.US.SPX"]
    assert bars.table.num_rows == 2 * 5031
    assert bars.table.column("open").null_count == 0


def test_nothing_is_fetched(monkeypatch):
    def no_network(*_args, **_kwargs):
        raise AssertionError("the sample must not use the network")

    monkeypatch.setattr(socket, "socket", no_network)
    load_demo()
