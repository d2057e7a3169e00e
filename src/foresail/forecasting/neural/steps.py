"""Small steps between a training set, its rows, and the batches of a network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch
from torch import nn

from foresail.core.arrays import FloatArray, IntArray
from foresail.domain.training import TrainingSet
from foresail.forecasting.neural.tft.network import Segments

__all__ = ["common_step", "in_double", "mean_for_unknown", "until_last_row", "weights_of"]


def until_last_row(data: TrainingSet) -> TrainingSet:
    """Return the set without anything behind its last row: nothing later can reach a fit."""
    parts = (data.train_rows, data.validation_rows, data.calibration_rows)
    end = max(int(rows[:, 1].max()) for rows in parts if len(rows)) + 1
    targets = replace(
        data.targets, values=data.targets.values[:, :end].copy(), label_end=data.targets.label_end[:end].copy()
    )
    return replace(data, features=data.features.cut(0, end), targets=targets, scale=data.scale[:, :end].copy())


def weights_of(data: TrainingSet, rows: IntArray) -> FloatArray:
    """Return the weights of training rows in another order."""
    grid = np.zeros(data.scale.shape)
    grid[data.train_rows[:, 0], data.train_rows[:, 1]] = data.weights
    found: FloatArray = grid[rows[:, 0], rows[:, 1]]
    return found


def common_step(rows: IntArray) -> int:
    """Return the largest step that all times of some rows are apart, at least 1."""
    return max(1, int(np.gcd.reduce(np.diff(np.unique(rows[:, 1])))))


def in_double(segments: Segments) -> Segments:
    return replace(
        segments,
        observed=segments.observed.double(),
        known=segments.known.double(),
        present=segments.present.double(),
    )


def mean_for_unknown(network: nn.Module) -> None:
    """Give code 0 of every embedding, which no training row had, the mean of the others."""
    with torch.no_grad():
        for part in network.modules():
            if isinstance(part, nn.Embedding) and part.num_embeddings > 1:
                part.weight[0] = part.weight[1:].mean(dim=0)
