"""What came true since a forecast was made: the newest bars of a market as labels see them (EVAL-09).

The outcome is that of ``features.targets``: the log of the adjusted close so many bars of the set later against the
close of the forecast's own bar, both as they were first published.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from foresail.core.arrays import FloatArray, TimeArray
from foresail.core.ids import InstrumentId

__all__ = ["Outcome", "OutcomeWindow"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What is known of one forecast.

    Attributes
    ----------
    value : log return; NaN where the instrument had no bar when the horizon ended
    deviation : standard deviation of that log return, known when it was made
    known_at : ns UTC
    bars_since : rows that have come after the horizon ended
    """

    value: float
    deviation: float
    known_at: int
    bars_since: int


@dataclass(frozen=True, slots=True, eq=False)
class OutcomeWindow:
    """The last T rows of a market.

    Attributes
    ----------
    end, available_at : (T,) ns UTC
    close : (N, T) adjusted; NaN where no return can be taken
    scale : (N, T) volatility of the one-bar log return
    """

    instruments: tuple[InstrumentId, ...]
    end: TimeArray
    available_at: TimeArray
    close: FloatArray
    scale: FloatArray

    def after(self, end: int, available_at: int, close: FloatArray, scale: FloatArray, *, kept: int) -> OutcomeWindow:
        """Return the window with one more row, of which ``kept`` rows stay.

        Parameters
        ----------
        close, scale : (N,)
        """
        first = max(0, len(self.end) + 1 - kept)
        return OutcomeWindow(
            self.instruments,
            np.append(self.end[first:], end),
            np.append(self.available_at[first:], available_at),
            np.concatenate([self.close[:, first:], close[:, None]], axis=1),
            np.concatenate([self.scale[:, first:], scale[:, None]], axis=1),
        )

    def places(self) -> dict[str, int]:
        """Return instrument -> row."""
        return {str(name): i for i, name in enumerate(self.instruments)}

    def rows_after(self, as_of: int) -> int:
        """Return how many rows of the window ended after an instant, ns UTC."""
        return len(self.end) - int(np.searchsorted(self.end, as_of, side="right"))

    def has_ended(self, as_of: int, horizon: int) -> bool:
        """Return whether the horizon of a forecast that stands on a bar of the window has ended."""
        t = int(np.searchsorted(self.end, as_of))
        return t + horizon < len(self.end) and bool(self.end[t] == as_of)

    def outcome(self, row: int, as_of: int, horizon: int) -> Outcome | None:
        """Return what came of a forecast; None while its horizon has not ended, or where its bar is not in the window.

        Parameters
        ----------
        row : of the instrument
        as_of : end of the bar that it stands on, ns UTC
        """
        if not self.has_ended(as_of, horizon):
            return None
        t = int(np.searchsorted(self.end, as_of))
        with np.errstate(invalid="ignore"):
            value = float(np.log(self.close[row, t + horizon] / self.close[row, t]))
        deviation = float(self.scale[row, t]) * float(np.sqrt(horizon))
        return Outcome(value, deviation, int(self.available_at[t + horizon]), len(self.end) - 1 - t - horizon)
