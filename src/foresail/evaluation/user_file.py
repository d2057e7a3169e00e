"""A user's file with one plug-in: read, executed in a namespace of its own, checked, and called with plain tables.

The file says ``api = 1`` and ``id = "namespace/name@version"`` and holds exactly one of

- ``def weights(bars)``: fraction of equity per bar and instrument (a vectorised strategy),
- ``def feature(bars)``: one number per bar and instrument,
- ``def experiment(data)``: split, fit and predict (``foresail.evaluation.leak_experiment``),
- a class with ``spec``, ``start`` and ``step`` (``foresail.protocols.Strategy``),
- a class with ``fit`` and ``transform``, or with ``fit`` and ``predict``.

A file that is only examined, not run, may leave ``api`` and ``id`` out. ``trades_at = "close"`` or ``"open"`` says that
the value of a bar is traded at that price of the same bar; then it may not depend on that price.

``bars`` is a mapping from open, high, low, close, volume to a pandas table (``leak_frames``): rows are bar ends (UTC),
columns are instruments. A file is trusted like any program the user starts; what is checked here is its form, not its
intent.
"""

from __future__ import annotations

import ast
import contextlib
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.canonical import hash_bytes
from foresail.core.errors import ConfigError, ForesailError
from foresail.domain.panel import Panel
from foresail.evaluation.leak_frames import BarFrames
from foresail.evaluation.leak_market import HuntData

__all__ = ["UserFile", "call_vectorised", "is_plugin_text", "read_user_file", "table_of_numbers", "user_code"]

_API = 1
_ID = re.compile(r"^[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9_.+-]*$")
_FUNCTIONS: Mapping[str, str] = MappingProxyType({"weights": "bars", "feature": "bars", "experiment": "data"})
_TRADES_AT = ("next_open", "close", "open")


@dataclass(frozen=True, slots=True, eq=False)
class UserFile:
    """A plug-in file that was read and checked.

    Attributes
    ----------
    kind : weights, feature, experiment, strategy, transform or forecaster
    source_hash : SHA-256 of the file's bytes
    line : 1-based line of the function or class
    every : decide every so many bars (``every = 5`` in the file; 1 unless told)
    context_length : how many bars a decision needs (``context_length = 300`` in the file); None = all
    plugin : the function or the class
    trades_at : "next_open", or the price of the same bar at which a value is traded: "close" or "open"
    """

    path: Path
    source: str
    source_hash: str
    kind: str
    id: str
    api: int
    line: int
    every: int
    context_length: int | None
    plugin: Any
    trades_at: str = "next_open"

    def renewed(self) -> Any:
        """Return the function or class from a fresh execution, so that nothing remembered in the file survives."""
        return _execute(self.path, self.source, self.source_hash)[self.plugin.__name__]


def read_user_file(path: Path, *, is_examined_only: bool = False) -> UserFile:
    """Read, execute and check a plug-in file.

    Parameters
    ----------
    is_examined_only : the file need not say ``api`` and ``id``, since nothing will be recorded under them

    Raises
    ------
    ConfigError
        If the file is absent, is no Python text, fails when executed, or does not have the form told above. The text
        names file, line and what was expected.
    """
    try:
        data = path.read_bytes()
    except OSError as e:
        raise ConfigError(f"plug-in {path}: cannot be read: {e.strerror}", hint="give the path of a .py file") from e
    try:
        source = data.decode("utf-8")
    except UnicodeDecodeError as e:
        line = data[: e.start].count(b"\n") + 1
        raise ConfigError(f"plug-in {path}, line {line}: expected UTF-8 text, received other bytes") from e
    digest = hash_bytes(data)
    if is_examined_only:
        _refuse_script(path, source)
    namespace = _execute(path, source, digest)
    if is_examined_only:
        namespace.setdefault("api", _API)
        namespace.setdefault("id", "examined/file@0")
    api = namespace.get("api")
    if type(api) is not int or api != _API:
        received = "none" if api is None else repr(api)
        raise ConfigError(f"plug-in {path}: expected a line 'api = {_API}', received {received}")
    identifier = namespace.get("id")
    if not isinstance(identifier, str) or not _ID.match(identifier):
        received = "none" if identifier is None else repr(identifier)
        raise ConfigError(f'plug-in {path}: expected a line such as id = "me/momentum@1", received {received}')
    kind, plugin, line = _only_plugin(path, namespace)
    return UserFile(
        path=path,
        source=source,
        source_hash=digest,
        kind=kind,
        id=identifier,
        api=api,
        line=line,
        every=_count(path, namespace, "every") or 1,
        context_length=_count(path, namespace, "context_length"),
        plugin=plugin,
        trades_at=_trades_at(path, namespace),
    )


def call_vectorised(
    function: Callable[..., Any], data: Panel | HuntData, path: Path
) -> tuple[FloatArray, tuple[str, ...]]:
    """Return what a vectorised function gives on bars, (T, N), and the fields it asked for.

    Rows or instruments that it leaves out are NaN.

    Raises
    ------
    ConfigError
        If the function raises, or returns anything but a table of numbers over the bars' own times and instruments.
    """
    panel, frames = (
        (data, BarFrames(data)) if isinstance(data, Panel) else (data.panel, BarFrames(data.panel, data.tables))
    )
    with user_code(path, f"{function.__name__}(bars)"):
        result = function(frames)
    what = f"plug-in {path}: {function.__name__}(bars)"
    return table_of_numbers(result, panel, what), tuple(sorted(frames.accessed))


def is_plugin_text(source: str) -> bool:
    """Return whether a text defines anything that could be a plug-in; a script, which does its work when it is read
    and defines none, is not to be executed for a look at it. A text that cannot be parsed counts as one: executing it
    tells the error.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return True
    names: set[str] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            names.add("class" if isinstance(node, ast.ClassDef) else node.name)
        elif isinstance(node, ast.Assign):
            names |= {target.id for target in node.targets if isinstance(target, ast.Name)}
        elif isinstance(node, ast.ImportFrom):
            names |= {alias.asname or alias.name for alias in node.names}
    return bool(names & {*_FUNCTIONS, "class", "api"})


@contextlib.contextmanager
def user_code(path: Path, what: str) -> Iterator[None]:
    """Run a user's code: what it prints goes to stderr, its warnings are dropped, its errors get file and line.

    Raises
    ------
    ConfigError
        Instead of whatever the code raises; errors of Foresail itself pass through.
    """
    try:
        with contextlib.redirect_stdout(sys.stderr), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ForesailError:
        raise
    except (Exception, SystemExit) as e:
        line = _line_of(e, path)
        place = f", line {line}" if line else ""
        text = str(e.args[0]) if isinstance(e, KeyError) and e.args else str(e)
        code = _source_line(path, line)
        raise ConfigError(
            f"plug-in {path}{place}: {what} failed with {type(e).__name__}: {text}" + (f" in `{code}`" if code else "")
        ) from e


def _refuse_script(path: Path, source: str) -> None:
    if not is_plugin_text(source):
        raise ConfigError(
            f"plug-in {path}: expected a function weights(bars), feature(bars) or experiment(data), or a class; this "
            "is a script, which was not executed",
            hint="put the work into def experiment(data): and return the predictions",
        )


def _execute(path: Path, source: str, digest: str) -> dict[str, Any]:
    name = f"foresail_plugin_{digest[:16]}"
    try:
        code = compile(source, str(path), "exec")
    except (SyntaxError, ValueError) as e:
        line = getattr(e, "lineno", None)
        text = e.msg if isinstance(e, SyntaxError) else str(e)
        shown = (e.text or "").strip() if isinstance(e, SyntaxError) else ""
        raise ConfigError(
            f"plug-in {path}" + (f", line {line}" if line else "") + f": {text}" + (f" in `{shown}`" if shown else "")
        ) from e
    module = types.ModuleType(name)
    module.__file__ = str(path)
    sys.modules[name] = module  # dataclasses and typing look classes up by their module's name
    with user_code(path, "importing it"):
        exec(code, module.__dict__)  # noqa: S102 running the user's own file is the purpose
    return module.__dict__


def _only_plugin(path: Path, namespace: dict[str, Any]) -> tuple[str, Any, int]:
    found = _candidates(namespace)
    if not found:
        raise ConfigError(
            f"plug-in {path}: expected a function weights(bars), feature(bars) or experiment(data), or a class "
            "with spec, start and step, with fit and transform, or with fit and predict; found none"
        )
    if len(found) > 1:
        listed = ", ".join(f"{value.__name__} (line {line})" for _, value, line in found)
        raise ConfigError(f"plug-in {path}: expected exactly one plug-in, found {len(found)}: {listed}")
    kind, value, line = found[0]
    if kind in _FUNCTIONS and value.__code__.co_argcount != 1:
        raise ConfigError(f"plug-in {path}, line {line}: expected {kind}({_FUNCTIONS[kind]}) with one argument")
    return found[0]


def _candidates(namespace: dict[str, Any]) -> list[tuple[str, Any, int]]:
    """Return (kind, value, line) of every plug-in; a class with ``fit`` counts only where nothing else is found, since
    an experiment may well bring its own scaler.
    """
    found: list[tuple[str, Any, int]] = []
    models: list[tuple[str, Any, int]] = []
    for key, value in namespace.items():
        if key in _FUNCTIONS and isinstance(value, types.FunctionType):
            found.append((key, value, value.__code__.co_firstlineno))
        elif isinstance(value, type) and value.__module__ == namespace["__name__"]:
            if _has(value, "start", "step") and hasattr(value, "spec"):
                found.append(("strategy", value, _code_line(value.step)))  # type: ignore[attr-defined]
            elif _has(value, "fit", "transform"):
                models.append(("transform", value, _code_line(value.transform)))  # type: ignore[attr-defined]
            elif _has(value, "fit", "predict"):
                models.append(("forecaster", value, _code_line(value.predict)))  # type: ignore[attr-defined]
    return found or models


def _has(value: type, *parts: str) -> bool:
    return all(isinstance(getattr(value, part, None), types.FunctionType) for part in parts)


def _code_line(function: types.FunctionType) -> int:
    return function.__code__.co_firstlineno


def _trades_at(path: Path, namespace: dict[str, Any]) -> str:
    value = namespace.get("trades_at", _TRADES_AT[0])
    if value not in _TRADES_AT:
        raise ConfigError(
            f"plug-in {path}: expected trades_at to be one of {', '.join(_TRADES_AT)}, received {value!r}"
        )
    return str(value)


def _count(path: Path, namespace: dict[str, Any], name: str) -> int | None:
    value = namespace.get(name)
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise ConfigError(f"plug-in {path}: expected {name} to be a whole number of bars above 0, received {value!r}")
    return value


def table_of_numbers(result: Any, panel: Panel, what: str) -> FloatArray:
    """Return a table over the bars' own times and instruments as (T, N); what it leaves out is NaN.

    Raises
    ------
    ConfigError
        If it is anything else.
    """
    import pandas as pd

    n, t, _ = panel.shape
    if isinstance(result, np.ndarray) and result.shape == (t, n):
        return _numbers(result, what)
    if not isinstance(result, pd.DataFrame):
        raise ConfigError(
            f"{what}: expected a table of {t} bars by {n} instruments, received {type(result).__name__}",
            hint="return a DataFrame with the rows and columns of bars['close']",
        )
    index = pd.DatetimeIndex(panel.end.astype("datetime64[ns]"), tz="UTC")
    if not isinstance(result.index, pd.DatetimeIndex) or result.index.tz is None:
        raise ConfigError(f"{what}: expected rows labelled with the bars' UTC times, received {result.index.dtype}")
    foreign = result.index[~result.index.isin(index)]
    if len(foreign) or result.index.has_duplicates:
        strange = f"row {foreign[0]}" if len(foreign) else "a time twice"
        raise ConfigError(f"{what}: expected only the bars' own times as rows, received {strange}")
    names = set(panel.instruments)
    unknown = [str(c) for c in result.columns if c not in names]
    if unknown or result.columns.has_duplicates:
        raise ConfigError(f"{what}: expected instruments as columns, received {unknown[0] if unknown else 'one twice'}")
    return _numbers(result.reindex(index=index, columns=list(panel.instruments)).to_numpy(), what)


def _numbers(values: Any, what: str) -> FloatArray:
    try:
        numbers = np.array(values, dtype=np.float64)
    except (TypeError, ValueError) as e:
        raise ConfigError(f"{what}: expected numbers, received {values.dtype}") from e
    if np.isinf(numbers).any():
        raise ConfigError(f"{what}: received an infinite value", hint="guard the division, or leave NaN for 'no value'")
    return numbers


def _line_of(error: BaseException, path: Path) -> int | None:
    line, trace = None, error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == str(path):
            line = trace.tb_lineno
        trace = trace.tb_next
    return line


def _source_line(path: Path, line: int | None) -> str:
    if line is None:
        return ""
    lines = path.read_text(encoding="utf-8").splitlines()
    return lines[line - 1].strip() if line <= len(lines) else ""
