"""A stored set and a strategy as a stream for the trading core: what ``backtest``, ``paper`` and ``parity`` share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.canonical import hash_value
from foresail.core.errors import ConfigError
from foresail.domain.calendars import bars_per_year
from foresail.domain.events import Event
from foresail.domain.forecast import ForecastBlock
from foresail.domain.limits import PositionLimits, TradingLimits
from foresail.engine.driver import BacktestInputs, history_parts
from foresail.engine.history import history_events
from foresail.engine.parts import build_parts, class_limits, costs_of
from foresail.engine.risk_facts import risk_facts
from foresail.engine.settings import PipelineSettings
from foresail.engine.strategy_choices import StrategyChoices, choice_of
from foresail.engine.trading.core import TradingCore
from foresail.engine.trading.netted import Sleeve, with_sleeves
from foresail.engine.trading.parts import TradingParts
from foresail.engine.trading.simulated import SimulatedLink
from foresail.engine.trading.slicing import Slicer
from foresail.engine.trading.volumes import PanelVolumes
from foresail.engine.walkforward import WalkForward
from foresail.execution.costs import CostModel
from foresail.protocols import Strategy
from foresail.risk.accounts import edited, rows, trading_limits
from foresail.risk.editing import edited_positions, position_rows, trading_values
from foresail.risk.profiles import profile_named
from foresail.risk.versions import limits_digest
from foresail.service.limits import leverage_warning
from foresail.service.loading import Loaded, load_bars, parse_until
from foresail.service.order_books import GivenBooks, read_books
from foresail.service.plugins import Plugin, fuzz, load_plugin, to_strategy
from foresail.service.runfolder import code_hash
from foresail.service.settings import WORKSPACE_FILE, Overrides, default_settings, read_settings
from foresail.service.sleeves import parse_slices
from foresail.service.terms import terms_digest, terms_of, with_terms

__all__ = ["OLD_BOUNDARY", "Stream", "StreamRequest", "fingerprint_of", "open_stream"]

OLD_BOUNDARY = "utc"
_FUZZ_NAMES, _FUZZ_BARS = 8, 400


@dataclass(frozen=True, slots=True)
class StreamRequest:
    """What a command was asked to trade; None = not said.

    Attributes
    ----------
    sleeves : (file, share of equity) of every strategy, where there are several or one has a share
    slices : how large orders leave (``sleeves.parse_slices``), empty = at once
    books : recorded order books on which orders are filled, "FILE" or "INSTRUMENT=FILE" (``order_books``)
    facts : whether limits are told of the market; not so for accounts made before they were
    may_wrap : whether one strategy for which the settings have limits gets a book of its own; an account that exists
        was asked at its first start
    boundary : where a day begins unless the settings say so; None = as its class does. Accounts made before that have
        ``OLD_BOUNDARY``
    alerts : whether they are also told what only ALERT-10 hears of; not so for accounts made before that
    """

    bars: str
    strategy: Path
    until: str | None = None
    timezone: str | None = None
    capital: str | None = None
    profile: str | None = None
    names: int | None = None
    sleeves: tuple[tuple[str, str], ...] = ()
    slices: str = ""
    books: tuple[str, ...] = ()
    facts: bool = True
    boundary: str | None = None
    may_wrap: bool = True
    alerts: bool = True


@dataclass(frozen=True, slots=True, eq=False)
class Stream:
    """Bars, strategy and settings, resolved.

    Attributes
    ----------
    plugins : the strategies
    inputs : what a driver needs besides the strategies
    has_facts, has_alerts : whether limits are told of the market, and alerts of whales, funding and flows
    is_live : whether bars come as they end, so that links, clock and the age of prices count (RISK-31)
    shares : of the account's equity, one a strategy; empty = one strategy that has the whole account
    slices : how large orders leave, empty = at once
    books : order books on which orders are filled, None where all fill on bars
    names_terms : whether the journal names stops, fees and the like with the limits (``service.terms``)
    unmatched : warnings on limits of strategies that name another version of one of these
    source, workspace, timezone, names : what the bars are read again with
    """

    loaded: Loaded
    plugins: tuple[Plugin, ...]
    settings: PipelineSettings
    inputs: BacktestInputs
    has_facts: bool = True
    has_alerts: bool = True
    is_live: bool = False
    shares: tuple[Decimal, ...] = ()
    slices: str = ""
    books: GivenBooks | None = None
    names_terms: bool = True
    unmatched: tuple[str, ...] = ()
    source: str = ""
    workspace: Path = Path()
    timezone: str | None = None
    names: int | None = None

    @property
    def is_plain(self) -> bool:
        """Whether one strategy has the account for itself and its orders leave at once."""
        return not self.shares and not self.slices

    def strategy(self) -> Strategy:
        """Return a fresh strategy, the first of them."""
        return self._fresh(self.plugins[0])

    def _fresh(self, plugin: Plugin) -> Strategy:
        return to_strategy(plugin, frame=self.loaded.data.bars.frame)

    def parts(self, *, account: str, environment: str) -> tuple[TradingParts, SimulatedLink]:
        """Return fresh parts of a core and the simulated venue on these bars."""
        data = self.inputs.data
        built = build_parts(data.bars, data.bar_set, self.settings, strategy=self.strategy(), explain=None)
        parts, link = history_parts(self.inputs, built, account=account, environment=environment, limits=self.limits())
        if self.shares:
            pairs = zip(self.plugins, self.shares, strict=True)
            parts = with_sleeves(parts, [self._sleeve(plugin, share) for plugin, share in pairs])
        if self.slices:
            slicer = Slicer(parse_slices(self.slices), PanelVolumes(data.bars), parts.instruments)
            parts = replace(parts, slicer=slicer)
        return replace(parts, limits_digest=self.limits_digest()), link

    def _sleeve(self, plugin: Plugin, share: Decimal) -> Sleeve:
        chosen = choice_of(self.settings.strategies, plugin.id)
        return Sleeve(self._fresh(plugin), share, chosen, chosen.sizes)

    def costs(self) -> CostModel:
        """Return what trading costs under these settings."""
        return costs_of(self.inputs.data.bar_set, self.settings)

    def limits(self) -> TradingLimits:
        """Return the limits of breakers and caps: of the profile and the asset class, as the settings edit them."""
        asset_class = self.inputs.data.bar_set.asset_class
        base = trading_limits(self.settings.profile, asset_class=asset_class, live=self.is_live)
        return edited(base, trading_values(dict(self.settings.limits)))

    def position_limits(self) -> PositionLimits:
        """Return the limits of single positions, as the settings edit them."""
        base = profile_named(self.settings.profile).limits(self.inputs.data.bar_set.asset_class)
        return edited_positions(base, dict(self.settings.limits))

    def limits_digest(self) -> str:
        """Return the hash of every limit, and of every term that is not as by default (COMP-05)."""
        bar_set, names = self.inputs.data.bar_set, set(self.inputs.data.bars.instruments)
        traded = [one for one in bar_set.instruments if one.id in names]
        positions = class_limits(self.settings, traded, bar_set.asset_class)
        digest = limits_digest(self.limits(), {kind.value: one for kind, one in positions.items()})
        return terms_digest(digest, terms_of(self.settings)) if self.names_terms else digest

    def limit_rows(self) -> dict[str, Any]:
        """Return every limit by name."""
        return {**position_rows(self.position_limits()), **rows(self.limits())}

    def reloaded(self) -> Stream:
        """Return the same stream on the bars that are stored now."""
        loaded = load_bars(self.source, workspace=self.workspace, timezone=self.timezone, names=self.names)
        bars = loaded.data.bars
        inputs = replace(self.inputs, data=loaded.data, features=bars, walk=_no_forecasts(loaded))
        return replace(self, loaded=loaded, inputs=inputs)

    def under(
        self, limits: tuple[tuple[str, Any], ...], terms: Mapping[str, Any] | None, *, is_live: bool = False
    ) -> Stream:
        """Return the same stream under limits that are edited otherwise, and under other terms.

        Parameters
        ----------
        terms : as of ``service.terms``; None = as of the settings, and not named by the journal: accounts made before
            it named them
        """
        settings = replace(self.settings, limits=limits)
        settings = settings if terms is None else with_terms(settings, terms)
        inputs = replace(self.inputs, settings=settings)
        return replace(self, settings=settings, inputs=inputs, names_terms=terms is not None, is_live=is_live)

    def warnings(self) -> list[str]:
        """Return what whoever trades under these limits is told first."""
        warning = leverage_warning(self.limits().book.leverage, edited=dict(self.settings.limits))
        quiet = [] if self.books is None else self.books.warnings(self.loaded.data.bars)
        return [*([warning] if warning else []), *self.unmatched, *quiet]

    def begin(self, core: TradingCore) -> None:
        """Pay the capital into a core that has booked nothing yet."""
        core.begin(int(self.inputs.data.bars.start[0]), self.settings.capital)

    def events(self) -> tuple[Event, ...]:
        """Return every event of the stored bars in their one order."""
        data, limits = self.inputs.data, self.limits() if self.has_facts else None
        facts = risk_facts(data, limits, 0, has_alerts=self.has_alerts)
        every = math.gcd(*(self._fresh(plugin).spec.every for plugin in self.plugins))
        return history_events(self.inputs.data.bars, 0, every, facts)

    def identity(self) -> dict[str, Any]:
        """Return what must not change while an account lives: strategies, settings, names."""
        pairs = zip(self.plugins, self.shares, strict=False)  # no shares: one strategy
        return {
            "bars": self.loaded.data.bar_set.name,
            "instruments": list(self.loaded.data.bars.instruments),
            "strategy": " + ".join(f"{plugin.id}={share}" for plugin, share in pairs) or self.plugins[0].id,
            "strategy_sha256": hash_value([one.source_hash for one in self.plugins])
            if self.shares
            else self.plugins[0].source_hash,
            "capital": str(self.settings.capital),
            "currency": self.settings.currency,
            "profile": self.settings.profile,
            **({"slices": self.slices} if self.slices else {}),
            **({"books": dict(self.books.sha256)} if self.books is not None else {}),
        }

    def record(self) -> dict[str, Any]:
        """Return all that decides the result, for the fingerprint of a run."""
        settings = {
            "limits": self.limits_digest(),
            "fees": self.settings.fees,
            "trading": asdict(self.settings.trading),
        }
        return {**self.identity(), **settings, "inputs": self.loaded.inputs, "code": code_hash()}


def open_stream(request: StreamRequest, workspace: Path, *, check_leaks: bool) -> Stream:
    """Read bars and strategy.

    Parameters
    ----------
    check_leaks : hunt the strategy for look-ahead on a part of these bars first

    Raises
    ------
    ConfigError
        If a book cannot be used.
    LookAheadError
        If the strategy looks ahead.
    """
    files = [Path(file) for file, _share in request.sleeves] or [request.strategy]
    plugins = tuple(load_plugin(file) for file in files)
    if request.slices:
        parse_slices(request.slices)
    loaded = load_bars(
        request.bars,
        workspace=workspace,
        until_ns=parse_until(request.until),
        timezone=request.timezone,
        names=request.names,
    )
    bars = loaded.data.bars
    year = bars_per_year(bars.calendar, bars.frame)
    market = (loaded.data.bar_set.asset_class, bars.frame)
    base = replace(default_settings(bars.frame, year, market[0]), currency=loaded.data.bar_set.currency)
    config = workspace / WORKSPACE_FILE
    overrides = Overrides(capital=request.capital, profile=request.profile)
    settings = read_settings(base, config if config.is_file() else None, overrides, market)
    if request.boundary is not None:
        settings = replace(settings, limits=_with_boundary(settings.limits, request.boundary))
    if settings.capital <= Decimal(0):
        raise ConfigError(f"expected a capital above 0, received {settings.capital}")
    if check_leaks:
        part = bars.select(list(bars.instruments[:_FUZZ_NAMES]))
        for plugin in plugins:
            fuzz(plugin, part.cut(max(0, part.shape[1] - _FUZZ_BARS), part.shape[1]), seed=settings.seed)
    unmatched = _unmatched(settings.strategies, plugins)
    own = {plugin.id for plugin in plugins}
    settings = replace(settings, strategies=tuple(one for one in settings.strategies if one[0] in own))
    books = _books(request, loaded)
    inputs = BacktestInputs(loaded.data, settings, bars, {}, _no_forecasts(loaded), year, books.streams)
    shares = tuple(Decimal(share) for _file, share in request.sleeves)
    if not shares and settings.strategies and request.may_wrap:
        shares = (Decimal(1),)  # limits of a strategy are of its own book
    return Stream(
        loaded,
        plugins,
        settings,
        inputs,
        has_facts=request.facts,
        has_alerts=request.alerts,
        shares=shares,
        slices=request.slices,
        books=books if books.streams else None,
        unmatched=unmatched,
        source=request.bars,
        workspace=workspace,
        timezone=request.timezone,
        names=request.names,
    )


def _books(request: StreamRequest, loaded: Loaded) -> GivenBooks:
    here = set(loaded.data.bars.instruments)
    return read_books(request.books, {one.id: one for one in loaded.data.bar_set.instruments if one.id in here})


def _unmatched(choices: StrategyChoices, plugins: tuple[Plugin, ...]) -> tuple[str, ...]:
    """Return a warning for all limits of a strategy that name another version of it."""
    own = {plugin.id.partition("@")[0]: plugin.id for plugin in plugins}
    return tuple(
        f'[strategies."{name}"] does not hold: the strategy is {own[base]}'
        for name, _limits in choices
        if (base := name.partition("@")[0]) in own and name not in own.values()
    )


def _with_boundary(limits: tuple[tuple[str, Any], ...], boundary: str) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted({"breakers.boundary": boundary, **dict(limits)}.items()))


def _no_forecasts(loaded: Loaded) -> WalkForward:
    """Return the forecasts of a run without a model: none at any position."""
    bars = loaded.data.bars
    none = np.empty(0, dtype=np.int64)
    values = np.empty((bars.shape[0], 0, 1, 1, 1))
    return WalkForward(ForecastBlock(values, none, none, bars.instruments, ("close",), (1,), (0.5,), ()), ())


def fingerprint_of(record: dict[str, Any], entries_hash: str) -> str:
    """Return the fingerprint of a run: what went in, and everything that was journalled."""
    return hash_value({"record": record, "journal": entries_hash})
