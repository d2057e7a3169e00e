"""The Temporal Fusion Transformers of pytorch-forecasting and neuralforecast, at the inputs of our own.

Both are tools of the bench, no part of an installation: put them on the path (``PYTHONPATH``) in a folder of their own.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np

__all__ = [
    "HOW",
    "Shape",
    "forecasting_frame",
    "forecasting_model",
    "forecasting_set",
    "installed",
    "neural_step",
    "quiet",
]

HOW = "pip install --target peers --no-deps {} (and what it asks for, without torch); PYTHONPATH=peers"


@dataclass(frozen=True, slots=True)
class Shape:
    """Inputs that all networks see.

    Attributes
    ----------
    observed, known : reals of the past only, and known ahead
    categories : sizes of the statics
    """

    observed: int = 56
    known: int = 8
    categories: tuple[int, ...] = (501, 12, 5)
    context_length: int = 60
    horizon: int = 5
    levels: tuple[float, ...] = (0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95)
    heads: int = 4
    dropout: float = 0.1


def installed(module: str) -> bool:
    """Return whether a peer can be imported."""
    with quiet():
        try:
            importlib.import_module(module)
        except ImportError:
            return False
    return True


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the peers' warnings and log lines to themselves."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


def forecasting_frame(shape: Shape, rng: np.random.Generator, instruments: int, bars: int) -> Any:
    """Return pytorch-forecasting's data set of random rows: each instrument a group, every window a sample."""
    import pandas as pd

    observed, known = [f"o{i}" for i in range(shape.observed)], [f"k{i}" for i in range(shape.known)]
    n = instruments * bars
    frame = pd.DataFrame(
        rng.standard_normal((n, len(observed) + len(known)), dtype=np.float32), columns=observed + known
    )
    group = np.repeat(np.arange(instruments), bars)
    frame["step"] = np.tile(np.arange(bars), instruments)
    for i, size in enumerate(shape.categories):
        frame[f"s{i}"] = (group % (size - 1)).astype(str)
    frame["group"] = group.astype(str)
    frame["label"] = rng.standard_normal(n)
    return forecasting_set(shape, frame, observed, known)


def forecasting_set(shape: Shape, frame: Any, observed: list[str], known: list[str]) -> Any:
    """Return pytorch-forecasting's data set of a table with ``step``, ``group``, ``label`` and statics ``s0``..."""
    sets = importlib.import_module("pytorch_forecasting")
    encoders = importlib.import_module("pytorch_forecasting.data.encoders")
    c, h = shape.context_length, shape.horizon
    with quiet():
        return sets.TimeSeriesDataSet(
            frame,
            time_idx="step",
            target="label",
            group_ids=["group"],
            min_encoder_length=c,
            max_encoder_length=c,
            min_prediction_length=h,
            max_prediction_length=h,
            static_categoricals=[f"s{i}" for i in range(len(shape.categories))],
            time_varying_known_reals=known,
            time_varying_unknown_reals=observed,
            target_normalizer=encoders.TorchNormalizer(method="identity"),
            scalers=dict.fromkeys([*observed, *known]),
        )


def forecasting_model(
    shape: Shape, frame: Any, width: int, rate: float = 1e-3
) -> tuple[Any, Callable[[Any, Any], Any]]:
    """Return pytorch-forecasting's network, as wide for each real as in all, and its loss of a batch."""
    peer = importlib.import_module("pytorch_forecasting")
    losses = importlib.import_module("pytorch_forecasting.metrics")
    with quiet():
        network = peer.TemporalFusionTransformer.from_dataset(
            frame,
            hidden_size=width,
            hidden_continuous_size=width,
            attention_head_size=shape.heads,
            dropout=shape.dropout,
            learning_rate=rate,
            output_size=len(shape.levels),
            loss=losses.QuantileLoss(list(shape.levels)),
            embedding_sizes={f"s{i}": (size, width) for i, size in enumerate(shape.categories)},
        )

    def loss(x: Any, y: Any) -> Any:
        with quiet():
            return network.loss(network(x)["prediction"], y)

    return network, loss


def neural_step(shape: Shape, width: int, batch: int) -> tuple[Any, Callable[[], Any]]:
    """Return neuralforecast's network and its loss of one random batch; its statics are numbers, not categories."""
    import torch

    models = importlib.import_module("neuralforecast.models")
    losses = importlib.import_module("neuralforecast.losses.pytorch")
    c, h = shape.context_length, shape.horizon
    past, known = shape.observed - 1, shape.known  # the target is an input of its own
    statics = len(shape.categories)
    with quiet():
        network = models.TFT(
            h=h,
            input_size=c,
            hist_exog_list=[f"o{i}" for i in range(past)],
            futr_exog_list=[f"k{i}" for i in range(known)],
            stat_exog_list=[f"s{i}" for i in range(statics)],
            hidden_size=width,
            n_head=shape.heads,
            dropout=shape.dropout,
            loss=losses.MQLoss(quantiles=list(shape.levels)),
        )
    g = torch.Generator().manual_seed(0)
    inputs = {
        "insample_y": torch.randn(batch, c, 1, generator=g),
        "futr_exog": torch.randn(batch, c + h, known, generator=g),
        "hist_exog": torch.randn(batch, c, past, generator=g),
        "stat_exog": torch.randn(batch, statics, generator=g),
    }
    wanted, mask = torch.randn(batch, h, 1, generator=g), torch.ones(batch, h, 1)

    def loss() -> Any:
        return network.loss(y=wanted, y_hat=network(inputs), mask=mask)

    return network, loss
