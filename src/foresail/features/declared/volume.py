"""What is traded (section 8.5)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import NO_FOREX, FeatureSpec, declare
from foresail.features.formulas.volume import amihud_ratio, log_volume_zscore, money_flow, obv_ratio, volume_ratio

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield declare("volume_ratio_20", volume_ratio(20), "volume over its mean of 20 bars", "FEAT-187",
                   group="volume", type_="volume", aliases=("volume_ratio",), parameters=(20,), classes=NO_FOREX,
                   critical=True)  # fmt: skip
    yield declare("log_volume_zscore_20", log_volume_zscore(20), "log volume in deviations from its 20-bar mean",
                   "FEAT-187", group="volume", type_="volume", parameters=(20,), classes=NO_FOREX)  # fmt: skip
    yield declare("obv_ratio_20", obv_ratio(20), "change of on-balance volume over the volume of 20 bars",
                   "FEAT-181", group="volume", aliases=("obv_slope",), parameters=(20,), classes=NO_FOREX)  # fmt: skip
    yield declare("mfi_14", money_flow(14), "money flow index, 0 to 1", "FEAT-186",
                   group="volume", parameters=(14,), classes=NO_FOREX)  # fmt: skip
    yield declare("amihud_ratio_60", amihud_ratio(60), "price move per traded value against its 60-bar mean",
                   "FEAT-187", group="volume", parameters=(60,), classes=NO_FOREX)  # fmt: skip
