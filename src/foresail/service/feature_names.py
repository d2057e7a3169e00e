"""What a text such as ``spine,rsi_14@1h,preset:scalp`` asks for: sets, features, frames, presets, the default set."""

from __future__ import annotations

from collections.abc import Sequence

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.domain.calendars import frame_ns, is_daily
from foresail.domain.instruments import AssetClass
from foresail.features.catalogue import CATALOGUE, find
from foresail.features.declared.presets import indicator_preset
from foresail.features.declared.sets import SETS, default_sets
from foresail.features.frame_columns import expand_frames

__all__ = ["chosen_names", "default_use", "instrument_row", "named_sets"]

_DEFAULT, _PRESET = "default", "preset:"


def chosen_names(
    text: str, asset_class: AssetClass | None = None, own: str | None = None
) -> tuple[str, tuple[str, ...]]:
    """Return the name of the set and the columns that a list of sets and features asks for.

    Parameters
    ----------
    text : for example "spine", "rsi_14,macd,sma_20@1w", "frame50@six", "preset:scalp", "default" (the sets for bars of
        this frame, FSET-12) or "default:funnel"
    asset_class : whose variants the members of sets take (FEAT-21); a feature that is named stays as it is
    own : frame of the bars; None = not known yet, all names are checked

    Raises
    ------
    ConfigError
        If the list is empty.
    UnknownNameError
        If a name is neither a set nor a feature.
    """
    asked = [part.strip() for part in text.split(",") if part.strip()]
    if not asked:
        raise ConfigError("expected the name of a set or of features", hint=f"for example {', '.join(sorted(SETS))}")
    plain: list[str] = []
    for one in asked:
        plain += _without_words(one, own)
    for one in plain:
        _check(one.partition("@")[0], alone=len(asked) == 1)
    names = expand_frames(plain, own=own, asset_class=asset_class)
    is_set = len(asked) == 1 and (asked[0].partition("@")[0] in SETS or tuple(asked) != tuple(plain))
    return (asked[0] if is_set else "chosen"), names


def _without_words(one: str, own: str | None) -> tuple[str, ...]:
    """Return what a preset or the default stands for, anything else as it is; a frame behind it goes to each."""
    word, mark, frame = one.partition("@")
    if word.startswith(_PRESET):
        preset = indicator_preset(word.removeprefix(_PRESET))
        members = (*preset.rsi, *preset.macd)
    elif word == _DEFAULT or word.startswith(f"{_DEFAULT}:"):
        members = default_sets(word.partition(":")[2] or default_use(own or "1d"))
    else:
        return (one,)
    return tuple(f"{name}{mark}{frame}" for name in members)


def named_sets(asked: Sequence[str], own: str) -> tuple[str, ...]:
    """Return sets and features with what presets and the default stand for on bars of a frame in their place."""
    return tuple(dict.fromkeys(name for one in asked for name in _without_words(one, own)))


def default_use(frame: str) -> str:
    """Return what bars of a frame are used for by default: minute below an hour, hourly below a day, else daily."""
    if is_daily(frame):
        return "daily"
    return "minute" if frame_ns(frame) < frame_ns("1h") else "hourly"


def _check(name: str, *, alone: bool) -> None:
    """Refuse a name that is neither a set nor a feature, telling the nearest."""
    if name in SETS or name.startswith("direction_"):
        return
    try:
        find(name)
    except UnknownNameError as e:
        known = [*SETS, *CATALOGUE] if alone else list(CATALOGUE)
        hint = f"foresail features list shows all {len(CATALOGUE)} features; sets: {', '.join(sorted(SETS))}"
        raise UnknownNameError("feature or set" if alone else "feature", name, known, hint=hint) from e


def instrument_row(symbol: str, instruments: Sequence[str]) -> int:
    """Return the position of an instrument by id, its last part, or the base of a pair there: BTC of BTC-USD."""
    wanted = symbol.lower()
    names = [str(one).lower() for one in instruments]
    lasts = [one.rsplit(".", 1)[-1] for one in names]
    found = [i for i, one in enumerate(names) if wanted in {one, lasts[i]}]
    found = found or [i for i, one in enumerate(lasts) if one.split("-")[0] == wanted]
    if len(found) > 1:
        listed = ", ".join(str(instruments[i]) for i in found)
        raise ConfigError(f"{symbol} stands for {len(found)} instruments: {listed}", hint="give the whole id")
    if not found:
        raise UnknownNameError("instrument", symbol, [str(one) for one in instruments])
    return found[0]
