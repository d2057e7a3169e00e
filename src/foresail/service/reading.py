"""How bars are read and what stands beside them: the options that every command with bars shares.

A run, a training and a forecast of one market must see the same thing, so what was asked is one value that is handed
on, recorded among the inputs, and read back from there by whoever repeats it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.adapters.files.description import read_toml
from foresail.core.errors import ConfigError
from foresail.domain.calendars import EXTENDED_FRAME

__all__ = [
    "WORKSPACE_PAIRS",
    "Reading",
    "asked_reading",
    "check_learning",
    "configured_pairs",
    "parse_pairs",
    "reading_of",
]

WORKSPACE_PAIRS = "pairs"  # table of the workspace's settings file: instrument = its second leg
_Pairs = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Reading:
    """How bars are read.

    Attributes
    ----------
    timezone : of times in files that carry none
    names : only the first so many instruments, by id
    frame : coarsen the bars to this frame; None = as they are
    extended : keep bars from 04:00 to 20:00 New York of a stock exchange, which 6h needs
    series : sets of series, by name or as paths of their descriptions; None = those of the store that the bars come
        from, and those that the description of the bars names
    pairs : (instrument, its second leg), ids or tickers; None = those of the settings
    config : settings file whose pairs count where none are given; None = the workspace's
    """

    timezone: str | None = None
    names: int | None = None
    frame: str | None = None
    extended: bool = False
    series: tuple[str, ...] | None = None
    pairs: _Pairs | None = None
    config: Path | None = None

    def words(self) -> list[str]:
        """Return the words of a command that ask for this, without time zone and names."""
        words = [] if self.frame is None else ["--frame", self.frame]
        words += ["--extended"] if self.extended else []
        words += [word for name in self.series or () for word in ("--series", name)]
        return words + [word for one, other in self.pairs or () for word in ("--pair", f"{one}={other}")]


def reading_of(inputs: Mapping[str, Any], series: Sequence[str]) -> Reading:
    """Return how the bars of a recorded run were read.

    Parameters
    ----------
    inputs : of ``run.json``
    series : where the sets of series are found
    """
    return Reading(
        timezone=inputs["timezone"],
        names=inputs["names"],
        frame=inputs.get("frame"),
        extended=bool(inputs.get("extended", False)),
        series=tuple(series),
        pairs=tuple((str(one), str(other)) for one, other in inputs.get("pairs", ())),
    )


def asked_reading(
    frame: str | None, series: Sequence[str], pair: Sequence[str], *, extended: bool, models: bool = False
) -> Reading:
    """Return how the bars of a command or a call are to be read.

    Parameters
    ----------
    series : sets of series; none = those that stand beside the bars anyway
    pair : "A=B", an instrument and its second leg
    models : whether models learn from the bars: what a year has of them is counted in regular sessions, 6h apart

    Raises
    ------
    ConfigError
        If a pair is not ``A=B``, or extended hours are asked for with a frame for which nothing counts them.
    """
    found = Reading(frame=frame, extended=extended, series=tuple(series) or None, pairs=parse_pairs(pair))
    if models:
        check_learning(found)
    return found


def check_learning(reading: Reading) -> None:
    """Refuse extended hours where models learn from the bars, but for the frame that needs them.

    Raises
    ------
    ConfigError
        If they are asked for with another frame.
    """
    if reading.extended and reading.frame != EXTENDED_FRAME:
        raise ConfigError(
            f"--extended: models learn from regular hours, except in bars of 6h; received --frame "
            f"{reading.frame or 'none'}",
            hint="add --frame 6h, or leave --extended out",
        )


def parse_pairs(given: Sequence[str]) -> _Pairs | None:
    """Return ``A=B`` texts as pairs, None where there are none.

    Raises
    ------
    ConfigError
        If a text has no ``=``, names one instrument twice, or an instrument has two second legs.
    """
    if not given:
        return None
    found: dict[str, str] = {}
    for text in given:
        one, sign, other = (part.strip() for part in text.partition("="))
        if not sign or not one or not other:
            raise ConfigError(f"--pair: expected A=B, an instrument and its second leg, received {text!r}")
        if one in found:
            raise ConfigError(f"--pair {one}: has two second legs, {found[one]} and {other}", hint="give one")
        found[one] = other
    return _checked(found, "--pair")


def configured_pairs(config: Path | None, workspace: Path) -> _Pairs:
    """Return the pairs of a settings file, of the workspace's own where none is given.

    Raises
    ------
    ConfigError
        If the table is no list of texts.
    """
    path = workspace / "foresail.toml" if config is None else config
    if not path.is_file():
        return ()
    table = read_toml(path).get(WORKSPACE_PAIRS, {})
    if not isinstance(table, Mapping) or not all(isinstance(other, str) and other for other in table.values()):
        raise ConfigError(f'{path}: expected a table [{WORKSPACE_PAIRS}] of instrument = "its second leg"')
    return _checked({str(one): str(other) for one, other in table.items()}, f"[{WORKSPACE_PAIRS}]")


def _checked(pairs: Mapping[str, str], where: str) -> _Pairs:
    for one, other in pairs.items():
        if one == other:
            raise ConfigError(f"{where} {one}: an instrument cannot be its own second leg")
    return tuple(sorted(pairs.items()))
