"""A market whose truth is known: seeded panels with or without a planted edge, to measure the judge itself.

The canaries, the self-calibration panel and the tests run on it. How a panel is made:

1. Sessions of the asked calendar give the time axis.
2. A two-state Markov chain (calm, stormy) scales all volatilities; each return series has its own GARCH(1, 1) factor
   driven by Student-t shocks, so tails are fat and volatility clusters.
3. Bar return = drift + beta x market + sector + own part. Shocks are symmetric around zero and the drift is the same
   for all, so without an edge every instrument has the same expected simple return at every instant: a fair game.
4. With an edge, the own standardised returns z follow ``z_t = shock_t - phi * sum(z_{t-W} ... z_{t-1})``: what fell
   behind its peers over W bars tends to catch up. ``phi`` is solved for so that the cross-sectional correlation of
   minus that sum with the own return of the next five bars equals the asked information coefficient. The same sum
   leaves a trace in volume.
5. Each return is split into an overnight gap and a session (the edge acts in the session, so that a fill at the next
   open still earns it); high and low are the exact extremes of a Brownian bridge between open and close.
6. Late listings, delistings and missing bars blank parts of the panel; they do not depend on returns.

It must not be taken for a model of any real market.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from decimal import Decimal

import numpy as np

from foresail.core.arrays import BoolArray, FloatArray, IntArray
from foresail.core.errors import ConfigError
from foresail.core.ids import InstrumentId, instrument_id
from foresail.core.seeds import generator
from foresail.domain.bars import BarSet
from foresail.domain.instruments import AssetClass, Instrument, PriceBasis
from foresail.domain.panel import Panel
from foresail.evaluation.session_axis import bars_per_year, session_axis

__all__ = [
    "BAR_FIELDS",
    "EDGE_HORIZON",
    "SimulatedTruth",
    "SimulationSettings",
    "random_walk_market",
    "simulate",
    "simulate_with_truth",
    "simulated_bar_set",
]

BAR_FIELDS: tuple[str, ...] = (
    "open",
    "high",
    "low",
    "close",
    "volume",
    "dividend",
    "split",
    "total_factor",
    "spread",
)
EDGE_HORIZON = 5  # bars over which the planted information coefficient is defined

_STAY_CALM, _STAY_STORMY = 0.985, 0.94  # chance that a regime lasts one bar longer: about 67 and 17 bars
_GARCH_SHOCK, _GARCH_MEMORY = 0.05, 0.92
_SHOCK_LIMIT = 12.0  # standard deviations; symmetric, so the mean stays zero
_RETURN_LIMIT = 0.45  # of one bar, symmetric around the drift
_TICK_DECIMALS = 4


@dataclass(frozen=True, slots=True)
class SimulationSettings:
    """What kind of market to make.

    Attributes
    ----------
    first_day : ISO date of the first session
    information_coefficient : cross-sectional correlation of the planted signal with the next five bars' own return;
        0 = none
    signal_bars : bars over which the planted signal is summed
    drift : expected simple return a year, the same for every instrument
    market_volatility, sector_volatility, own_volatility : annualised, fraction, in an average regime
    beta_spread : standard deviation of betas around 1
    gap_share : share of a return's variance that falls between close and open
    tail_degrees : degrees of freedom of the Student-t shocks, above 4
    late_listings, delistings : share of instruments listed after the first bar, ended before the last one
    missing_share : share of a listed instrument's bars that are absent
    close_only : leave open, high and low out
    has_volume : leave volume out when false
    has_regimes, has_clustering : switch off for a plain random walk
    """

    instruments: int = 60
    bars: int = 2_000
    sectors: int = 6
    frame: str = "1d"
    calendar: str = "XNYS"
    first_day: str = "2000-01-03"
    information_coefficient: float = 0.0
    signal_bars: int = 20
    drift: float = 0.06
    market_volatility: float = 0.14
    sector_volatility: float = 0.07
    own_volatility: float = 0.24
    beta_spread: float = 0.25
    gap_share: float = 0.25
    tail_degrees: float = 5.0
    late_listings: float = 0.15
    delistings: float = 0.10
    missing_share: float = 0.002
    close_only: bool = False
    has_volume: bool = True
    has_regimes: bool = True
    has_clustering: bool = True

    def __post_init__(self) -> None:
        """Refuse settings that no market can have."""
        for name, low, high in (
            ("instruments", 1, 100_000),
            ("bars", 2, 1_000_000),
            ("sectors", 1, 1_000),
            ("signal_bars", 1, 250),
            ("information_coefficient", -0.3, 0.3),
            ("gap_share", 0.0, 0.9),
            ("tail_degrees", 4.1, 1_000.0),
            ("late_listings", 0.0, 1.0),
            ("delistings", 0.0, 1.0),
            ("missing_share", 0.0, 0.5),
        ):
            value = getattr(self, name)
            if not low <= value <= high:
                raise ConfigError(f"simulated market: expected {name} between {low} and {high}, received {value!r}")


@dataclass(frozen=True, slots=True, eq=False)
class SimulatedTruth:
    """What a real market never tells, for tests of the simulation itself.

    Attributes
    ----------
    signal : (N, T), standardised planted signal known at the close of t (without effect when the edge is 0)
    own_return : (N, T), own part of the bar's simple return
    beta : (N,), exposure to the market factor
    sector : (N,), sector number from 0
    is_stormy : (T,), regime
    """

    signal: FloatArray
    own_return: FloatArray
    beta: FloatArray
    sector: IntArray
    is_stormy: BoolArray


@dataclass(frozen=True, slots=True, eq=False)
class _Parts:
    gap: FloatArray  # (N, T) simple return from the previous close to the open
    total: FloatArray  # (N, T) simple return from close to close
    volatility: FloatArray  # (N, T) of the total return
    truth: SimulatedTruth


def simulate(settings: SimulationSettings, seed: int) -> Panel:
    """Return a simulated bar panel; the same settings and seed give the same bytes.

    Parameters
    ----------
    settings : kind of market
    seed : any integer

    Returns
    -------
    (N, T, 9) panel with the fields of ``BAR_FIELDS``, raw prices rounded to 1e-4, no dividends or splits

    Examples
    --------
    >>> simulate(SimulationSettings(instruments=3, bars=50), seed=7).shape
    (3, 50, 9)
    """
    return simulate_with_truth(settings, seed)[0]


def simulate_with_truth(settings: SimulationSettings, seed: int) -> tuple[Panel, SimulatedTruth]:
    """Return the panel of ``simulate`` with the quantities behind it."""
    start, end = session_axis(settings.calendar, settings.frame, settings.first_day, settings.bars)
    parts = _returns(settings, seed)
    values = _prices(settings, seed, parts)
    present = _presence(settings, seed)
    values[~present] = np.nan
    names = tuple(
        instrument_id(f"sim.S{int(parts.truth.sector[i]) + 1:02d}.I{i + 1:04d}") for i in range(settings.instruments)
    )
    order = np.argsort(np.array(names), kind="stable")
    panel = Panel(
        values=np.ascontiguousarray(values[order]),
        present=np.ascontiguousarray(present[order]),
        start=start,
        end=end,
        available_at=end.copy(),
        fields=BAR_FIELDS,
        instruments=tuple(names[i] for i in order),
        frame=settings.frame,
        calendar=settings.calendar,
    )
    truth = parts.truth
    return panel, replace(
        truth,
        signal=truth.signal[order],
        own_return=truth.own_return[order],
        beta=truth.beta[order],
        sector=truth.sector[order],
    )


def simulated_bar_set(panel: Panel, *, name: str = "simulated") -> BarSet:
    """Return the set record of a simulated panel: stocks with sectors, raw prices, membership known at the time."""
    return BarSet(
        name=name,
        asset_class=AssetClass.STOCK,
        frame=panel.frame,
        calendar=panel.calendar,
        price_basis=PriceBasis.RAW,
        universe_basis="point_in_time",
        currency="USD",
        grace_s=0.0,
        known_by_date=False,
        close_only=not panel.has("open"),
        instruments=tuple(_instrument(identifier) for identifier in panel.instruments),
        source="simulated market",
    )


def random_walk_market(
    seed: int, *, like: Panel | None = None, instruments: int = 30, bars: int = 1_500, volatility: float = 0.25
) -> Panel:
    """Return a market in which nothing can be predicted: independent shocks, no drift, no regimes, no clustering.

    Parameters
    ----------
    like : panel whose time axis, instruments, presence and absent fields are taken over; each instrument keeps the
        volatility of its own returns. Without it a daily XNYS panel of ``instruments`` and ``bars`` is made.
    volatility : annualised, fraction; used without ``like``
    """
    if like is not None:
        return _random_walk_like(like, seed)
    settings = SimulationSettings(
        instruments=instruments,
        bars=bars,
        drift=0.0,
        market_volatility=volatility * 0.5,
        sector_volatility=0.0,
        own_volatility=volatility * float(np.sqrt(0.75)),
        late_listings=0.0,
        delistings=0.0,
        missing_share=0.0,
        has_regimes=False,
        has_clustering=False,
    )
    return simulate(settings, seed)


def _random_walk_like(like: Panel, seed: int) -> Panel:
    n, t, _ = like.shape
    settings = SimulationSettings(instruments=n, bars=max(t, 2), drift=0.0, sector_volatility=0.0)
    draw = generator(seed, "random walk")
    shape = (n, max(t, 2))
    spread = _own_volatility(like)[:, None]
    gap = spread * np.sqrt(settings.gap_share) * draw.standard_normal(shape)
    day = spread * np.sqrt(1.0 - settings.gap_share) * draw.standard_normal(shape)
    truth = SimulatedTruth(gap, gap + day, np.zeros(n), np.zeros(n, dtype=np.int64), np.zeros(shape[1], dtype=bool))
    parts = _Parts(gap, np.clip(gap + day, -_RETURN_LIMIT, _RETURN_LIMIT), np.broadcast_to(spread, shape).copy(), truth)
    made = dict(zip(BAR_FIELDS, np.moveaxis(_prices(settings, seed, parts)[:, :t], 2, 0), strict=True))
    neutral = {"dividend": 0.0, "split": 1.0, "total_factor": 1.0}
    values = np.full(like.values.shape, np.nan)
    for f, name in enumerate(like.fields):
        if name in neutral:
            values[:, :, f] = neutral[name]
        elif name in made and like.has(name):
            values[:, :, f] = made[name]
    values[~like.present] = np.nan
    return replace(like, values=values)


def _own_volatility(like: Panel) -> FloatArray:
    """Return each instrument's volatility of one-bar returns, (N,); 1 % where it has fewer than two returns."""
    prices = like.field("close")
    if like.has("total_factor"):
        prices = prices * like.field("total_factor")
    result = np.full(len(prices), 0.01)
    for i, row in enumerate(prices):
        known = row[np.isfinite(row) & (row > 0)]
        if len(known) > 2:
            # One unexplained jump in the original must not become every bar's volatility, hence the upper bound.
            result[i] = np.clip(np.std(np.diff(np.log(known))), 1e-6, 0.08)
    return result


def _instrument(identifier: InstrumentId) -> Instrument:
    _, place, symbol = identifier.split(".", 2)
    return Instrument(
        id=identifier,
        symbol=symbol,
        asset_class=AssetClass.STOCK,
        sector=f"simulated sector {int(place[1:])}",
        tick=Decimal(1).scaleb(-_TICK_DECIMALS),
    )


def _returns(settings: SimulationSettings, seed: int) -> _Parts:
    """Return gaps and total returns (steps 2 to 4 of the module text)."""
    n, t, s = settings.instruments, settings.bars, settings.sectors
    draw = generator(seed, "structure")
    sector = (np.arange(n) % s).astype(np.int64)
    beta = 1.0 + settings.beta_spread * draw.standard_normal(n)
    base = np.exp(0.25 * draw.standard_normal(n))
    stormy = _regimes(settings, generator(seed, "regimes"))
    per_bar = 1.0 / np.sqrt(bars_per_year(settings.calendar, settings.frame))
    # Factors that keep the average variance where the settings put it.
    market_scale = np.where(stormy, 2.0, 0.8) if settings.has_regimes else np.ones(t)
    own_scale = np.where(stormy, 1.4, 0.93) if settings.has_regimes else np.ones(t)

    m_gap, m_day, m_factor = _shocks(settings, generator(seed, "market"), 1)
    s_gap, s_day, s_factor = _shocks(settings, generator(seed, "sectors"), s)
    o_gap, o_day, o_factor = _shocks(settings, generator(seed, "own"), n)
    market = settings.market_volatility * per_bar * market_scale * m_factor[0]
    sectors = settings.sector_volatility * per_bar * own_scale * s_factor
    own = settings.own_volatility * per_bar * own_scale * o_factor * base[:, None]

    z, signal = _plant_edge(settings, o_gap + o_day, _attenuation(own))
    gap = beta[:, None] * (market * m_gap[0]) + (sectors * s_gap)[sector] + own * o_gap
    day = beta[:, None] * (market * m_day[0]) + (sectors * s_day)[sector] + own * (z - o_gap)
    gap = np.clip(gap, -_RETURN_LIMIT, _RETURN_LIMIT)
    drift = settings.drift * per_bar**2
    total = drift + np.clip(gap + day, -_RETURN_LIMIT, _RETURN_LIMIT)
    volatility = np.sqrt((beta[:, None] * market) ** 2 + sectors[sector] ** 2 + own**2)
    return _Parts(gap, total, volatility, SimulatedTruth(signal, own * z, beta, sector, stormy))


def _regimes(settings: SimulationSettings, draw: np.random.Generator) -> BoolArray:
    stormy = np.zeros(settings.bars, dtype=bool)
    if not settings.has_regimes:
        return stormy
    chance = draw.random(settings.bars)
    state = False
    for t in range(settings.bars):
        stays = chance[t] < (_STAY_STORMY if state else _STAY_CALM)
        state = state if stays else not state
        stormy[t] = state
    return stormy


def _shocks(
    settings: SimulationSettings, draw: np.random.Generator, series: int
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Return gap and session shocks, together of unit variance, and the GARCH factor of volatility; each (series, T).

    The factor at t depends on shocks before t only: ``g_{t+1} = w + a g_t x_t^2 + b g_t`` with mean 1.
    """
    shape = (settings.bars, series)
    unit = np.sqrt((settings.tail_degrees - 2.0) / settings.tail_degrees)
    gap = np.sqrt(settings.gap_share) * unit * draw.standard_t(settings.tail_degrees, shape)
    day = np.sqrt(1.0 - settings.gap_share) * unit * draw.standard_t(settings.tail_degrees, shape)
    gap = np.clip(gap, -_SHOCK_LIMIT, _SHOCK_LIMIT)
    day = np.clip(day, -_SHOCK_LIMIT, _SHOCK_LIMIT)
    factor = np.ones(shape)
    if settings.has_clustering:
        growth = _GARCH_MEMORY + _GARCH_SHOCK * (gap + day) ** 2
        for t in range(settings.bars - 1):
            factor[t + 1] = (1.0 - _GARCH_SHOCK - _GARCH_MEMORY) + growth[t] * factor[t]
        factor = np.sqrt(np.minimum(factor, 25.0))
    return gap.T, day.T, factor.T


def _attenuation(volatility: FloatArray) -> float:
    """Return how much unequal volatilities weaken a correlation with raw returns: mean of E[v] / sqrt(E[v^2])."""
    ratio = volatility.mean(axis=0) / np.sqrt((volatility**2).mean(axis=0))
    return float(ratio.mean())


def _plant_edge(settings: SimulationSettings, shock: FloatArray, attenuation: float) -> tuple[FloatArray, FloatArray]:
    """Return standardised own returns with the edge, and the signal known at each close; both (N, T)."""
    width = settings.signal_bars
    z = shock.T.copy()
    if settings.information_coefficient != 0.0:
        phi = _solve_phi(settings.information_coefficient / attenuation, width)
        running = np.zeros(z.shape[1])
        for t in range(len(z)):
            z[t] -= phi * running
            running += z[t]
            if t >= width:
                running -= z[t - width]
    total = np.cumsum(z, axis=0)
    window = total.copy()
    window[width:] -= total[:-width]
    return np.ascontiguousarray(z.T), np.ascontiguousarray(-window.T / np.sqrt(width))


def _solve_phi(target: float, width: int) -> float:
    """Return the feedback whose correlation of -sum(last ``width``) with sum(next 5) is ``target``, by bisection."""
    low, high = (0.0, 1.0 / width) if target > 0 else (-0.5 / width, 0.0)
    for _ in range(30):
        middle = 0.5 * (low + high)
        if _correlation(middle, width) < target:
            low = middle
        else:
            high = middle
    if abs(_correlation(middle, width) - target) > 1e-3:
        raise ConfigError(
            f"simulated market: an information coefficient near {target:.2f} is out of reach "
            f"with signal_bars = {width}",
            hint="ask for a weaker edge or a shorter signal",
        )
    return middle


def _correlation(phi: float, width: int) -> float:
    """Return that correlation exactly, from the impulse response of the autoregression (600 lags)."""
    response = np.zeros(600)
    response[0] = 1.0
    for k in range(1, len(response)):
        response[k] = -phi * response[max(0, k - width) : k].sum()
    reach = width + EDGE_HORIZON
    covariance = np.array([response[: len(response) - k] @ response[k:] for k in range(reach)])
    past = sum(covariance[abs(i - j)] for i in range(width) for j in range(width))
    future = sum(covariance[abs(i - j)] for i in range(EDGE_HORIZON) for j in range(EDGE_HORIZON))
    cross = sum(covariance[i + j + 1] for i in range(width) for j in range(EDGE_HORIZON))
    return float(-cross / np.sqrt(past * future))


def _prices(settings: SimulationSettings, seed: int, parts: _Parts) -> FloatArray:
    """Return (N, T, 9) bars from gaps and total returns (step 5)."""
    draw = generator(seed, "prices")
    n, t = parts.total.shape
    first = np.exp(draw.uniform(np.log(20.0), np.log(200.0), n))[:, None]
    close = first * np.cumprod(1.0 + parts.total, axis=1)
    before = np.concatenate([first, close[:, :-1]], axis=1)
    opening = before * (1.0 + parts.gap)
    move = np.log(close / opening)
    session_variance = parts.volatility**2 * (1.0 - settings.gap_share)
    # Extremes of a Brownian bridge from 0 to x with variance v: (x +- sqrt(x^2 - 2 v ln U)) / 2.
    up = 0.5 * (move + np.sqrt(move**2 - 2.0 * session_variance * np.log(draw.uniform(1e-12, 1.0, (n, t)))))
    down = 0.5 * (move - np.sqrt(move**2 - 2.0 * session_variance * np.log(draw.uniform(1e-12, 1.0, (n, t)))))
    values = np.full((n, t, len(BAR_FIELDS)), np.nan)
    bars = {name: values[:, :, f] for f, name in enumerate(BAR_FIELDS)}
    bars["close"][:] = close
    if not settings.close_only:
        bars["open"][:] = opening
        bars["high"][:] = np.maximum(opening * np.exp(up), np.maximum(opening, close))
        bars["low"][:] = np.minimum(opening * np.exp(down), np.minimum(opening, close))
    np.round(values, _TICK_DECIMALS, out=values)
    np.maximum(values, 10.0**-_TICK_DECIMALS, out=values)  # NaN stays NaN
    if settings.has_volume:
        size = draw.uniform(11.0, 15.0, (n, 1))
        surprise = np.abs(parts.total) / parts.volatility
        noise = draw.standard_normal((n, t))
        trace = 0.12 * np.clip(parts.truth.signal, -4.0, 4.0)
        bars["volume"][:] = np.round(np.exp(size + 0.35 * np.minimum(surprise, 6.0) + 0.3 * noise + trace))
    bars["dividend"][:] = 0.0
    bars["split"][:] = 1.0
    bars["total_factor"][:] = 1.0
    return values


def _presence(settings: SimulationSettings, seed: int) -> BoolArray:
    """Return where bars exist (step 6), independent of all returns."""
    draw = generator(seed, "presence")
    n, t = settings.instruments, settings.bars
    position = np.arange(t)
    present = draw.random((n, t)) >= settings.missing_share
    late, ended = round(settings.late_listings * n), round(settings.delistings * n)
    order = draw.permutation(n)
    for i in order[:late]:
        present[i] &= position >= int(draw.integers(t // 20, t // 2 + 1))
    for i in order[n - ended :]:
        present[i] &= position < int(draw.integers(t // 2 + 1, max(t // 2 + 2, t - t // 20)))
    return present
