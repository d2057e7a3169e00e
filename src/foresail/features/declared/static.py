"""What does not move: who the instrument is, its tier, what is usual in its sector (section 8.19, FEAT-15, FEAT-252).

Categories are codes, stable for ever: the place in ``domain.sectors.Sector``, ``domain.tiers.DEFAULT_TIERS`` and
``AssetClass``; a ticker's code is its place in the panel.
"""

from __future__ import annotations

from collections.abc import Iterable

from foresail.domain.instruments import AssetClass
from foresail.features.declared.spec import ALL, FeatureSpec, declare
from foresail.features.formulas.given import known

__all__ = ["declared"]

_STOCK = (AssetClass.STOCK,)


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    for name, text, source, classes in (
        ("ticker", "place of the instrument in the panel", "FEAT-381", ALL),
        ("price_tier", "tier of the traded price: 0 penny to 4 mega", "FEAT-382", _STOCK),
        ("asset_class", "0 stock, 1 crypto, 2 forex", "FEAT-383", ALL),
        ("sector", "place in the enumeration of sectors", "FEAT-252", _STOCK),
        ("industry", "code of the industry as the data vendor numbers it", "FEAT-252", _STOCK),
    ):
        yield declare(name, known(name), text, source, group="static", type_="category", classes=classes)
    for name, text in (
        ("sector_avg_volatility", "usual deviation of a day in the sector, a fraction"),
        ("sector_beta", "usual beta in the sector"),
        ("sector_typical_rsi", "usual RSI in the sector, 0 to 1"),
        ("sector_news_per_week", "usual articles a week in the sector"),
        ("sector_avg_volume", "usual volume a day in the sector, units"),
    ):
        factor = 100.0 if name == "sector_typical_rsi" else 1.0
        yield declare(name, known(name), text, "FEAT-384", group="static", classes=_STOCK, display_factor=factor)
