"""How a feature is written down: a small graph of steps, shared wherever two features need the same thing.

A ``Node`` is one line of a lane program, a ``Ref`` one of its output rows. A ``Series`` is one number per time (a
reference series, a calendar flag, the mean of all instruments); a ``Cross`` is a row-scope column. Nodes are plain
values: equal nodes are computed once. ``ready`` counts the bars until the first value, so warm-up is derived, never
typed in.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = [
    "BAR",
    "CLOSE",
    "FLOW",
    "FULL",
    "HIGH",
    "LOW",
    "OPEN",
    "PRICE",
    "RANGE",
    "TRADED",
    "VOLUME",
    "VOLUME_CLOCK",
    "Clock",
    "Cross",
    "Expression",
    "Node",
    "Ref",
    "Series",
    "clock_where",
    "given",
    "node",
    "rolling",
]

# Clocks that the first step sets: which bars count.
PRICE = 0  # a close
RANGE = 1  # close, high and low
FULL = 2  # close, high, low and open
VOLUME_CLOCK = 3  # close and volume
TRADED = 4  # close and volume above zero
FLOW = 5  # close, high, low and volume


@dataclass(frozen=True, slots=True)
class Node:
    """One step with its settings; see ``kernels._layout`` for the meaning of each.

    Attributes
    ----------
    history, history_b : bars of the first and second input that the step looks back; 0 = none
    ready : bars of the clock until the output is defined
    memory : "none", "finite", "recursive" or "cumulative": what the step keeps
    series, name : what a node of the op "series" or "given" reads instead of computing
    """

    op: str
    inputs: tuple[Ref, ...] = ()
    clock: Clock = PRICE
    window: int = 0
    real: float = 0.0
    history: int = 0
    history_b: int = 0
    states: int = 0
    outputs: int = 1
    delay: int = 0
    ready: int = 1
    extra: int = -1
    memory: str = "none"
    series: Series | None = None
    name: str = ""

    @property
    def out(self) -> Ref:
        """The first output row."""
        return Ref(self, 0)


@dataclass(frozen=True, slots=True)
class Ref:
    """One output row of a node."""

    node: Node
    index: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """One number per time.

    Attributes
    ----------
    kind : "reference" (``name`` given from outside, ``source`` computed on it, None = as it is given), "calendar",
        "market_mean" or "market_deviation" (of ``source`` over the instruments)
    """

    kind: str
    source: Ref | None = None
    name: str = ""


@dataclass(frozen=True, slots=True)
class Cross:
    """A row-scope column: "rank" or "sector_residual" of a lane value, or "broadcast" of a series."""

    op: str
    source: Ref | Cross | Series


Clock = int | Node
Expression = Ref | Cross

BAR = Node("adjust", outputs=5, states=2, memory="recursive")
OPEN, HIGH, LOW, CLOSE, VOLUME = (Ref(BAR, i) for i in range(5))


_MEMORY = {"ema": "recursive", "wilder": "recursive", "wilder_sum": "recursive", "running_sum": "cumulative"}


def node(op: str, *inputs: Ref, clock: Clock = PRICE, **settings: float) -> Node:
    """Return a node whose delay and ``ready`` follow from its inputs.

    An input may come from a clock that counts whenever the node's own does (a price row on the volume clock); where
    it can be absent on the node's clock, use ``clock_where``.
    """
    window = int(settings.pop("window", 0))
    needs = int(settings.pop("needs", 1))  # defined values of the first input until the first output
    latest = max((ref.node.ready for ref in inputs), default=1)
    delay = 0 if isinstance(clock, Node) else latest - 1
    start = max(latest, clock.ready) if isinstance(clock, Node) else latest
    integers = {k: int(v) for k, v in settings.items() if k != "real"}
    remembers = "history" in integers or integers.get("states", 0) > 0
    memory = _MEMORY.get(op, "finite" if remembers else "none")
    return Node(
        op,
        inputs,
        clock,
        window=window,
        real=float(settings.get("real", 0.0)),
        delay=delay,
        ready=start + needs - 1,
        memory=memory,
        history=integers.get("history", 0),
        history_b=integers.get("history_b", 0),
        states=integers.get("states", 0),
        outputs=integers.get("outputs", 1),
        extra=integers.get("extra", -1),
    )


def given(name: str) -> Ref:
    """Return a number per instrument and bar that comes from outside, joined as of the bar; NaN where unknown.

    It is read on the clock of the price, and may be absent there: use ``clock_where`` before a window.
    """
    return Node("given", name=name).out


def clock_where(base: int, *values: Ref) -> Node:
    """Return a clock that counts where ``base`` does and one or two values are defined."""
    first, second = values[0], values[-1]
    return Node("join", (first, second), base, ready=max(v.node.ready for v in values))


def rolling(op: str, value: Ref, window: int, *, clock: Clock = PRICE, **settings: float) -> Node:
    """Return a step over the last ``window`` values of one input."""
    return node(op, value, clock=clock, window=window, needs=window, history=window, **settings)
