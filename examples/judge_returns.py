"""The verdict on returns made elsewhere: the same coin, tossed often enough, looks like skill.

Two hundred strategies without any skill are made up; the best of them is judged, first as if it were the only one, then
with its trials counted.

Try: python examples/judge_returns.py
"""

import csv
import tempfile
from datetime import date, timedelta
from pathlib import Path

import numpy as np

import foresail

YEARS, TRIALS = 10, 200
days = [date(2015, 1, 1) + timedelta(days=n) for n in range(365 * YEARS)]
days = [day for day in days if day.weekday() < 5]
returns = np.random.Generator(np.random.PCG64(1)).normal(0.0, 0.01, (TRIALS, len(days)))
best = returns[np.argmax(returns.mean(axis=1) / returns.std(axis=1))]

with tempfile.TemporaryDirectory() as folder:
    file = Path(folder) / "returns.csv"
    with file.open("w", newline="") as out:
        rows = csv.writer(out)
        rows.writerow(["date", "return", "benchmark", "cost"])
        rows.writerows([day, f"{value:.6f}", 0.0, 0.0] for day, value in zip(days, best, strict=True))
    settings = foresail.JudgeSettings(universe_basis="point_in_time", price_basis="total_return")
    for trials in (1, TRIALS):
        print(f"\ntrials counted: {trials}")
        print(foresail.judge(file, trials=trials, settings=settings))
