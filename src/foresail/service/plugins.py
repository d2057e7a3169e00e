"""Plug-ins: a user's file becomes a strategy or a feature that a run can use, after it was searched for leaks.

``load_plugin`` reads and checks the file, ``fuzz`` refuses it when it looks ahead, ``to_strategy`` gives what the
engine runs. A vectorised strategy is called anew at every decision with the bars known by then and only its last row
is used, so that even a leaky one cannot look ahead in a run; the hunt tells the user why its results vanish there.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.errors import ConfigError, LookAheadError
from foresail.core.ids import InstrumentId
from foresail.domain.panel import Panel
from foresail.domain.signals import Intent, Weights
from foresail.evaluation.leak_report import LeakReport
from foresail.evaluation.leaks import hunt_file
from foresail.evaluation.user_file import UserFile, call_vectorised, read_user_file, user_code
from foresail.protocols import MarketView, Strategy

__all__ = [
    "Plugin",
    "PluginStrategySpec",
    "VectorisedStrategy",
    "compute_feature",
    "fuzz",
    "load_plugin",
    "to_strategy",
]

_ALL_BARS = 1 << 40  # more than any history has


@dataclass(frozen=True, slots=True, eq=False)
class Plugin:
    """A plug-in ready for use.

    Attributes
    ----------
    kind : weights, feature or strategy
    id : ``namespace/name@version``
    source_hash : SHA-256 of the file, for the run record
    object : the function or class that the file defines
    user_file : the file as it was read
    """

    kind: str
    id: str
    api: int
    source_hash: str
    object: Any
    user_file: UserFile


@dataclass(frozen=True, slots=True)
class PluginStrategySpec:
    """What a vectorised strategy declares (``foresail.protocols.StrategySpec``)."""

    id: str
    every: int
    critical_inputs: tuple[str, ...]


def load_plugin(path: Path) -> Plugin:
    """Read, execute and check a plug-in file.

    Raises
    ------
    ConfigError
        If the file is no valid plug-in; one sentence with file, line and what was expected.
    """
    user = read_user_file(path)
    return Plugin(user.kind, user.id, user.api, user.source_hash, user.plugin, user)


def fuzz(plugin: Plugin, panel: Panel, *, seed: int = 0) -> LeakReport:
    """Search a plug-in for leaks on a panel and refuse it if there is one.

    Raises
    ------
    LookAheadError
        With ``file``, ``row`` (the line of the file), ``column`` and ``rule`` ("look-ahead"); the text has the time.
    """
    report = hunt_file(plugin.user_file, panel, seed=seed)
    if report.leaks:
        first, more = report.leaks[0], len(report.leaks) - 1
        raise LookAheadError(
            f"{first}" + (f" (and {more} more)" if more else ""),
            file=first.file,
            row=first.line,
            column=first.column,
            rule="look-ahead",
            hint=f"mend the line, then: foresail leaks {plugin.user_file.path}",
        )
    return report


def to_strategy(plugin: Plugin, *, frame: str) -> Strategy:
    """Return the strategy that the engine runs.

    Parameters
    ----------
    frame : frame of the bars that a vectorised strategy is given, for example "1d"

    Raises
    ------
    ConfigError
        If the plug-in is a feature, or its class cannot be made without arguments or names another id.
    """
    user = plugin.user_file
    if plugin.kind == "weights":
        return VectorisedStrategy(plugin, frame)
    if plugin.kind != "strategy":
        raise ConfigError(f"plug-in {user.path}: a {plugin.kind} cannot be run as a strategy")
    with user_code(user.path, f"{plugin.object.__name__}()"):
        made: Strategy = plugin.object()
        named, every = made.spec.id, made.spec.every
    if named != plugin.id:
        raise ConfigError(f"plug-in {user.path}: the file says id {plugin.id!r}, its strategy's spec says {named!r}")
    if every < 1:
        raise ConfigError(f"plug-in {user.path}: expected spec.every of at least 1 bar, received {every!r}")
    return made


def compute_feature(plugin: Plugin, panel: Panel) -> FloatArray:
    """Return a feature plug-in's values, (N, T); NaN where it gives none. ``fuzz`` it first.

    Raises
    ------
    ConfigError
        If the plug-in is no feature, or fails.
    """
    if plugin.kind != "feature":
        raise ConfigError(f"plug-in {plugin.user_file.path}: expected a feature(bars), found a {plugin.kind}")
    return np.ascontiguousarray(call_vectorised(plugin.user_file.renewed(), panel, plugin.user_file.path)[0].T)


class VectorisedStrategy:
    """A ``weights(bars)`` function as a step: at each decision the function sees the bars known then, nothing else."""

    def __init__(self, plugin: Plugin, frame: str) -> None:
        user = plugin.user_file
        self._user = user
        self._frame = frame
        self._function = user.plugin
        self._bars = user.context_length if user.context_length is not None else _ALL_BARS
        self._spec = PluginStrategySpec(plugin.id, user.every, ("close",))

    @property
    def spec(self) -> PluginStrategySpec:
        """Id, decision rhythm and inputs."""
        return self._spec

    def start(self) -> None:
        """Return no state: everything is computed from the bars."""

    def step(self, state: None, view: MarketView) -> tuple[Intent, ...]:
        """Return the last row of the function's weights for the instruments that trade now; NaN and 0 hold nothing."""
        del state
        panel = view.bars(self._frame, self._bars)
        if panel.shape[1] == 0:
            return ()
        newest = call_vectorised(self._function, panel, self._user.path)[0][-1]
        listed = set(view.instruments)
        chosen: list[tuple[InstrumentId, float]] = [
            (name, float(weight))
            for name, weight in zip(panel.instruments, newest, strict=True)
            if name in listed and np.isfinite(weight) and weight != 0.0
        ]
        return (Weights(tuple(chosen)),)
