"""How much of a planted skill forecasters find out of sample, and how long a fit takes.

Run ``python benchmarks/forecast_power.py [--markets 6]``. Each market is a cross-section of 80 names whose 5-bar
returns have a planted information coefficient; a model is fitted on the first 1,260 bars and judged by its mean rank
correlation (RankIC) on the following 700. "truth" is the RankIC of the signal itself. The default forecaster must stay
near it, and near 0 where nothing is planted; boosted trees without the linear centre show what is lost otherwise.
"""

from __future__ import annotations

import argparse
import time

import numpy as np
from scipy.stats import rankdata

from foresail.core.arrays import FloatArray
from foresail.domain.forecast import QUANTILE_LEVELS
from foresail.domain.training import ForecasterSpec
from foresail.forecasting.confidence import expected_return
from foresail.forecasting.registry import forecaster
from foresail.forecasting.rows import sample
from foresail.forecasting.trees.boosting import BoostingSettings, BoostingTask, Forest
from foresail.testing.planted import PlantedMarket, PlantedSettings, planted_market

END, BARS = 1_260, 700


def rank_ic(predicted: FloatArray, label: FloatArray) -> float:
    """Return the mean rank correlation over bars of (T, N) arrays; 0 on bars where all names are forecast alike."""
    a, b = rankdata(predicted, axis=1), rankdata(label, axis=1)
    a, b = a - a.mean(axis=1, keepdims=True), b - b.mean(axis=1, keepdims=True)
    norm = np.sqrt((a**2).sum(axis=1) * (b**2).sum(axis=1))
    return float(np.mean(np.where(norm > 0, (a * b).sum(axis=1) / np.where(norm > 0, norm, 1), 0.0)))


def judge(name: str, market: PlantedMarket) -> tuple[float, float, float]:
    """Return RankIC of the 5-bar expected return, P10-P90 coverage before online calibration, and fit time in s."""
    shape = (market.features.fields, market.targets.names, market.targets.horizons, QUANTILE_LEVELS)
    model = forecaster(name, ForecasterSpec(name, "1", *shape))
    data = market.training_set(END)
    begin = time.perf_counter()
    model.fit(data, seed=1)
    spent = time.perf_counter() - begin
    q = model.predict(market.features, market.rows(END, END + BARS), market.scale)[:, 0, 1]
    label = market.targets.values[:, END : END + BARS, 0, 1].T
    inside = (label.ravel() >= q[:, 1]) & (label.ravel() <= q[:, 5])
    return rank_ic(expected_return(q, QUANTILE_LEVELS).reshape(BARS, -1), label), float(inside.mean()), spent


def judge_plain_trees(market: PlantedMarket) -> float:
    """Return RankIC of a boosted median of the standardised label, no linear part, no demeaning."""
    shape = (market.features.fields, market.targets.names, market.targets.horizons, QUANTILE_LEVELS)
    spec = ForecasterSpec("plain", "1", *shape)
    data = market.training_set(END)
    train, valid = sample(data, spec, data.train_rows), sample(data, spec, data.validation_rows)
    task = BoostingTask(0.5, train.y[:, 0, 1], valid.y[:, 0, 1], 1)
    booster = Forest(train.x, valid.x, train.weights).fit([task], BoostingSettings())[0]
    rows = market.rows(END, END + BARS)
    centre = booster.predict(market.features.values[rows[:, 0], rows[:, 1]]) * market.scale[rows[:, 0], rows[:, 1]]
    return rank_ic(centre.reshape(BARS, -1), market.targets.values[:, END : END + BARS, 0, 1].T)


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--markets", type=int, default=6)
    markets = parser.parse_args().markets
    print("planted            truth  quantile_trees  ridge  plain trees | coverage P10-P90 | fit s (70,000 rows)")
    for form, skill in (("linear", 0.05), ("linear", 0.03), ("dense", 0.015), ("step", 0.05), ("linear", 0.0)):
        table = []
        for seed in range(markets):
            settings = PlantedSettings(names=80, bars=END + BARS + 10, noise=25, skill=skill, form=form)
            market = planted_market(settings, seed=seed)
            label = market.targets.values[:, END : END + BARS, 0, 1].T
            truth = rank_ic((market.signal * market.scale)[:, END : END + BARS].T, label)
            trees, ridge = judge("quantile_trees", market), judge("ridge", market)
            table.append([truth if skill else 0.0, trees[0], ridge[0], judge_plain_trees(market), trees[1], trees[2]])
        m = np.mean(table, axis=0)
        label_ = f"{form} {skill:.3f}"
        print(f"{label_:16s} {m[0]:7.4f} {m[1]:15.4f} {m[2]:6.4f} {m[3]:12.4f} | {m[4]:16.3f} | {m[5]:.2f}", flush=True)


if __name__ == "__main__":
    main()
