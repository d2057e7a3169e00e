"""Gated blocks that the networks share.

A gated residual network is ``LayerNorm(skip(a) + GLU(W1 ELU(W2 a + W3 c)))`` [Lim2021]. Between W1 and the gate's own
layer there is no non-linearity, so both are multiplied once a batch and applied as one: the same function of the same
parameters with half the work. Dropout acts on the ELU's output, which keeps that exact in training.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from foresail.forecasting.neural.fused import fused_gate, usable
from foresail.forecasting.neural.kept import Kept

__all__ = ["GatedResidual", "GatedSkip", "gate", "uniform_"]


def uniform_(tensor: Tensor, fan_in: int) -> Tensor:
    """Fill a weight with uniform values within 1 / sqrt(fan_in), as PyTorch's linear layers do."""
    bound = 1.0 / math.sqrt(max(fan_in, 1))
    return nn.init.uniform_(tensor, -bound, bound)


def gate(both: Tensor) -> Tensor:
    """Return sigmoid(left half) * right half of the last axis."""
    left, right = both.chunk(2, dim=-1)
    return torch.sigmoid(left) * right


class GatedSkip(nn.Module):
    """``LayerNorm(skip + GLU(x))``, widths all equal.

    Parameters
    ----------
    width : d
    dropout : share of x set to zero in training
    """

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.glu = nn.Linear(width, 2 * width)
        self.norm = nn.LayerNorm(width)
        self.dropout = dropout

    def forward(self, x: Tensor, skip: Tensor) -> Tensor:
        """Return (..., d) from (..., d) and (..., d)."""
        rate = self.dropout if self.training else 0.0
        rows, width = skip.numel() // skip.shape[-1], skip.shape[-1]
        if usable(rows, width, rate, x, skip, self.glu.weight):
            parts = (x.reshape(rows, width), skip.reshape(rows, width), self.glu.weight.t(), self.glu.bias)
            return fused_gate((*parts, self.norm.weight, self.norm.bias), rate, elu=False).reshape(skip.shape)
        x = functional.dropout(x, self.dropout, self.training)
        normed: Tensor = self.norm(skip + gate(self.glu(x)))
        return normed


class GatedResidual(nn.Module):
    """A gated residual network.

    Parameters
    ----------
    inputs, width, outputs : of a, of the hidden layer, of the result
    context : width of c, 0 for none
    dropout : share of hidden values set to zero in training
    """

    def __init__(self, inputs: int, width: int, outputs: int, *, context: int = 0, dropout: float = 0.0) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, width)
        self.context = nn.Linear(context, width, bias=False) if context else None
        self.second = nn.Linear(width, width)
        self.glu = nn.Linear(width, 2 * outputs)
        self.skip = nn.Linear(inputs, outputs) if inputs != outputs else None
        self.norm = nn.LayerNorm(outputs)
        self.dropout = dropout
        self._kept = Kept()

    def merged(self) -> tuple[Tensor, Tensor]:
        """Return the two adjacent linear layers behind the ELU as one: (2 outputs, width) and (2 outputs)."""
        weight, bias = self._kept.of((*self.glu.parameters(), *self.second.parameters()), self._products)
        return weight, bias

    def _products(self) -> tuple[Tensor, Tensor]:
        return self.glu.weight @ self.second.weight, self.glu.weight @ self.second.bias + self.glu.bias

    def forward(self, a: Tensor, c: Tensor | None = None) -> Tensor:
        """Return (..., outputs) from (..., inputs) and a context that broadcasts to (..., context)."""
        hidden = self.first(a)
        if self.context is not None and c is not None:
            hidden = hidden + self.context(c)
        weight, bias = self.merged()
        rate, width = self.dropout if self.training else 0.0, hidden.shape[-1]
        rows = hidden.numel() // width
        if self.skip is None and a.shape == hidden.shape and usable(rows, width, rate, a, hidden, weight):
            parts = (hidden.reshape(rows, width), a.reshape(rows, width), weight.t(), bias)
            return fused_gate((*parts, self.norm.weight, self.norm.bias), rate, elu=True).reshape(a.shape)
        hidden = functional.dropout(functional.elu(hidden), self.dropout, self.training)
        both = functional.linear(hidden, weight, bias)
        normed: Tensor = self.norm((a if self.skip is None else self.skip(a)) + gate(both))
        return normed
