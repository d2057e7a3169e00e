"""What a random split claims, on the prices of StockNet (a gap of 7 to 9 points is known for all its years).

Rows and features as usual for these data: moves of the next day of at least +0.55 % or at most -0.5 %, eleven ratios of
prices to the close and to its averages, here over five days.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresail.evaluation.canary_splits import split_gap

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[2] / ".." / "shared" / "data"))
PRICES = DATA / "stocknet" / "prices.parquet"
pytestmark = [pytest.mark.accuracy, pytest.mark.data]


def rows() -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    table = pd.read_parquet(PRICES)
    when = next(c for c in ("ts", "date", "time") if c in table)
    name = next(c for c in ("symbol", "ticker", "instrument") if c in table)
    parts = []
    for _, one in table.sort_values(when).groupby(name):
        adjusted = next((c for c in ("adj_close", "adjusted_close", "close_adj") if c in one), "close")
        close, prior = one[adjusted], one[adjusted].shift(1)
        raw = one["close"]
        x = pd.DataFrame({c: one[c] / raw - 1 for c in ("open", "high", "low")})
        x["close"], x["raw"] = close / prior - 1, raw / raw.shift(1) - 1
        for days in (5, 10, 15, 20, 25, 30):
            x[f"mean_{days}"] = close.rolling(days).mean() / close - 1
        window = pd.concat([x.shift(k).add_suffix(f"_{k}") for k in range(5)], axis=1)
        window["move"] = close.shift(-1) / close - 1
        window["day"] = pd.to_datetime(one[when]).to_numpy().astype("datetime64[D]").astype(np.int64)
        window["end"] = window["day"].shift(-1)
        parts.append(window.dropna())
    both = pd.concat(parts)
    both = both[(both["day"] >= 16_071) & ((both["move"] >= 0.0055) | (both["move"] <= -0.005))]
    x = both.drop(columns=["move", "day", "end"]).to_numpy()
    return x, (both["move"] > 0).to_numpy().astype(np.int64), both["day"].to_numpy(), both["end"].to_numpy(np.int64)


def logistic(x, y):
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    model = make_pipeline(StandardScaler(), LogisticRegression(max_iter=500)).fit(x, y)
    return lambda z: model.predict_proba(z)[:, 1]


def trees(x, y):
    import lightgbm

    fixed = {"objective": "binary", "verbose": -1, "num_threads": 1, "seed": 1, "num_leaves": 63, "deterministic": True}
    model = lightgbm.train(fixed, lightgbm.Dataset(x, y), 300)
    return model.predict


@pytest.mark.skipif(not PRICES.is_file(), reason="the StockNet prices are not there (FORESAIL_DATA)")
def test_a_random_split_claims_what_a_date_split_does_not(capsys: pytest.CaptureFixture[str]) -> None:
    given = rows()
    found = {fit.__name__: split_gap(fit, given, test_share=0.2, seed=1) for fit in (logistic, trees)}
    lines = [f"{'model':10} {'rows':>7} {'date split':>12} {'error':>7} {'random split':>13} {'gap':>7}"]
    for name, one in found.items():
        scores = f"{one.date_split:12.4f} {one.date_error:7.4f} {one.random_split:13.4f} {one.gap:7.4f}"
        lines.append(f"{name:10} {one.rows:7d} {scores}")
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(lines) + "\n")
    boosted = found["trees"]
    assert 0.04 < boosted.gap < 0.12
    assert abs(boosted.date_split - 0.5) < 3 * boosted.date_error
