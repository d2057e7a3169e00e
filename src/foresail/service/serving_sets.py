"""One data set of the process that forecasts: which way its newest bar goes, and why it was the long one.

"live": the bars that came since are taken in one by one. "held": none came, and what is known stands. "whole": the
history is read and everything computed anew, the first time and whenever the rows could differ otherwise: after a late
or corrected bar, a listing, another model, when fewer of the past days are compared, or for a model or set that can
only be read whole.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from types import MappingProxyType

from foresail.domain.bars import BarSet
from foresail.service.models_loading import LoadedModel
from foresail.service.predicting import check_moment
from foresail.service.serving_bars import BarFeed
from foresail.service.serving_live import LiveMarket, Telling

__all__ = ["PATHS", "Served", "ServedSet"]

# path -> what a status says of it
PATHS = MappingProxyType(
    {"live": "new bars alone", "held": "no new bar", "whole": "the whole history was computed anew"}
)


@dataclass(frozen=True, slots=True)
class Served:
    """A market with its newest bar.

    Attributes
    ----------
    path : of ``PATHS``
    why : why everything was computed anew; empty where it was not
    """

    market: LiveMarket
    path: str
    why: str


class ServedSet:
    """A data set with what is kept of it between rounds.

    Parameters
    ----------
    telling : of each forecast; None = as ``foresail predict`` does without options
    """

    def __init__(self, feed: BarFeed, telling: Telling | None = None) -> None:
        self._feed, self._telling = feed, telling
        self._market: LiveMarket | None = None
        self._without = "the first round of this process"  # why nothing is kept

    def advance(self, now: int, model_of: Callable[[BarSet], LoadedModel]) -> Served:
        """Return the market as it is known at an instant, ns UTC.

        Parameters
        ----------
        model_of : which model is to answer for a set

        Raises
        ------
        UserError, DataError, ModelError
            If the bars or the model cannot be used; nothing is kept then, and the next call computes everything anew.
        """
        market, self._market = self._market, None
        without, self._without = self._without, "the round before failed"
        came = without if market is None else self._feed.newer(now)
        if market is None or isinstance(came, str):
            return self._anew(now, model_of, str(came))
        if model_of(market.bar_set) is not market.model:
            return self._anew(now, model_of, "another model answers")
        if came.shape[1] and market.refusal:
            return self._anew(now, model_of, market.refusal)
        market.take(came)
        if came.shape[1] and market.outgrown:
            return self._anew(now, model_of, market.outgrown)
        self._market = market
        return Served(market, "live" if came.shape[1] else "held", "")

    def _anew(self, now: int, model_of: Callable[[BarSet], LoadedModel], why: str) -> Served:
        loaded = self._feed.whole(now)
        model = model_of(loaded.data.bar_set)
        check_moment(model, loaded.data.bar_set, now)
        self._market = LiveMarket(model, loaded, self._telling)
        return Served(self._market, "whole", why)
