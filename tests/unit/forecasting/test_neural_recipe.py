"""The documented recipe: every vector of TRAIN-11 to 20."""

from __future__ import annotations

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")

from foresail.core.errors import ConfigError, UnknownNameError  # noqa: E402
from foresail.forecasting.neural.recipe import (  # noqa: E402
    Clipper,
    EarlyStopping,
    Rates,
    class_loss,
    class_weights,
    focal_loss,
    is_focal,
    pinball_loss,
)


@pytest.mark.parametrize(("epoch", "rate"), [(0, 1e-6), (1, 2e-4), (5, 1e-3), (27, 5.179e-4), (50, 1e-6)])
def test_cosine_with_warm_up(epoch, rate):
    assert Rates().at(epoch) == pytest.approx(rate, rel=1e-4)


@pytest.mark.parametrize(("step", "rate"), [(0, 1e-4), (2, 4.06e-3), (5, 1e-2), (7, 6.04e-3), (10, 1e-4)])
def test_cyclic_triangle(step, rate):
    assert Rates("cyclic", base=1e-2, minimum=1e-4).at(0, step=step) == pytest.approx(rate)


def test_plateau_and_steps_halve():
    assert Rates("plateau").at(9, stale=2) == pytest.approx(2.5e-4)
    assert Rates("step").at(30) == pytest.approx(2.5e-4)
    assert Rates("constant").at(99) == 1e-3


def test_clipping_by_norm_and_by_twice_the_usual_norm():
    assert Clipper("norm").coefficient(4.0) == pytest.approx(0.25, abs=1e-6)
    assert Clipper("norm").coefficient(0.5) == 1.0
    adaptive = Clipper("adaptive")
    adaptive.norms.extend([1.0, 1.0])
    assert adaptive.coefficient(4.0) == pytest.approx(0.65)


@pytest.mark.parametrize(("mode", "largest"), [("norm", 1.0), ("adaptive", 1.0), ("value", 1.0)])
def test_gradients_are_scaled_in_place(mode, largest):
    parameter = torch.nn.Parameter(torch.zeros(2))
    parameter.grad = torch.tensor([3.0, 4.0])
    assert Clipper(mode, largest).clip([parameter]) == pytest.approx(5.0)
    if mode == "value":
        assert parameter.grad.tolist() == [1.0, 1.0]
    else:
        assert float(torch.linalg.vector_norm(parameter.grad)) == pytest.approx(1.0, abs=1e-5)


def test_early_stopping_asks_for_a_real_gain():
    stopping = EarlyStopping(patience=2)
    told = [stopping.update(e, loss) for e, loss in enumerate([1.0, 0.9995, 0.99, 0.9895, 0.9892])]
    assert told == [True, False, True, False, False]
    assert (stopping.is_over, stopping.best_epoch) == (True, 2)


def test_losses_of_the_specification():
    def one(level):
        told, actual = torch.tensor([[8.0]]), torch.tensor([10.0])
        return pinball_loss(told, actual, torch.tensor([level]), torch.ones(1)).item()

    assert (one(0.1), one(0.9)) == (pytest.approx(0.2), pytest.approx(1.8))
    assert class_weights([100, 300, 100]) == pytest.approx([1.2857, 0.4286, 1.2857], abs=1e-4)
    assert focal_loss(torch.tensor(0.9)).item() == pytest.approx(0.0010536, abs=1e-7)
    assert focal_loss(torch.tensor(0.5)).item() == pytest.approx(0.1732868, abs=1e-7)


def test_a_missing_label_weighs_nothing():
    told = torch.tensor([[1.0], [99.0]], requires_grad=True)
    loss = pinball_loss(told, torch.tensor([2.0, 0.0]), torch.tensor([0.5]), torch.tensor([1.0, 0.0]))
    loss.backward()
    assert loss.item() == pytest.approx(0.5)
    assert told.grad[1].item() == 0.0


def test_unknown_words_are_refused():
    with pytest.raises(UnknownNameError, match="cosine"):
        Rates("linear")
    with pytest.raises(UnknownNameError, match="adaptive"):
        Clipper("none")
    with pytest.raises(ConfigError):
        Rates(minimum=0.1, base=0.01)


def test_three_to_one_is_still_cross_entropy_and_beyond_it_focal():
    """TRAIN-17: the focal loss when the ratio exceeds 3, not at 3."""
    assert not is_focal([100, 300, 100])
    assert is_focal([100, 301, 100])
    assert is_focal([0, 5, 5])
    assert not is_focal([7, 7])
    for counts in ([5], [-1, 2], [0, 0]):
        with pytest.raises(ConfigError, match="two classes"):
            is_focal(counts)


def test_the_loss_of_classes_follows_the_choice():
    told = torch.tensor([[0.9, 0.05, 0.05], [0.25, 0.5, 0.25]])
    came = torch.tensor([0, 1])
    plain = class_loss(told, came, [100, 300, 100])
    weights = class_weights([100, 300, 100])
    entropy = -(weights[0] * torch.log(torch.tensor(0.9)) + weights[1] * torch.log(torch.tensor(0.5))) / 2
    assert plain.item() == pytest.approx(entropy.item(), rel=1e-6)
    assert class_loss(told, came, [50, 50, 50]).item() == pytest.approx(
        -(torch.log(torch.tensor(0.9)) + torch.log(torch.tensor(0.5))).item() / 2, rel=1e-6
    )
    heavy = class_weights([100, 400, 100])
    focal = class_loss(told, came, [100, 400, 100])
    assert focal.item() == pytest.approx((heavy[0] * 0.0010536 + heavy[1] * 0.1732868) / 2, rel=1e-4)
    assert torch.isfinite(class_loss(torch.tensor([[0.0, 1.0]]), torch.tensor([0]), [1, 1]))
