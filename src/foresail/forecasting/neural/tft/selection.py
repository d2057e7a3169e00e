"""Variable selection over all real inputs at once: no loop over variables, and nothing computed twice.

An input is a number x; its embedding is x w + b. So a linear layer behind it is again x times a vector plus a vector,
and the joint network over all V embeddings, V d wide, is a V-wide one. Both are exact. What remains per variable is one
product of d with 2 d, made for all variables in one batched call.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional

from foresail.forecasting.neural.blocks import gate, uniform_
from foresail.forecasting.neural.fused import fused_mix, usable
from foresail.forecasting.neural.kept import Kept

__all__ = ["RealSelection"]


class RealSelection(nn.Module):
    """Embeds V reals, weighs them against one another given a static context, returns their weighted sum [Lim2021].

    Parameters
    ----------
    variables : V
    width : d
    context : width of the static context
    dropout : share of hidden values set to zero in training
    """

    def __init__(self, variables: int, width: int, context: int, dropout: float) -> None:
        super().__init__()
        v, d = variables, width
        self.dropout = dropout
        self._kept, self._kept_joint = Kept(), Kept()
        self.embed_weight = nn.Parameter(uniform_(torch.empty(v, d), 1))
        self.embed_bias = nn.Parameter(uniform_(torch.empty(v, d), 1))
        # one gated residual network a variable
        self.first = nn.Parameter(uniform_(torch.empty(v, d, d), d))
        self.first_bias = nn.Parameter(uniform_(torch.empty(v, d), d))
        self.second = nn.Parameter(uniform_(torch.empty(v, d, d), d))
        self.second_bias = nn.Parameter(uniform_(torch.empty(v, d), d))
        self.glu = nn.Parameter(uniform_(torch.empty(v, d, 2 * d), d))
        self.glu_bias = nn.Parameter(uniform_(torch.empty(v, 2 * d), d))
        self.gain = nn.Parameter(torch.ones(v, d))
        self.shift = nn.Parameter(torch.zeros(v, d))
        # the joint network that gives the weights
        self.joint = nn.Parameter(uniform_(torch.empty(v, d, d), v * d))
        self.joint_bias = nn.Parameter(uniform_(torch.empty(d), v * d))
        self.joint_context = nn.Linear(context, d, bias=False)
        self.joint_second = nn.Linear(d, d)
        self.joint_glu = nn.Linear(d, 2 * v)
        self.joint_skip = nn.Parameter(uniform_(torch.empty(v, d, v), v * d))
        self.joint_skip_bias = nn.Parameter(uniform_(torch.empty(v), v * d))
        self.joint_norm = nn.LayerNorm(v)

    def forward(self, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return (R, d) selected and (R, V) weights.

        Parameters
        ----------
        x : (R, V), no missing value
        context : (R, context)
        """
        weights = self._weights(x, context)
        return self._mix(x, weights), weights

    def _weights(self, x: Tensor, context: Tensor) -> Tensor:
        sources = [self.embed_weight, self.embed_bias, self.joint, self.joint_bias, self.joint_skip]
        sources += [self.joint_skip_bias, *self.joint_second.parameters(), *self.joint_glu.parameters()]
        inner, constant, weight, bias, across, level = self._kept_joint.of(sources, self._joint_products)
        hidden = functional.elu(torch.addmm(constant, x, inner) + self.joint_context(context))
        hidden = functional.dropout(hidden, self.dropout, self.training)
        gated = gate(functional.linear(hidden, weight, bias))
        logits = self.joint_norm(torch.addmm(level, x, across) + gated)
        return torch.softmax(logits, dim=-1)

    def _joint_products(self) -> tuple[Tensor, ...]:
        """Return slope and start of the joint network's hidden values, merged layers, slope and start of its skip."""
        inner = torch.einsum("vd,vde->ve", self.embed_weight, self.joint)
        constant = torch.einsum("vd,vde->e", self.embed_bias, self.joint) + self.joint_bias
        weight = self.joint_glu.weight @ self.joint_second.weight
        bias = self.joint_glu.weight @ self.joint_second.bias + self.joint_glu.bias
        across = torch.einsum("vd,vdu->vu", self.embed_weight, self.joint_skip)
        level = torch.einsum("vd,vdu->u", self.embed_bias, self.joint_skip) + self.joint_skip_bias
        return inner, constant, weight, bias, across, level

    def _mix(self, x: Tensor, weights: Tensor) -> Tensor:
        """Return the weighted sum of the variables' own networks, (R, d)."""
        lines, embeds, merged, bias = self._merged()
        rate = self.dropout if self.training else 0.0
        if usable(x.shape[0], self.gain.shape[-1], rate, x, weights, merged):
            return fused_mix((x, weights, lines, embeds, merged, bias, self.gain), rate) + weights @ self.shift
        column = x.t().unsqueeze(-1)  # (V, R, 1)
        hidden = functional.elu(torch.addcmul(lines[:, 1:], column, lines[:, :1]))
        hidden = functional.dropout(hidden, self.dropout, self.training)
        both = torch.baddbmm(bias.unsqueeze(1), hidden, merged)
        embedded = torch.addcmul(embeds[:, 1:], column, embeds[:, :1])
        own = functional.layer_norm(embedded + gate(both), (embedded.shape[-1],))
        # the gain and shift of each variable move behind the weighted sum's product
        scaled = weights.t().unsqueeze(-1) * own
        return torch.einsum("vrd,vd->rd", scaled, self.gain) + weights @ self.shift

    def _merged(self) -> tuple[Tensor, ...]:
        """Return slope and start of hidden values and embeddings, (V, 2, d) each, and the merged layers."""
        sources = [self.embed_weight, self.embed_bias, self.first, self.first_bias]
        sources += [self.second, self.second_bias, self.glu, self.glu_bias]
        return self._kept.of(sources, self._own_products)

    def _own_products(self) -> tuple[Tensor, ...]:
        slope = torch.einsum("vd,vde->ve", self.embed_weight, self.first)
        start = torch.einsum("vd,vde->ve", self.embed_bias, self.first) + self.first_bias
        merged = self.second @ self.glu
        bias = torch.einsum("vd,vde->ve", self.second_bias, self.glu) + self.glu_bias
        embeds = torch.stack([self.embed_weight, self.embed_bias], dim=1)
        return torch.stack([slope, start], dim=1), embeds, merged, bias
