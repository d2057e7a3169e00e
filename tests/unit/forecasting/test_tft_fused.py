"""The compiled blocks against their tensor form: values, slopes, dropout, threads."""

from __future__ import annotations

from contextlib import nullcontext

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
torch.set_num_threads(1)  # the suite runs several workers

from foresail.forecasting.neural.blocks import GatedResidual, GatedSkip  # noqa: E402
from foresail.forecasting.neural.fused import fused_mix, tensor_form, usable  # noqa: E402
from foresail.forecasting.neural.fused_recurrent import fused_lstm, lstm_usable  # noqa: E402
from foresail.forecasting.neural.tft.network import Segments, TemporalFusionTransformer, TftSettings  # noqa: E402
from foresail.forecasting.neural.tft.selection import RealSelection  # noqa: E402


def filled(module, seed=0):
    torch.manual_seed(seed)
    for parameter in module.parameters():
        torch.nn.init.normal_(parameter, std=0.4)
    return module


def outcome(module, call, context):
    """Return outputs and all slopes of a random projection of them."""
    module.zero_grad()
    with context:
        told = call()
        g = torch.Generator().manual_seed(3)
        (told * torch.randn(told.shape, generator=g)).sum().backward()
    return told.detach(), {name: p.grad.clone() for name, p in module.named_parameters() if p.grad is not None}


def assert_same(module, call):
    told, slopes = outcome(module, call, nullcontext())
    expected, wanted = outcome(module, call, tensor_form())
    torch.testing.assert_close(told, expected, atol=1e-5, rtol=1e-5)
    assert sorted(slopes) == sorted(wanted)
    for name, slope in slopes.items():
        size = float(wanted[name].abs().max())
        torch.testing.assert_close(slope, wanted[name], atol=1e-5 * max(size, 1.0), rtol=1e-4, msg=name)


@pytest.mark.parametrize(("rows", "variables", "width"), [(130, 3, 16), (200, 6, 48), (300, 4, 64)])
def test_selection_equals_its_tensor_form(rows, variables, width):
    module = filled(RealSelection(variables, width, width, 0.0))
    x, context = torch.randn(rows, variables), torch.randn(rows, width)
    assert usable(rows, width, 0.0, x)
    assert_same(module, lambda: module(x, context)[0])


@pytest.mark.parametrize("block", [GatedSkip(32, 0.0), GatedResidual(32, 32, 32, context=32)])
def test_gated_blocks_equal_their_tensor_form(block):
    filled(block)
    a, b = torch.randn(5, 40, 32), torch.randn(5, 40, 32)
    assert_same(block, lambda: block(a, b))


def test_slopes_by_the_inputs_equal_those_of_the_tensor_form():
    module = filled(RealSelection(4, 16, 16, 0.0))
    context = torch.randn(150, 16)
    found = []
    for form in (nullcontext(), tensor_form()):
        x = torch.linspace(-2.0, 2.0, 600).reshape(150, 4).requires_grad_()
        with form:
            module(x, context)[0].square().sum().backward()
        found.append(x.grad)
    torch.testing.assert_close(found[0], found[1], atol=1e-4, rtol=1e-4)


@pytest.mark.parametrize(("width", "layers"), [(32, 2), (48, 1)])
def test_the_whole_network_equals_its_tensor_form(width, layers):
    settings = TftSettings(5, 3, (7, 4), 2, 7, 12, 3, width, 4, layers, 0.0)
    torch.manual_seed(0)
    model = TemporalFusionTransformer(settings)
    segments = Segments(
        torch.randn(20, 19, 5), torch.randn(20, 22, 3), torch.ones(20, 19), torch.randint(0, 4, (20, 2)), 1
    )
    assert_same(model, lambda: model(segments).quantiles)


def _parts(rows=160, variables=3, width=16):
    g = torch.Generator().manual_seed(1)
    shapes = ((variables, 2, width),) * 2 + ((variables, width, 2 * width), (variables, 2 * width), (variables, width))
    x, weights = torch.randn(rows, variables, generator=g), torch.rand(rows, variables, generator=g)
    return (x, weights, *(torch.randn(shape, generator=g).requires_grad_() for shape in shapes))


def test_a_seed_fixes_the_dropout_and_another_one_changes_it():
    parts = _parts()
    told = []
    for seed in (5, 5, 6):
        torch.manual_seed(seed)
        told.append(fused_mix(parts, 0.3))
    assert torch.equal(told[0], told[1])
    assert not torch.equal(told[0], told[2])


def test_dropout_keeps_the_share_and_the_mean():
    # gate open and constant, so that each output is a sum over kept hidden values
    rows, width = 4096, 16
    lines = torch.zeros(1, 2, width)
    lines[:, 1] = 1.0  # each hidden value is 1 before dropout
    merged = torch.zeros(1, width, 2 * width)
    merged[0, :, width:] = torch.eye(width)
    bias = torch.zeros(1, 2 * width)
    bias[:, :width] = 50.0
    embeds = torch.zeros(1, 2, width)
    parts = (torch.zeros(rows, 1), torch.ones(rows, 1), lines, embeds, merged, bias, torch.ones(1, width))
    torch.manual_seed(0)
    kept = fused_mix(parts, 0.25) > 0.0  # normalised: dropped values lie below the row's mean
    dropped_rows = kept.any(dim=1)  # a row where nothing was dropped is constant, so it is all 0
    share = 1.0 - float(kept[dropped_rows].float().mean())
    assert share == pytest.approx(0.25 / (1.0 - 0.75**width), abs=0.01)
    columns = kept.float().mean(dim=0)
    assert float(columns.max() - columns.min()) < 0.06


def test_slopes_under_dropout_are_those_of_the_same_mask():
    parts = tuple(p.detach().clone() for p in _parts())
    lines = parts[2].clone().requires_grad_()
    direction = torch.randn(lines.shape, generator=torch.Generator().manual_seed(2))

    def value(at):
        torch.manual_seed(9)
        return fused_mix((*parts[:2], at, *parts[3:]), 0.3).double().square().sum()

    slope = float((torch.autograd.grad(value(lines), lines)[0] * direction).sum())
    step = 1e-3
    with torch.no_grad():
        numeric = float(value(lines + step * direction) - value(lines - step * direction)) / (2 * step)
    assert slope == pytest.approx(numeric, rel=0.01)


def test_the_number_of_threads_changes_nothing():
    found = []
    for threads in (1, 3):
        torch.set_num_threads(threads)
        try:
            parts = _parts(rows=700)
            torch.manual_seed(4)
            told = fused_mix(parts, 0.2)
            found.append((told, *torch.autograd.grad(told.sum(), parts[2:])))
        finally:
            torch.set_num_threads(1)
    assert all(torch.equal(a, b) for a, b in zip(*found, strict=True))


def test_what_is_no_number_stays_none():
    parts = list(_parts())
    parts[0][7, 1] = float("nan")
    told = fused_mix(tuple(parts), 0.0)
    assert bool(told[7].isnan().all())
    assert bool(told[8:].isfinite().all())


def test_odd_widths_few_rows_and_other_types_take_the_tensor_form():
    x = torch.zeros(1)
    assert not usable(1000, 24, 0.0, x)
    assert not usable(10, 32, 0.0, x)
    assert not usable(1000, 32, 0.0, x.double())
    with tensor_form():
        assert not usable(1000, 32, 0.0, x)
    assert usable(1000, 32, 0.0, x)


def test_merged_layers_are_made_again_when_a_parameter_changed():
    module = filled(RealSelection(4, 16, 16, 0.0)).eval()
    x, context = torch.randn(5, 4), torch.randn(5, 16)
    with torch.no_grad():
        before = module(x, context)[0]
        assert torch.equal(module(x, context)[0], before)
        module.second.mul_(1.5)
        after = module(x, context)[0]
    assert not torch.allclose(before, after)
    torch.testing.assert_close(module(x, context)[0].detach(), after, atol=1e-6, rtol=1e-6)
    other = filled(RealSelection(4, 16, 16, 0.0), seed=1)
    module.load_state_dict(other.state_dict())
    with torch.inference_mode():
        torch.testing.assert_close(module(x, context)[0], other(x, context)[0], atol=1e-6, rtol=1e-6)


@pytest.mark.parametrize(("count", "windows", "stride", "width"), [(6, 8, 1, 16), (9, 5, 3, 32), (40, 1, 1, 16)])
def test_the_shared_recurrent_part_equals_the_layer_over_each_window(count, windows, stride, width):
    length = 12
    layer = filled(torch.nn.LSTM(width, width, batch_first=True))
    steps = torch.randn(count, length + (windows - 1) * stride, width, requires_grad=True)
    hidden, cell = (torch.randn(count, width, requires_grad=True) for _ in range(2))
    gates = torch.nn.functional.linear(steps, layer.weight_ih_l0, layer.bias_ih_l0 + layer.bias_hh_l0)
    assert lstm_usable(windows, gates)
    told = fused_lstm(gates, layer.weight_hh_l0, (hidden, cell), (windows, length, stride))
    flat = steps.unfold(1, length, stride).transpose(-1, -2).reshape(count * windows, length, width)
    start = tuple(x.repeat_interleave(windows, 0).unsqueeze(0) for x in (hidden, cell))
    expected, (_, last) = layer(flat, start)
    expected = torch.cat([expected, last.transpose(0, 1)], dim=1)
    torch.testing.assert_close(told, expected, atol=1e-5, rtol=1e-5)
    direction = torch.randn(told.shape, generator=torch.Generator().manual_seed(1))
    sources = [steps, hidden, cell, *layer.parameters()]
    found, wanted = (torch.autograd.grad((x * direction).sum(), sources) for x in (told, expected))
    for ours, theirs in zip(found, wanted, strict=True):
        torch.testing.assert_close(ours, theirs, atol=1e-5 * float(theirs.abs().max()), rtol=1e-4)
