"""Order-book and tape rows (section 8.16): sampled from event streams by ``features.books``, joined at each bar."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import NO_FOREX, FeatureSpec, declare
from foresail.features.expressions import Ref, given, node
from foresail.features.formulas.common import divide
from foresail.features.formulas.given import known, mean_of, ratio_to_mean

__all__ = ["declared"]

_LEVELS = 10
_HISTORY = 30  # bars against which a size in units is set


def _row(name: str, text: str, source: str, **more: tuple[float, ...] | tuple[str, ...]) -> FeatureSpec:
    kind = "flag" if name in {"whale_trade", "layer_hint", "iceberg_hint"} else "book"
    return declare(name, known(name), text, source, group="book", type_=kind, classes=NO_FOREX, scope="book",
                   **more)  # type: ignore[arg-type]  # fmt: skip


def _in_units(name: str, text: str, source: str, model: Ref) -> FeatureSpec:
    return declare(name, known(name), text, source, group="book", type_="book", classes=NO_FOREX, scope="book",
                   model=model)  # fmt: skip


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield _row("imbalance_10", "(bid - ask) / (bid + ask) size over the best 10 levels", "FEAT-351", parameters=(10,))
    yield _row("imbalance_20", "(bid - ask) / (bid + ask) size over the best 20 levels", "FEAT-351", parameters=(20,),
               aliases=("order_book_imbalance",))  # fmt: skip
    yield _row("imbalance_1", "(bid - ask) / (bid + ask) size at the best quotes", "FEAT-351", parameters=(1,))
    yield _in_units("depth_10", "mean of bid and ask size over the best 10 levels", "FEAT-351",
                    ratio_to_mean(given("depth_10"), _HISTORY))  # fmt: skip
    yield _row("microprice_gap", "mid weighted by the opposite sizes, over the mid, minus 1", "FEAT-351")
    yield _row("spread_bps", "(ask - bid) / mid x 10,000", "FEAT-352")
    yield _row("hidden_liquidity", "population deviation over mean of the best 10 bid sizes", "FEAT-353",
               parameters=(10,))  # fmt: skip
    yield _row("trade_velocity", "prints of the last 60 s over 60", "FEAT-354", parameters=(60,))
    yield _in_units("order_flow_imbalance", "signed change of the best queues, summed over the book bar", "FEAT-355",
                    _against_usual("order_flow_imbalance"))  # fmt: skip
    for level in range(1, _LEVELS + 1):
        yield _row(f"multi_level_flow_{level}", f"order flow of level {level} over the average depth of the book",
                   "FEAT-355", parameters=(level,))  # fmt: skip
    yield _row("integrated_flow", "first principal component of the flows of 10 levels, weights of training days",
               "FEAT-355", parameters=(10,))  # fmt: skip
    yield _row("whale_trade", "1 where a print exceeds 100 times the mean of the prints before it", "FEAT-356",
               parameters=(100,))  # fmt: skip
    yield _row("spoof_hint", "share of large orders that were cancelled within 1 s", "FEAT-357", parameters=(1,))
    yield _row("layer_hint", "1 where at least 4 of the best 10 levels of a side hold one size", "FEAT-357",
               parameters=(4,))  # fmt: skip
    yield _row("iceberg_hint", "1 where a price was refilled at least 3 times after it was hit", "FEAT-357",
               parameters=(3,))  # fmt: skip


def _against_usual(name: str) -> Ref:
    """A signed size over the usual size of such sizes: what a model sees."""
    return divide(known(name), mean_of(node("magnitude", given(name)).out, _HISTORY))
