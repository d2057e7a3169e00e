"""Products of parameters are kept while nothing changes, and never where gradients pass or a parameter moved."""

from __future__ import annotations

import copy

import pytest

torch = pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
torch.set_num_threads(1)  # the suite runs several workers

from foresail.forecasting.neural.blocks import GatedResidual  # noqa: E402
from foresail.forecasting.neural.tft.selection import RealSelection  # noqa: E402


def residual():
    torch.manual_seed(0)
    return GatedResidual(4, 4, 4), torch.randn(3, 4)


def selection():
    torch.manual_seed(0)
    one, context = RealSelection(5, 4, 4, 0.0), torch.randn(3, 4)
    return one, torch.randn(3, 5), context


def told(block, *inputs):
    with torch.inference_mode():
        found = block(*inputs)
        return found[0] if isinstance(found, tuple) else found


def same(block, *inputs):
    """Return what a copy says that has kept nothing."""
    return told(copy.deepcopy(block), *inputs)


@pytest.mark.parametrize("make", [residual, selection])
def test_what_is_kept_follows_every_change_of_every_parameter(make):
    block, *inputs = make()
    for name, parameter in block.named_parameters():
        told(block, *inputs)
        with torch.no_grad():
            parameter.add_(0.25 * torch.randn_like(parameter))
        assert torch.equal(told(block, *inputs), same(block, *inputs)), name
    told(block, *inputs)
    other, *_ = make()
    block.load_state_dict(other.state_dict())
    assert torch.equal(told(block, *inputs), told(other, *inputs))


@pytest.mark.parametrize("make", [residual, selection])
def test_without_gradients_products_are_made_once(make, monkeypatch):
    block, *inputs = make()
    first = told(block, *inputs)
    names = [name for name in ("_products", "_joint_products", "_own_products") if hasattr(type(block), name)]
    made = []
    for name in names:
        real = getattr(type(block), name)
        monkeypatch.setattr(type(block), name, lambda self, r=real: (made.append(r.__name__), r(self))[1])
    assert torch.equal(told(block, *inputs), first)
    assert not made
    found = block(*inputs)
    (found[0] if isinstance(found, tuple) else found).sum().backward()  # gradients need them anew
    assert made == names
    assert all(p.grad is not None for p in block.parameters())
    assert torch.equal(told(block, *inputs), first)


def test_double_and_back_is_not_mistaken():
    block, x = residual()
    first = told(block, x)
    exact = told(block.double(), x.double())
    assert exact.dtype is torch.float64
    torch.testing.assert_close(exact.float(), first)
