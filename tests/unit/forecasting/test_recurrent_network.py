"""LSTM and GRU: documented sizes, absent bars, shared equal to plain windows, determinism, one batch by heart."""

from __future__ import annotations

from dataclasses import replace

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
torch.set_num_threads(1)  # the suite runs several workers

from foresail.core.errors import ConfigError, UnknownNameError  # noqa: E402
from foresail.forecasting.neural.recipe import pinball_loss  # noqa: E402
from foresail.forecasting.neural.recurrent import RecurrentNetwork, RecurrentSettings  # noqa: E402
from foresail.forecasting.neural.tft.network import Segments  # noqa: E402

SETTINGS = RecurrentSettings(
    observed=5, known=3, categories=(7, 4), targets=2, context_length=12, horizon=3, width=8, dropout=0.0
)
BOTH = pytest.mark.parametrize("cell", ["lstm", "gru"])


def network(cell="lstm", seed=0, **changes):
    torch.manual_seed(seed)
    return RecurrentNetwork(replace(SETTINGS, cell=cell, **changes))


def segments(count=4, windows=6, stride=1, seed=1, absent=0.2):
    g = torch.Generator().manual_seed(seed)
    past = SETTINGS.context_length + (windows - 1) * stride
    present = (torch.rand(count, past, generator=g) > absent).float()
    codes = [torch.randint(0, n, (count,), generator=g) for n in SETTINGS.categories]
    return Segments(
        torch.randn(count, past, SETTINGS.observed, generator=g),
        torch.randn(count, past + SETTINGS.horizon, SETTINGS.known, generator=g),
        present,
        torch.stack(codes, dim=1),
        stride,
    )


def plain_of(shared, windows):
    """Return the same windows, one a segment."""
    c, h, step = SETTINGS.context_length, SETTINGS.horizon, shared.stride

    def cut(x, length):
        return torch.stack([x[:, k * step : k * step + length] for k in range(windows)], dim=1).flatten(0, 1)

    static = shared.static.repeat_interleave(windows, 0)
    return Segments(cut(shared.observed, c), cut(shared.known, c + h), cut(shared.present, c), static)


@pytest.mark.parametrize(("cell", "count"), [("lstm", 143_043), ("gru", 109_443)])
def test_the_documented_shape_has_the_documented_number_of_parameters(cell, count):
    # 32 inputs: 20 observed, 11 of the calendar and the presence mark; three outputs
    model = RecurrentNetwork(RecurrentSettings(observed=20, known=11, levels=3, horizon=1, cell=cell))
    assert sum(p.numel() for p in model.parameters()) == count


@BOTH
@pytest.mark.parametrize("stride", [1, 3])
def test_shared_windows_give_the_quantiles_and_gradients_of_plain_ones(cell, stride):
    model = network(cell)
    shared = segments(stride=stride)
    target = torch.randn(4, 6, 3, 2, 7, generator=torch.Generator().manual_seed(2))
    told = model(shared).quantiles
    assert told.shape == target.shape
    (told - target).abs().mean().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    alone = model(plain_of(shared, 6)).quantiles.reshape(told.shape)
    (alone - target).abs().mean().backward()
    torch.testing.assert_close(alone, told, atol=1e-6, rtol=1e-5)
    for name, p in model.named_parameters():
        torch.testing.assert_close(p.grad, gradients[name], atol=1e-6, rtol=1e-4, msg=name)


@BOTH
def test_the_state_stays_as_it_is_at_absent_bars(cell):
    """A loop with the library's single cells, step by step."""
    model = network(cell).eval()
    given = segments(count=3, windows=1, absent=0.4)
    x = torch.cat([given.observed, given.known[:, :12], given.present.unsqueeze(-1)], -1)
    for layer in range(2):
        single = (torch.nn.LSTMCell if cell == "lstm" else torch.nn.GRUCell)(x.shape[-1], 8)
        names = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        single.load_state_dict({name: getattr(model.recurrent, f"{name}_l{layer}") for name in names})
        hidden, memory, told = torch.zeros(3, 8), torch.zeros(3, 8), []
        for t in range(12):
            keep = given.present[:, t : t + 1]
            if cell == "lstm":
                h, c = single(x[:, t], (hidden, memory))
                memory = keep * c + (1 - keep) * memory
            else:
                h = single(x[:, t], hidden)
            hidden = keep * h + (1 - keep) * hidden
            told.append(hidden)
        x = torch.stack(told, 1)
    static = [table(given.static[:, j]) for j, table in enumerate(model.embeddings)]
    expected = model.head(torch.cat([hidden, *static], 1)).reshape(3, 1, 3, 2, 7)
    torch.testing.assert_close(model(given).quantiles, expected, atol=1e-6, rtol=1e-5)


@BOTH
def test_values_of_absent_bars_and_of_the_steps_ahead_change_nothing(cell):
    model = network(cell).eval()
    given = segments(count=3, windows=1, absent=0.4)
    noise = 50.0 * (1.0 - given.present.unsqueeze(-1))
    known = given.known.clone()
    known[:, 12:] += 7.0
    other = Segments(given.observed + noise, known, given.present, given.static)
    assert torch.equal(model(given).quantiles, model(other).quantiles)
    seen = given.present[0].nonzero()[-1, 0]
    observed = given.observed.clone()
    observed[0, seen] += 1.0
    moved = model(Segments(observed, given.known, given.present, given.static)).quantiles
    assert not torch.equal(moved[0], model(given).quantiles[0])
    assert torch.equal(moved[1:], model(given).quantiles[1:])


@BOTH
def test_a_window_without_any_bar_says_something_finite(cell):
    given = segments(count=2, windows=1)
    empty = Segments(given.observed, given.known, torch.zeros_like(given.present), given.static)
    assert torch.isfinite(network(cell)(empty).quantiles).all()


def fitted(cell, steps=300):
    model = network(cell, width=16)
    given = segments(count=4, windows=2)
    actual = torch.randn(4, 2, 3, 2, generator=torch.Generator().manual_seed(3))
    levels = torch.tensor([0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95])
    adam = torch.optim.Adam(model.parameters(), lr=0.01)
    losses = []
    for _ in range(steps):
        adam.zero_grad()
        loss = pinball_loss(model(given).quantiles, actual, levels, torch.ones_like(actual))
        loss.backward()
        adam.step()
        losses.append(loss.item())
    return losses


@BOTH
def test_one_batch_is_learnt_by_heart_and_the_same_each_time(cell):
    losses = fitted(cell)
    assert losses[-1] < 0.05 * losses[0]
    assert fitted(cell, steps=20) == losses[:20]


def test_the_static_categories_matter_and_may_be_left_out():
    model = network().eval()
    given = segments(windows=1)
    other = Segments(given.observed, given.known, given.present, (given.static + 1) % 4)
    assert not torch.equal(model(given).quantiles, model(other).quantiles)
    none = network(categories=()).eval()
    assert torch.equal(none(given).quantiles, none(other).quantiles)


def test_settings_that_make_no_network_are_refused():
    with pytest.raises(UnknownNameError, match="gru"):
        replace(SETTINGS, cell="rnn")
    with pytest.raises(ConfigError, match="observed input"):
        replace(SETTINGS, observed=0)
    with pytest.raises(ConfigError, match="dropout"):
        replace(SETTINGS, dropout=1.0)
