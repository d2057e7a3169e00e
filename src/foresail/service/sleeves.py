"""What ``--strategy FILE[=SHARE]`` and ``--slice METHOD:COUNT:INTERVAL`` say: several strategies, and slices."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import ROUND_DOWN, Decimal, InvalidOperation
from pathlib import Path

from foresail.core.errors import ConfigError, UnknownNameError
from foresail.engine.trading.slicing import SliceSettings
from foresail.execution.slicing import SliceMethod

__all__ = ["parse_slices", "parse_strategies"]

_UNITS_NS = {"m": 60 * 10**9, "h": 3600 * 10**9, "d": 86_400 * 10**9}
_INTERVAL = re.compile(r"^([1-9][0-9]*)([mhd])$")
_GRID = Decimal("0.0001")
_PARTS = (3, 4)


def parse_strategies(texts: Sequence[str]) -> tuple[Path, tuple[tuple[str, str], ...]]:
    """Return the first file, and (file, share of equity) of every strategy where there are several.

    Without shares each gets the same. One strategy without a share has the whole account and no book of its own.

    Raises
    ------
    ConfigError
        If shares are given for some only, or are not above 0 and 1 in all.
    """
    if not texts:
        raise ConfigError("expected a strategy file", hint="--strategy my_momentum.py")
    pairs = [_pair(text) for text in texts]
    told = [share for _path, share in pairs if share is not None]
    if len(pairs) == 1 and not told:
        return Path(pairs[0][0]), ()
    if told and len(told) < len(pairs):
        raise ConfigError(
            "expected a share for every strategy or for none", hint="--strategy a.py=0.6 --strategy b.py=0.4"
        )
    if not told:
        told = [(Decimal(1) / len(pairs)).quantize(_GRID, ROUND_DOWN)] * len(pairs)
    if sum(told, Decimal(0)) > 1 or min(told) <= 0:
        raise ConfigError(f"expected shares above 0, 1 in all, received {', '.join(map(str, told))}")
    return Path(pairs[0][0]), tuple((path, str(share)) for (path, _share), share in zip(pairs, told, strict=True))


def _pair(text: str) -> tuple[str, Decimal | None]:
    path, equals, share = text.rpartition("=")
    if not equals or Path(text).exists():
        return text, None
    try:
        value = Decimal(share)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite():
        raise ConfigError(f"--strategy {text}: expected FILE or FILE=SHARE, received a share of {share!r}")
    return path, value


def parse_slices(text: str) -> SliceSettings:
    """Return how large orders leave: ``twap:6:1h``, ``vwap:8:30m`` or ``pov:6:1h:0.1`` (participation).

    Raises
    ------
    ConfigError
        If the text is none of these.
    UnknownNameError
        If there is no such method.
    """
    method, *rest = text.split(":")
    known = [one.value for one in SliceMethod]
    if method not in known:
        raise UnknownNameError("slicing method", method, known)
    interval = _INTERVAL.match(rest[1]) if len(rest) + 1 in _PARTS else None
    if interval is None or not rest[0].isdigit() or (len(rest) + 1 == _PARTS[1]) != (method == SliceMethod.POV):
        raise ConfigError(
            f"--slice: expected METHOD:COUNT:INTERVAL, and a share of the volume for pov, received {text!r}",
            hint="twap:6:1h, vwap:8:30m or pov:6:1h:0.1",
        )
    span = int(interval[1]) * _UNITS_NS[interval[2]]
    if method != SliceMethod.POV:
        return SliceSettings(SliceMethod(method), count=int(rest[0]), interval_ns=span)
    try:
        participation = Decimal(rest[2])
    except InvalidOperation:
        participation = Decimal(0)
    return SliceSettings(SliceMethod.POV, count=int(rest[0]), interval_ns=span, participation=participation)
