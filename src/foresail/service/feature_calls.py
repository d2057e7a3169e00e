"""The feature commands as calls from Python: list, explain, plot; ``calls.compute_features`` computes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from foresail.protocols import Progress
from foresail.service.reading import asked_reading

__all__ = ["FeatureExplanation", "explain_feature", "list_features", "plot_feature"]


@dataclass(frozen=True, slots=True, repr=False)
class FeatureExplanation:
    """All there is to know of one feature; ``print`` shows what the command shows.

    Attributes
    ----------
    name : in the catalogue
    document : everything that ``foresail features explain --json`` prints: formula, inputs, first value, levels ...
    last_values : instrument, end and value of the newest ones; empty where they were not asked for or are absent
    """

    name: str
    document: Mapping[str, Any]
    last_values: tuple[Mapping[str, Any], ...]
    text: str

    def __str__(self) -> str:
        return self.text

    def __repr__(self) -> str:
        return f"FeatureExplanation({self.name!r})"


def list_features(
    *, group: str | None = None, asset_class: str | None = None, of_set: str | None = None
) -> tuple[Mapping[str, Any], ...]:
    """Return name, group, description, inputs, warm-up ... of the features: ``foresail features list``.

    Parameters
    ----------
    group, asset_class, of_set : only those of a group, of stock, crypto or forex, of a set; None = all

    Raises
    ------
    UnknownNameError
        If there is no such group, class or set.
    """
    from foresail.service import feature_catalogue

    outcome = feature_catalogue.list_features(group=group, asset_class=asset_class, of_set=of_set)
    return tuple(outcome.document["features"])


def explain_feature(
    name: str,
    *,
    bars: str | Path | None = "embedded:us20",
    symbol: str | None = None,
    progress: Progress | None = None,
) -> FeatureExplanation:
    """Tell all of one feature: ``foresail features explain``.

    Parameters
    ----------
    name : a feature or an alias, with ``@frame`` for its values on that frame
    bars : where its last values are computed, as in ``run``; None = no values
    symbol : show this instrument; None = the first ones that have a value
    progress : called with stage, done and total; None = silent

    Raises
    ------
    ForesailError
        If the name or the instrument is unknown, or the bars cannot be used.
    """
    from foresail.service import feature_catalogue
    from foresail.service.loading import EMBEDDED

    outcome = feature_catalogue.explain_feature(
        name,
        values=bars is not None,
        bars=EMBEDDED if bars is None else str(bars),
        symbol=symbol,
        progress=progress or _silent,
    )
    last = tuple(outcome.document.get("last_values", ()))
    return FeatureExplanation(outcome.document["name"], outcome.document, last, "\n".join(outcome.lines))


def plot_feature(
    name: str,
    symbol: str,
    *,
    bars: str | Path = "embedded:us20",
    out: str | Path | None = None,
    frame: str | None = None,
    extended: bool = False,
    series: Sequence[str] = (),
    pair: Sequence[str] = (),
    form: str = "display",
    style: str = "intraday",
    until: str | None = None,
    last: int = 500,
    force: bool = False,
    progress: Progress | None = None,
) -> Path:
    """Draw a feature under the price and return the file: ``foresail features plot``.

    Parameters
    ----------
    name, symbol : one feature; an instrument id, or its last part
    bars : as in ``compute_features``
    out : ends in .html or .svg; None = NAME-SYMBOL.html
    frame, extended, series, pair, form, style, until : as in ``compute_features``
    last : so many of the newest bars are shown
    force : replace an existing file
    progress : called with stage, done and total; None = silent

    Raises
    ------
    ForesailError
        If a name is unknown, or the bars or the file cannot be used.
    """
    from foresail.service import feature_plot
    from foresail.service.features import FeatureRequest

    reading = asked_reading(None, series, pair, extended=extended)
    request = FeatureRequest(name, str(bars), frame, form, until, reading=reading, style=style)
    outcome = feature_plot.plot_feature(
        request, symbol, out=None if out is None else Path(out), last=last, force=force, progress=progress or _silent
    )
    return Path(outcome.document["out"])


def _silent(stage: str, done: int, total: int) -> None:
    del stage, done, total
