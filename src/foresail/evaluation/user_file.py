"""A user's file with one plug-in: read, executed in a namespace of its own, checked, and called with plain tables.

The file says ``api = 1`` and ``id = "namespace/name@version"`` and holds exactly one of

- ``def weights(bars)``: fraction of equity per bar and instrument (a vectorised strategy),
- ``def feature(bars)``: one number per bar and instrument,
- a class with ``spec``, ``start`` and ``step`` (``foresail.protocols.Strategy``).

``bars`` is a mapping from open, high, low, close, volume to a pandas table: rows are bar ends (UTC), columns are
instruments. Prices are adjusted forward from the first bar, so dividends and splits make no jumps. A file is trusted
like any program the user starts; what is checked here is its form, not its intent.
"""

from __future__ import annotations

import contextlib
import re
import sys
import types
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from foresail.core.arrays import FloatArray
from foresail.core.canonical import hash_bytes
from foresail.core.errors import ConfigError, ForesailError
from foresail.domain.panel import Panel

if TYPE_CHECKING:
    import pandas as pd

__all__ = ["BarFrames", "UserFile", "call_vectorised", "read_user_file", "user_code"]

_API = 1
_ID = re.compile(r"^[a-z0-9][a-z0-9_-]*/[a-z0-9][a-z0-9_.-]*@[A-Za-z0-9][A-Za-z0-9_.+-]*$")
_PRICES = ("open", "high", "low", "close", "spread")
_FIELDS = ("open", "high", "low", "close", "volume", "spread")
_FUNCTIONS = ("weights", "feature")


class BarFrames(Mapping[str, "pd.DataFrame"]):
    """Bars as pandas tables, built when asked for; each access gives a fresh table that the caller may change.

    Parameters
    ----------
    panel : bar panel; fields without any value are not offered
    """

    def __init__(self, panel: Panel) -> None:
        import pandas as pd

        self._panel = panel
        self._index = pd.DatetimeIndex(panel.end.astype("datetime64[ns]"), tz="UTC", name="end")
        self._known = tuple(name for name in _FIELDS if panel.has(name))
        self.accessed: set[str] = set()

    def __getitem__(self, name: str) -> pd.DataFrame:
        """Return one field, (T, N); a field that the set does not have raises KeyError naming those it has."""
        import pandas as pd

        if name not in self._known:
            raise KeyError(f"these bars have no {name!r}; they have {', '.join(self._known)}")
        self.accessed.add(name)
        values = self._panel.field(name)
        if name in _PRICES and self._panel.has("total_factor"):
            values = values * self._panel.field("total_factor")
        elif name == "volume" and self._panel.has("split"):
            split = self._panel.field("split")
            values = values / np.cumprod(np.where(np.isfinite(split) & (split > 0), split, 1.0), axis=1)
        return pd.DataFrame(values.T.copy(), index=self._index, columns=list(self._panel.instruments))

    def __iter__(self) -> Iterator[str]:
        return iter(self._known)

    def __len__(self) -> int:
        return len(self._known)


@dataclass(frozen=True, slots=True, eq=False)
class UserFile:
    """A plug-in file that was read and checked.

    Attributes
    ----------
    kind : weights, feature or strategy
    source_hash : SHA-256 of the file's bytes
    line : 1-based line of the function or class
    every : decide every so many bars (``every = 5`` in the file; 1 unless told)
    context_length : how many bars a decision needs (``context_length = 300`` in the file); None = all
    plugin : the function or the class
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

    def renewed(self) -> Any:
        """Return the function or class from a fresh execution, so that nothing remembered in the file survives."""
        return _execute(self.path, self.source, self.source_hash)[self.plugin.__name__]


def read_user_file(path: Path) -> UserFile:
    """Read, execute and check a plug-in file.

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
    namespace = _execute(path, source, digest)
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
    )


def call_vectorised(function: Callable[..., Any], panel: Panel, path: Path) -> tuple[FloatArray, tuple[str, ...]]:
    """Return what a vectorised function gives on a panel, (T, N), and the fields it asked for.

    Rows or instruments that it leaves out are NaN.

    Raises
    ------
    ConfigError
        If the function raises, or returns anything but a table of numbers over the bars' own times and instruments.
    """
    frames = BarFrames(panel)
    with user_code(path, f"{function.__name__}(bars)"):
        result = function(frames)
    return _as_matrix(result, panel, f"plug-in {path}: {function.__name__}(bars)"), tuple(sorted(frames.accessed))


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
    name = namespace["__name__"]
    found: list[tuple[str, Any, int]] = []
    for key, value in namespace.items():
        if key in _FUNCTIONS and isinstance(value, types.FunctionType):
            found.append((key, value, value.__code__.co_firstlineno))
        elif isinstance(value, type) and value.__module__ == name and _is_strategy(value):
            found.append(("strategy", value, value.step.__code__.co_firstlineno))  # type: ignore[attr-defined]
    if not found:
        raise ConfigError(
            f"plug-in {path}: expected a function weights(bars) or feature(bars), or a class with spec, start and step;"
            " found none"
        )
    if len(found) > 1:
        listed = ", ".join(f"{value.__name__} (line {line})" for _, value, line in found)
        raise ConfigError(f"plug-in {path}: expected exactly one plug-in, found {len(found)}: {listed}")
    kind, value, line = found[0]
    if kind in _FUNCTIONS and value.__code__.co_argcount != 1:
        raise ConfigError(f"plug-in {path}, line {line}: expected {kind}(bars) with one argument")
    return found[0]


def _is_strategy(value: type) -> bool:
    return hasattr(value, "spec") and all(
        isinstance(getattr(value, part, None), types.FunctionType) for part in ("start", "step")
    )


def _count(path: Path, namespace: dict[str, Any], name: str) -> int | None:
    value = namespace.get(name)
    if value is None:
        return None
    if type(value) is not int or value < 1:
        raise ConfigError(f"plug-in {path}: expected {name} to be a whole number of bars above 0, received {value!r}")
    return value


def _as_matrix(result: Any, panel: Panel, what: str) -> FloatArray:
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
