"""Canaries: in every run, on a fixed sample of names, the pipeline is fed with things whose outcome is known.

- shuffled labels: there is nothing to learn, so no skill may appear;
- perturbed future: nothing decided before an instant may depend on what comes after it;
- one-bar lag: older features must not have more skill, else the newest ones were not what they claim;
- random walk: nothing can be earned before costs, and costs must be booked to the cent;
- price scale: units of price must not matter.

A statistical canary that falls outside two standard errors is repeated on fresh draws and fails only if all draws fail
in the same direction; one honest run in twenty would otherwise be called invalid.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.seeds import generator
from foresail.domain.forecast import ForecastBlock
from foresail.domain.panel import Panel
from foresail.domain.runs import CanaryResult
from foresail.domain.training import Targets
from foresail.engine.pipeline import PipelineResult, Prepared, prepare, run_pipeline, select_instruments
from foresail.engine.settings import MarketData, PipelineSettings
from foresail.engine.walkforward import WalkForward, walk_forward
from foresail.evaluation.simulated_market import random_walk_market
from foresail.measures.bootstrap import BootstrapSettings, mean_interval
from foresail.measures.ranks import rank_correlation
from foresail.protocols import Progress, Strategy

__all__ = ["SAMPLE_NAMES", "canary_market", "mean_skill", "perturbed_future", "run_canaries"]

SAMPLE_NAMES = 30
_DRAWS = 3
_LEAST_DECISIONS = 20
_TOO_FEW = f"not judged: names could be ranked at fewer than {_LEAST_DECISIONS} decisions"
_PRICES = ("open", "high", "low", "close", "dividend", "spread")


@dataclass(frozen=True, slots=True, eq=False)
class _Base:
    data: MarketData
    settings: PipelineSettings
    prepared: Prepared
    walk: WalkForward
    strategy: Strategy | None


def canary_market(data: MarketData, settings: PipelineSettings) -> tuple[MarketData, PipelineSettings]:
    """Return the fixed sample: the 30 names with most bars, and the newest stretch that three refits need.

    Ties and order follow the instrument id, so the sample depends on the data alone.
    """
    counts = data.bars.present.sum(axis=1)
    rows = sorted(np.argsort(-counts, kind="stable")[:SAMPLE_NAMES].tolist())
    sample = select_instruments(data, rows)
    walk = settings.walk_forward
    train = min(walk.train_bars, max(walk.minimum_train_bars, 2 * walk.refit_bars))
    length = train + 3 * walk.refit_bars
    total = data.bars.shape[1]
    first = max(0, total - length)
    first -= first % settings.decision_horizon
    cut = sample.bars.cut(first, total)
    sample = replace(sample, bars=cut, blocked_from=np.maximum(sample.blocked_from - first, 0))
    sample = select_instruments(sample, np.flatnonzero(cut.present.any(axis=1)).tolist())
    lean = replace(
        settings,
        horizons=(settings.decision_horizon,),
        targets=("close",),
        walk_forward=replace(walk, train_bars=train, minimum_train_bars=min(train, max(total // 2, 1))),
    )
    return sample, lean


def _skill(block: ForecastBlock, labels: FloatArray) -> FloatArray:
    """Return the rank correlation of median forecast and label, one figure a decision time; NaN where undefined."""
    middle = block.levels.index(0.5)
    predicted, realised = block.values[:, :, 0, -1, middle], labels[:, block.position, 0, -1]
    daily: FloatArray = rank_correlation(predicted, realised, minimum_names=min(10, len(block.instruments))).daily
    return daily


def mean_skill(block: ForecastBlock, labels: FloatArray) -> tuple[float, float]:
    """Return the mean rank correlation of median forecast and label, and its standard error; NaN for too few times.

    Parameters
    ----------
    labels : (N, T, K, H) as in ``Targets.values``
    """
    return _mean_and_error(_skill(block, labels))


def _mean_and_error(daily: FloatArray) -> tuple[float, float]:
    """Return the mean and its standard error over decision times, widened for what one model has in common in time.

    Decisions are a horizon apart, so their labels do not overlap; but a model serves many of them, and its luck lasts.
    The error is Newey and West's with a fifth of the times as lags, never below the plain one.
    """
    known = daily[np.isfinite(daily)]
    n = len(known)
    if n < _LEAST_DECISIONS:
        return float("nan"), float("nan")
    deviation = known - known.mean()
    variance = plain = float(deviation @ deviation) / n
    lags = n // 5
    for lag in range(1, lags + 1):
        variance += 2 * (1 - lag / (lags + 1)) * float(deviation[lag:] @ deviation[:-lag]) / n
    return float(known.mean()), float(np.sqrt(max(variance, plain) / (n - 1)))


def _shuffled(labels: Targets, seed: int, draw: int) -> Targets:
    """Return labels exchanged among the names of each date; which names have one does not change."""
    random = generator(seed, "shuffled-labels", draw)
    values = labels.values.copy()
    n, t = values.shape[:2]
    flat = values.reshape(n, t, -1)
    for now in range(t):
        known = np.flatnonzero(np.isfinite(flat[:, now]).all(axis=1))
        flat[known, now] = flat[random.permutation(known), now]
    return replace(labels, values=flat.reshape(values.shape))


def _shuffled_labels(base: _Base) -> CanaryResult:
    figures, signs = [], []
    for draw in range(_DRAWS):
        labels = _shuffled(base.prepared.targets, base.settings.seed, draw)
        walk = walk_forward(base.prepared.features, labels, base.prepared.scale, base.settings)
        mean, error = _mean_and_error(_skill(walk.block, labels.values))
        figures.append({"rank_ic": mean, "standard_error": error})
        outside = np.isfinite(mean) and abs(mean) > 2 * error
        signs.append(float(np.sign(mean)) if outside else 0.0)
        if not outside:
            break
    passed = 0.0 in signs or len(set(signs)) > 1
    last = figures[-1]
    text = (
        f"labels exchanged among names: mean RankIC {last['rank_ic']:+.4f}, standard error {last['standard_error']:.4f}"
    )
    judged = bool(np.isfinite(last["rank_ic"]))
    return CanaryResult("shuffled labels", passed, text if judged else _TOO_FEW, {"draws": figures}, judged)


def _perturbed(data: MarketData, position: int, seed: int) -> MarketData:
    """Return the market with every price and volume after ``position`` scrambled and every third name ended there."""
    random = generator(seed, "perturbed-future")
    values, present = data.bars.values.copy(), data.bars.present.copy()
    after = values[:, position + 1 :]
    noise = np.exp(random.normal(0.0, 0.5, size=after.shape[:2]))
    for name in data.bars.fields:
        if name in (*_PRICES, "volume", "total_factor"):
            after[:, :, data.bars.index(name)] *= noise
    if len(values) > 1:
        after[::3], present[::3, position + 1 :] = np.nan, False
    return replace(data, bars=replace(data.bars, values=values, present=present))


def _same(a: FloatArray, b: FloatArray) -> bool:
    return bool(np.array_equal(a, b, equal_nan=True))


def _perturbed_future(base: _Base) -> CanaryResult:
    positions = base.walk.block.position
    cut = int(positions[len(positions) // 2])
    altered = _perturbed(base.data, cut, base.settings.seed)
    first = run_pipeline(base.data, base.settings, strategy=base.strategy, prepared=base.prepared, walk=base.walk)
    second = run_pipeline(altered, base.settings, strategy=base.strategy)
    upto = int(np.searchsorted(positions, cut, side="right"))
    checks = {
        "features": _same(first.prepared.features.values[:, : cut + 1], second.prepared.features.values[:, : cut + 1]),
        "forecasts": _same(first.walk.block.values[:, :upto], second.walk.block.values[:, :upto]),
        "decisions": _decisions_until(first, cut) == _decisions_until(second, cut),
    }
    wrong = [name for name, ok in checks.items() if not ok]
    text = f"everything after bar {cut} scrambled, every third name ended: " + (
        "all before it is bit-equal" if not wrong else f"{', '.join(wrong)} before it changed"
    )
    return CanaryResult("perturbed future", not wrong, text, {"position": cut, **checks})


def _decisions_until(result: PipelineResult, cut: int) -> list[tuple[object, ...]]:
    limit = int(result.data.bars.available_at[cut])
    book = result.backtest
    signals = [
        (
            s.decided_at,
            s.instrument,
            s.kind.value,
            s.rank,
            repr(s.expected_return),
            repr(s.stop_price),
            repr(s.confidence),
        )
        for s in book.signals
        if s.decided_at <= limit
    ]
    weights = [(*key, repr(weight)) for key, weight in sorted(book.weights.items()) if key[0] <= limit]
    orders = [(o.order.id, str(o.order.quantity)) for o in book.orders if o.order.decided_at <= limit]
    return [*signals, *weights, *orders]


def _lagged(features: Panel) -> Panel:
    values = np.full_like(features.values, np.nan)
    values[:, 1:] = features.values[:, :-1]
    return replace(features, values=values)


def _one_bar_lag(base: _Base) -> CanaryResult:
    """Features whose newest row is not what it claims do better one bar later: with skill, in both halves of time."""
    lagged = walk_forward(_lagged(base.prepared.features), base.prepared.targets, base.prepared.scale, base.settings)
    labels = base.prepared.targets.values
    later = _skill(lagged.block, labels)
    rise = later - _skill(base.walk.block, labels)
    mean, error = _mean_and_error(rise)
    skill, skill_error = _mean_and_error(later)
    half = len(rise) // 2
    parts = [_mean_and_error(rise[:half])[0], _mean_and_error(rise[half:])[0]]
    suspicious = (
        mean > 2 * error and skill > 2 * skill_error and all(part > error for part in parts if np.isfinite(part))
    )
    text = f"features one bar older: RankIC changes by {mean:+.4f} (standard error {error:.4f}) to {skill:+.4f}"
    figures = {"rise": mean, "standard_error": error, "lagged_rank_ic": skill, "lagged_standard_error": skill_error}
    judged = bool(np.isfinite(mean))
    return CanaryResult("one-bar lag", not suspicious, text if judged else _TOO_FEW, figures, judged)


def _random_walk(base: _Base) -> CanaryResult:
    settings = replace(base.settings, cost_gate=False)
    signs, figures = [], []
    exact, enough = True, True
    for draw in range(_DRAWS):
        market = replace(base.data, bars=random_walk_market(base.settings.seed + draw, like=base.data.bars))
        result = run_pipeline(market, settings, strategy=base.strategy)
        book = result.backtest
        gross = np.diff(book.gross) / book.gross[:-1]
        interval = mean_interval(gross[book.first :], BootstrapSettings(seed=base.settings.seed))
        booked = float(book.total_cost)
        exact = exact and bool(abs((book.gross[-1] - book.net[-1]) - booked) < 0.005)
        enough = enough and len(book.fills) >= 100
        figures.append(
            {
                "gross": interval.value,
                "low": interval.low,
                "high": interval.high,
                "fills": len(book.fills),
                "costs": booked,
            }
        )
        signs.append(0 if interval.low <= 0 <= interval.high else int(np.sign(interval.value)))
        if signs[-1] == 0:
            break
    passed = exact and (not enough or 0 in signs or len(set(signs)) > 1)
    last = figures[-1]
    text = (
        f"random walk, cost gate off: {last['fills']} fills, gross {last['gross']:+.2e} a bar "
        f"[{last['low']:+.2e}, {last['high']:+.2e}]"
        + ("" if exact else "; net is not gross minus booked costs")
        + ("" if enough else "; fewer than 100 fills, so the return is not judged")
    )
    told = {"draws": figures, "costs_exact": exact, "enough_trades": enough}
    return CanaryResult("random walk", passed, text, told, enough or not passed)


def _rescaled(data: MarketData) -> MarketData:
    """Return the market with every third name's whole history multiplied by a constant, as a split would."""
    values = data.bars.values.copy()
    for name in data.bars.fields:
        if name in _PRICES:
            values[::3, :, data.bars.index(name)] *= 4.0
    return replace(data, bars=replace(data.bars, values=values))


def _price_scale(base: _Base) -> CanaryResult:
    ready = prepare(_rescaled(base.data), base.settings)
    walk = walk_forward(ready.features, ready.targets, ready.scale, base.settings)
    passed = _same(walk.block.values, base.walk.block.values)
    text = "every third name's prices times four: " + ("no forecast changes" if passed else "forecasts change")
    return CanaryResult("price scale", passed, text, {})


def perturbed_future(data: MarketData, settings: PipelineSettings, *, strategy: Strategy | None = None) -> CanaryResult:
    """Run the pipeline twice, the second time with everything after one bar scrambled, and compare what came before.

    Parameters
    ----------
    strategy : a plug-in; None = the default strategy
    """
    ready = prepare(data, settings)
    walk = walk_forward(ready.features, ready.targets, ready.scale, settings)
    return _perturbed_future(_Base(data, settings, ready, walk, strategy))


def run_canaries(
    data: MarketData,
    settings: PipelineSettings,
    *,
    strategy: Strategy | None = None,
    progress: Progress | None = None,
) -> tuple[CanaryResult, ...]:
    """Run every canary on the fixed sample and return what each saw.

    Parameters
    ----------
    strategy : a plug-in; None = the default strategy
    """
    sample, lean = canary_market(data, settings)
    ready = prepare(sample, lean)
    walk = walk_forward(ready.features, ready.targets, ready.scale, lean)
    base = _Base(sample, lean, ready, walk, strategy)
    checks = (_shuffled_labels, _perturbed_future, _one_bar_lag, _random_walk, _price_scale)
    results = []
    for i, check in enumerate(checks):
        if progress is not None:
            progress("canaries", i, len(checks))
        results.append(check(base))
    if progress is not None:
        progress("canaries", len(checks), len(checks))
    return tuple(results)
