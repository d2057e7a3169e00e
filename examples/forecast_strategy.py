"""A strategy as a step: hold the names that the model expects to gain most for the risk, within what caps allow.

Try: foresail run --bars PATH --plugin examples/forecast_strategy.py
"""

import numpy as np

from foresail.domain.signals import Weights

api = 1
id = "examples/forecast_strategy@1"


class Spec:
    id, every, critical_inputs = id, 5, ("close",)  # forecasts are issued every 5 bars on daily data


class Strategy:
    spec = Spec()

    def start(self):
        return {}

    def step(self, state, view):
        forecast = view.forecast()  # None until the first model is fitted
        if forecast is None:
            return [Weights(())]
        low, median, high = (forecast.levels.index(level) for level in (0.1, 0.5, 0.9))
        farthest = forecast.values[:, forecast.targets.index("close"), -1]  # (N, Q) log return
        ratio = farthest[:, median] / (farthest[:, high] - farthest[:, low])
        score = dict(zip(forecast.instruments, ratio, strict=True))
        known = [name for name in view.instruments if np.isfinite(score.get(name, np.nan)) and score[name] > 0]
        best = sorted(known, key=lambda name: (-score[name], name))[:4]
        return [Weights(tuple((name, 0.1) for name in best))]
