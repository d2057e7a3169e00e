"""The shell around a core: commit the journal, then perform the effects, never the other way round.

What a link tells comes back as events. The first write or sync that fails ends the run with ``JournalStoppedError``
before a single effect of the group has left. The same shell runs a backtest (nothing to commit) and an account on disk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Protocol

from foresail.domain.effects import Ask, CancelSend, Notify, ReplaceSend, Send
from foresail.domain.events import Event, VenueReport
from foresail.engine.trading.core import CoreEffect, TradingCore
from foresail.engine.trading.parts import Attach
from foresail.protocols import VenueLink

__all__ = ["MarketLink", "Shell"]


class MarketLink(VenueLink, Protocol):
    """A venue that lives on the same stream as the core."""

    def attach(self, levels: Attach) -> None:
        """Hang a stop and a target on a position."""
        ...

    def take_in(self, event: Event) -> None:
        """Apply an event of the stream before the core sees it."""
        ...


def _nothing() -> None:
    """Commit nothing: the journal is in memory."""


class Shell:
    """Feeds one core and one link.

    Parameters
    ----------
    commit : makes the journal durable; nothing leaves before it has returned
    is_lazy : commit only before something leaves; for links whose reports follow from the stream and come again
    heard : told of every report of the link, for records
    notify : told of what somebody is to be told
    """

    def __init__(
        self,
        core: TradingCore,
        link: MarketLink,
        *,
        commit: Callable[[], None] = _nothing,
        is_lazy: bool = False,
        heard: Callable[[VenueReport], None] | None = None,
        notify: Callable[[Notify], None] | None = None,
    ) -> None:
        self.core, self.link = core, link
        self._commit, self._is_lazy, self._heard, self._notify = commit, is_lazy, heard, notify

    def apply(self, event: Event) -> None:
        """Apply one event of the stream: the venue first, then the core, then what the core wants done.

        Raises
        ------
        JournalStoppedError
            If the journal could not be made durable; nothing of this event was sent.
        """
        self.link.take_in(event)
        effects = self._steps(self.link.take_reports())
        effects += self.core.step(event)
        self.settle(effects)

    def settle(self, effects: Sequence[CoreEffect]) -> None:
        """Commit, perform, and take in what comes back, until nothing comes back."""
        self._leave(effects)
        while reports := self.link.take_reports():
            self._leave(self._steps(reports))

    def _leave(self, effects: Sequence[CoreEffect]) -> None:
        if effects or not self._is_lazy:
            self._commit()
        self._perform(effects)

    def _steps(self, reports: Iterable[VenueReport]) -> list[CoreEffect]:
        effects: list[CoreEffect] = []
        for report in reports:
            if self._heard is not None:
                self._heard(report)
            effects += self.core.step(report)
        return effects

    def _perform(self, effects: Iterable[CoreEffect]) -> None:
        link = self.link
        for effect in effects:
            if isinstance(effect, Send):
                link.send(effect.order)
            elif isinstance(effect, CancelSend):
                link.cancel(effect.order_id, effect.instrument)
            elif isinstance(effect, Attach):
                link.attach(effect)
            elif isinstance(effect, Ask):
                link.ask(effect.order_id, effect.instrument)
            elif isinstance(effect, ReplaceSend):
                link.replace(effect)
            elif self._notify is not None:
                self._notify(effect)
