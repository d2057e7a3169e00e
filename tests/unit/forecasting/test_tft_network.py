"""The network against a plain twin: shared equals plain, merged algebra equals the layers it stands for."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
torch.set_num_threads(1)  # the suite runs several workers

from foresail.core.errors import ConfigError  # noqa: E402
from foresail.forecasting.neural.blocks import GatedResidual  # noqa: E402
from foresail.forecasting.neural.tft.network import (  # noqa: E402
    Segments,
    TemporalFusionTransformer,
    TftSettings,
)
from foresail.forecasting.neural.tft.selection import RealSelection  # noqa: E402

SETTINGS = TftSettings(
    observed=5, known=3, categories=(7, 4), targets=2, context_length=12, horizon=3, width=8, heads=2, dropout=0.0
)


def network(settings=SETTINGS, seed=0):
    torch.manual_seed(seed)
    return TemporalFusionTransformer(settings)


def segments(count=4, windows=6, stride=1, seed=1, settings=SETTINGS):
    g = torch.Generator().manual_seed(seed)
    past = settings.context_length + (windows - 1) * stride
    present = (torch.rand(count, past, generator=g) > 0.2).float()
    present[:, settings.context_length - 1 :: stride] = 1.0
    codes = [torch.randint(0, n, (count,), generator=g) for n in settings.categories]
    return Segments(
        torch.randn(count, past, settings.observed, generator=g),
        torch.randn(count, past + settings.horizon, settings.known, generator=g),
        present,
        torch.stack(codes, dim=1),
        stride,
    )


def plain_of(shared, windows, settings=SETTINGS):
    """Return the same windows, one a segment."""
    c, h, step = settings.context_length, settings.horizon, shared.stride

    def cut(x, length):
        return torch.stack([x[:, k * step : k * step + length] for k in range(windows)], dim=1).flatten(0, 1)

    return Segments(
        cut(shared.observed, c),
        cut(shared.known, c + h),
        cut(shared.present, c),
        shared.static.repeat_interleave(windows, 0),
    )


@pytest.mark.parametrize(("stride", "is_start"), [(1, False), (3, False), (1, True)])
def test_shared_windows_give_the_quantiles_and_gradients_of_plain_ones(stride, is_start):
    model = network()
    shared = segments(stride=stride)
    if is_start:  # series that begin with the first window's last step, and in the midst of the segment's past
        shared.present[0, : SETTINGS.context_length - 1] = 0.0
        shared.present[1, : SETTINGS.context_length // 2] = 0.0
    plain = plain_of(shared, 6)
    target = torch.randn(4, 6, 3, 2, 7, generator=torch.Generator().manual_seed(2))
    told = model(shared).quantiles
    (told - target).abs().mean().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    alone = model(plain).quantiles.reshape(told.shape)
    (alone - target).abs().mean().backward()
    torch.testing.assert_close(alone, told, atol=1e-5, rtol=1e-5)
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, gradients[name], atol=1e-5, rtol=1e-4, msg=name)


def test_selection_equals_a_loop_over_variables_with_the_layers_written_out():
    torch.manual_seed(3)
    v, d = 4, 6
    selection = RealSelection(v, d, d, 0.0)
    with torch.no_grad():
        selection.gain.normal_()
        selection.shift.normal_()
    x, c = torch.randn(9, v), torch.randn(9, d)
    p = selection
    embedded = x.unsqueeze(-1) * p.embed_weight + p.embed_bias  # (R, V, d)
    flat = embedded.flatten(1)
    hidden = torch.nn.functional.elu(flat @ p.joint.flatten(0, 1) + p.joint_bias + p.joint_context(c))
    left, right = p.joint_glu(p.joint_second(hidden)).chunk(2, -1)
    skip = flat @ p.joint_skip.flatten(0, 1) + p.joint_skip_bias
    weights = torch.softmax(p.joint_norm(skip + torch.sigmoid(left) * right), -1)
    mixed = torch.zeros(9, d)
    for j in range(v):
        e = embedded[:, j]
        h = torch.nn.functional.elu(e @ p.first[j] + p.first_bias[j])
        left, right = ((h @ p.second[j] + p.second_bias[j]) @ p.glu[j] + p.glu_bias[j]).chunk(2, -1)
        own = torch.nn.functional.layer_norm(e + torch.sigmoid(left) * right, (d,), p.gain[j], p.shift[j])
        mixed += weights[:, j : j + 1] * own
    told, said = selection(x, c)
    torch.testing.assert_close(said, weights, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(told, mixed, atol=1e-5, rtol=1e-5)


def test_a_gated_residual_block_equals_its_layers_written_out():
    torch.manual_seed(4)
    block = GatedResidual(5, 6, 3, context=2)
    a, c = torch.randn(7, 5), torch.randn(7, 2)
    hidden = torch.nn.functional.elu(block.first(a) + block.context(c))
    left, right = block.glu(block.second(hidden)).chunk(2, -1)
    expected = block.norm(block.skip(a) + torch.sigmoid(left) * right)
    torch.testing.assert_close(block(a, c), expected, atol=1e-6, rtol=1e-5)


def test_what_comes_later_changes_no_earlier_quantile():
    model = network().eval()
    one = segments(count=2, windows=1)
    known = one.known.clone()
    known[:, -1] += 5.0  # the last step ahead
    other = Segments(one.observed, known, one.present, one.static)
    before, after = model(one).quantiles, model(other).quantiles
    assert torch.equal(before[:, :, :-1], after[:, :, :-1])
    assert not torch.equal(before[:, :, -1], after[:, :, -1])


def test_absent_steps_are_not_attended_to():
    model = network().eval()
    one = segments(count=3, windows=2)
    attention = model(one).attention
    seen = one.present.unfold(1, SETTINGS.context_length, 1)
    assert attention[..., : SETTINGS.context_length][(seen < 0.5).unsqueeze(2).expand(-1, -1, 3, -1)].abs().max() == 0.0
    torch.testing.assert_close(attention.sum(-1), torch.ones(3, 2, 3), atol=1e-6, rtol=0)


def test_weights_sum_to_one_and_have_the_shapes_told():
    model = network().eval()
    out = model(segments(count=2, windows=6))
    assert out.quantiles.shape == (2, 6, 3, 2, 7)
    assert out.past_weights.shape == (2, 17, 9)
    assert out.future_weights.shape == (2, 8, 3)
    assert out.static_weights.shape == (2, 2)
    for weights in (out.past_weights, out.future_weights, out.static_weights):
        torch.testing.assert_close(weights.sum(-1), torch.ones(weights.shape[:-1]), atol=1e-6, rtol=0)


def test_the_static_categories_matter_and_an_unknown_one_has_a_code():
    model = network().eval()
    one = segments(count=1, windows=1)
    other = Segments(one.observed, one.known, one.present, (one.static + 1) % 4)
    unknown = Segments(one.observed, one.known, one.present, torch.zeros_like(one.static))
    told = [model(s).quantiles for s in (one, other, unknown)]
    assert not torch.allclose(told[0], told[1])
    assert torch.isfinite(told[2]).all()


@pytest.mark.parametrize("layers", [1, 3])
def test_one_batch_can_be_learned_by_heart(layers):
    settings = TftSettings(5, 3, (7, 4), 1, 1, 12, 3, 16, 2, layers, 0.0)
    model = network(settings)
    one = segments(settings=settings)
    target = torch.randn(4, 6, 3, 1, 1, generator=torch.Generator().manual_seed(5))
    rates = torch.optim.Adam(model.parameters(), lr=1e-2)
    first = loss = (model(one).quantiles - target).abs().mean()
    for _ in range(150):
        rates.zero_grad()
        loss = (model(one).quantiles - target).abs().mean()
        loss.backward()
        rates.step()
    assert loss < 0.25 * first


def test_a_width_that_heads_cannot_share_is_refused():
    with pytest.raises(ConfigError, match="cannot be shared"):
        TftSettings(5, 3, (2,), width=10, heads=4)
    with pytest.raises(ConfigError, match="at least one"):
        TftSettings(5, 0, (2,))
