"""The volatility task on the real file: known counts, an independent plain twin on two indices, the validation table.

Twin: loops over the rows of the file, least squares by Gaussian elimination, quantiles by sorting; nothing of ours.
"""

from __future__ import annotations

import math
import os
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from foresail.evaluation.volatility_task.contest import (
    KNOWN_CONTENT,
    KNOWN_COUNTS,
    Contest,
    check_counts,
    window_counts,
)
from foresail.evaluation.volatility_task.entrants import chosen_entrants
from foresail.evaluation.volatility_task.scoring import score_entrants, seed_scores
from foresail.evaluation.volatility_task.series import read_series
from foresail.evaluation.volatility_task.task import VolatilityTask
from foresail.measures.quantiles import q_risk

DATA = Path(os.environ.get("FORESAIL_DATA", Path(__file__).parents[3] / "shared" / "data"))
FILE = DATA / "realized_vol" / "oxford_man_31_indices.parquet"
BASELINES = ("last_value", "mean_5", "mean_22", "mean_252", "har", "har_per_index", "har_x", "lightgbm")

pytestmark = [
    pytest.mark.accuracy,
    pytest.mark.data,
    pytest.mark.skipif(not FILE.is_file(), reason=f"{FILE} is not there: set FORESAIL_DATA"),
]


@pytest.fixture(scope="module")
def task() -> VolatilityTask:
    return VolatilityTask(read_series(FILE))


def test_the_windows_are_those_of_the_reference(task: VolatilityTask) -> None:
    assert task.series.content_hash == KNOWN_CONTENT
    assert check_counts(task) == ()
    counts = window_counts(task)
    assert (counts["train"], counts["validation"]) == (101_899, 7_634) == (KNOWN_COUNTS["train"], 7_634)
    assert (counts["test"], counts["test_whole"]) == (0, 0)


def _solve(a: list[list[float]], b: list[float]) -> list[float]:
    """Gaussian elimination with pivoting."""
    n = len(b)
    rows = [[*a[i], b[i]] for i in range(n)]
    for i in range(n):
        pivot = max(range(i, n), key=lambda k: abs(rows[k][i]))
        rows[i], rows[pivot] = rows[pivot], rows[i]
        for k in range(i + 1, n):
            factor = rows[k][i] / rows[i][i]
            rows[k] = [x - factor * y for x, y in zip(rows[k], rows[i], strict=True)]
    found = [0.0] * n
    for i in reversed(range(n)):
        found[i] = (rows[i][n] - sum(rows[i][j] * found[j] for j in range(i + 1, n))) / rows[i][i]
    return found


def _quantile(values: list[float], level: float) -> float:
    ordered = sorted(values)
    place = level * (len(ordered) - 1)
    low = math.floor(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (place - low) * (ordered[high] - ordered[low])


def _twin(alias: str) -> tuple[list[list[float]], list[list[list[float]]]]:
    """Return labels and P10, P50, P90 of the HAR of one index on its reference validation windows."""
    table = pd.read_parquet(FILE)
    table = table[table["symbol"] == alias].sort_values("ts")
    level = [math.log(v / 10_000.0) for v in table["rv"].tolist()]
    year = [t.year for t in table["ts"]]
    train = [i for i, y in enumerate(year) if y < 2016]
    validation = [i for i, y in enumerate(year) if 2016 <= y <= 2017]

    def design(t: int) -> list[float]:
        return [1.0, level[t], sum(level[t - 4 : t + 1]) / 5.0, sum(level[t - 21 : t + 1]) / 22.0]

    fits = []
    origins = range(train[0] + 251, train[-1] + 1 - 5)
    for h in range(1, 6):
        xx = [[0.0] * 4 for _ in range(4)]
        xy = [0.0] * 4
        for t in origins:
            x = design(t)
            for i in range(4):
                xy[i] += x[i] * level[t + h]
                for j in range(4):
                    xx[i][j] += x[i] * x[j]
        beta = _solve(xx, xy)
        errors = [level[t + h] - sum(b * x for b, x in zip(beta, design(t), strict=True)) for t in origins]
        fits.append((beta, [_quantile(errors, q) for q in (0.1, 0.5, 0.9)]))
    labels, quantiles = [], []
    for t in range(validation[0] + 251, validation[-1] + 1 - 5):
        labels.append([level[t + h] for h in range(1, 6)])
        point = [sum(b * x for b, x in zip(beta, design(t), strict=True)) for beta, _ in fits]
        quantiles.append([[p + e for e in errors] for p, (_, errors) in zip(point, fits, strict=True)])
    return labels, quantiles


def test_a_plain_twin_gives_the_same_forecasts_and_scores_on_two_indices(task: VolatilityTask) -> None:
    contest = Contest(task, chosen_entrants(("har_per_index",)), seed=0, progress=lambda *_: None)
    ours = contest.forecast("validation")
    outcomes = task.labels(ours.origins)
    for alias in ("sp500", "psi"):
        place = next(i for i, one in enumerate(task.series.series) if one.index.alias == alias)
        rows = (ours.origins.index == place) & ours.origins.inside
        labels, quantiles = _twin(alias)
        np.testing.assert_allclose(outcomes[rows], labels, rtol=1e-13)
        np.testing.assert_allclose(ours.quantiles["har_per_index"][rows], quantiles, rtol=1e-8)
        loss = size = 0.0
        for label, table in zip(labels, quantiles, strict=True):
            for y, q in zip(label, table, strict=True):
                loss += max(0.9 * (y - q[2]), -0.1 * (y - q[2]))
                size += abs(y)
        ours_p90 = q_risk(outcomes[rows], ours.quantiles["har_per_index"][rows][..., 2], level=0.9)
        assert ours_p90 == pytest.approx(2.0 * loss / size, rel=1e-8)


def test_the_validation_table_is_ordered_as_the_known_test_tables(
    task: VolatilityTask, capsys: pytest.CaptureFixture[str]
) -> None:
    found = Contest(task, chosen_entrants(BASELINES), seed=0, progress=lambda *_: None).forecast("validation")
    labels = task.labels(found.origins)
    with capsys.disabled():
        for title, rows in (("reference windows", found.origins.inside), ("every day", found.origins.inside | True)):
            quantiles = {name: values[rows] for name, values in found.quantiles.items()}
            scores = {s.name: s for s in score_entrants(quantiles, labels[rows], found.origins.day[rows], seed=0)}
            print(f"\nvalidation 2016-17, {title}")  # noqa: T201 a table for the log of the accuracy suite
            for name, one in scores.items():
                print(f"  {name:<14} P50 {one.q_risk[1]:.4f}  P90 {one.q_risk[2]:.4f}  cover {one.coverage:.3f}")  # noqa: T201
            p50 = {name: one.q_risk[1] for name, one in scores.items()}
            assert min(p50, key=p50.__getitem__) == "har_x"
            assert p50["har_x"] < p50["har"] < p50["mean_5"] < p50["last_value"]
            assert p50["har"] < p50["mean_22"]
            assert abs(p50["har"] - p50["har_per_index"]) < 0.001
            assert p50["har_x"] < p50["lightgbm"]
            for one in scores.values():  # the reference's average over horizons is nearly the pooled figure
                assert one.q_risk[1] == pytest.approx(one.q_risk_by_horizon[1], abs=1e-4)


def test_the_network_on_the_validation_years(task: VolatilityTask, capsys: pytest.CaptureFixture[str]) -> None:
    """Its settings were chosen on these years, so this guards the figures of the guide and proves nothing more."""
    pytest.importorskip("torch", reason="torch is not installed (extra: deep)")
    entrants = chosen_entrants(("tft_har_x",))
    found = Contest(task, entrants, seed=0, progress=lambda *_: None).forecast("validation")
    labels, whole = task.labels(found.origins), found.origins.inside | True
    with capsys.disabled():
        for title, rows in (("reference windows", found.origins.inside), ("every day", whole)):
            quantiles = {name: values[rows] for name, values in found.quantiles.items()}
            scores = {s.name: s for s in score_entrants(quantiles, labels[rows], found.origins.day[rows], seed=0)}
            print(f"\nvalidation 2016-17, {title}")  # noqa: T201 a table for the log of the accuracy suite
            for name, one in scores.items():
                figures = f"P50 {one.q_risk[1]:.4f}  P90 {one.q_risk[2]:.4f}  cover {one.coverage:.3f}"
                print(f"  {name:<14} {figures}  p P50 {one.p_values[1]:.3f}  p P90 {one.p_values[2]:.3f}")  # noqa: T201
            for row in seed_scores(found.members["tft"], labels, rows):
                print(f"    {row['seed']}  P50 {row['p50']:.4f}  P90 {row['p90']:.4f}  cover {row['coverage']:.3f}")  # noqa: T201
            assert 0.76 < scores["tft"].coverage < 0.84
            assert scores["tft"].q_risk[1] < 1.01 * scores["har_x"].q_risk[1]
            assert scores["tft"].q_risk[2] < 1.01 * scores["har_x"].q_risk[2]
            assert scores["tft_har_x"].q_risk[1] < scores["har_x"].q_risk[1]
