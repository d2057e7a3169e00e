"""What is traded (section 8.5); of forex the number of price changes, ticks, where a set has them (FEAT-26)."""

from __future__ import annotations

from collections.abc import Iterable

from foresail.features.declared.spec import NO_FOREX, WITH_TICKS, FeatureSpec, declare
from foresail.features.formulas.volume import (
    amihud_ratio,
    chaikin_flow,
    day_volume,
    log_volume_zscore,
    mean_volume,
    money_flow,
    obv,
    obv_ratio,
    volume_change,
    volume_divergence,
    volume_ratio,
    volume_spike,
)

__all__ = ["declared"]


def declared() -> Iterable[FeatureSpec]:
    """Return the rows in schema order."""
    yield declare("volume_ratio_20", volume_ratio(20), "volume over its mean of 20 bars", "FEAT-187",
                   group="volume", type_="volume", aliases=("volume_ratio",), parameters=(20,), classes=WITH_TICKS,
                   critical=True)  # fmt: skip
    yield declare("log_volume_zscore_20", log_volume_zscore(20), "log volume in deviations from its 20-bar mean",
                   "FEAT-187", group="volume", type_="volume", parameters=(20,), classes=WITH_TICKS)  # fmt: skip
    yield declare("obv_ratio_20", obv_ratio(20), "change of on-balance volume over the volume of 20 bars",
                   "FEAT-181", group="volume", aliases=("obv_slope",), parameters=(20,),
                   classes=WITH_TICKS)  # fmt: skip
    yield declare("mfi_14", money_flow(14), "money flow index, 0 to 1", "FEAT-186",
                   group="volume", parameters=(14,), classes=WITH_TICKS, display_factor=100.0)  # fmt: skip
    yield declare("amihud_ratio_60", amihud_ratio(60), "price move per traded value against its 60-bar mean",
                   "FEAT-187", group="volume", parameters=(60,), classes=NO_FOREX)  # fmt: skip
    yield declare("obv", obv(), "volume of rising bars less that of falling ones, summed", "FEAT-181", group="volume",
                   type_="volume", scale="volume", classes=WITH_TICKS, model=obv_ratio(20))  # fmt: skip
    yield declare("volume_roc", volume_change(10), "volume over that of 10 bars ago, minus 1", "FEAT-184",
                   group="volume", aliases=("volume_roc_10",), parameters=(10,), classes=WITH_TICKS,
                   display_factor=100.0)  # fmt: skip
    yield declare("cmf_20", chaikin_flow(20), "volume weighted by the place of the close, over all volume, -1 to 1",
                   "FEAT-185", group="volume", aliases=("cmf",), parameters=(20,), classes=WITH_TICKS)  # fmt: skip
    yield declare("volume_avg", mean_volume(20), "mean volume of 20 bars", "FEAT-189", group="volume", type_="volume",
                   aliases=("volume_avg_20",), scale="volume", parameters=(20,), classes=WITH_TICKS)  # fmt: skip
    yield declare("volume_24h", day_volume(), "volume of the last 24 hours", "FEAT-189", group="volume", type_="volume",
                   scale="volume", classes=WITH_TICKS)  # fmt: skip
    yield declare("volume_spike", volume_spike(20, 2.0), "1 where volume is above twice its mean of 20 bars",
                   "FEAT-190", group="volume", type_="flag", parameters=(20, 2), classes=WITH_TICKS)  # fmt: skip
    yield declare("volume_price_divergence", volume_divergence(10), "-1 where the price rises and 1 where it falls on "
                   "falling volume, slopes of 10 bars, else 0", "FEAT-191", group="volume", parameters=(10,),
                   classes=WITH_TICKS)  # fmt: skip
