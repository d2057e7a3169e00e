"""The workspace (foresail.toml, store/, models/, runs/, trials.jsonl in a folder), and what the installation can do."""

from __future__ import annotations

import importlib.util
import keyword
import os
import platform
import re
import shutil
import sys
from importlib import resources
from pathlib import Path

from foresail import __version__
from foresail.core.canonical import write_atomic
from foresail.core.errors import ConfigError, UserError
from foresail.domain.calendars import frame_ns
from foresail.protocols import Progress
from foresail.service.outcome import Outcome
from foresail.service.settings import WORKSPACE_FILE, template

__all__ = ["examine", "find_workspace", "init_workspace", "warm_kernels", "write_strategy"]

_NEEDED = (
    "numpy",
    "numba",
    "pandas",
    "pyarrow",
    "scipy",
    "sklearn",
    "lightgbm",
    "arch",
    "skfolio",
    "exchange_calendars",
)
_OPTIONAL = {"torch": "deep", "yfinance": "yahoo"}  # library -> extra that installs it
_TEMPLATE_FRAME = '"1d"'  # what the template asks its bars for; as it stands, the template is a strategy on daily bars


def find_workspace(start: Path | None = None) -> Path:
    """Return the nearest folder upwards that has a foresail.toml, else the folder itself."""
    here = (start or Path()).resolve()
    for folder in (here, *here.parents):
        if (folder / WORKSPACE_FILE).is_file():
            return folder
    return here


def _write(path: Path, text: str) -> None:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomic(path, text.encode())
    except OSError as e:
        raise UserError(f"{path}: cannot be written: {e.strerror}", hint="choose a folder that you may write to") from e


def init_workspace(folder: Path) -> Outcome:
    """Make ``folder`` a workspace; an existing settings file is left as it is."""
    target = folder.resolve()
    settings = target / WORKSPACE_FILE
    created = not settings.exists()
    if created:
        _write(settings, template())
    for name in ("store", "models", "runs"):
        try:
            (target / name).mkdir(parents=True, exist_ok=True)
        except OSError as e:
            raise UserError(
                f"{target / name}: cannot be made: {e.strerror}", hint="choose a folder that you may write to"
            ) from e
    lines = [
        f"workspace {target} is ready" + ("" if created else f" ({WORKSPACE_FILE} was there and is unchanged)"),
        "next: foresail import PATH --name N    (or: foresail demo)",
    ]
    return Outcome({"workspace": str(target), "created": created}, lines)


def write_strategy(name: str, *, frame: str = "1d", force: bool = False) -> Outcome:
    """Write ``NAME.py`` into the present folder, a strategy that runs as it is.

    Parameters
    ----------
    name : lower snake case; also names the plug-in, ``me/NAME@1``
    frame : frame of the bars that it will see
    force : replace an existing file

    Raises
    ------
    ConfigError
        If the name or the frame is none.
    UserError
        If the file exists or cannot be written.
    """
    if not re.fullmatch(r"[a-z][a-z0-9_]*", name):
        raise ConfigError(f"expected a name in lower snake case such as my_momentum, received {name!r}")
    if keyword.iskeyword(name):
        raise ConfigError(f"{name!r} is a word of Python", hint="choose another name, for example my_momentum")
    frame_ns(frame)
    path = Path(f"{name}.py")
    if path.exists() and not force:
        raise UserError(f"{path} exists", hint="choose another name, or add --force to replace it")
    text = resources.files("foresail.service").joinpath("templates/strategy.py.txt").read_text(encoding="utf-8")
    _write(path, text.replace("NAME", name).replace(_TEMPLATE_FRAME, f'"{frame}"'))
    return Outcome(
        {"file": str(path), "frame": frame}, [f"wrote {path}", f"next: foresail run --bars PATH --plugin {path}"]
    )


def warm_kernels(progress: Progress) -> Outcome:
    """Compile every kernel into the cache on disk."""
    from foresail.service.wiring import warm_all

    count = warm_all(progress)
    return Outcome({"compiled": count}, ["the kernels of features and venue are compiled and cached"])


def examine() -> Outcome:
    """Return what this installation can do and what is missing."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    extras = {extra: importlib.util.find_spec(library) is not None for library, extra in _OPTIONAL.items()}
    free_gb = shutil.disk_usage(Path()).free / 1e9
    writable = os.access(Path(), os.W_OK)
    workspace = find_workspace()
    document = {
        "foresail": __version__,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "missing": missing,
        "extras": extras,
        "workspace": str(workspace),
        "has_settings": (workspace / WORKSPACE_FILE).is_file(),
        "free_disk_gb": round(free_gb, 1),
        "folder_writable": writable,
    }
    lines = [
        f"Foresail {__version__} on Python {platform.python_version()} ({sys.platform}), {os.cpu_count()} cores",
        "libraries: "
        + ("all there" if not missing else "missing " + ", ".join(missing) + "; run: pip install foresail"),
        *(
            f"extra {e}: " + ("there" if ok else f"not installed; run: pip install 'foresail[{e}]'")
            for e, ok in extras.items()
        ),
        f"workspace: {workspace}" + ("" if document["has_settings"] else " (no foresail.toml; run: foresail init)"),
        f"disk: {free_gb:.0f} GB free" + ("" if writable else "; this folder cannot be written to"),
    ]
    return Outcome(document, lines, 0 if not missing and writable else 2)
