"""Serving bar by bar equals the network on whole windows."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
torch.set_num_threads(1)  # the suite runs several workers

from foresail.core.errors import DataError  # noqa: E402
from foresail.forecasting.neural.tft.network import Segments, TemporalFusionTransformer, TftSettings  # noqa: E402
from foresail.forecasting.neural.tft.serving import TftServer, whole_windows  # noqa: E402

N, T, V, W, C, H = 5, 40, 4, 3, 9, 3
SETTINGS = TftSettings(V, W, (N + 1,), 2, 7, C, H, 16, 4, layers=2)


def market():
    g = torch.Generator().manual_seed(0)
    present = (torch.rand(N, T, generator=g) > 0.15).float()
    return torch.randn(N, T, V, generator=g), torch.randn(T + H, W, generator=g), present


def network():
    torch.manual_seed(0)
    return TemporalFusionTransformer(SETTINGS).eval()


def whole(model, observed, known, present, t, static):
    """Return the forecasts of bar t from whole windows, padded with absence before the first bar."""
    first = t - C + 1
    pad = max(0, -first)
    x = torch.cat([torch.zeros(N, pad, V), observed[:, max(first, 0) : t + 1]], dim=1)
    seen = torch.cat([torch.zeros(N, pad), present[:, max(first, 0) : t + 1]], dim=1)
    rows = torch.cat([torch.zeros(pad, W), known[max(first, 0) : t + 1 + H]])
    return whole_windows(model, Segments(x, rows.expand(N, -1, -1), seen, static))[:, 0]


def test_every_bar_equals_whole_windows():
    model, (observed, known, present) = network(), market()
    static = torch.arange(N).unsqueeze(1) + 1
    server = TftServer(model, static)
    for t in range(T):
        told = server.update(observed[:, t], known[t], present[:, t], known[t + 1 : t + 1 + H])
        assert bool(told.ready.all()) is (t >= C - 1)
        if t >= C - 1:
            expected = whole(model, observed, known, present, t, static)
            torch.testing.assert_close(told.quantiles, expected, atol=1e-5, rtol=1e-5)
        assert told.attention.shape == (N, H, C + H)
        torch.testing.assert_close(told.past_weights.sum(-1), torch.ones(N))


def test_a_warm_start_equals_a_long_run():
    model, (observed, known, present) = network(), market()
    static = torch.arange(N).unsqueeze(1) + 1
    long, short = TftServer(model, static), TftServer(model, static)
    for t in range(30):
        long.update(observed[:, t], known[t], present[:, t], known[t + 1 : t + 1 + H])
    short.warm(observed[:, :30], known[:30], present[:, :30])
    a, b = (s.update(observed[:, 30], known[30], present[:, 30], known[31 : 31 + H]) for s in (long, short))
    torch.testing.assert_close(a.quantiles, b.quantiles, atol=1e-6, rtol=1e-6)


def test_a_calendar_that_does_not_move_on_is_selected_anew():
    model, (observed, known, present) = network(), market()
    static = torch.ones(N, 1, dtype=torch.int64)
    server = TftServer(model, static)
    for t in range(C + 2):
        server.update(observed[:, t], known[t], present[:, t], known[t + 1 : t + 1 + H])
    t = C + 2
    other = known.clone()
    other[t + 1 : t + 1 + H] += 1.0
    told = server.update(observed[:, t], known[t], present[:, t], other[t + 1 : t + 1 + H])
    torch.testing.assert_close(told.quantiles, whole(model, observed, other, present, t, static), atol=1e-5, rtol=1e-5)


def test_missing_values_and_wrong_shapes_are_refused():
    server = TftServer(network(), torch.ones(N, 1, dtype=torch.int64))
    good = torch.zeros(N, V), torch.zeros(W), torch.ones(N), torch.zeros(H, W)
    with pytest.raises(DataError, match="shapes"):
        server.update(torch.zeros(N, V + 1), *good[1:])
    broken = good[0].clone()
    broken[0, 0] = float("nan")
    with pytest.raises(DataError, match="missing or infinite"):
        server.update(broken, *good[1:])


@pytest.mark.parametrize(("count", "width"), [(16, 16), (33, 32), (140, 16)])
def test_the_compiled_pass_equals_whole_windows(count, width):
    torch.manual_seed(1)
    model = TemporalFusionTransformer(TftSettings(V, W, (count + 1,), 2, 7, C, H, width, 4)).eval()
    g = torch.Generator().manual_seed(2)
    present = (torch.rand(count, T, generator=g) > 0.15).float()
    present[3, :20] = 0.0  # listed late
    observed, known = torch.randn(count, T, V, generator=g), torch.randn(T + H, W, generator=g)
    static = torch.arange(count).unsqueeze(1) + 1
    server, same = TftServer(model, static), TftServer(model, static)
    for t in range(T):
        told = server.update(observed[:, t], known[t], present[:, t], known[t + 1 : t + 1 + H])
        torch.set_num_threads(2)
        again = same.update(observed[:, t], known[t], present[:, t], known[t + 1 : t + 1 + H])
        assert torch.get_num_threads() == 2
        torch.set_num_threads(1)
        assert torch.equal(told.quantiles, again.quantiles)  # whatever the number of threads
        if t >= C - 1:
            own = slice(t - C + 1, t + 1)
            rows = known[t - C + 1 : t + 1 + H].expand(count, -1, -1)
            expected = whole_windows(model, Segments(observed[:, own], rows, present[:, own], static))[:, 0]
            torch.testing.assert_close(told.quantiles, expected, atol=1e-5, rtol=1e-5)


def test_memory_lies_where_the_network_does_and_answers_come_back():
    # tensors of "meta" have a device and no numbers, so no accelerator is needed to see where things lie
    server = TftServer(network().to("meta"), torch.ones(300, 1, dtype=torch.int64))
    bar = torch.zeros(300, V), torch.zeros(W), torch.ones(300), torch.zeros(H, W)
    server.warm(torch.zeros(300, T, V), torch.zeros(T, W), torch.ones(300, T))
    with pytest.raises(NotImplementedError, match="Cannot copy out of meta"):  # the way back to the CPU
        server.update(*bar)
    (piece,) = server._pieces  # one, whatever the number of instruments
    assert {one.device.type for one in (piece._past, piece._seen, piece._ahead, *piece.answer)} == {"meta"}
