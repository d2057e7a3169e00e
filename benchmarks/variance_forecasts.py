"""Variance forecasts of the S&P 500 and the Nasdaq by QLIKE, and how fast our GARCH is beside the library arch.

Run ``python benchmarks/variance_forecasts.py selection`` for 2003-2009 (rows of later years are dropped before anything
is computed), ``... test`` for 2010-2018, ``... speed`` for the fits. The data, daily open, high, low and close of
1999-2018, come with ``arch``. What is forecast is the Garman-Klass variance of the session plus the squared overnight
return; models see all rows before a block of 66 rows and are refitted before each.

The combination was chosen on ``selection`` alone. Its look at 2010-2018 is counted in ``variance_look.json``.
"""

from __future__ import annotations

import argparse
import time
from importlib import import_module

import numpy as np

from foresail.core.arrays import FloatArray, IntArray
from foresail.forecasting.econometric.combination import VarianceCombination
from foresail.forecasting.econometric.garch import GarchSettings, fit_garch
from foresail.forecasting.econometric.har import HAR_LAGS
from foresail.forecasting.econometric.proxies import garman_klass, with_overnight
from foresail.forecasting.econometric.refit import walk_variance
from foresail.forecasting.econometric.variance import Ewma, Garch, Har, HarSettings, History, Rolling, VarianceModel

INDICES = ("sp500", "nasdaq")
EVERY = 66  # rows between two fits


def load(years_to: int = 2018) -> tuple[History, IntArray]:
    """Return the two indices, the first day dropped for want of a return, and the year of each row."""
    frames = [import_module(f"arch.data.{name}").load().loc[: f"{years_to}-12-31"] for name in INDICES]
    prices = [np.log(np.array([f[c].to_numpy() for f in frames])) for c in ("Open", "High", "Low", "Close")]
    open_, high, low, close = prices
    overnight = open_[:, 1:] - close[:, :-1]
    variance = with_overnight(garman_klass(high - low, close - open_)[:, 1:], overnight)
    years = np.asarray(frames[0].index.year[1:], dtype=np.int64)
    return History(np.diff(close, axis=1), variance), years


def models() -> dict[str, VarianceModel]:
    """Return the models of the table by name."""
    return {
        "naive": Rolling(1),
        "22 days": Rolling(22),
        "EWMA 0.94": Ewma(),
        "EWMA, decay fitted": Ewma(None),
        "HAR": Har(),
        "log-HAR": Har(HarSettings(log=True)),
        "log-HAR-X": Har(HarSettings(lags=(*HAR_LAGS, 66, 252), log=True, leverage=True)),
        "GARCH": Garch(to_proxy=True),
        "GJR skew-t": Garch(GarchSettings(leverage=True, distribution="skew_t"), to_proxy=True),
        "combination": VarianceCombination(),
    }


def qlike_rows(variance: FloatArray, forecast: FloatArray) -> FloatArray:
    """Return QLIKE of each row."""
    ratio = variance / forecast
    return np.asarray(ratio - np.log(ratio) - 1.0, dtype=np.float64)


def losses(history: History, first: int, names: tuple[str, ...] | None = None) -> dict[str, FloatArray]:
    """Return model -> (2, rows from ``first``) QLIKE; only the combination pools the indices."""
    out = {}
    for name, model in models().items():
        if names is None or name in names:
            forecast, notes = walk_variance(model, history, first=first, every=EVERY)
            out[name] = qlike_rows(history.variance[:, first:], forecast[:, first:, 0])
            for note in notes:
                print(f"  {name}: {note}")
    return out


def table(found: dict[str, FloatArray], rows: int) -> None:
    """Print mean QLIKE by model and index, with the 90 % model confidence set."""
    from arch.bootstrap import MCS

    names = list(found)
    kept = []
    for i in range(len(INDICES)):
        chosen = MCS(np.column_stack([found[n][i] for n in names]), 0.10, reps=2_000, seed=1)
        chosen.compute()
        kept.append({names[int(j)] for j in chosen.included})
    print(f"{rows} days; * = in the 90 % model confidence set of the index")
    print(f"{'':20s}{'S&P 500':>10s}{'Nasdaq':>10s}")
    for name in names:
        cells = [f"{found[name][i].mean():9.4f}{'*' if name in kept[i] else ' '}" for i in range(len(INDICES))]
        print(f"{name:20s}{''.join(cells)}")


def speed(instruments: int = 30, rows: int = 2_500) -> None:
    """Print milliseconds per fit, ours cold and restarted against arch, and the largest gap in log likelihood."""
    from arch import arch_model

    data, _ = load()
    g = np.random.default_rng(1)
    offset = g.integers(0, data.returns.shape[1] - rows - 66, instruments)
    series = [100 * data.returns[i % 2, o : o + rows + 66] for i, o in enumerate(offset)]
    print(f"{instruments} windows of {rows} returns; ms per fit")
    for leverage, distribution, theirs in (
        (False, "normal", "normal"), (False, "t", "t"), (True, "skew_t", "skewt"),
    ):  # fmt: skip
        settings = GarchSettings(leverage=leverage, distribution=distribution, start="smoothed")
        fit_garch(series[0][:rows], settings)  # compile
        begin = time.perf_counter()
        cold = [fit_garch(r[:rows], settings) for r in series]
        middle = time.perf_counter()
        again = [fit_garch(r[66:], settings, previous=f) for r, f in zip(series, cold, strict=True)]
        end = time.perf_counter()
        oracle = [
            arch_model(r[66:], p=1, o=int(leverage), q=1, dist=theirs).fit(disp="off", show_warning=False)
            for r in series
        ]
        last = time.perf_counter()
        gap = max(
            (o.loglikelihood - f.loglikelihood) / abs(o.loglikelihood)
            for o, f in zip(oracle, again, strict=True) if f.converged
        )  # fmt: skip
        ours, restarted, arch = (1e3 * s / instruments for s in (middle - begin, end - middle, last - end))
        name = f"{'GJR' if leverage else 'GARCH'} {distribution}"
        print(
            f"{name:14s} first fit {ours:6.1f}, refit {restarted:6.2f}, arch {arch:6.1f} "
            f"({arch / ours:.1f} and {arch / restarted:.0f} times), log likelihood short by at most {gap:.1e}"
        )


def main() -> None:
    """Run a part."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("part", choices=("selection", "test", "speed"))
    part = parser.parse_args().part
    if part == "speed":
        speed()
        return
    history, years = load(2009 if part == "selection" else 2018)
    first = int(np.flatnonzero(years >= (2003 if part == "selection" else 2010))[0])
    found = losses(history, first)
    table(found, history.variance.shape[1] - first)


if __name__ == "__main__":
    main()
