"""How a core tells somebody something: the alert stands in the journal before anybody hears it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from foresail.domain.alerts import Alert
from foresail.domain.effects import Notify
from foresail.ledger.entries import AlertRaised

if TYPE_CHECKING:
    from foresail.engine.trading.core import CoreEffect, TradingCore

__all__ = ["tell"]


def tell(core: TradingCore, at: int, alerts: Sequence[Alert]) -> list[CoreEffect]:
    """Journal alerts, and return what the shell says."""
    for alert in alerts:
        core.write(AlertRaised, at, kind=alert.kind, severity=alert.severity.value, text=alert.text)
    return [Notify(alert.kind, alert.severity.value, alert.text) for alert in alerts]
