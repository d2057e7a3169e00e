"""The warnings that go with every result (WARN-01 to WARN-14), short, and which of them a run calls for."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from foresail.domain.instruments import AssetClass

__all__ = ["CAVEATS", "Caveat", "caveats_for"]

_ALL = tuple(c.value for c in AssetClass)


@dataclass(frozen=True, slots=True)
class Caveat:
    """One warning: requirement id, text, and the asset classes it concerns."""

    id: str
    text: str
    asset_classes: tuple[str, ...] = _ALL
    needs_sentiment: bool = False


CAVEATS: tuple[Caveat, ...] = (
    Caveat("WARN-01", "This is not financial advice. Past performance guarantees nothing."),
    Caveat("WARN-02", "Markets are highly efficient; an edge that was there can vanish fast."),
    Caveat(
        "WARN-03", "Sentiment is noisy: fake news, sarcasm and contradictions read like signals.", needs_sentiment=True
    ),
    Caveat("WARN-04", "Start with paper trading. Money comes after proof."),
    Caveat("WARN-05", "Always use stop-losses; a gap can still jump over them."),
    Caveat("WARN-06", "Diversify: never more than 10 % in one stock.", ("stock",)),
    Caveat("WARN-07", "Regimes change, as in 2020 and 2022; models need retraining every 18 to 24 months."),
    Caveat("WARN-08", "Slippage and latency eat the edge: 5 % predicted can become 2 %. It shrinks as capital grows."),
    Caveat(
        "WARN-09",
        "Crypto swings 10 to 30 % in a day, is open to manipulation, and is thin at weekends. Leverage risks "
        "liquidation.",
        ("crypto",),
    ),
    Caveat(
        "WARN-10", "Leverage multiplies losses; the 50:1 to 500:1 that forex brokers offer is not advised.", ("forex",)
    ),
    Caveat("WARN-10", "Leverage multiplies losses.", ("stock", "crypto")),
    Caveat("WARN-11", "Penny stocks are high risk.", ("stock",)),
    Caveat("WARN-11", "Bitcoin as a safe haven is doubtful.", ("crypto",)),
    Caveat("WARN-11", "Carry in exotic pairs is riskier than its yield suggests.", ("forex",)),
    Caveat("WARN-12", "A small account must survive before it can profit; day-trade limits may apply to it."),
    Caveat("WARN-13", "Garbage in, garbage out: no result is better than the data it was computed from."),
)


def caveats_for(asset_classes: Collection[str], *, uses_sentiment: bool = False) -> tuple[Caveat, ...]:
    """Return the warnings that concern these asset classes, in order, one text for an id that fits twice.

    Parameters
    ----------
    asset_classes : of stock, crypto, forex
    """
    chosen: list[Caveat] = []
    for caveat in CAVEATS:
        fits = any(c in asset_classes for c in caveat.asset_classes)
        is_weaker_twin = caveat.id == "WARN-10" and any(c.id == "WARN-10" for c in chosen)
        if fits and not is_weaker_twin and (uses_sentiment or not caveat.needs_sentiment):
            chosen.append(caveat)
    return tuple(chosen)
