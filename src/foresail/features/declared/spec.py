"""What one feature is, and how one is declared.

What a feature needs, how long it warms up and what it remembers is derived from its formula, so it cannot be wrong.
Price levels never enter a model: a row in price units is for display, and its ``model_expression`` is free of scale.
"""

from __future__ import annotations

from dataclasses import dataclass

from foresail.domain.instruments import AssetClass
from foresail.features.expressions import BAR, CLOSE, VOLUME, Cross, Expression, Ref, Series, node
from foresail.features.plan import memory_of, nodes_of, ready_of

__all__ = [
    "ALL",
    "BAR_FIELDS",
    "NO_FOREX",
    "SCALES",
    "SCHEMA_VERSION",
    "TYPES",
    "WITH_TICKS",
    "FeatureSpec",
    "declare",
]

SCHEMA_VERSION = 1
ALL = (AssetClass.STOCK, AssetClass.CRYPTO, AssetClass.FOREX)
NO_FOREX = (AssetClass.STOCK, AssetClass.CRYPTO)
WITH_TICKS = ALL  # rows of volume that forex has too, from tick volume, where a set has it (FEAT-26, DATA-32)
BAR_FIELDS = ("open", "high", "low", "close", "volume")
# How a value moves when all prices (or volumes) of the instrument are multiplied by a constant.
SCALES = ("free", "price", "price_change", "volume")
# FEAT-05. The type decides how a value is normalised (NORM-03); there is none for "unknown".
TYPES = (
    "price", "volume", "sentiment", "percentage", "indicator", "index", "flag", "cyclic", "category", "macro",
    "onchain", "book", "model",
)  # fmt: skip
_CLOCK_FIELDS = (
    ("close",),
    ("close", "high", "low"),
    ("close", "high", "low", "open"),
    ("close", "volume"),
    ("close", "volume"),
    ("close", "high", "low", "volume"),
)


@dataclass(frozen=True, slots=True)
class FeatureSpec:
    """One feature (FEAT-08).

    Attributes
    ----------
    type : FEAT-05; decides nothing but the normaliser
    inputs : bar fields, "reference:<name>", "given:<name>" or "calendar:<name>"
    frame : "base" = the frame of the panel
    warm_up : bars of the instrument until the first value
    delay_bars : availability delay beyond the bar's own
    missing : what an absent value means
    normaliser : "standard" (fold-fitted) or "none"
    critical : a missing one lowers a signal (FEAT-03)
    known_in_advance : known for future bars
    scope : "lane" (the instrument alone), "row" (others take part) or "book" (an event stream)
    memory : "finite", "recursive" or "cumulative"
    source : requirement id
    expression : the formula
    scale : "free"; "price" (a level), "price_change" (a difference of prices) or "volume" move with their units
    display_factor : what screens multiply the value by (100 for an index that tradition shows as 0 to 100)
    model_expression : the formula whose value a model sees: a ratio to the close, or to the mean volume of 20 bars,
        where the scale is not free
    """

    name: str
    aliases: tuple[str, ...]
    group: str
    type: str
    asset_classes: tuple[AssetClass, ...]
    inputs: tuple[str, ...]
    parameters: tuple[float, ...]
    warm_up: int
    description: str
    critical: bool
    scope: str
    memory: str
    source: str
    expression: Expression
    model_expression: Expression
    scale: str = "free"
    display_factor: float = 1.0
    normaliser: str = "standard"
    known_in_advance: bool = False
    frame: str = "base"
    delay_bars: int = 0
    missing: str = "NaN until warm, where an input is absent, and where the instrument has no bar"
    schema_version: int = SCHEMA_VERSION


def _inputs(expression: Expression) -> tuple[str, ...]:
    """Return what an expression reads, from the clocks and bar rows it uses: bar fields first, then the rest."""
    found: set[str] = set()
    if isinstance(expression, Cross):
        source = expression.source
        found.update(_series_inputs(source) if isinstance(source, Series) else _inputs(source))
    elif expression.node == BAR:
        found.add(BAR_FIELDS[expression.index])
    for n in () if isinstance(expression, Cross) else nodes_of(expression):
        if n is not BAR and isinstance(n.clock, int) and n.op != "series":
            found.update(_CLOCK_FIELDS[n.clock])
        found.update(BAR_FIELDS[ref.index] for ref in n.inputs if ref.node == BAR)
        if n.series is not None:
            found.update(_series_inputs(n.series))
        if n.op == "given":
            found.add(f"given:{n.name}")
    return tuple(sorted(found, key=lambda name: (":" in name, name)))


def _series_inputs(series: Series) -> set[str]:
    """Return what a series reads; the fields of a reference are those of its own bars, so they do not count."""
    if series.kind not in {"reference", "calendar"}:
        return set() if series.source is None else set(_inputs(series.source))
    found = {f"{series.kind}:{series.name}"}
    for n in () if series.source is None else nodes_of(series.source):
        if n.series is not None:
            found |= _series_inputs(n.series)
    return found


def _model_form(expression: Expression, scale: str) -> Expression:
    """Return a formula that no unit moves (NORM-03, NORM-05)."""
    if scale == "free":
        return expression
    if not isinstance(expression, Ref):
        raise TypeError("a cross-sectional feature cannot carry units")
    if scale == "volume":
        usual = node("rolling_mean", VOLUME, clock=3, window=20, needs=20, history=20, states=2).out
        return node("divide", expression, usual, real=float("nan")).out
    share = node("divide", expression, CLOSE, real=float("nan")).out
    return share if scale == "price_change" else node("add", share, real=-1.0).out


def declare(
    name: str,
    expression: Expression,
    description: str,
    source: str,
    *,
    group: str,
    type_: str = "indicator",
    aliases: tuple[str, ...] = (),
    parameters: tuple[float, ...] = (),
    classes: tuple[AssetClass, ...] = ALL,
    critical: bool = False,
    scale: str = "free",
    display_factor: float = 1.0,
    model: Expression | None = None,
    scope: str | None = None,
) -> FeatureSpec:
    """Return one row of the catalogue; everything else about it follows from the formula.

    Parameters
    ----------
    model : what a model sees instead of a level that is no price of the instrument (an index, a supply); None = the
        form that follows from the scale
    scope : "book" for what an event stream gives; None = the scope that follows from the formula

    Raises
    ------
    ValueError
        If the scale or the type is unknown (FEAT-05).
    """
    if type_ not in TYPES:
        raise ValueError(f"feature {name}: unknown type {type_!r}, known: {', '.join(TYPES)}")
    if scale not in SCALES:
        raise ValueError(f"feature {name}: unknown scale {scale!r}, known: {', '.join(SCALES)}")
    inputs = _inputs(expression)
    calendar = all(i.startswith("calendar:") for i in inputs)
    alone = not isinstance(expression, Cross) and not any(n.series for n in nodes_of(expression))
    return FeatureSpec(
        name,
        aliases,
        group,
        type_,
        classes,
        inputs,
        parameters,
        0 if calendar else ready_of(expression),
        description,
        critical,
        scope or ("lane" if alone else "row"),
        memory_of(expression),
        source,
        expression,
        _model_form(expression, scale) if model is None else model,
        scale=scale,
        display_factor=display_factor,
        normaliser="none" if type_ in {"cyclic", "flag", "category"} else "standard",
        known_in_advance=calendar,
    )
