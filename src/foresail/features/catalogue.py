"""The catalogue: the only place where features are declared. Adding one is one entry of ``_declared``.

What a feature needs, how long it warms up and what it remembers is derived from its formula, so it cannot be wrong.
Price levels are never features.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.domain.panel import Panel
from foresail.features import formulas as f
from foresail.features.expressions import BAR, Cross, Expression, Series
from foresail.features.plan import memory_of, nodes_of, ready_of

__all__ = [
    "CATALOGUE",
    "CRITICAL",
    "SCHEMA_VERSION",
    "SETS",
    "TARGETS",
    "FeatureSpec",
    "critical_features",
    "expand",
    "features_hash",
    "find",
    "resolve",
    "validate_columns",
]

SCHEMA_VERSION = 1
TARGETS = ("close", "high", "low")  # FEAT-07: entry first, then take-profit and stop-loss

# FEAT-03. Sentiment joins the stock list when a set brings it.
CRITICAL: Mapping[AssetClass, tuple[str, ...]] = MappingProxyType(
    {
        AssetClass.STOCK: ("close", "volume", "rsi_14"),
        AssetClass.CRYPTO: ("close", "volume", "rsi_14"),
        AssetClass.FOREX: ("close", "rsi_14"),
    }
)
_ALL = (AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.FOREX)
_NO_FOREX = (AssetClass.STOCK, AssetClass.CRYPTO)
_BAR_FIELDS = ("open", "high", "low", "close", "volume")
_CLOCK_FIELDS = (
    ("close",),
    ("close", "high", "low"),
    ("close", "high", "low", "open"),
    ("close", "volume"),
    ("close", "volume"),
    ("close", "high", "low", "volume"),
)


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature (FEAT-08).

    Attributes
    ----------
    type : FEAT-05; decides nothing but the normaliser
    inputs : bar fields, "reference:<name>" or "calendar:<name>"
    frame : "base" = the frame of the panel
    warm_up : bars of the instrument until the first value
    delay_bars : availability delay beyond the bar's own
    missing : what an absent value means
    normaliser : "standard" (fold-fitted) or "none"
    critical : a missing one lowers a signal (FEAT-03)
    known_in_advance : known for future bars
    scope : "lane" (the instrument alone) or "row" (others take part)
    memory : "finite", "recursive" or "cumulative"
    source : requirement id
    expression : the formula
    """

    name: str
    aliases: tuple[str, ...]
    group: str
    type: str
    asset_classes: tuple[AssetClass, ...]
    inputs: tuple[str, ...]
    parameters: tuple[float, ...]
    warm_up: int
    description: str
    critical: bool
    scope: str
    memory: str
    source: str
    expression: Expression
    normaliser: str = "standard"
    known_in_advance: bool = False
    frame: str = "base"
    delay_bars: int = 0
    missing: str = "NaN until warm, where an input is absent, and where the instrument has no bar"
    schema_version: int = SCHEMA_VERSION


def _inputs(expression: Expression) -> tuple[str, ...]:
    """Return what an expression reads, from the clocks and bar rows it uses."""
    fields: set[str] = set()
    outside: set[str] = set()

    def add_series(series: Series) -> None:
        if series.kind in {"reference", "calendar"}:
            outside.add(f"{series.kind}:{series.name}")
        elif series.source is not None:
            fields.update(_inputs(series.source))

    if isinstance(expression, Cross):
        if isinstance(expression.source, Series):
            add_series(expression.source)
        else:
            fields.update(_inputs(expression.source))
        return (*sorted(fields), *sorted(outside))
    for n in nodes_of(expression):
        if n is not BAR and isinstance(n.clock, int) and n.op != "series":
            fields.update(_CLOCK_FIELDS[n.clock])
        fields.update(_BAR_FIELDS[ref.index] for ref in n.inputs if ref.node == BAR)
        if n.series is not None:
            add_series(n.series)
    return (*sorted(fields), *sorted(outside))


def _feature(
    name: str,
    expression: Expression,
    description: str,
    source: str,
    *,
    group: str,
    type_: str = "indicator",
    aliases: tuple[str, ...] = (),
    parameters: tuple[float, ...] = (),
    classes: tuple[AssetClass, ...] = _ALL,
    critical: bool = False,
) -> FeatureSpec:
    inputs = _inputs(expression)
    calendar = all(i.startswith("calendar:") for i in inputs)
    alone = not isinstance(expression, Cross) and not any(n.series for n in nodes_of(expression))
    return FeatureSpec(
        name,
        aliases,
        group,
        type_,
        classes,
        inputs,
        parameters,
        0 if calendar else ready_of(expression),
        description,
        critical,
        "lane" if alone else "row",
        memory_of(expression),
        source,
        expression,
        normaliser="none" if type_ in {"cyclic", "flag", "category"} else "standard",
        known_in_advance=calendar,
    )


def _returns() -> Iterable[FeatureSpec]:
    for lag in (1, 2, 5, 10, 20, 60, 120, 250):
        yield _feature(
            f"log_return_{lag}",
            f.log_return(lag),
            f"log return over {lag} bars",
            "FEAT-104" if lag == 1 else "FEAT-103",
            group="price",
            type_="percentage",
            aliases=(f"ret_{lag}",) + (("log_return", "log_returns") if lag == 1 else ()),
            parameters=(lag,),
            critical=lag == 1,
        )
    yield _feature(
        "momentum_12_1",
        f.momentum(),
        "log return from 252 to 21 bars ago",
        "FEAT-111",
        group="price",
        type_="percentage",
        parameters=(252, 21),
    )


def _trend() -> Iterable[FeatureSpec]:
    for w in (20, 50, 200):
        yield _feature(
            f"price_to_sma_{w}",
            f.price_to_sma(w),
            f"close above its mean of {w} bars, fraction",
            "FEAT-130",
            group="trend",
            aliases=("price_momentum",) if w == 20 else (),
            parameters=(w,),
        )
    yield _feature("ema_ratio_12_26", f.ema_ratio(12, 26), "fast over slow exponential mean, minus 1", "FEAT-122",
                   group="trend", parameters=(12, 26))  # fmt: skip
    yield _feature("macd_12_26", f.macd(12, 26), "MACD line over close", "FEAT-123",
                   group="trend", aliases=("macd", "MACD"), parameters=(12, 26))  # fmt: skip
    yield _feature("macd_histogram_12_26_9", f.macd_histogram(12, 26, 9), "MACD minus its signal line, over close",
                   "FEAT-123", group="trend", aliases=("macd_histogram",), parameters=(12, 26, 9))  # fmt: skip
    yield _feature("high_distance_250", f.high_distance(250), "log distance below the highest close of 250 bars",
                   "FEAT-111", group="trend", parameters=(250,))  # fmt: skip


def _momentum() -> Iterable[FeatureSpec]:
    yield _feature("rsi_14", f.rsi(14), "relative strength index, 0 to 1: above 0.7 overbought, below 0.3 oversold",
                   "FEAT-141", group="momentum", aliases=("RSI", "rsi"), parameters=(14,), critical=True)  # fmt: skip
    yield _feature("rsi_5", f.rsi(5), "fast relative strength index, 0 to 1", "FEAT-142",
                   group="momentum", parameters=(5,))  # fmt: skip
    yield _feature("stoch_k_14_3", f.stochastic(14, 3), "slow stochastic %K, 0 to 1", "FEAT-145",
                   group="momentum", aliases=("stoch_k",), parameters=(14, 3))  # fmt: skip
    yield _feature("williams_r_14", f.williams(14), "Williams %R, -1 to 0", "FEAT-147",
                   group="momentum", aliases=("williams_r",), parameters=(14,))  # fmt: skip
    yield _feature("bb_place_20_2", f.bollinger_place(20, 2.0), "place of the close between the Bollinger bands",
                   "FEAT-165", group="volatility", aliases=("percent_b",), parameters=(20, 2))  # fmt: skip


def _volatility() -> Iterable[FeatureSpec]:
    yield _feature("atr_pct_14", f.atr_share(14), "average true range over close", "FEAT-167",
                   group="volatility", aliases=("atr_pct",), parameters=(14,))  # fmt: skip
    for w in (5, 20, 60):
        yield _feature(f"volatility_{w}", f.volatility(w), f"deviation of the log return over {w} bars", "FEAT-169",
                       group="volatility", parameters=(w,))  # fmt: skip
    yield _feature("volatility_ratio_5_60", f.volatility_ratio(5, 60), "log of fast over slow volatility", "FEAT-281",
                   group="volatility", parameters=(5, 60))  # fmt: skip
    yield _feature("downside_volatility_60", f.downside_volatility(60), "root mean square of falls over 60 bars",
                   "FEAT-169", group="volatility", parameters=(60,))  # fmt: skip
    yield _feature("skew_60", f.skew(60), "skewness of the log return over 60 bars", "FEAT-203",
                   group="statistical", parameters=(60,))  # fmt: skip
    yield _feature("max_drawdown_60", f.max_drawdown(60), "deepest fall from a peak within 60 bars", "FEAT-203",
                   group="volatility", parameters=(60,))  # fmt: skip
    yield _feature("overnight_gap", f.gap(), "log of open over the close before", "FEAT-109", group="price",
                   type_="percentage", aliases=("gap_percent",),
                   classes=(AssetClass.STOCK, AssetClass.FOREX))  # fmt: skip
    yield _feature("intraday_range", f.range_share(), "log of high over low", "FEAT-166", group="volatility")
    yield _feature("relative_position", f.close_place(), "place of the close in the bar's range, 0 to 1", "FEAT-108",
                   group="price", aliases=("close_location",))  # fmt: skip


def _volume() -> Iterable[FeatureSpec]:
    yield _feature("volume_ratio_20", f.volume_ratio(20), "volume over its mean of 20 bars", "FEAT-187",
                   group="volume", type_="volume", aliases=("volume_ratio",), parameters=(20,), classes=_NO_FOREX,
                   critical=True)  # fmt: skip
    yield _feature("log_volume_zscore_20", f.log_volume_zscore(20), "log volume in deviations from its 20-bar mean",
                   "FEAT-187", group="volume", type_="volume", parameters=(20,), classes=_NO_FOREX)  # fmt: skip
    yield _feature("obv_ratio_20", f.obv_ratio(20), "change of on-balance volume over the volume of 20 bars",
                   "FEAT-181", group="volume", aliases=("obv_slope",), parameters=(20,), classes=_NO_FOREX)  # fmt: skip
    yield _feature("mfi_14", f.money_flow(14), "money flow index, 0 to 1", "FEAT-186",
                   group="volume", parameters=(14,), classes=_NO_FOREX)  # fmt: skip
    yield _feature("amihud_ratio_60", f.amihud_ratio(60), "price move per traded value against its 60-bar mean",
                   "FEAT-187", group="volume", parameters=(60,), classes=_NO_FOREX)  # fmt: skip


def _cross_section() -> Iterable[FeatureSpec]:
    ranked = [(f"log_return_{k}", f.log_return(k)) for k in (1, 5, 20, 120)]
    ranked += [("volatility_20", f.volatility(20)), ("rsi_14", f.rsi(14)), ("volume_ratio_20", f.volume_ratio(20))]
    for name, value in ranked:
        yield _feature(f"rank_{name}", f.rank(value), f"rank of {name} among all instruments, 0 to 1", "FEAT-276",
                       group="cross_section")  # fmt: skip
    for k in (5, 20):
        yield _feature(f"sector_relative_{k}", f.sector_residual(f.log_return(k)),
                       f"log return over {k} bars minus the mean of the sector", "FEAT-277",
                       group="cross_section", type_="percentage", parameters=(k,))  # fmt: skip
    for k in (5, 20):
        yield _feature(f"market_return_{k}", f.broadcast(f.market(f.log_return(k))),
                       f"mean log return of all instruments over {k} bars", "FEAT-275",
                       group="market", type_="percentage", parameters=(k,))  # fmt: skip
    yield _feature("market_dispersion_5", f.broadcast(f.market(f.log_return(5), "market_deviation")),
                   "deviation of 5-bar log returns across instruments", "FEAT-278", group="market",
                   parameters=(5,))  # fmt: skip
    yield _feature("beta_60", f.beta(60), "slope of the log return on the mean of all instruments, 60 bars",
                   "FEAT-274", group="market", parameters=(60,))  # fmt: skip


def _context() -> Iterable[FeatureSpec]:
    yield _feature("vix_zscore_250", f.reference("vix", f.zscore(250)), "VIX in deviations from its 250-bar mean",
                   "FEAT-271", group="market", type_="index", parameters=(250,))  # fmt: skip
    for name, lags in (("vix", (1, 5)), ("sp500", (5, 20)), ("nasdaq", (5, 20)), ("oil", (20,))):
        for lag in lags:
            yield _feature(f"{name}_change_{lag}", f.reference(name, f.log_return(lag)),
                           f"log change of {name} over {lag} bars", "FEAT-272" if name == "vix" else "FEAT-275",
                           group="market", type_="index", parameters=(lag,))  # fmt: skip
    for name in ("day_sin", "day_cos", "hour_sin", "hour_cos"):
        what = "weekday" if name.startswith("day") else "hour of the day"
        yield _feature(name, f.calendar(name), f"{what} on a circle", "FEAT-24", group="temporal", type_="cyclic")


def _declared() -> Iterable[FeatureSpec]:
    for part in (_returns, _trend, _momentum, _volatility, _volume, _cross_section, _context):
        yield from part()


CATALOGUE: Mapping[str, FeatureSpec] = MappingProxyType({spec.name: spec for spec in _declared()})
_ALIASES = {alias: spec.name for spec in CATALOGUE.values() for alias in spec.aliases}

SETS: Mapping[str, tuple[str, ...]] = MappingProxyType({"spine": tuple(CATALOGUE)})


def find(name: str) -> FeatureSpec:
    """Return the feature of a name or alias.

    Raises
    ------
    UnknownNameError
        If the catalogue has no such feature.
    """
    key = _ALIASES.get(name, name)
    if key not in CATALOGUE:
        raise UnknownNameError("feature", name, CATALOGUE)
    return CATALOGUE[key]


def expand(names: Sequence[str] | str | None) -> tuple[FeatureSpec, ...]:
    """Return the features of names, aliases or the name of a set, in schema order for a set, without repeats."""
    if names is None:
        names = "spine"
    if isinstance(names, str):
        if names not in SETS:
            raise UnknownNameError("feature set", names, SETS)
        names = SETS[names]
    return tuple(dict.fromkeys(find(name) for name in names))


def validate_columns(columns: Iterable[str]) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Return (present, missing) catalogue names in schema order, aliases understood (FEAT-04)."""
    given = {_ALIASES.get(c, c) for c in columns}
    return tuple(n for n in CATALOGUE if n in given), tuple(n for n in CATALOGUE if n not in given)


def critical_features(asset_class: AssetClass) -> tuple[str, ...]:
    """Return the names whose absence lowers a signal (FEAT-03)."""
    return CRITICAL[asset_class]


def resolve(
    names: Sequence[str] | str | None, panel: Panel, reference_names: Sequence[str] = ()
) -> tuple[tuple[FeatureSpec, ...], dict[str, str]]:
    """Return the features that a panel of bars can give, and for every other one the reason it cannot.

    Parameters
    ----------
    names : names, aliases, or the name of a set; None = the default set
    reference_names : reference series that the context will hold, lower case

    Returns
    -------
    available, absent : specs in order, and name -> reason
    """
    available: list[FeatureSpec] = []
    absent: dict[str, str] = {}
    known = {name.lower() for name in reference_names}
    fields = {field for field in _BAR_FIELDS if panel.has(field)}
    for spec in expand(names):
        reason = _reason(spec, panel, fields, known)
        if reason is None:
            available.append(spec)
        else:
            absent[spec.name] = reason
    return tuple(available), absent


def _reason(spec: FeatureSpec, panel: Panel, fields: set[str], references: set[str]) -> str | None:
    """Return why a panel cannot give a feature, None if it can."""
    lacking = [i for i in spec.inputs if ":" not in i and i not in fields]
    series = [i.split(":", 1)[1] for i in spec.inputs if i.startswith("reference:")]
    lacking_series = [s for s in series if s not in references]
    if lacking:
        return f"needs {', '.join(lacking)}, which this set does not have"
    if lacking_series:
        return f"needs the reference series {', '.join(lacking_series)}, which was not given"
    asset_class = _asset_class(panel)
    if asset_class is not None and asset_class not in spec.asset_classes:
        return f"not defined for {asset_class.value} (see {spec.source})"
    if spec.scope == "row" and not series and not spec.known_in_advance and len(panel.instruments) < 2:
        return "compares instruments, and this set has only one"
    if spec.name.startswith("hour_") and panel.frame.endswith(("d", "w")):
        return f"the hour says nothing on bars of {panel.frame}"
    return None


def _asset_class(panel: Panel) -> AssetClass | None:
    """Return the class that the instrument ids of a panel agree on, None where they are of other kinds."""
    words = {"stock": AssetClass.STOCK, "crypto": AssetClass.CRYPTO, "fx": AssetClass.FOREX}
    kinds = {words.get(i.split(".", 1)[0]) for i in panel.instruments}
    return kinds.pop() if len(kinds) == 1 else None


def features_hash(names: Sequence[str], row: FloatArray) -> str:
    """Return 64 hexadecimal digits of schema version, ordered names and one input row (FEAT-16).

    Parameters
    ----------
    row : (F,) float64; every NaN counts as the same absent value
    """
    values = np.where(np.isnan(row), np.nan, row + 0.0).astype("<f8")
    head = "\x1f".join([str(SCHEMA_VERSION), *names])
    digest = hashlib.sha256(f"{head}\x1e".encode())
    digest.update(values.tobytes())
    return digest.hexdigest()
