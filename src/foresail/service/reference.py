"""Writes ``docs/reference/``: the run folder, the features and the settings, each made from the code it tells of.

``python -m foresail.service.reference docs/reference`` (``make docs``) rewrites the pages; a test compares them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from foresail.core.canonical import write_atomic
from foresail.domain.instruments import AssetClass
from foresail.engine.settings import PipelineSettings
from foresail.forecasting.registry import FORECASTERS
from foresail.reporting.feature_reference import features_page
from foresail.reporting.reference import NOT_BY_HAND, markdown_table, run_folder_page
from foresail.risk.profiles import DEFAULT_PROFILE, PROFILES
from foresail.service.feature_pictures import feature_pictures
from foresail.service.limits import limits_table
from foresail.service.settings import RUN_KEYS, VENUE_KEYS, WALK_KEYS, WORKSPACE_FILE, default_settings, run_value
from foresail.service.trading_tables import COST_KEYS, EXIT_KEYS, cost_default, exit_default

__all__ = ["reference_pages", "settings_page"]

_FEES = """\
## `[[fees]]`

Regulatory fees of US stocks change by law, so each rate holds from a day on (COST-07). A table adds one, or replaces
the recorded rate of its day: `fee` is `sec` (fraction of a sale) or `taf` (money per share sold), `cap` the most that
one trade pays.

```toml
[[fees]]
fee = "sec"
from = 2030-04-01
rate = "0.0000250"
```
"""
_LIMITS = """\
## `[limits]`

Risk limits that differ from those of the profile (RISK-01). `breakers.daily_loss = 0.01` and `daily_loss = 0.01` under
`[limits.breakers]` mean the same; `"off"` takes a limit away where it may be absent. `foresail limits` tells the values
that hold and where each comes from. Limits of positions hold in every run, the others in `backtest` and `paper`."""
_YEARS = """\
A year has 252 bars on daily stocks; on hourly bars the example is a market that never closes (8,760 bars a year, 24 a
day). Of stocks a day is 7 hourly bars: horizons `[1, 4, 7]`, the last of which is traded.
"""
_STRATEGIES = """\
## `[strategies."namespace/name@version"]`

Limits of one strategy of an account (RISK-09), where `backtest` and `paper` trade it, alone or among several:
fractions, `"off"` takes one away. The table of another version does not hold, and a warning says so.

| key | meaning |
|---|---|
| `max_position` | largest value of one of its positions, of the account's equity |
| `max_gross` | largest sum of the values of its positions, of the same |
| `daily_loss` | loss of a day, of its share of the equity; beyond it the strategy is halted until the next UTC day |
| `drawdown` | fall from its best profit, of the same; beyond it a person has to resume the strategy |
| `sizing`, `volatility_target`, `may_lever` | as under `[run]`, for its signals alone (SIZE-14) |
"""
_PAIRS = """\
## `[pairs]`

`KO = "PEP"` makes PEP the second leg of KO, by ticker or id: spreads and their tests read it. Every command with bars
takes the pairs whose instruments its bars have; `--pair KO=PEP` takes their place.
"""
_INTRODUCTION = f"""\
# Settings

A run takes its settings from the file that `--config` names, else from `{WORKSPACE_FILE}` of the workspace
(`foresail init` writes one with every key explained), else from the defaults below. The command line wins over the
file. A key that is not known, or a value of the wrong type or range, is refused before anything runs.

{NOT_BY_HAND}

```toml
version = 1

[run]
forecaster = "ridge"
capital = "250000 USD"

[walk_forward]
train = "756 sessions"
```

Under `[forecaster]` stand the settings of the forecaster itself, such as `width = 32` and `epochs = 20` of a network;
one that it does not know is refused with those it has.

Durations are whole bars: "252 sessions" and "252 bars" mean the same. Where a set is too short for the defaults,
training and refits are shortened, and the report shows the values used.
"""

_COSTS = """## `[costs]`

What trading costs where it is not as the table of the asset class has it (COST-01 to 03), for the account of your own
broker. They are part of every record. Dated regulatory fees stand under `[[fees]]`."""


def reference_pages() -> dict[str, str]:
    """Return path below the folder -> page or picture, for everything that is made from code."""
    pictures = {f"plots/{name}.svg": picture for name, picture in feature_pictures().items()}
    drawn = frozenset(path.removeprefix("plots/").removesuffix(".svg") for path in pictures)
    pages = {
        "features.md": features_page(drawn),
        "run-folder.md": run_folder_page(),
        "settings.md": settings_page(),
    }
    return {**pages, **pictures}


def settings_page() -> str:
    """Return the page of the settings as Markdown."""
    daily, hourly = default_settings("1d", 252.0), default_settings("1h", 8760.0)
    names = ("key", "type", "meaning", "default, daily bars", "default, hourly bars")
    run = [
        (f"`{key}`", kind, meaning, _run_default(daily, key), _run_default(hourly, key))
        for key, (kind, meaning) in RUN_KEYS.items()
    ]
    walk = [
        (f"`{key}`", kind, meaning, _walk_default(daily, key), _walk_default(hourly, key))
        for key, (kind, meaning) in WALK_KEYS.items()
    ]
    venue = [
        (f"`{key}`", kind, meaning, _value(getattr(daily.trading.venue, key)))
        for key, (kind, meaning) in VENUE_KEYS.items()
    ]
    exits = [(f"`{key}`", kind, meaning, _value(exit_default(key))) for key, (kind, meaning) in EXIT_KEYS.items()]
    costs = [
        (f"`{key}`", kind, meaning, "as the class" if cost_default(key) is None else _value(cost_default(key)))
        for key, (kind, meaning) in COST_KEYS.items()
    ]
    known = [("`forecaster`", ", ".join(FORECASTERS)), ("`profile`", ", ".join(PROFILES))]
    return "\n".join(
        (
            _INTRODUCTION,
            markdown_table("## `[run]`", names, run),
            markdown_table("## `[walk_forward]`", names, walk),
            _YEARS,
            markdown_table(_LIMITS, ("key", "value", f"default, {DEFAULT_PROFILE}, stocks", "origin"), _limit_rows()),
            markdown_table("## `[venue]`\n\nThe simulated venue of every run.", (*names[:3], "default"), venue),
            markdown_table("## `[exits]`\n\nWhere positions are left.", (*names[:3], "default"), exits),
            markdown_table(_COSTS, (*names[:3], "default"), costs),
            _STRATEGIES,
            _PAIRS,
            _FEES,
            markdown_table("## Known names", ("key", "names"), known),
        )
    )


def _run_default(settings: PipelineSettings, key: str) -> str:
    if key == "capital":
        return f'"{settings.capital} {settings.currency}"'
    value = run_value(settings, key)
    if isinstance(value, tuple):
        return str(list(value)) if value else ("the default set" if key == "features" else "none")
    return _value(value)


def _value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return f'"{value}"' if isinstance(value, str) else str(value)


def _walk_default(settings: PipelineSettings, key: str) -> str:
    walk = settings.walk_forward
    value = walk.conformal_window if key == "conformal_window" else getattr(walk, f"{key}_bars")
    return f'"{value} bars"'


def _limit_rows() -> list[tuple[str, ...]]:
    """Return key, kind, default and origin of every limit."""
    out: list[tuple[str, ...]] = []
    for one in limits_table(DEFAULT_PROFILE, AssetClass.STOCK, {}):
        value = one["value"]
        told = "off" if value is None else json.dumps(value)
        out.append((f"`{one['name']}`", one["kind"], told.replace("|", "\\|"), one["origin"]))
    return out


def _write(folder: Path) -> None:
    """Write every page, and take away pictures of features that are no more."""
    pages = reference_pages()
    (folder / "plots").mkdir(parents=True, exist_ok=True)
    for file, page in pages.items():
        write_atomic(folder / file, page.encode())
    for path in (folder / "plots").iterdir():
        if f"plots/{path.name}" not in pages:
            path.unlink()


if __name__ == "__main__":
    _write(Path(sys.argv[1] if len(sys.argv) > 1 else "docs/reference"))
