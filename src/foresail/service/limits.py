"""``foresail limits``: every limit of a profile as the settings edit it, and where each value comes from (RISK-01)."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from foresail.core.errors import UnknownNameError
from foresail.domain.instruments import AssetClass
from foresail.risk.accounts import edited, origins, rows, trading_limits
from foresail.risk.editing import edited_positions, known_limits, position_rows, trading_values
from foresail.risk.levered import levered_positions
from foresail.risk.profiles import RiskProfile, profile_named
from foresail.risk.versions import limits_digest
from foresail.service.outcome import Outcome
from foresail.service.settings import WORKSPACE_FILE, Overrides, default_settings, read_settings
from foresail.service.workspace import find_workspace

__all__ = ["LIQUIDATION_WARNING", "LimitsRequest", "leverage_warning", "limits_table", "show_limits"]

LIQUIDATION_WARNING = (
    "leverage above 1 is allowed for {names}: a move against a leveraged position of 1 / leverage uses up its margin, "
    "and the broker closes it at whatever the market then pays; losses can exceed what was paid in (RISK-23)"
)
_ORIGIN = {  # row of RISK-01 -> limit of one position
    "risk_per_trade": "risk_per_trade",
    "max_position": "max_position",
    "sector": "sector",
    "cash_floor": "cash_floor",
    "stop_distance": "stop_distance",
    "shorting": "shorting",
    "forex_positions": "max_positions",
}
_CLASSES = ("stock", "crypto", "forex")


@dataclass(frozen=True, slots=True)
class LimitsRequest:
    """Which limits.

    Attributes
    ----------
    profile : None = of the settings
    config : settings file; None = that of the workspace, where there is one
    asset_class : stock, crypto or forex
    """

    profile: str | None = None
    config: Path | None = None
    asset_class: str = "stock"


def show_limits(request: LimitsRequest) -> Outcome:
    """Tell every limit with its value and origin.

    Raises
    ------
    UnknownNameError
        If there is no such class or profile.
    ConfigError
        If the settings cannot be used.
    """
    if request.asset_class not in _CLASSES:
        raise UnknownNameError("asset class", request.asset_class, _CLASSES)
    asset_class = AssetClass(request.asset_class)
    kept = find_workspace() / WORKSPACE_FILE
    config = request.config if request.config is not None else kept if kept.is_file() else None
    settings = read_settings(default_settings("1d", 252.0), config, Overrides(profile=request.profile))
    profile_named(settings.profile)
    values = dict(settings.limits)
    table = limits_table(settings.profile, asset_class, values)
    limits = edited(trading_limits(settings.profile, asset_class=asset_class), trading_values(values))
    positions = edited_positions(profile_named(settings.profile).limits(asset_class), values)
    warning = leverage_warning(limits.book.leverage, edited=values)
    levered = position_rows(levered_positions(positions, asset_class, limits.book, values))
    grown = {name: value for name, value in levered.items() if value != position_rows(positions)[name]}
    document: dict[str, Any] = {
        "profile": settings.profile,
        "class": asset_class.value,
        "digest": limits_digest(limits, {asset_class.value: positions}),
        "limits": table,
        "under_leverage": grown,
        "told_only": {
            row: {"value": cell.value, "origin": cell.origin, "note": cell.note}
            for row, cell in profile_named(settings.profile).told()
        },
        "strategies": {name: asdict(one) for name, one in settings.strategies},
        "warnings": [warning] if warning else [],
    }
    head = f"profile {settings.profile}, class {asset_class.value}, digest {document['digest'][:16]}"
    shown = [f"  {one['name']:<34} {_told(one['value']):<26} {one['origin']}" for one in table]
    if grown:
        told = ", ".join(f"{name} {value:g}" for name, value in grown.items())
        shown.append(f"where an account trades, under the leverage of {asset_class.value}: {told}")
    if document["told_only"]:
        told = ", ".join(f"{row} {one['value']:g}" for row, one in document["told_only"].items())
        shown.append(f"named by the profile and enforced by nothing: {told}")
    lines = [head, *shown, *([f"warning: {warning}"] if warning else [])]
    for name, one in settings.strategies:
        told = ", ".join(f"{key} {_told(value)}" for key, value in asdict(one).items() if value not in (None, ""))
        lines.append(f"strategy {name}: {told or 'nothing of its own'} (RISK-09, SIZE-14)")
    return Outcome(
        document, [*lines, "edit them under [limits] in the settings file; fractions are fractions of equity"]
    )


def limits_table(profile: str, asset_class: AssetClass, values: dict[str, Any]) -> list[dict[str, Any]]:
    """Return (name, value, origin, kind) of every limit.

    Parameters
    ----------
    values : edits, as ``risk.editing.read_limits`` returns them
    """
    limits = edited(trading_limits(profile, asset_class=asset_class), trading_values(values))
    found = profile_named(profile)
    base = found.limits(asset_class)
    positions, told = position_rows(edited_positions(base, values)), origins(limits, asset_class=asset_class)
    for name, before in position_rows(base).items():
        told[name] = "set by the user" if positions[name] != before else _origin(found, name, asset_class)
    kinds = known_limits()
    return [
        {"name": name, "value": value, "origin": told[name], "kind": kinds[name]}
        for name, value in {**positions, **rows(limits)}.items()
    ]


def leverage_warning(leverage: tuple[float, float, float], *, edited: dict[str, Any]) -> str:
    """Return the liquidation warning where the user has raised leverage above 1, empty elsewhere (RISK-23)."""
    names = [f"{name} ({value:g})" for name, value in zip(_CLASSES, leverage, strict=True) if value > 1]
    return LIQUIDATION_WARNING.format(names=", ".join(names)) if names and "book.leverage" in edited else ""


def _origin(profile: RiskProfile, name: str, asset_class: AssetClass) -> str:
    """Return where a limit of one position comes from: its cell of RISK-01, or the house where that is open."""
    limit = name.partition(".")[2]
    if limit == "class_exposure":
        cell = getattr(profile, f"{asset_class.value}_exposure")
        return "RISK-01" if cell.value is None else " ".join((cell.origin, *([f"({cell.note})"] if cell.note else [])))
    for row, own in _ORIGIN.items():
        if own == limit:
            cell = getattr(profile, row)
            return str(cell.origin) if cell.value is not None else f"house default ({cell.note})"
    return "house default"


def _told(value: Any) -> str:
    if value is None:
        return "off"
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, tuple):
        return ", ".join(" ".join(one) if isinstance(one, tuple) else f"{one:g}" for one in value)
    return f"{value:g}" if isinstance(value, int | float) else str(value)
