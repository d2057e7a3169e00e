"""The documented recipe of training (TRAIN-10 to 20) as small pure parts: rates, clipping, losses, early stopping."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from foresail.core.errors import ConfigError, UnknownNameError

__all__ = [
    "CLIPPING",
    "SCHEDULES",
    "Clipper",
    "EarlyStopping",
    "Rates",
    "class_loss",
    "class_weights",
    "focal_loss",
    "is_focal",
    "pinball_loss",
    "plateau_cuts",
]

SCHEDULES = ("constant", "cosine", "cyclic", "plateau", "step")
CLIPPING = ("adaptive", "norm", "value")
_HISTORY = 100
_OWN_SHARE = 0.1  # of the newest norm in the running mean
_BOUND = 2.0  # times the running mean
_IMBALANCE = 3.0  # largest class over smallest, above which the focal loss takes over (TRAIN-17)


@dataclass(frozen=True, slots=True)
class Rates:
    """Learning rate by epoch, or by step for ``cyclic``.

    Attributes
    ----------
    schedule : cosine with warm-up (default), cyclic triangular, plateau, step or constant
    base, minimum : rates; ``cyclic`` swings from ``minimum`` up to ``base`` and back in ``cycle`` steps
    warm_up, total : epochs
    patience, factor : of plateau: so many epochs without gain cut the rate for good; step cuts it every ``every``
    """

    schedule: str = "cosine"
    base: float = 1e-3
    minimum: float = 1e-6
    warm_up: int = 5
    total: int = 50
    cycle: int = 10
    patience: int = 5
    factor: float = 0.5
    every: int = 15

    def __post_init__(self) -> None:
        if self.schedule not in SCHEDULES:
            raise UnknownNameError("schedule", self.schedule, SCHEDULES)
        if not 0.0 < self.minimum <= self.base:
            raise ConfigError(f"expected 0 < minimum <= base, received {self.minimum} and {self.base}")

    def at(self, epoch: int, *, step: int = 0, stale: int = 0) -> float:
        """Return the rate of an epoch (or step).

        Parameters
        ----------
        step : of the whole run, for cyclic
        stale : times that the rate was cut, for plateau (``plateau_cuts``)
        """
        if self.schedule == "cosine":
            return max(self.minimum, self._cosine(epoch))
        if self.schedule == "cyclic":
            half = self.cycle / 2.0
            place = step % self.cycle
            share = place / half if place <= half else (self.cycle - place) / half
            return self.minimum + (self.base - self.minimum) * share
        if self.schedule == "step":
            return max(self.minimum, self.base * self.factor ** (epoch // self.every))
        return max(self.minimum, self.base * self.factor**stale) if self.schedule == "plateau" else self.base

    def _cosine(self, epoch: int) -> float:
        if epoch < self.warm_up:
            return self.base * epoch / self.warm_up
        share = min(1.0, (epoch - self.warm_up) / max(1, self.total - self.warm_up))
        return self.minimum + 0.5 * (self.base - self.minimum) * (1.0 + math.cos(math.pi * share))


def plateau_cuts(losses: Sequence[float], patience: int, delta: float) -> int:
    """Return how often a plateau has cut the rate: after each ``patience`` epochs in a row without gain (TRAIN-13).

    A gain starts the count anew and takes no cut back.

    Parameters
    ----------
    losses : of validation, an element an epoch so far
    delta : a gain is a loss lower than the best by this much

    Examples
    --------
    >>> [plateau_cuts([1.0, 0.9, 0.9, 0.9, 0.5, 0.5][:n], 2, 0.0) for n in range(7)]
    [0, 0, 0, 0, 1, 1, 1]
    """
    best, waited, cuts = math.inf, 0, 0
    for loss in losses:
        if loss < best - delta:
            best, waited = loss, 0
        else:
            waited += 1
        if waited == patience:
            waited, cuts = 0, cuts + 1
    return cuts


@dataclass(slots=True)
class Clipper:
    """Scales gradients down (TRAIN-14).

    Attributes
    ----------
    mode : adaptive (twice the running mean, then the hard cap), norm (the hard cap), value (each gradient)
    largest : the cap
    norms : of the last hundred steps
    """

    mode: str = "adaptive"
    largest: float = 1.0
    norms: deque[float] = field(default_factory=lambda: deque(maxlen=_HISTORY))

    def __post_init__(self) -> None:
        if self.mode not in CLIPPING:
            raise UnknownNameError("clipping", self.mode, CLIPPING)

    def coefficient(self, norm: float) -> float:
        """Return what gradients of this norm are multiplied by, before the hard cap for ``adaptive``."""
        if self.mode == "norm":
            return min(1.0, self.largest / (norm + 1e-6))
        if self.mode == "value" or not self.norms:
            return 1.0
        usual = (1.0 - _OWN_SHARE) * sum(self.norms) / len(self.norms) + _OWN_SHARE * norm
        return min(1.0, _BOUND * usual / norm) if norm > 0.0 else 1.0

    def clip(self, parameters: Sequence[Tensor]) -> float:
        """Scale the gradients in place and return their norm before."""
        gradients = [p.grad for p in parameters if p.grad is not None]
        norm = float(torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in gradients])))
        if self.mode == "value":
            for gradient in gradients:
                gradient.clamp_(-self.largest, self.largest)
            return norm
        scale = self.coefficient(norm)
        if self.mode == "adaptive":
            self.norms.append(norm)
            scale = min(scale, self.largest / (norm + 1e-6))
        if scale < 1.0:
            for gradient in gradients:
                gradient.mul_(scale)
        return norm


@dataclass(slots=True)
class EarlyStopping:
    """Stops when nothing has been gained for a while (TRAIN-20).

    Attributes
    ----------
    patience : epochs without gain
    delta : a gain is a loss lower than the best by this much
    """

    patience: int = 15
    delta: float = 0.001
    best: float = math.inf
    best_epoch: int = -1
    since: int = 0

    def update(self, epoch: int, loss: float) -> bool:
        """Take in the loss of an epoch; return whether it is the best so far."""
        if loss < self.best - self.delta:
            self.best, self.best_epoch, self.since = loss, epoch, 0
            return True
        self.since += 1
        return False

    @property
    def is_over(self) -> bool:
        """Whether training should stop."""
        return self.since >= self.patience


def pinball_loss(told: Tensor, actual: Tensor, levels: Tensor, weights: Tensor) -> Tensor:
    """Return the mean pinball loss over quantiles, horizons and targets (TRAIN-18).

    Parameters
    ----------
    told : (..., Q)
    actual : (...), no missing value; what does not count has weight 0
    levels : (Q,)
    weights : (...) >= 0

    Examples
    --------
    >>> one = lambda level: pinball_loss(torch.tensor([[8.0]]), torch.tensor([10.0]), torch.tensor([level]),
    ...                                  torch.ones(1)).item()
    >>> round(one(0.1), 6), round(one(0.9), 6)
    (0.2, 1.8)
    """
    apart = actual.unsqueeze(-1) - told
    loss = torch.maximum(levels * apart, (levels - 1.0) * apart).mean(dim=-1)
    return (loss * weights).sum() / weights.sum().clamp_min(1e-12)


def class_weights(counts: Sequence[int]) -> list[float]:
    """Return inverse-frequency weights that sum to the number of classes (TRAIN-16).

    Examples
    --------
    >>> [round(w, 4) for w in class_weights([100, 300, 100])]
    [1.2857, 0.4286, 1.2857]
    """
    raw = [1.0 / (count + 1e-6) for count in counts]
    return [len(raw) * one / sum(raw) for one in raw]


def focal_loss(probability: Tensor, weights: Tensor | float = 1.0, gamma: float = 2.0) -> Tensor:
    """Return weight x (1 - p)^gamma x -ln p of the true class, elementwise (TRAIN-17).

    Examples
    --------
    >>> [round(focal_loss(torch.tensor(p)).item(), 7) for p in (0.9, 0.5)]
    [0.0010536, 0.1732868]
    """
    return weights * (1.0 - probability) ** gamma * -torch.log(probability)


def is_focal(counts: Sequence[int]) -> bool:
    """Return whether classes are so unequal that the focal loss is used; at 3 to 1 exactly they are not (TRAIN-17).

    Parameters
    ----------
    counts : rows of each class in the training part; one that never came makes them unequal

    Raises
    ------
    ConfigError
        If there are fewer than two classes, a count is negative, or none has a row.

    Examples
    --------
    >>> [is_focal(counts) for counts in ([100, 300, 100], [100, 301, 100], [0, 1])]
    [False, True, True]
    """
    if len(counts) < 2 or min(counts) < 0 or max(counts) == 0:
        raise ConfigError(f"expected the rows of at least two classes, received {list(counts)}")
    return max(counts) > _IMBALANCE * min(counts)


def class_loss(probabilities: Tensor, classes: Tensor, counts: Sequence[int]) -> Tensor:
    """Return the mean loss of class probabilities: cross entropy or focal loss as ``is_focal`` says, both weighted.

    The mean is over rows, not over weights, so that a row counts alike whatever the batch holds. It is the loss of a
    network of classes; quantile networks, from whose curves classes are read, minimise ``pinball_loss``.

    Parameters
    ----------
    probabilities : (R, C), rows sum to 1
    classes : (R,) int64, the one that came
    counts : rows of each class in the training part
    """
    chosen = probabilities.gather(1, classes[:, None])[:, 0].clamp_min(torch.finfo(probabilities.dtype).tiny)
    weights = torch.tensor(class_weights(counts), dtype=probabilities.dtype, device=probabilities.device)[classes]
    return focal_loss(chosen, weights, gamma=2.0 if is_focal(counts) else 0.0).mean()
