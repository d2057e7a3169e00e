"""The network: from segments of series to quantiles for every window in them.

A segment is a stretch of one instrument that holds K windows, ``stride`` bars apart. Selection depends on one step and
the static context only, so each step of a segment is selected once and its windows are slices of the result. One window
a segment is the plain form; both give the same numbers. The rest (recurrent part, attention, head) is made per window.

Work is left out where nothing reads the result: attention asks from the H future positions only, and as all heads share
one value head, their weights are averaged before they are applied.

References
----------
[Lim2021]
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

from foresail.core.errors import ConfigError
from foresail.forecasting.neural.blocks import GatedResidual, GatedSkip
from foresail.forecasting.neural.fused_recurrent import fused_lstm, lstm_usable
from foresail.forecasting.neural.tft.selection import RealSelection

__all__ = ["Segments", "StaticContext", "TemporalFusionTransformer", "TftOutput", "TftSettings"]

_LEAST_WIDTH = 48  # of the compiled recurrent part; PyTorch's is as fast below, and for windows that share nothing


@dataclass(frozen=True, slots=True)
class TftSettings:
    """Shape of the network.

    Attributes
    ----------
    observed : inputs known up to now only
    known : inputs known ahead (calendar)
    categories : sizes of the static categories; code 0 is unknown
    targets, levels : K and Q
    context_length, horizon : C bars back, H steps ahead
    width, heads, layers : d, attention heads, depth of the recurrent parts
    dropout : share of hidden values set to zero in training
    """

    observed: int
    known: int
    categories: tuple[int, ...]
    targets: int = 1
    levels: int = 7
    context_length: int = 60
    horizon: int = 5
    width: int = 32
    heads: int = 4
    layers: int = 1
    dropout: float = 0.1

    def __post_init__(self) -> None:
        if self.width % self.heads:
            raise ConfigError(f"a width of {self.width} cannot be shared by {self.heads} heads")
        if self.known < 1 or self.observed < 1 or not self.categories:
            raise ConfigError("the network needs at least one observed input, one known input and one static category")


@dataclass(frozen=True, slots=True)
class Segments:
    """S segments with K windows each, ``stride`` bars apart.

    Attributes
    ----------
    observed : (S, P, observed), P = C + (K - 1) stride; no missing value
    known : (S, P + H, known)
    present : (S, P) 1.0 where there is a bar, else 0.0; absent steps are not attended to
    static : (S, categories) int64
    stride : bars between windows
    """

    observed: Tensor
    known: Tensor
    present: Tensor
    static: Tensor
    stride: int = 1


@dataclass(frozen=True, slots=True)
class TftOutput:
    """What the network says.

    Attributes
    ----------
    quantiles : (S, K, H, targets, levels) standardised; levels are not sorted yet
    past_weights : (S, P, observed + known + 1) selection weights; the last is the presence mark
    future_weights : (S, H + (K - 1) stride, known)
    static_weights : (S, categories)
    attention : (S, K, H, C + H) mean over heads
    """

    quantiles: Tensor
    past_weights: Tensor
    future_weights: Tensor
    static_weights: Tensor
    attention: Tensor


@dataclass(frozen=True, slots=True)
class StaticContext:
    """What the static categories say: (S, d) each, and the weights of the categories."""

    selection: Tensor
    enrichment: Tensor
    hidden: Tensor
    cell: Tensor
    weights: Tensor


class TemporalFusionTransformer(nn.Module):
    """See the module."""

    def __init__(self, settings: TftSettings) -> None:
        super().__init__()
        self.settings = settings
        d, rate = settings.width, settings.dropout
        self.embeddings = nn.ModuleList(nn.Embedding(size, d) for size in settings.categories)
        n = len(settings.categories)
        self.static_joint = GatedResidual(n * d, d, n, dropout=rate)
        self.static_own = nn.ModuleList(GatedResidual(d, d, d, dropout=rate) for _ in settings.categories)
        self.static_heads = nn.ModuleList(GatedResidual(d, d, d, dropout=rate) for _ in range(4))
        self.past = RealSelection(settings.observed + settings.known + 1, d, d, rate)
        self.future = RealSelection(settings.known, d, d, rate)
        between = rate if settings.layers > 1 else 0.0
        self.encoder = nn.LSTM(d, d, settings.layers, batch_first=True, dropout=between)
        self.decoder = nn.LSTM(d, d, settings.layers, batch_first=True, dropout=between)
        self.after_recurrent = GatedSkip(d, rate)
        self.enrichment = GatedResidual(d, d, d, context=d, dropout=rate)
        self.query = nn.Linear(d, d)
        self.key = nn.Linear(d, d)
        self.value = nn.Linear(d, d // settings.heads)
        self.attended = nn.Linear(d // settings.heads, d, bias=False)
        self.after_attention = GatedSkip(d, rate)
        self.positionwise = GatedResidual(d, d, d, dropout=rate)
        self.after_positionwise = GatedSkip(d, 0.0)
        self.head = nn.Linear(d, settings.targets * settings.levels)

    def forward(self, segments: Segments) -> TftOutput:
        """Return quantiles, weights and attention of every window."""
        shape = self.settings
        static = self.static_context(segments.static)
        past_steps = segments.observed.shape[1]
        past, past_weights = self.select_past(
            segments.observed, segments.known[:, :past_steps], segments.present, static.selection
        )
        future, future_weights = self.select_future(segments.known[:, shape.context_length :], static.selection)
        windows = _windows(past, shape.context_length, segments.stride)
        ahead = _windows(future, shape.horizon, segments.stride)
        seen = segments.present.unfold(1, shape.context_length, segments.stride)
        quantiles, attention = self.temporal(windows, ahead, seen, static, (past, segments.stride))
        return TftOutput(quantiles, past_weights, future_weights, static.weights, attention)

    # -- the parts, for training and serving alike --------------------------------------------------------------------

    def static_context(self, codes: Tensor) -> StaticContext:
        """Return the context of each segment from its categories, (S, categories) int64."""
        embedded = torch.stack([table(codes[:, j]) for j, table in enumerate(self.embeddings)], dim=1)  # (S, n, d)
        weights = torch.softmax(self.static_joint(embedded.flatten(1)), dim=-1)
        own = torch.stack([network(embedded[:, j]) for j, network in enumerate(self.static_own)], dim=1)
        mixed = (weights.unsqueeze(-1) * own).sum(dim=1)
        selection, enrichment, hidden, cell = (head(mixed) for head in self.static_heads)
        return StaticContext(selection, enrichment, hidden, cell, weights)

    def select_past(self, observed: Tensor, known: Tensor, present: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return (S, P, d) selected past steps and their weights (S, P, V); each step by itself."""
        x = torch.cat([observed, known, present.unsqueeze(-1)], dim=-1)
        return _by_rows(self.past, x, context)

    def select_future(self, known: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
        """Return (S, steps, d) selected future steps and their weights."""
        return _by_rows(self.future, known, context)

    def temporal(
        self,
        windows: Tensor,
        ahead: Tensor,
        seen: Tensor,
        static: StaticContext,
        whole: tuple[Tensor, int] | None = None,
    ) -> tuple[Tensor, Tensor]:
        """Return quantiles (S, K, H, targets, levels) and attention (S, K, H, C + H).

        Parameters
        ----------
        windows : (S, K, C, d) selected past
        ahead : (S, K, H, d) selected future
        seen : (S, K, C) 1.0 where there is a bar
        whole : the selected steps (S, P, d) that the windows are slices of, and the stride; lets them share work
        """
        s, k, c, d = windows.shape
        h = ahead.shape[2]
        flat = windows.reshape(s * k, c, d)
        steps = torch.cat([flat, ahead.reshape(s * k, h, d)], dim=1)
        encoded, state = self._encode(flat, static, whole, k)
        decoded, _ = self.decoder(steps[:, c:], state)
        recurrent = self.after_recurrent(torch.cat([encoded, decoded], dim=1), steps)
        enriched = self.enrichment(recurrent, static.enrichment.repeat_interleave(k, 0).unsqueeze(1))
        told, attention = self.answer(enriched, recurrent[:, c:], seen.reshape(s * k, c))
        return told.reshape(s, k, *told.shape[1:]), attention.reshape(s, k, h, c + h)

    def answer(self, enriched: Tensor, ahead: Tensor, seen: Tensor) -> tuple[Tensor, Tensor]:
        """Return quantiles (B, H, targets, levels) and attention (B, H, C + H) of B windows.

        Parameters
        ----------
        enriched : (B, C + H, d) steps after static enrichment
        ahead : (B, H, d) steps to come before it
        seen : (B, C) 1.0 where there is a bar
        """
        h = ahead.shape[1]
        mixed, attention = self._attend(enriched, seen, h)
        attended = self.after_attention(mixed, enriched[:, enriched.shape[1] - h :])
        final = self.after_positionwise(self.positionwise(attended), ahead)
        told = self.head(final).reshape(*ahead.shape[:2], self.settings.targets, self.settings.levels)
        return told, attention

    def _encode(
        self, flat: Tensor, static: StaticContext, whole: tuple[Tensor, int] | None, k: int
    ) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """Return (S K, C, d) encoded windows and the state behind them, (layers, S K, d) each."""
        net, c = self.encoder, flat.shape[1]
        if whole is not None and k > 1 and self.settings.layers == 1 and flat.shape[-1] >= _LEAST_WIDTH:
            by_input, by_state, *biases = net.all_weights[0]
            gates = functional.linear(whole[0], by_input, biases[0] + biases[1])
            if lstm_usable(k, gates):
                told = fused_lstm(gates, by_state, (static.hidden, static.cell), (k, c, whole[1]))
                return told[:, :c], (told[:, c - 1].unsqueeze(0).contiguous(), told[:, c].unsqueeze(0).contiguous())
        hidden = static.hidden.repeat_interleave(k, 0).expand(self.settings.layers, -1, -1).contiguous()
        cell = static.cell.repeat_interleave(k, 0).expand(self.settings.layers, -1, -1).contiguous()
        encoded, state = net(flat, (hidden, cell))
        return encoded, state

    def _attend(self, enriched: Tensor, seen: Tensor, h: int) -> tuple[Tensor, Tensor]:
        """Return what the H future positions gather, (B, H, d), and with which weights, (B, H, C + H)."""
        b, steps, d = enriched.shape
        heads = self.settings.heads
        each = d // heads
        query = self.query(enriched[:, steps - h :]).reshape(b, h, heads, each)
        # (e K + k) q = e (K q) + k q and w (e V + v) = (w e) V + v: H products instead of one for each step
        turned = torch.einsum("bhne,ned->bhnd", query, self.key.weight.reshape(heads, each, d))
        level = torch.einsum("bhne,ne->bhn", query, self.key.bias.reshape(heads, each))
        scores = (turned.reshape(b, h * heads, d) @ enriched.transpose(1, 2)).reshape(b, h, heads, steps)
        scores = (scores + level.unsqueeze(-1)) / each**0.5
        order = torch.arange(steps, device=enriched.device)
        later = order.unsqueeze(0) > order[steps - h :].unsqueeze(1)
        absent = torch.cat([seen < 0.5, torch.zeros_like(seen[:, :1], dtype=torch.bool).expand(-1, h)], dim=1)
        hidden = (later.unsqueeze(0) | absent.unsqueeze(1)).unsqueeze(2)
        weights = torch.softmax(scores.masked_fill(hidden, float("-inf")), dim=-1).mean(dim=2)  # one value head
        gathered: Tensor = self.attended(self.value(weights @ enriched))
        return gathered, weights


def _by_rows(selection: RealSelection, x: Tensor, context: Tensor) -> tuple[Tensor, Tensor]:
    s, steps, variables = x.shape
    rows = context.unsqueeze(1).expand(-1, steps, -1).reshape(s * steps, -1)
    chosen, weights = selection(x.reshape(s * steps, variables), rows)
    return chosen.reshape(s, steps, -1), weights.reshape(s, steps, variables)


def _windows(steps: Tensor, length: int, stride: int) -> Tensor:
    """Return (S, K, length, d) windows of (S, steps, d)."""
    return steps.unfold(1, length, stride).transpose(-1, -2)
