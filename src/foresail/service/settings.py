"""Settings: one TOML file, ``version = 1``; unknown keys are refused, values are checked before anything runs.

Frame-dependent defaults (training window, refits, horizons) follow the protocol: daily data train on the last 5 years
and refit yearly; hourly data train on 1 year and refit monthly.
"""

from __future__ import annotations

import json
import tomllib
from dataclasses import dataclass, fields, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.core.numbers import parse_money
from foresail.domain.actions import DelistingRule
from foresail.domain.instruments import AssetClass
from foresail.engine.row_rules import WEIGHTS
from foresail.engine.settings import InputSettings, PipelineSettings, WalkForwardSettings
from foresail.engine.strategy_choices import read_strategies
from foresail.engine.trading_settings import VenueChoice
from foresail.execution.dated_fees import parse_fees
from foresail.forecasting.calibration import METHODS
from foresail.forecasting.horizons import decision_horizon, default_horizons
from foresail.forecasting.options import build_forecaster, shared_options, trial_spec
from foresail.risk.editing import read_limits
from foresail.service.horizon_settings import of_preset, typed_horizons, with_horizons
from foresail.service.trading_tables import COST_KEYS, EXIT_KEYS, read_costs, read_exits, template_lines

__all__ = [
    "RUN_KEYS",
    "VENUE_KEYS",
    "WALK_KEYS",
    "WORKSPACE_FILE",
    "Overrides",
    "default_settings",
    "read_settings",
    "run_value",
    "template",
]

WORKSPACE_FILE = "foresail.toml"

# key -> (type name, meaning); the one list that the reader, the template and the reference page share
RUN_KEYS: dict[str, tuple[str, str]] = {
    "horizons": ("horizons", 'how far ahead is forecast: bars or spans, for example [1, 5] or ["4h", "1d", "1w"]'),
    "decision_horizon": ("horizon", "the horizon that is traded, bars or a span; decisions are taken that often"),
    "features": ("names", 'sets and features, for example ["scan100"]; leave out for the default set'),
    "selection": (
        "name",
        "how each fold chooses among the features: default, default+elimination, forest, f_test, correlation, "
        'elimination or none; "" = as the sets say: 50 of multi, all of the others',
    ),
    "keep": ("integer", "features that a selection keeps"),
    "without": ("names", 'groups of features left out whole: "sentiment", "order_flow", or a group of the catalogue'),
    "normalise": (
        "name",
        "none, or how each instrument is scaled by its own training rows: standard or min_max",
    ),
    "row_weights": (
        "name",
        "how much training rows count: none, recency (half life of a year), uniqueness or both with a +",
    ),
    "forecaster": ("name", "how returns are forecast; the known ones are listed below"),
    "beside": ("names", 'forecasters that the report compares it with on the same rows, such as ["lstm"] (BASE-09)'),
    "calibration": ("name", "how intervals are corrected by outcomes: online, adaptive or none"),
    "profile": ("name", "risk profile (RISK-01)"),
    "capital": ("money", 'for example "100000 USD"'),
    "top_k": ("integer", "names held; 0 = a fifth of the names, at least 3, at most 20"),
    "cost_gate": ("boolean", "trade only when the expected move exceeds the round-trip cost"),
    "delisting_return": (
        "fraction",
        "what a listing pays that ends while held, on its last print: 0, or -0.3 to lose 30 %",
    ),
    "stops": (
        "name",
        "what backtest and paper do about a position without a stop (EXIT-01): class hangs that of its tier or class "
        "on it, class_and_target a target of twice the distance besides, none nothing",
    ),
    "sizing": (
        "name",
        "what limits a signal's size (SIZE-14): risk, its loss at the stop; atr, the same at 2 average true ranges; "
        'kelly, a quarter of Kelly of its confidence; "" = as the profile says: kelly under low-latency, else risk',
    ),
    "volatility_target": (
        "fraction",
        "a year's volatility; a more volatile name gets proportionally less of its size (SIZE-07); 0 = off",
    ),
    "may_lever": ("boolean", "whether a calmer name gets proportionally more of its size"),
    "seed": ("integer", "seed of everything random"),
}
VENUE_KEYS: dict[str, tuple[str, str]] = {
    "impact": ("name", "what large orders move the price by: none, square_root, almgren, almgren_low, almgren_high"),
    "volume_share": ("fraction", "most of a bar's volume that is filled, the rest waits; 0 = no cap"),
    "latency_ms": ("fraction", "an order acts from the first bar that starts so long after its decision"),
    "latency_bars": ("integer", "and lets so many bars pass besides"),
    "good_for_bars": ("integer", "bars that an order without an end of its own waits; 0 = no bound"),
}
_TABLES = (
    "version", "run", "walk_forward", "forecaster", "limits", "venue", "exits", "costs", "strategies", "pairs", "fees"
)  # fmt: skip
_TRADING_KEYS = ("stops", "sizing", "volatility_target", "may_lever")  # of [run], kept together in the settings
_INPUT_KEYS = tuple(one.name for one in fields(InputSettings))  # of [run], kept together in the settings
WALK_KEYS: dict[str, tuple[str, str]] = {
    "train": ("duration", 'longest training window, for example "1260 sessions" or "8760 bars"'),
    "minimum_train": ("duration", "history needed before the first fit"),
    "refit": ("duration", "how long one model serves"),
    "conformal_window": ("duration", "resolved forecasts that keep the intervals calibrated"),
}


@dataclass(frozen=True, slots=True)
class Overrides:
    """What the command line says over the file; None = not said."""

    seed: int | None = None
    capital: str | None = None
    top_k: int | None = None
    forecaster: str | None = None
    profile: str | None = None
    selection: str | None = None
    without: tuple[str, ...] | None = None
    horizons: tuple[str, ...] | None = None
    beside: tuple[str, ...] | None = None


def default_settings(frame: str, bars_per_year: float, asset_class: AssetClass = AssetClass.CRYPTO) -> PipelineSettings:
    """Return the protocol's defaults for a frame.

    Parameters
    ----------
    frame : "1d", "1h", "4h", ...
    bars_per_year : of the set's calendar
    asset_class : whose sessions the horizons of intraday bars count (FCST-15)
    """
    year = round(bars_per_year)
    if frame in ("1d", "1w"):
        walk = WalkForwardSettings(
            train_bars=5 * year, minimum_train_bars=2 * year, refit_bars=year, conformal_window=250
        )
        return PipelineSettings(horizons=(1, 5), decision_horizon=5, walk_forward=walk)
    walk = WalkForwardSettings(
        train_bars=year, minimum_train_bars=year, refit_bars=max(1, year // 12), conformal_window=max(250, year // 24)
    )
    horizons = default_horizons(asset_class, frame)
    return PipelineSettings(horizons=horizons, decision_horizon=decision_horizon(horizons), walk_forward=walk)


def _bars(name: str, value: Any) -> int:
    text = str(value).split()
    if len(text) == 2 and text[1] in ("bars", "sessions") and text[0].isdigit() and int(text[0]) > 0:
        return int(text[0])
    raise ConfigError(f'{name}: expected a duration such as "252 sessions" or "500 bars", received {value!r}')


def _check_keys(where: str, found: dict[str, Any], known: dict[str, tuple[str, str]]) -> None:
    for key in found:
        if key not in known:
            raise UnknownNameError(f"key in [{where}]", key, known)


def _typed(where: str, key: str, value: Any, kind: str) -> Any:
    wrong = ConfigError(f"[{where}] {key}: expected {kind}, received {value!r}")
    is_integer = isinstance(value, int) and not isinstance(value, bool)
    if kind == "integer" and not is_integer:
        raise wrong
    if kind == "boolean" and not isinstance(value, bool):
        raise wrong
    if kind == "fraction":
        if not is_integer and not isinstance(value, float):
            raise wrong
        return float(value)
    if kind == "name" and not isinstance(value, str):
        raise wrong
    if kind in ("horizon", "horizons"):
        return typed_horizons(kind, value, where=f"[{where}] {key}")
    if kind == "names":
        if not isinstance(value, list) or not all(isinstance(v, str) for v in value):
            raise wrong
        return tuple(value)
    return value


def read_settings(
    base: PipelineSettings,
    path: Path | None,
    overrides: Overrides,
    market: tuple[AssetClass, str] | None = None,
) -> PipelineSettings:
    """Return settings: the protocol's defaults, changed by a file, changed by the command line.

    Parameters
    ----------
    market : asset class and frame that spans are read with; None = not known, horizons by span are not read

    Raises
    ------
    ConfigError
        If the file cannot be read or a value has the wrong type or range.
    UnknownNameError
        If a key is not known.
    """
    settings = base if path is None else _from_file(base, path, overrides, market)
    if overrides.horizons is not None:
        settings = replace(settings, **with_horizons({"horizons": overrides.horizons}, settings, market))
    if overrides.seed is not None:
        settings = replace(settings, seed=overrides.seed)
    if overrides.top_k is not None:
        settings = replace(settings, top_k=overrides.top_k)
    if overrides.forecaster is not None:
        settings = replace(settings, forecaster=overrides.forecaster)
    if overrides.beside is not None:
        settings = replace(settings, beside=overrides.beside)
    if overrides.profile is not None:
        settings = replace(settings, profile=overrides.profile)
    if overrides.selection is not None:
        settings = replace(settings, inputs=replace(settings.inputs, selection=overrides.selection))
    if overrides.without is not None:
        settings = replace(settings, inputs=replace(settings.inputs, without=overrides.without))
    if overrides.capital is not None:
        settings = _with_capital(settings, overrides.capital)
    return _checked(settings)


def _with_capital(settings: PipelineSettings, text: str) -> PipelineSettings:
    money = parse_money(text)
    return replace(settings, capital=money.amount, currency=money.currency)


def _from_file(
    base: PipelineSettings, path: Path, overrides: Overrides, market: tuple[AssetClass, str] | None
) -> PipelineSettings:
    try:
        document = tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as e:
        raise ConfigError(f"{path}: no such settings file", hint="foresail init writes one") from e
    except (tomllib.TOMLDecodeError, UnicodeDecodeError, IsADirectoryError) as e:
        raise ConfigError(f"{path}: cannot be read as TOML: {e}") from e
    if document.get("version") != 1:
        raise ConfigError(f"{path}: expected version = 1, received {document.get('version')!r}")
    _check_keys(
        "top level",
        document,
        dict.fromkeys(_TABLES, ("", "")),
    )
    run, walk = document.get("run", {}), document.get("walk_forward", {})
    _check_keys("run", run, RUN_KEYS)
    _check_keys("walk_forward", walk, WALK_KEYS)
    values = {key: _typed("run", key, value, RUN_KEYS[key][0]) for key, value in run.items()}
    chosen = tuple(sorted(document.get("forecaster", {}).items()))
    name = overrides.forecaster or values.get("forecaster", base.forecaster)
    base = of_preset(replace(base, forecaster=name, forecaster_options=chosen), market)
    values = with_horizons(values, base, market)
    capital = values.pop("capital", None)
    inputs = {key: values.pop(key) for key in _INPUT_KEYS if key in values}
    trading = {key: values.pop(key) for key in _TRADING_KEYS if key in values}
    told = document.get("venue", {})
    _check_keys("venue", told, VENUE_KEYS)
    venue = {key: _typed("venue", key, value, VENUE_KEYS[key][0]) for key, value in told.items()}
    exits, costs = document.get("exits", {}), document.get("costs", {})
    _check_keys("exits", exits, EXIT_KEYS)
    _check_keys("costs", costs, COST_KEYS)
    spans = {
        f"{key}_bars" if key in ("train", "minimum_train", "refit") else key: _bars(key, v) for key, v in walk.items()
    }
    settings = replace(
        base,
        **values,
        inputs=replace(base.inputs, **inputs),
        walk_forward=replace(base.walk_forward, **spans),
        limits=read_limits(document.get("limits", {})),
        fees=parse_fees(document.get("fees", [])),
        strategies=read_strategies(document.get("strategies", {})),
        trading=replace(
            base.trading,
            **trading,
            venue=VenueChoice(**venue),
            exits=read_exits(exits, _typed),
            costs=read_costs(costs, _typed),
        ),
    )
    return settings if capital is None else _with_capital(settings, capital)


def _checked(settings: PipelineSettings) -> PipelineSettings:
    if settings.decision_horizon not in settings.horizons:
        raise ConfigError(
            f"decision_horizon {settings.decision_horizon} is not among horizons {list(settings.horizons)}"
        )
    if settings.capital <= Decimal(0):
        raise ConfigError(f"capital must be positive, received {settings.capital}")
    if settings.calibration not in METHODS:
        raise UnknownNameError("calibration", settings.calibration, METHODS)
    DelistingRule(settings.delisting_return)
    if settings.forecaster_options:
        _check_options(settings)
    for name in settings.beside:
        _check_beside(settings, name)
    if settings.features:
        _check_features(settings.features)
    if settings.inputs != InputSettings():
        _check_inputs(settings)
    if settings.top_k < 0 or settings.seed < 0:
        raise ConfigError("top_k and seed must not be negative")
    if settings.walk_forward.minimum_train_bars > settings.walk_forward.train_bars:
        raise ConfigError("minimum_train must not exceed train")
    return settings


def _check_options(settings: PipelineSettings) -> None:
    """Refuse what the forecaster does not know, before anything is computed."""
    spec = trial_spec(settings.forecaster, settings.horizons)
    build_forecaster(settings.forecaster, spec, dict(settings.forecaster_options))


def _check_beside(settings: PipelineSettings, name: str) -> None:
    """Refuse a forecaster to compare with that is not known, or takes no inputs scaled as asked for."""
    from foresail.engine.normalised import normalised

    spec = trial_spec(name, settings.horizons)
    options = shared_options(name, dict(settings.forecaster_options))
    build_forecaster(name, spec, options)
    if settings.inputs.normalise != "none":
        normalised(spec, settings.inputs.normalise, options)


def _check_features(names: tuple[str, ...]) -> None:
    """Refuse what is neither a set nor a feature, of the bars' own frame or another, before anything is read."""
    from foresail.features.catalogue import CATALOGUE, find
    from foresail.features.declared.sets import SETS, members_of
    from foresail.service.feature_names import named_sets

    for name in named_sets(names, "1d"):
        base = name.partition("@")[0]
        try:
            if base not in SETS:
                find(base)
        except UnknownNameError as e:
            raise UnknownNameError("feature or set", base, [*SETS, *CATALOGUE]) from e
        for one in members_of([name], None):
            find(one)


def _check_inputs(settings: PipelineSettings) -> None:
    """Refuse a selection or groups that are not known."""
    from foresail.engine.normalised import normalised
    from foresail.features.selection import plan_selection, without_groups

    inputs = settings.inputs
    plan_selection(settings.features, (), inputs.selection, k=inputs.keep)
    without_groups((), inputs.without)
    if inputs.normalise != "none":
        spec = trial_spec(settings.forecaster, settings.horizons)
        normalised(spec, inputs.normalise, dict(settings.forecaster_options))
    if inputs.row_weights not in WEIGHTS:
        raise UnknownNameError("weights of rows", inputs.row_weights, WEIGHTS)


def run_value(settings: PipelineSettings, key: str) -> Any:
    """Return the value of a key of [run] other than the capital."""
    of = settings.inputs if key in _INPUT_KEYS else settings.trading if key in _TRADING_KEYS else settings
    return getattr(of, key)


_TABLES_WITHOUT_KEYS = (
    "",
    "[forecaster]",
    "# Settings of the forecaster itself, such as width and epochs of a network (tft).",
    "",
    "[limits]",
    "# Risk limits that differ from the profile's; foresail limits tells all with their values and origins.",
    '# breakers.daily_loss = 0.01   # a fraction; "off" takes a limit away where it may be absent',
    "",
    "[pairs]",
    '# KO = "PEP"   # the second leg of an instrument, by ticker or id; spreads and their tests read it',
    "",
    '# [strategies."mine/trend@1"]   # limits of one strategy of an account (RISK-09)',
    "# max_position = 0.05   # or max_gross, daily_loss, drawdown, sizing, volatility_target, may_lever",
)


def template() -> str:
    """Return a settings file in which every key is shown with its default for daily bars, all commented out."""
    base = default_settings("1d", 252.0)
    shown = {
        "horizons": list(base.horizons),
        "decision_horizon": base.decision_horizon,
        "features": ["log_return_5", "volatility_20"],
        "selection": base.inputs.selection,
        "keep": base.inputs.keep,
        "without": ["sentiment"],
        "normalise": base.inputs.normalise,
        "row_weights": base.inputs.row_weights,
        "forecaster": base.forecaster,
        "beside": ["random_forest"],
        "calibration": base.calibration,
        "profile": base.profile,
        "capital": f"{base.capital} {base.currency}",
        "top_k": base.top_k,
        "cost_gate": base.cost_gate,
        "delisting_return": base.delisting_return,
        "stops": base.trading.stops,
        "sizing": base.trading.sizing,
        "volatility_target": base.trading.volatility_target,
        "may_lever": base.trading.may_lever,
        "seed": base.seed,
        "train": f"{base.walk_forward.train_bars} sessions",
        "minimum_train": f"{base.walk_forward.minimum_train_bars} sessions",
        "refit": f"{base.walk_forward.refit_bars} sessions",
        "conformal_window": f"{base.walk_forward.conformal_window} sessions",
    }
    lines = ["# Foresail settings. Remove the # in front of a key to change it.", "version = 1", "", "[run]"]
    lines += [f"# {key} = {json.dumps(shown[key])}   # {kind}: {meaning}" for key, (kind, meaning) in RUN_KEYS.items()]
    lines += ["", "[walk_forward]"]
    lines += [f"# {key} = {json.dumps(shown[key])}   # {kind}: {meaning}" for key, (kind, meaning) in WALK_KEYS.items()]
    lines += [*_TABLES_WITHOUT_KEYS, "", "[venue]"]
    lines += [
        f"# {key} = {json.dumps(getattr(base.trading.venue, key))}   # {kind}: {meaning}"
        for key, (kind, meaning) in VENUE_KEYS.items()
    ]
    lines += template_lines()
    return "\n".join(lines) + "\n"
