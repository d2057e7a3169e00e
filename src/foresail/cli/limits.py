"""``foresail limits``: the risk limits that hold, and where each comes from."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from foresail.cli.contract import execute

__all__ = ["limits_command"]


def limits_command(
    *,
    profile: Annotated[
        str | None, typer.Option("--profile", help="Risk profile; left out, that of the settings.")
    ] = None,
    config: Annotated[Path | None, typer.Option("--config", help="Settings file (TOML, version = 1).")] = None,
    asset_class: Annotated[str, typer.Option("--class", help="stock, crypto or forex.")] = "stock",
    as_json: Annotated[bool, typer.Option("--json", help="Exactly one JSON document on stdout.")] = False,
) -> None:
    """Tell every risk limit with its value and where it comes from."""

    def work() -> tuple[Any, list[str], int]:
        from foresail.service.limits import LimitsRequest, show_limits

        outcome = show_limits(LimitsRequest(profile, config, asset_class))
        return outcome.document, outcome.lines, outcome.exit_code

    execute(work, as_json=as_json)
