"""Compile the steps into one loop, once, and keep the result on disk.

1. The sources of all kernels, this template included, and the versions of Python, NumPy and Numba are hashed.
2. ``<cache>/<hash>/loops.py`` is written from the template: one loop that runs any program, a case for each step.
   A set of features is a *program* (data), so a new set compiles nothing.
3. Importing that file compiles it, or loads what an earlier process compiled there. Any change of a kernel or of
   something it calls gives another hash, so stale code cannot run.

``warm`` does this explicitly at set-up; nothing compiles later, since every signature is fixed.
"""

from __future__ import annotations

import hashlib
import importlib.util
import os
import platform
import sys
import tempfile
import threading
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from types import ModuleType
from typing import Any

import numba
import numpy as np

from foresail.core.canonical import write_atomic

__all__ = ["ROW_OPS", "STEPS", "cache_folder", "loops", "source_hash", "warm"]

# Steps by module; the position in the flattened list is the op code. Adding a step is one word here.
_MODULES: tuple[tuple[str, tuple[str, ...]], ...] = (
    (
        "prices",
        ("adjust", "join", "push", "lag", "log_change", "true_range", "up_down", "flow_up_down", "signed_volume"),
    ),
    (
        "rolling",
        (
            "rolling_mean",
            "rolling_std",
            "rolling_skew",
            "rolling_beta",
            "run_length",
        ),
    ),
    ("extremes", ("rolling_extreme", "rolling_drawdown")),
    (
        "pairs",
        ("above", "at_least", "exceeds", "on_bar", "rolling_correlation", "scaled", "share_below"),
    ),
    ("recursive", ("ema", "wilder")),
    (
        "indicators",
        ("day_sum", "directional_move", "mean_deviation", "running_sum", "sign_of", "slope", "wilder_sum"),
    ),
    (
        "sessions",
        ("hour_mean", "mark_mean", "window_edge", "window_extreme", "window_std", "window_sum"),
    ),
    ("windows", ("windows_before", "windows_deviation", "windows_mean")),
    ("moments", ("autocorrelation", "rolling_moments")),
    ("statistics", ("adf_price", "adf_spread", "hurst", "kalman_trend", "spread_score")),
    (
        "levels",
        (
            "candle",
            "exponential",
            "first_of",
            "larger",
            "level_tests",
            "opening_range",
            "pivot",
            "reaches",
            "trend_state",
        ),
    ),
    (
        "arithmetic",
        (
            "add",
            "combine",
            "divide",
            "fall_squared",
            "log_of",
            "logarithm",
            "magnitude",
            "multiply",
            "place",
            "root",
        ),
    ),
)
STEPS: dict[str, int] = {name: code for code, name in enumerate(n for _, names in _MODULES for n in names)}
# Bar steps take one bar of a chunk; all other steps are spans and take the whole of it (see ``_layout``).
_BAR_STEPS = frozenset(
    {
        *("rolling_skew", "rolling_drawdown", "rolling_beta", "rolling_correlation", "share_below"),
        *("day_sum", "mean_deviation", "slope", "autocorrelation", "rolling_moments"),
        *("hour_mean", "mark_mean", "window_edge", "window_extreme", "window_std", "window_sum"),
        *("windows_before", "windows_deviation", "windows_mean"),
        *("adf_price", "adf_spread", "hurst", "kalman_trend", "spread_score"),
        *(
            "candle",
            "exponential",
            "first_of",
            "larger",
            "level_tests",
            "opening_range",
            "pivot",
            "reaches",
            "trend_state",
        ),
    }
)
ROW_OPS: dict[str, int] = {"rank": 0, "sector_residual": 1, "market_mean": 2, "market_deviation": 3, "broadcast": 4}

_PACKAGE = "foresail.features.kernels"
_SOURCES = (
    "_layout.py",
    "prices.py",
    "rolling.py",
    "extremes.py",
    "pairs.py",
    "recursive.py",
    "indicators.py",
    "sessions.py",
    "windows.py",
    "moments.py",
    "statistics.py",
    "levels.py",
    "arithmetic.py",
    "cross_section.py",
    "tiles.py",
    "loop_template.txt",
)
_MARGIN = " " * 16
_SPAN = "%s(args, real, work, fresh, counts, held, slots, facts, length, size)"
_EACH_BAR = f"for j in range(length):\n{_MARGIN}        %s(args, real, work, j, fresh[j], counts[j + 1], held, slots)"
_lock = threading.Lock()
_loaded: dict[str, ModuleType] = {}


def source_hash() -> str:
    """Return the hash of all kernel sources and of what compiles them, 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for name in _SOURCES:
        digest.update(name.encode() + b"\0" + resources.files(_PACKAGE).joinpath(name).read_bytes())
    digest.update("\0".join([*STEPS, numba.__version__, np.__version__, platform.python_version()]).encode())
    return digest.hexdigest()


def cache_folder() -> Path:
    """Return where compiled loops are kept: ``FORESAIL_CACHE``, else the user's cache folder."""
    given = os.environ.get("FORESAIL_CACHE")
    if given:
        return Path(given) / "kernels"
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "foresail" / "kernels"


def _written(text: str, digest: str) -> Path:
    """Return the path of the loops' source, written if it is not there; a private folder where none is writable."""
    for base in (cache_folder(), None):
        folder = Path(tempfile.mkdtemp(prefix="foresail-kernels-")) if base is None else base / digest[:32]
        path = folder / "loops.py"
        try:
            if path.is_file() and path.read_text(encoding="utf-8") == text:
                return path
            folder.mkdir(parents=True, exist_ok=True)
            write_atomic(path, text.encode())
        except OSError:
            if base is None:
                raise
            continue
        return path
    raise AssertionError("the loop above returns or raises")


def _text() -> str:
    template = resources.files(_PACKAGE).joinpath("loop_template.txt").read_text(encoding="utf-8")
    imports = [f"from {_PACKAGE}.{module} import {', '.join(names)}" for module, names in _MODULES]
    imports.append(f"from {_PACKAGE}.cross_section import market_deviation, market_mean, rank, sector_residual")
    imports.append(f"from {_PACKAGE}.tiles import TILE, fence, stream, turn")
    cases = []
    for name, code in STEPS.items():
        word = "if" if code == 0 else "elif"
        call = (_EACH_BAR if name in _BAR_STEPS else _SPAN) % name
        cases.append(f"{_MARGIN}{word} code == {code}:\n{_MARGIN}    {call}")
    return template.replace("{imports}", "\n".join(imports)).replace("{cases}", "\n".join(cases))


def loops() -> Any:
    """Return the module with ``run_lanes`` and ``run_rows``, loaded once a process.

    Compiles when no earlier process did; call ``warm`` at set-up so that this never happens inside a request.
    """
    digest = source_hash() if not _loaded else next(iter(_loaded))
    with _lock:
        if digest not in _loaded:
            path = _written(_text(), digest)
            name = f"foresail_loops_{digest[:16]}"
            spec = importlib.util.spec_from_file_location(name, path)
            if spec is None or spec.loader is None:
                raise ImportError(f"cannot load the compiled loops from {path}")
            module = importlib.util.module_from_spec(spec)
            sys.modules[name] = module  # the compiled code on disk refers to its module by this name
            try:
                spec.loader.exec_module(module)
            except BaseException:
                del sys.modules[name]
                raise
            _loaded[digest] = module
        return _loaded[digest]


def warm(progress: Callable[[str, float], None] | None = None) -> Path:
    """Compile all kernels, or load them where that was done before, and return the cache folder.

    Parameters
    ----------
    progress : called with a sentence and the share done, 0 to 1
    """
    say = progress or (lambda text, share: None)
    say("compiling the feature kernels (once, up to a minute)", 0.0)
    module = loops()
    say("feature kernels are ready", 1.0)
    return Path(str(module.__file__)).parent
